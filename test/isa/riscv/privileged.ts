/** Harts to test the privileged architecture on: no engine, a small RAM, and a port that keeps what it is told. */
import type { EnginePort } from "../../../src/engine/engine.ts";
import { accessCsr, CsrOperation, csrNumber, readCsr, resetCsrs, writeCsr } from "../../../src/isa/riscv/csr.ts";
import { ENGINE_RESERVED, Hart, type HartConfig, type Privilege } from "../../../src/isa/riscv/hart.ts";
import { GuestMemory } from "../../../src/memory/guest-memory.ts";

export const RAM = 0x8000_0000;
export const ROM = 0x1_0000;

/** All harts of a test file share one memory: a process has few that are fast. */
export const memory = new GuestMemory(
  [
    { name: "ram", at: RAM, size: 1 << 20 },
    { name: "rom", at: ROM, size: 1 << 16, readOnly: true },
  ],
  { reserved: ENGINE_RESERVED, pool: 65536 },
);

export interface FakePort extends EnginePort {
  now: number;
  timers: number[];
}

export const EXTENSIONS = "i m a f d c zicsr zifencei zicntr zba zbb zbs zicbom zicboz sstc svadu".split(" ");

export function makeHart(options: Partial<HartConfig> & { index?: number } = {}): { hart: Hart; port: FakePort } {
  const port: FakePort = {
    now: 0,
    timers: [],
    load: () => -1,
    store: () => false,
    time: () => port.now,
    setTimer: (_, ticks) => {
      port.timers.push(ticks);
    },
  };
  const { index = 0, ...config } = options;
  const hart = new Hart(index, memory, { extensions: new Set(EXTENSIONS), mmu: "sv57", pmp: 16, ...config }, port);
  memory.u8.fill(0, hart.base, hart.base + 0x400);
  resetCsrs(hart);
  return { hart, port };
}

/** CSRs by name, in the hart's privilege. */
export const read = (hart: Hart, name: string): bigint | undefined => readCsr(hart, csrNumber(name));
export const write = (hart: Hart, name: string, value: bigint): boolean => writeCsr(hart, csrNumber(name), value);
export const set = (hart: Hart, name: string, bits: bigint): bigint | undefined =>
  accessCsr(hart, csrNumber(name), CsrOperation.set, bits, true, true);
export const clear = (hart: Hart, name: string, bits: bigint): bigint | undefined =>
  accessCsr(hart, csrNumber(name), CsrOperation.clear, bits, true, true);

export function enterMode(hart: Hart, privilege: Privilege): void {
  hart.privilege = privilege;
  hart.refreshMode();
}

/** A small deterministic source of chance (xorshift32). */
export class Chance {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }
  /** An unsigned 32-bit number. */
  word(): number {
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#state = s;
    return s >>> 0;
  }
  below(limit: number): number {
    return this.word() % limit;
  }
  wide(): bigint {
    return (BigInt(this.word()) << 32n) | BigInt(this.word());
  }
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }
}
