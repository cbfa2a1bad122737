// A second opinion: a machine that gives the instruction table its meaning directly, with nothing generated in between.
// It has what differential programs use: M-mode, traps, a few CSRs, RAM, a UART that prints and the power switch.

import { createDecoder, type Decoded } from "../../../../src/isa/riscv/decode.ts";
import { evaluate as computeFloat, FloatOp } from "../../../../src/isa/riscv/float/dispatch.ts";
import { instructions } from "../../../../src/isa/riscv/instructions/table.ts";
import type { Semantics } from "../../../../src/isa/riscv/semantics.ts";
import { evaluate, type Inputs } from "../evaluate.ts";
import { FINISHER_PASS, HARNESS, TEST_FINISHER, UART } from "./layout.ts";

const RAM_SIZE = 8 << 20;
const RAM = BigInt(HARNESS);
const Cause = { illegal: 2, breakpoint: 3, loadMisaligned: 4, storeMisaligned: 6, ecall: 11 } as const;
const CANONICAL_SINGLE = 0x7fc00000n;
const LOW = 0xffffffffn;

class Trap {
  constructor(
    readonly cause: number,
    readonly value: bigint,
  ) {}
}

const illegal = (bits: number) => new Trap(Cause.illegal, BigInt(bits >>> 0));
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

export class ReferenceMachine {
  readonly x = new BigUint64Array(32);
  readonly f = new BigUint64Array(32);
  pc: bigint;
  fflags = 0;
  frm = 0;
  output = "";
  poweredOff = false;
  retired = 0;
  #reservation: bigint | undefined;
  readonly #csrs = new Map<number, bigint>([0x140, 0x300, 0x305, 0x340, 0x341, 0x342, 0x343].map((n) => [n, 0n]));
  readonly #ram = new DataView(new ArrayBuffer(RAM_SIZE));
  readonly #decoder = createDecoder(new Set([...instructions.map(({ extension }) => extension), "c"]));

  constructor(elf: Uint8Array) {
    const view = new DataView(elf.buffer, elf.byteOffset, elf.length);
    this.pc = view.getBigUint64(24, true);
    for (let i = 0; i < view.getUint16(56, true); i++) {
      const at = 64 + i * 56;
      const [offset, address, size] = [8, 16, 32].map((field) => view.getBigUint64(at + field, true));
      const bytes = elf.subarray(Number(offset), Number(offset + size));
      new Uint8Array(this.#ram.buffer).set(bytes, Number(address - RAM));
    }
  }

  step(): void {
    const half = Number(this.#load(this.pc, 2));
    const length = (half & 3) === 3 ? 4 : 2;
    const fetched = length === 4 ? Number(this.#load(this.pc, 4)) : half;
    try {
      const bits = length === 4 ? fetched : this.#decoder.expand(half);
      const decoded = this.#decoder.decode(bits);
      if (!decoded) throw illegal(fetched);
      const next = u64(this.pc + BigInt(length));
      this.pc = this.#execute(decoded, bits, next);
      this.retired++;
    } catch (trap) {
      if (!(trap instanceof Trap)) throw trap;
      this.#csrs.set(0x341, this.pc).set(0x342, BigInt(trap.cause)).set(0x343, trap.value);
      this.pc = this.#csrs.get(0x305)!;
    }
  }

  /** Answers the address of what comes next. */
  #execute(decoded: Decoded, bits: number, next: bigint): bigint {
    const { semantics } = decoded.instruction;
    const { rd, rs1, rs2, rs3 } = decoded;
    const imm = BigInt(decoded.imm);
    const inputs: Inputs = {
      x: { rs1: this.x[rs1], rs2: this.x[rs2] },
      f: { rs1: this.f[rs1], rs2: this.f[rs2], rs3: this.f[rs3] },
      imm,
      pc: this.pc,
    };
    switch (semantics.does) {
      case "set":
        this.#setX(rd, evaluate(semantics.value, inputs));
        return next;
      case "setF":
        this.#setF(rd, semantics.to, evaluate(semantics.bits, inputs));
        return next;
      case "load": {
        const value = this.#load(evaluate(semantics.address, inputs), semantics.width);
        const extended = semantics.signed ? BigInt.asIntN(semantics.width * 8, value) : value;
        if (semantics.to === "x") this.#setX(rd, extended);
        else this.#setF(rd, semantics.to, extended);
        return next;
      }
      case "store":
        this.#store(evaluate(semantics.address, inputs), semantics.width, evaluate(semantics.value, inputs));
        return next;
      case "branch":
        return evaluate(semantics.condition, inputs) === 0n ? next : u64(this.pc + imm);
      case "jump":
        this.#setX(rd, next);
        return u64(this.pc + imm);
      case "jumpTo": {
        const target = evaluate(semantics.target, inputs);
        this.#setX(rd, next);
        return target;
      }
      case "amo": {
        const { width } = semantics;
        const address = this.#aligned(this.x[rs1], width, Cause.storeMisaligned);
        const old = u64(BigInt.asIntN(width * 8, this.#load(address, width)));
        this.#store(
          address,
          width,
          evaluate(semantics.combine, { ...inputs, shared: new Map([[semantics.old, old]]) }),
        );
        this.#setX(rd, old);
        return next;
      }
      case "loadReserved": {
        const address = this.#aligned(this.x[rs1], semantics.width, Cause.loadMisaligned);
        this.#setX(rd, BigInt.asIntN(semantics.width * 8, this.#load(address, semantics.width)));
        this.#reservation = address;
        return next;
      }
      case "storeConditional": {
        const address = this.#aligned(this.x[rs1], semantics.width, Cause.storeMisaligned);
        const holds = this.#reservation === address;
        this.#reservation = undefined;
        if (holds) this.#store(address, semantics.width, this.x[rs2]);
        this.#setX(rd, holds ? 0n : 1n);
        return next;
      }
      case "float":
        this.#float(decoded, semantics, bits);
        return next;
      case "service":
        return this.#service(decoded, semantics.service, bits, next);
      case "fence":
        return next;
      case "zeroBlock":
        throw illegal(bits);
    }
  }

  #float(decoded: Decoded, semantics: Extract<Semantics, { does: "float" }>, bits: number): void {
    const { from, operands, to } = semantics;
    const rm = semantics.rounds && decoded.rm === 7 ? this.frm : decoded.rm;
    // RISC-V Unpriv §21.2: a reserved dynamic rounding mode.
    if (semantics.rounds && rm > 4) throw illegal(bits);
    const sign = from === "s" ? 1n << 31n : 1n << 63n;
    const read = (register: number) =>
      from === "x" ? this.x[register] : from === "d" ? this.f[register] : this.#single(register);
    const a = read(decoded.rs1) ^ (semantics.negateProduct ? sign : 0n);
    const b = operands > 1 ? read(decoded.rs2) : 0n;
    const c = operands > 2 ? read(decoded.rs3) ^ (semantics.negateAddend ? sign : 0n) : 0n;
    const result = computeFloat(FloatOp[semantics.operation], rm, a, b, c);
    this.fflags |= result.flags;
    if (to === "x") this.#setX(decoded.rd, result.bits);
    else this.#setF(decoded.rd, to, result.bits);
  }

  #service(decoded: Decoded, service: string, bits: number, next: bigint): bigint {
    switch (service) {
      case "csr":
        this.#csr(decoded, bits);
        return next;
      case "ecall":
        throw new Trap(Cause.ecall, 0n);
      case "ebreak":
        throw new Trap(Cause.breakpoint, 0n);
      case "mret":
        return this.#csrs.get(0x341)!;
      case "sfence.vma":
        return next;
      default:
        throw illegal(bits);
    }
  }

  /** RISC-V Unpriv §6.1 */
  #csr({ rd, rs1, rm: funct3, imm }: Decoded, bits: number): void {
    const operand = funct3 & 4 ? BigInt(rs1) : this.x[rs1];
    const operation = funct3 & 3;
    const writes = operation === 1 || rs1 !== 0;
    const old = this.#readCsr(imm);
    if (old === undefined || (writes && imm >> 10 === 3)) throw illegal(bits);
    if (writes) this.#writeCsr(imm, operation === 1 ? operand : operation === 2 ? old | operand : old & ~operand);
    this.#setX(rd, old);
  }

  #readCsr(number: number): bigint | undefined {
    switch (number) {
      case 0x001:
        return BigInt(this.fflags);
      case 0x002:
        return BigInt(this.frm);
      case 0x003:
        return BigInt((this.frm << 5) | this.fflags);
      case 0xf14:
        return 0n;
      default:
        return this.#csrs.get(number);
    }
  }

  #writeCsr(number: number, value: bigint): void {
    const low = Number(value & 0xffn);
    if (number === 0x001 || number === 0x003) this.fflags = low & 31;
    if (number === 0x002) this.frm = low & 7;
    if (number === 0x003) this.frm = low >> 5;
    if (number > 0x003) this.#csrs.set(number, u64(value));
  }

  #setX(register: number, value: bigint): void {
    if (register !== 0) this.x[register] = u64(value);
  }

  #setF(register: number, precision: "s" | "d", value: bigint): void {
    this.f[register] = precision === "d" ? value : (value & LOW) | (LOW << 32n);
  }

  #single(register: number): bigint {
    const value = this.f[register];
    return value >> 32n === LOW ? value & LOW : CANONICAL_SINGLE;
  }

  #aligned(address: bigint, width: number, cause: number): bigint {
    if (address % BigInt(width) !== 0n) throw new Trap(cause, address);
    return address;
  }

  #load(address: bigint, width: number): bigint {
    // LSR: the transmitter is empty.
    if (address === BigInt(UART + 5)) return 0x60n;
    const at = Number(address - RAM);
    let value = 0n;
    for (let i = width - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#ram.getUint8(at + i));
    return value;
  }

  #store(address: bigint, width: number, value: bigint): void {
    if (address === BigInt(UART)) {
      this.output += String.fromCharCode(Number(value & 0xffn));
      return;
    }
    if (address === BigInt(TEST_FINISHER)) {
      this.poweredOff = (value & LOW) === BigInt(FINISHER_PASS);
      return;
    }
    const at = Number(address - RAM);
    for (let i = 0; i < width; i++) this.#ram.setUint8(at + i, Number((value >> BigInt(i * 8)) & 0xffn));
  }
}

/** Runs a program to its end, or gives up after far more instructions than it can need. */
export function runOnReference(elf: Uint8Array): string {
  const machine = new ReferenceMachine(elf);
  for (let budget = 50_000_000; !machine.poweredOff; budget--) {
    if (budget === 0) throw new Error(`no end in sight; pc is 0x${machine.pc.toString(16)}`);
    machine.step();
  }
  return machine.output;
}
