// Pairs of rigs, of which one runs native code from the first execution on: what tests of native code have in common.
import { expect, spyOn } from "bun:test";
import { Interpreter } from "../../../src/engine/interpreter/interpreter.ts";
import { DATA_SIZE } from "../../../src/engine/native/common-code.ts";
import type { NativeHost } from "../../../src/engine/native/native-code.ts";
import { createCodeSpace } from "../../../src/host/machine-code.ts";
import { addressOf } from "../../../src/host/mapping.ts";
import { nativeHost } from "../../../src/machine/native-host.ts";
import type { GuestMemory } from "../../../src/memory/guest-memory.ts";
import { PageTables, PTE_RWX, Pte, RAM, Rig } from "../rig.ts";

export const interpreted = new Rig();
export const native = new Rig({ threshold: 1, native: true });

/** Whether this host's processor is one that we write code for. */
export const hasNative = nativeHost(interpreted.memory) !== undefined;
export const WHY_NOT = "no native code on this host";

/** Where programs of {@link paged} rigs have data: two pages, which do not follow each other in memory. */
export const DATA = RAM + 0x10_0000;
export const physicalOf = (virtual: number): number =>
  virtual < DATA + 0x1000 ? virtual + 0x4000 : virtual - DATA - 0x1000 + RAM + 0x10_2000;

/** S-mode, with the first MiB of RAM mapped as it is, and everything allowed but by page tables. */
export function paged(rig: Rig, extra: (tables: PageTables) => void = () => {}): PageTables {
  const tables = new PageTables(rig.memory);
  for (let at = RAM; at < RAM + 0x10_0000; at += 0x1000) tables.map(at, at, PTE_RWX);
  extra(tables);
  rig.setCsr("satp", tables.satp);
  rig.setCsr("pmpaddr0", 2n ** 54n - 1n);
  rig.setCsr("pmpcfg0", 0x1fn);
  rig.enter(1);
  return tables;
}

export const mapData = (tables: PageTables, first: number, second: number): void => {
  tables.map(DATA, physicalOf(DATA), first);
  tables.map(DATA + 0x1000, physicalOf(DATA + 0x1000), second);
};
export const PTE_RW: number = PTE_RWX & ~Pte.X;

export const HANDLER = RAM + 0xf_0000;

/** A trap handler in M-mode that goes on behind the instruction, and mixes what happened into `tp`. It takes `gp`. */
export function skipTraps(rig: Rig): void {
  const { pc } = rig.hart;
  rig.load(
    `
      csrr gp, mcause
      rori tp, tp, 7
      add  tp, tp, gp
      csrr gp, mtval
      xor  tp, tp, gp
      csrr gp, mepc
      rori tp, tp, 7
      add  tp, tp, gp
      addi gp, gp, 4
      csrw mepc, gp
      mret
    `,
    HANDLER,
  );
  rig.hart.pc = pc;
  rig.setCsr("mtvec", BigInt(HANDLER));
}

/** Runs both the same way, and has them in the same state wherever a run ends. The last one ends at `done`. */
export function compare(
  prepare: (rig: Rig) => { readonly labels: Readonly<Record<string, number>> },
  budgets: readonly number[],
  [one, other]: readonly [Rig, Rig] = [interpreted, native],
  about: object = {},
): void {
  const done = [one, other].map((rig) => {
    rig.reset();
    return prepare(rig).labels.done;
  });
  for (const [run, budget] of budgets.entries()) {
    for (const rig of [one, other]) rig.run(budget);
    expect({ ...about, run, ...other.state() }).toEqual({ ...about, run, ...one.state() });
  }
  expect({ ...about, pc: one.hart.pc }).toEqual({ ...about, pc: BigInt(done[0]) });
  expect(other.engine.regions?.native?.statistics.blocks).toBeGreaterThan(0);
}

/** How often native code is entered in a run: once, where it leaves nothing to the interpreter. */
export function timesEntered(budget: number): number {
  const entered = spyOn(native.engine.regions!.native!, "run");
  native.run(budget);
  const times = entered.mock.calls.length;
  entered.mockRestore();
  return times;
}

/** A rig whose native code has little room. */
export class CrampedRig extends Rig {
  declare readonly engine: Interpreter;

  constructor(
    readonly codeSize: number,
    extensions: readonly string[],
  ) {
    super({ threshold: 1 });
    const port = { load: () => -1, store: () => false, time: () => 0, setTimer: () => {} };
    const config = { extensions: new Set(extensions), mmu: "sv57", pmp: 16, harts: 1 } as const;
    const engine = new Interpreter(this.memory, config, port, { threshold: 1, native: crampedHost(codeSize) });
    Object.assign(this, { engine });
    this.reset();
  }
}

const crampedHost =
  (codeSize: number) =>
  ({ memory }: GuestMemory): NativeHost | undefined => {
    const space = createCodeSpace("x64", codeSize, Math.ceil(DATA_SIZE / 4096) * 4096);
    if (space === undefined) return undefined;
    const { bytes, data, address, functionAt } = space;
    return {
      bytes,
      data,
      address,
      functionAt,
      fusedMultiplyAdd: false,
      bitManipulation: false,
      memory: addressOf(memory.buffer),
    };
  };
