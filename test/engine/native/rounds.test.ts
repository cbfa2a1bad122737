// Loops that look up what they access once for many rounds: which they are, and that nobody can tell.
import { describe, expect, test } from "bun:test";
import { accessesOf } from "../../../src/engine/native/accesses.ts";
import { roundsOf } from "../../../src/engine/native/rounds.ts";
import { below, chance, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import { Pte, RAM, type Rig } from "../rig.ts";
import { operationsOf } from "./native-programs.ts";
import { compare, DATA, hasNative, interpreted, native, PTE_RW, paged, skipTraps, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`rounds in native code (${WHY_NOT})`, () => {});

/** What moves in a block that goes to itself, as `base:from:step`, in order. */
function moving(text: string): readonly string[] | undefined {
  const operations = operationsOf(`again: ${text}\n bnez a5, again`);
  const rounds = roundsOf(0, operations, accessesOf(operations, false));
  return rounds?.moving.map(({ accesses, from, step }) => `x${accesses.base}:${from}:${step}`);
}

describe("what moves by steps", () => {
  test.each([
    ["forwards", "lw a0, 4(a1)\n addi a1, a1, 8\n addi a5, a5, -1", ["x11:4:8"]],
    ["backwards", "addi a1, a1, -8\n sd a0, 16(a1)\n addi a5, a5, -1", ["x11:8:-8"]],
    ["on both sides of its step", "lw a0, 0(a1)\n addi a1, a1, 4\n sw a0, -8(a1)", ["x11:-4:4"]],
    ["to floating point", "fld fa0, 8(a1)\n addi a1, a1, 8\n fadd.d fa1, fa1, fa0", ["x11:8:8"]],
    ["not at all", "sd a0, 8(a1)\n addi a5, a5, -1", ["x11:8:0"]],
    ["beside what does not", "lbu a0, 0(a1)\n addi a1, a1, 1\n add a2, a2, a0\n lw a3, 0(a2)", ["x11:0:1"]],
  ])("%s", (_, text, right) => {
    expect(moving(text)).toEqual(right);
  });

  test.each([
    ["what is no power of two", "lw a0, 0(a1)\n addi a1, a1, 12"],
    ["what steps twice", "lw a0, 0(a1)\n addi a1, a1, 4\n addi a1, a1, 4"],
    ["what comes from memory", "ld a1, 0(a1)"],
    ["what comes from another register", "lw a0, 0(a1)\n addi a1, a2, 4"],
    ["what only computes", "addi a5, a5, -1"],
    ["reservations", "lw a0, 0(a1)\n lr.w a2, (a3)"],
    ["many instructions", `lw a0, 0(a1)\n ${"add a2, a2, a0\n".repeat(70)}`],
  ])("not %s", (_, text) => {
    expect(moving(text)).toBeUndefined();
  });

  test("not where the block goes elsewhere", () => {
    const operations = operationsOf("lw a0, 0(a1)\n addi a1, a1, 8\n bnez a5, 4");
    expect(roundsOf(0, operations, accessesOf(operations, false))).toBeUndefined();
  });
});

/** Registers that are the host's as a rule, and others. */
const BASES = "a0 a1 s0 t3 s7".split(" ");
const VALUES = "a2 a3 s1 t4 s8".split(" ");
const STEPS = [1, 2, 4, 8, 16, 64, 512, 0, 3];
/** Three pages, of which two follow each other in memory, with nothing behind them; plain memory; the program's own page. */
const AREAS = [
  { at: DATA, size: 0x3000 },
  { at: DATA, size: 0x3000 },
  { at: RAM + 0x8_0000, size: 0x3000 },
  { at: RAM + 0x400, size: 0xa00 },
];

/** A loop of some hundred rounds or fewer, after a shorter one with the same bases. */
function program(random: Random): string {
  const bases = BASES.filter(() => chance(random, 0.5));
  if (bases.length === 0) bases.push("a0");
  const rounds = pick(random, [5, 40, 300, 900]);
  const starts = bases.map((base) => {
    const { at, size } = pick(random, AREAS);
    const wanted = pick(random, STEPS);
    // Only behind the three pages there is nothing that it could destroy.
    const step = at === DATA || rounds * wanted <= size ? wanted : 1;
    const way = Math.min(size, rounds * step);
    // Often so that the end of a page is soon there.
    const border = at + pick(random, [0x1000, 0x2000, 0x3000]);
    const near = border + (chance(random, 0.5) ? -1 : 1) * below(random, 80 * (step + 1));
    const free = at + 16 + below(random, Math.max(1, size - way - 64));
    // Before the pages there is the handler of traps.
    const back = near >= border && near - rounds * step > at - 0x4000;
    if (at === DATA && chance(random, 0.6)) return { base, step: back ? -step : step, first: near };
    const first = at === DATA ? free + 32 : free;
    return chance(random, 0.5) || rounds * step > size
      ? { base, step, first }
      : { base, step: -step, first: first + way };
  });
  const accesses = starts.flatMap(({ base }) =>
    Array.from({ length: 1 + below(random, 3) }, () => {
      const value = pick(random, VALUES);
      const distance = below(random, 48) - 16;
      const name = pick(random, ["lb", "lhu", "lw", "ld", "sb", "sh", "sw", "sd"]);
      return [`${name} ${value}, ${distance}(${base})`];
    }),
  );
  const steps = starts.flatMap(({ base, step }) => (step === 0 ? [] : [[`addi ${base}, ${base}, ${step}`]]));
  const others = Array.from({ length: below(random, 6) }, () => {
    const [rd, rs1, rs2] = [pick(random, VALUES), pick(random, VALUES), pick(random, VALUES)];
    return [`${pick(random, ["add", "addw", "xor", "mulw", "divu", "remu"])} ${rd}, ${rs1}, ${rs2}`];
  });
  // An index by what was loaded: always looked up.
  const chased = chance(random, 0.3)
    ? [[`and a4, ${pick(random, VALUES)}, s5`, "add a4, a4, s2", "ld a6, 0(a4)", "add s1, s1, a6"]]
    : [];
  const floats = chance(random, 0.3)
    ? [
        [`fld fa0, 0(${bases[0]})`, "fadd.d fa1, fa1, fa0"],
        [`fsw fa1, 12(${bases[0]})`],
        ["fcvt.w.d a2, fa1"],
        ["fmul.s fa2, fa2, fa0"],
      ]
    : [];
  const body = [...accesses, ...floats, ...steps, ...others, ...chased].sort(() => random() - 2 ** 31).flat();
  return `
    ${starts.map(({ base, first }) => `li ${base}, ${first}`).join("\n")}
    ${VALUES.map((name) => `li ${name}, ${BigInt.asIntN(64, random64(random))}`).join("\n")}
    li s2, ${DATA}
    li s3, ${rounds}
    li s5, ${pick(random, [0x7f8, 0x1ff8, 0x3ff8])}
  again:
    ${body.join("\n")}
    addi s3, s3, -1
    bnez s3, again
    li s3, 1000
  tail:
    addi s3, s3, -1
    bnez s3, tail
  done:
    j done
  `;
}

/** mstatus.FS: off, initial, dirty. */
const FLOAT_STATES = [0x6000n, 0x2000n, 0n];
/** Where the three pages are in memory, and what may be done with the second and the third. */
const PLACES = [RAM + 0x10_4000, RAM + 0x10_5000, RAM + 0x10_2000];
const MAPPINGS = [
  [PTE_RW, PTE_RW],
  [PTE_RW, 0],
  [PTE_RW & ~Pte.W, PTE_RW],
  [PTE_RW, PTE_RW & ~Pte.W],
  [PTE_RW & ~Pte.D, PTE_RW & ~(Pte.A | Pte.D)],
] as const;

describe.if(hasNative)("loops are what they are interpreted", () => {
  function prepare(rig: Rig, text: string, seed: number) {
    const flags = [PTE_RW, ...MAPPINGS[seed % MAPPINGS.length]];
    const random = createRandom(seed);
    const bytes = Uint8Array.from({ length: 0x4000 }, () => random());
    for (const start of [RAM + 0x8_0000, PLACES[2]]) rig.memory.load(start, bytes);
    paged(rig, (tables) => {
      for (const [i, place] of PLACES.entries()) tables.map(DATA + i * 0x1000, place, flags[i]);
    });
    skipTraps(rig);
    rig.setCsr("mstatus", FLOAT_STATES[seed % FLOAT_STATES.length]);
    return rig.load(text);
  }

  test("across pages, with traps, wherever a run ends", () => {
    let trapped = 0;
    for (let seed = 1; seed <= 200; seed++) {
      const random = createRandom(seed);
      const text = program(random);
      const budgets = Array.from({ length: 6 }, () => 1 + below(random, 4000));
      compare((rig) => prepare(rig, text, seed), [...budgets, 5_000_000], [interpreted, native], { seed, text });
      trapped += native.hart.trapped;
    }
    expect(trapped).toBeGreaterThan(1000);
  });

  /** Reads from one end to the other, with a sum; and again, when the TLB knows all pages. */
  const reader = (name: string, first: number, step: number) => `
    li s4, 2
  twice:
    li a0, ${first}
    li s3, ${Math.floor(0x1e00 / Math.abs(step))}
  again:
    ${name} a2, 0(a0)
    addi a0, a0, ${step}
    rori s1, s1, 7
    add s1, s1, a2
    addi s3, s3, -1
    bnez s3, again
    addi s4, s4, -1
    bnez s4, twice
  done:
    j done
  `;

  test.each([1, 2, 8, 32, -1, -4, -8])("over three pages, by %d", (step) => {
    for (const name of ["lb", "lh", "lw", "ld"])
      for (let off = 0; off < 8; off++) {
        const text = reader(name, (step > 0 ? DATA + 0x900 : DATA + 0x2700) + off, step);
        compare((rig) => prepare(rig, text, 0), [100_000], [interpreted, native], { name, off });
      }
  });

  test("with floating point that is not on yet, or not known to be in use", () => {
    const text = `
      li s4, 4
    outer:
      li a0, ${DATA}
      li s3, 20
      ld a2, 0(a0)
      sd a2, 8(a0)
    again:
      fld fa0, 0(a0)
      fsd fa0, 8(a0)
      addi a0, a0, 8
      addi s3, s3, -1
      bnez s3, again
      addi s4, s4, -1
      bnez s4, outer
    done:
      j done
    `;
    for (const seed of [1, 2])
      for (let more = 0; more < 256; more += 8)
        compare((rig) => prepare(rig, text, seed), [100_000 + more], undefined, { seed, more });
  });

  test("after every single instruction", () => {
    for (let seed = 201; seed <= 206; seed++) {
      const text = program(createRandom(seed));
      compare((rig) => prepare(rig, text, seed), [300, ...Array<number>(200).fill(1), 5_000_000], undefined, {
        seed,
        text,
      });
    }
  });
});
