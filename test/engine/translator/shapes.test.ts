// Random programs run interpreted and translated, side by side: wherever a run ends, everything is the same.
import { expect, test } from "bun:test";
import { createRandom, random64 } from "../../isa/riscv/random.ts";
import { PageTables, PTE_RWX, Pte, RAM, Rig } from "../rig.ts";
import { randomProgram } from "./shapes.ts";

const SEEDS = 24;
/** Runs end at odd places; the last one ends the program. */
const BUDGETS = [997, 1, 4099, 13, 20_011, 100, 300_007, 5_000_000];
const DATA = RAM + 0x10_0000;

const interpreted = new Rig();
const translated = new Rig({ threshold: 1 });
const native = new Rig({ threshold: 1, native: true });
/** As if other threads had the memory, too. */
const sharing = new Rig({ threshold: 1, shared: true });

/** Data around the border of two pages: which follow each other in memory, or not. */
function prepare(rig: Rig, seed: number): bigint {
  rig.reset();
  const random = createRandom(seed);
  const { labels } = rig.load(randomProgram(random));
  const noise = new Uint32Array(0x6000 / 4).map(() => random());
  rig.memory.load(DATA, new Uint8Array(noise.buffer));
  const { hart } = rig;
  for (let i = 5; i < 18; i++) hart.setX(i, random64(random) >> (seed % 2 === 0 ? 0n : 33n));
  hart.setX(2, BigInt(RAM + 0x8_0000 + 0x1010));
  hart.setX(8, BigInt(DATA + 0x1000 - 8 * (seed % 17)));
  hart.setX(9, BigInt(DATA + 0x200));
  if (seed % 3 !== 0) return BigInt(labels.done);
  const tables = new PageTables(rig.memory);
  for (let at = RAM; at < RAM + 0x10_0000; at += 0x1000) tables.map(at, at, PTE_RWX);
  tables.map(DATA, DATA + 0x4000, PTE_RWX & ~Pte.X);
  tables.map(DATA + 0x1000, DATA + 0x2000, PTE_RWX & ~Pte.X);
  rig.setCsr("satp", tables.satp);
  // Translated memory needs S-mode, and PMP to let it.
  rig.setCsr("pmpaddr0", 2n ** 54n - 1n);
  rig.setCsr("pmpcfg0", 0x1fn);
  rig.enter(1);
  return BigInt(labels.done);
}

test("random programs do the same on both engines", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    prepare(interpreted, seed);
    const done = prepare(translated, seed);
    prepare(sharing, seed);
    prepare(native, seed);
    for (const budget of BUDGETS) {
      for (const rig of [interpreted, translated, sharing, native]) rig.run(budget);
      expect({ seed, ...translated.state() }).toEqual({ seed, ...interpreted.state() });
      expect({ seed, ...native.state() }).toEqual({ seed, ...interpreted.state() });
      expect({ seed, ...sharing.state() }).toEqual({ seed, ...interpreted.state() });
    }
    expect({ seed, pc: interpreted.hart.pc }).toEqual({ seed, pc: done });
  }
  expect(translated.engine.statistics.translation?.regions).toBeGreaterThan(300);
}, 60_000);
