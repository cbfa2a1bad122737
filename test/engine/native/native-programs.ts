// Small programs for tests of native code: as operations, and as pieces that two rigs run one after the other.
import { expect } from "bun:test";
import type { EnginePort } from "../../../src/engine/engine.ts";
import { Interpreter } from "../../../src/engine/interpreter/interpreter.ts";
import type { NativeOp } from "../../../src/engine/native/blocks.ts";
import type { NativeHost } from "../../../src/engine/native/native-code.ts";
import { traitsOf } from "../../../src/engine/native/traits.ts";
import { createDecoder } from "../../../src/isa/riscv/decode.ts";
import { nativeHost } from "../../../src/machine/native-host.ts";
import type { GuestMemory } from "../../../src/memory/guest-memory.ts";
import { createRandom } from "../../isa/riscv/random.ts";
import { assemble } from "../program.ts";
import { DEVICE, DEVICE_SIZE, type PageTables, Pte, RAM, Rig } from "../rig.ts";
import { DATA, HANDLER, interpreted, mapData, native, PTE_RW, paged } from "./native-rig.ts";

export const EXTENSIONS: readonly string[] =
  "i m a f d c zicsr zifencei zicntr zba zbb zbs zicbom zicboz sstc svadu".split(" ");

const decoder = createDecoder(new Set(EXTENSIONS));

/** Assembly text, from `start` of a page on, as native code is made from it. */
export function operationsOf(text: string, start = 0): NativeOp[] {
  const { bytes } = assemble(start, text);
  return Array.from(new Uint32Array(bytes.buffer), (bits, i) => {
    const { instruction, rd, rs1, rs2, rs3, imm } = decoder.decode(bits)!;
    const float = instruction.extension === "f" || instruction.extension === "d";
    const traits = traitsOf(instruction);
    return { at: start + i * 4, length: 4, instruction, traits, float, rd, rs1, rs2, rs3, rm: 0, imm };
  });
}

// ---- rigs ----

/** Its native code is for a processor that has neither BMI2 nor FMA3. */
class PlainRig extends Rig {
  declare readonly engine: Interpreter;

  constructor() {
    super({ threshold: 1 });
    const config = { extensions: new Set(EXTENSIONS), mmu: "sv57", pmp: 16, harts: 1 } as const;
    const port: EnginePort = {
      load: (address, width) => (isDevice(address) ? this.onLoad(address - DEVICE, width) : -1),
      store: (address, width, value) => isDevice(address) && this.onStore(address - DEVICE, width, value),
      time: () => this.now,
      setTimer: () => {},
    };
    const native = (memory: GuestMemory): NativeHost | undefined => {
      const host = nativeHost(memory);
      return host && { ...host, fusedMultiplyAdd: false, bitManipulation: false };
    };
    Object.assign(this, { engine: new Interpreter(this.memory, config, port, { threshold: 1, native }) });
    this.reset();
  }
}

const isDevice = (address: number) => address >= DEVICE && address < DEVICE + DEVICE_SIZE;

let plain: Rig | undefined;
function plainRig(): Rig {
  plain ??= new PlainRig();
  return plain;
}

export const HOSTS: readonly (readonly [string, () => Rig])[] = [
  ["this host", () => native],
  ["a host without BMI2", plainRig],
];

// ---- memory ----

const FRAMES = RAM + 0x20_0000;
/** Pages from {@link DATA} on: where each lies, counted from {@link FRAMES}, and what it is for. */
const PAGES: readonly (readonly [frame: number, flags: number])[] = [
  [4, PTE_RW],
  // Follows the last one in memory, too.
  [5, PTE_RW],
  [2, PTE_RW],
  [3, PTE_RW & ~Pte.W],
  [9, PTE_RW],
  // Nothing.
  [10, 0],
  [8, PTE_RW],
  // Nobody has stored there yet, by this address.
  [9, PTE_RW & ~Pte.D],
];
/** Borders of pages: by what is behind them. */
export const Border = {
  ...{ following: DATA + 0x1000, elsewhere: DATA + 0x2000, readOnly: DATA + 0x3000, writable: DATA + 0x4000 },
  ...{ nothing: DATA + 0x5000, something: DATA + 0x6000, unused: DATA + 0x7000 },
} as const;

/** Where the page of an address lies, or would. */
export const frameOf = (address: number): number => FRAMES + PAGES[(address - DATA) >>> 12][0] * 0x1000;

/** S-mode, with pages of noise for data, the device, and floating point. */
export function mapped(rig: Rig, extra: (tables: PageTables) => void = () => {}): void {
  paged(rig, (tables) => {
    tables.map(DEVICE, DEVICE, PTE_RW);
    PAGES.forEach(([frame, flags], i) => {
      tables.map(DATA + i * 0x1000, FRAMES + frame * 0x1000, flags);
    });
    extra(tables);
  });
  const noise = Uint8Array.from({ length: 0x1_0000 }, (_, i) => (i * 167) ^ (i >> 4) ^ (i >> 11));
  rig.memory.load(FRAMES, noise);
  rig.setCsr("mstatus", 0x6000n);
}

// ---- traps ----

const SAVED = HANDLER + 0x800;
const Save = { tp: 0, all: 8, t0: 16 } as const;
const OTHERS = "ra sp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6".split(" ");

/**
 * A trap handler in M-mode that goes on behind the instruction, and mixes every register into memory: what is wrong in a
 * register at a trap is never forgotten. It changes none of them.
 */
export function witnessTraps(rig: Rig): void {
  const mix = (name: string) => `rori tp, tp, 7\n add tp, tp, ${name}`;
  const { pc } = rig.hart;
  rig.load(
    `
      csrrw gp, mscratch, gp
      sd   tp, ${Save.tp}(gp)
      sd   t0, ${Save.t0}(gp)
      ld   tp, ${Save.all}(gp)
      ${OTHERS.map(mix).join("\n")}
      ld   t0, ${Save.tp}(gp)
      ${mix("t0")}
      ${["mscratch", "mcause", "mtval", "mepc"].map((csr) => `csrr t0, ${csr}\n ${mix("t0")}`).join("\n")}
      addi t0, t0, 4
      csrw mepc, t0
      sd   tp, ${Save.all}(gp)
      ld   tp, ${Save.tp}(gp)
      ld   t0, ${Save.t0}(gp)
      csrrw gp, mscratch, gp
      mret
    `,
    HANDLER,
  );
  rig.hart.pc = pc;
  rig.setCsr("mtvec", BigInt(HANDLER));
  rig.setCsr("mscratch", BigInt(SAVED));
}

/** With noise for data, and traps that are witnessed; every other seed has paging. */
export function loadNoisily(rig: Rig, text: string, seed: number): ReturnType<Rig["load"]> {
  witnessTraps(rig);
  const random = createRandom(seed);
  rig.memory.load(
    DATA,
    Uint8Array.from({ length: 0x8000 }, () => random()),
  );
  const loaded = rig.load(text);
  if (seed % 2 === 0) paged(rig, (tables) => mapData(tables, PTE_RW, PTE_RW));
  return loaded;
}

// ---- running ----

/** A program that ends behind a `wfi`, at `done`, and how long runs of it are; another one goes on from there to the end. */
export interface Piece {
  readonly text: string;
  readonly budgets: readonly number[];
}

/** Where pieces lie: on pages of their own. */
const PIECES_AT = RAM + 0x1_0000;
const PIECE_SIZE = 0x2000;
export const MOST_PIECES = (HANDLER - PIECES_AT) / PIECE_SIZE;
const LONG = 1_000_000;

const registersOf = ({ hart }: Rig) => ({
  pc: hart.pc,
  trapped: hart.trapped,
  retired: hart.retired,
  x: Array.from({ length: 32 }, (_, i) => hart.x(i)),
  f: Array.from({ length: 32 }, (_, i) => hart.f(i)),
});

/**
 * Runs the pieces on both, and has all registers the same wherever a run ends, and memory in the end.
 * @param begin Before each piece, with the program in place.
 */
export function follow(
  pieces: readonly Piece[],
  prepare: (rig: Rig) => void,
  other: Rig = native,
  about: object = {},
  begin: (rig: Rig) => void = () => {},
): void {
  const rigs = [interpreted, other] as const;
  const starts = pieces.map((_, i) => PIECES_AT + i * PIECE_SIZE);
  const ends = rigs.map((rig) => {
    rig.reset();
    const loaded = pieces.map(({ text }, i) => rig.load(text, starts[i]).labels.done);
    prepare(rig);
    return loaded;
  })[0];
  pieces.forEach(({ text, budgets }, i) => {
    for (const rig of rigs) {
      begin(rig);
      rig.hart.pc = BigInt(starts[i]);
    }
    for (const [run, budget] of [...budgets, LONG].entries()) {
      for (const rig of rigs) rig.run(budget);
      const [right, found] = rigs.map(registersOf);
      // What it is all about is told where there is something to tell.
      if (!Bun.deepEquals(right, found)) {
        expect({ ...about, i, run, text, ...found }).toEqual({ ...about, i, run, text, ...right });
      }
      if (right.pc === BigInt(ends[i])) break;
    }
    expect({ ...about, i, pc: other.hart.pc }).toEqual({ ...about, i, pc: BigInt(ends[i]) });
  });
  expect({ ...about, ...other.state() }).toEqual({ ...about, ...interpreted.state() });
  expect(other.engine.statistics.native?.blocks).toBeGreaterThan(0);
}
