// Lays instructions one behind the other at fixed addresses, with labels for what comes later.

import type { Operands } from "../../../../src/isa/riscv/encode.ts";
import { encode } from "../../../../src/isa/riscv/encode.ts";

export interface Label {
  address: number | undefined;
}

/** How `auipc` and a 12-bit offset reach an address. RISC-V ELF psABI §8.4.9 */
export function relative(from: number, to: number): { upper: number; lower: number } {
  const distance = to - from;
  const upper = (distance + 0x800) & ~0xfff;
  return { upper, lower: distance - upper };
}

export class Assembler {
  readonly #words: number[] = [];
  readonly #unresolved: (() => void)[] = [];

  constructor(readonly origin: number) {}

  get here(): number {
    return this.origin + this.#words.length * 4;
  }

  emit(name: string, operands: Operands = {}): void {
    this.#words.push(encode(name, operands));
  }

  label(): Label {
    return { address: undefined };
  }

  place(label: Label): void {
    label.address = this.here;
  }

  /** A branch or jump. */
  to(name: string, label: Label, operands: Operands = {}): void {
    const at = this.here;
    const index = this.#words.push(0) - 1;
    this.#unresolved.push(() => {
      if (label.address === undefined) throw new Error(`${name} goes to a label that was never placed`);
      this.#words[index] = encode(name, { ...operands, imm: label.address - at });
    });
  }

  /** Loads an address. */
  address(rd: number, target: number): void {
    const { upper, lower } = relative(this.here, target);
    this.emit("auipc", { rd, imm: upper });
    this.emit("addi", { rd, rs1: rd, imm: lower });
  }

  finish(): Uint8Array {
    for (const resolve of this.#unresolved) resolve();
    return new Uint8Array(Uint32Array.from(this.#words).buffer);
  }
}
