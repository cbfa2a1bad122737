// Branches that only choose which registers are set: which of them are so, and that nobody can tell.
import { describe, expect, test } from "bun:test";
import type { NativeBlock } from "../../../src/engine/native/blocks.ts";
import { withChoices } from "../../../src/engine/native/choices.ts";
import type { WrittenNative } from "../../../src/engine/native/listing.ts";
import { integerNames } from "../../../src/isa/riscv/register-names.ts";
import { below, chance, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import type { Rig } from "../rig.ts";
import { HOSTS, loadNoisily, operationsOf } from "./native-programs.ts";
import { compare, DATA, hasNative, interpreted, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`choices in native code (${WHY_NOT})`, () => {});

/** Blocks that follow each other, of instructions of 4 bytes each; the text of each ends where it does. */
function blocksOf(...texts: string[]): NativeBlock[] {
  const operations = operationsOf(texts.join("\n"));
  let first = 0;
  return texts.map((text) => {
    const own = operations.slice(first, first + text.split("\n").filter((line) => !line.endsWith(":")).length);
    first += own.length;
    return { at: own[0].at, operations: own, end: own[0].at + 4 * own.length, left: false };
  });
}

/** What is chosen: by block that is there still, where it ends, and what its branch does. */
function chosen(...texts: string[]) {
  return withChoices(blocksOf(...texts), 0).map(({ at, end, choice }) => {
    if (choice === undefined) return { at, end };
    const name = (n: number) => integerNames[n];
    return {
      ...{ at, end, counts: choice.counts },
      moves: choice.moves.map(
        ({ rd, from, value, taken }) => `${taken ? "taken" : "not"}: ${name(rd)} = ${value ?? name(from)}`,
      ),
      computed: choice.computed?.steps.map(
        ({ instruction, rd, rs1 }) =>
          `${choice.computed!.taken ? "taken" : "not"}: ${instruction.name} ${name(rd)}, ${name(rs1)}`,
      ),
    };
  });
}

describe("a branch chooses", () => {
  test("whether a register is set to another", () => {
    expect(chosen("add a0, a1, a2\n beq a0, a3, on", "mv a4, a5", "on:\n nop\n j 0")).toEqual([
      { at: 0, end: 12, counts: [1, 0], moves: ["not: a4 = a5"], computed: undefined },
      { at: 12, end: 20 },
    ]);
  });

  test("whether it is set to a number, where the other way is elsewhere", () => {
    expect(chosen("bltu a0, a3, away", "back:\n nop\n j 0", "away:\n li a4, -7\n lui a5, 16\n j back")).toEqual([
      { at: 0, end: 4, counts: [0, 3], moves: ["taken: a4 = -7", "taken: a5 = 65536"], computed: undefined },
      { at: 4, end: 12 },
    ]);
  });

  test("between two ways", () => {
    expect(
      chosen("blt a0, zero, away", "mv s0, s1", "on:\n nop\n j 0", "away:\n mv s4, s9\n mv s2, s3\n j on"),
    ).toEqual([
      {
        ...{ at: 0, end: 8, counts: [1, 3], computed: undefined },
        moves: ["not: s0 = s1", "taken: s4 = s9", "taken: s2 = s3"],
      },
      { at: 8, end: 16 },
    ]);
  });

  test("whether something is computed, in several steps", () => {
    expect(chosen("beqz a5, on", "slli s0, a2, 20\n addi s0, s0, 9\n mv a4, a5", "on:\n nop\n j 0")).toEqual([
      { at: 0, end: 16, counts: [3, 0], moves: ["not: a4 = a5"], computed: ["not: slli s0, a2", "not: addi s0, s0"] },
      { at: 16, end: 24 },
    ]);
  });

  test("what is one instruction, and not what is overwritten", () => {
    expect(chosen("beqz a5, on", "li s0, 3\n slli s0, a2, 48\n srli s0, s0, 48", "on:\n nop\n j 0")).toEqual([
      { at: 0, end: 16, counts: [3, 0], moves: [], computed: ["not: zext.h s0, a2"] },
      { at: 16, end: 24 },
    ]);
  });

  test.each([
    ["a word", "addiw a4, a5, 3", ["not: addiw a4, a5"]],
    ["a comparison", "sltu a4, zero, a5", ["not: sltu a4, zero"]],
    ["what is made of a number", "li a4, 1\n slli a4, a4, 40", ["not: addi a4, zero", "not: slli a4, a4"]],
    ["what is made of another register", "mv a4, a6\n xor a4, a4, a5", ["not: addi a4, a6", "not: xor a4, a4"]],
  ])("whether it is %s", (_, text, computed) => {
    expect(chosen("beqz a5, on", text, "on:\n nop\n j 0")[0]).toMatchObject({ moves: [], computed });
  });

  test("what takes its place where it lies", () => {
    const texts = ["beqz a5, on", "slli s0, s0, 48\n srli s0, s0, 48", "on:\n nop\n j 0"];
    expect(chosen(...texts)[0]).toMatchObject({ counts: [2, 0], moves: [], computed: ["not: zext.h s0, s0"] });
  });

  test("and what it chooses between remains where something else leads there", () => {
    const on = "on:\n nop\n beqz a1, between";
    expect(chosen("beqz a5, on", "between:\n mv a4, a5", on, "nop\n j 0").map(({ at }) => at)).toEqual([0, 4, 8, 16]);
    // The same for what is to be entered.
    const blocks = blocksOf("beqz a5, on", "mv a4, a5", "on:\n nop\n j 0");
    expect(withChoices(blocks, 4).map(({ at }) => at)).toEqual([0, 4, 8]);
    expect(withChoices(blocks, 8).map(({ at }) => at)).toEqual([0, 8]);
    // And for where the interpreter comes back.
    const [first, back, last, , way] = blocksOf("bnez a5, way", "nop\n j 0", "nop", "ecall", "way:\n mv a4, a5\n j 4");
    expect(withChoices([first, back, { ...last, left: true }, way], 0).map(({ at }) => at)).toEqual([0, 4, 12, 20]);
    expect(withChoices([first, back, way], 0).map(({ at }) => at)).toEqual([0, 4]);
  });

  test.each([
    ["a load", "lw a4, 0(a5)"],
    ["a store", "sw a4, 0(a5)"],
    ["a product", "mul a4, a5, a5"],
    ["a quotient", "div a4, a5, a5"],
    ["what is computed of two things", "orn a4, a5, a6"],
    ["more than three", "mv s2, a5\n mv s3, a5\n mv s4, a5\n mv s5, a5"],
    ["nothing", "nop"],
    ["two that are computed", "addi a4, a5, 1\n addi a6, a5, 1"],
    ["one that is moved, and read by another", "mv a4, a6\n addi a4, a4, 1\n xor a6, a6, a4"],
    ["one that is computed, and moved on", "addi a4, a6, 1\n mv a7, a4"],
    ["what reads what was moved", "mv a4, a6\n addi a7, a4, 1"],
    ["what reads second what was moved", "mv a4, a6\n add a7, a5, a4"],
    ["registers that change places", "mv a4, a6\n mv a6, a4"],
    ["what reads itself twice", "addi a4, a6, 1\n add a4, a4, a4"],
    ["what reads itself second", "addi a4, a6, 1\n sub a4, a5, a4"],
  ])("not: %s", (_, text) => {
    const texts = ["beqz a5, on", text, "on:\n nop\n j 0"];
    expect(withChoices(blocksOf(...texts), 0)).toEqual(blocksOf(...texts));
  });

  test.each([
    ["where a way goes elsewhere", ["beqz a5, on", "mv a4, a5\n j 64", "on:\n nop\n j 0"]],
    ["where a way calls", ["beqz a5, on", "mv a4, a5\n jal ra, 12", "on:\n nop\n j 0"]],
    ["where a way branches", ["beqz a5, on", "mv a4, a5\n beqz a4, 64", "on:\n nop\n j 0"]],
    ["where both ways compute", ["beqz a5, on", "addi a4, a4, 1\n j end", "on:\n addi a4, a4, 2", "end:\n nop\n j 0"]],
    ["where it goes to itself", ["again:\n addi a5, a5, 1\n beqz a5, again", "mv a4, a5", "nop\n j 0"]],
  ])("not: %s", (_, texts) => {
    expect(withChoices(blocksOf(...texts), 0)).toEqual(blocksOf(...texts));
  });

  test("not where the interpreter has a part in it", () => {
    const [first, between, on] = blocksOf("beqz a5, on", "mv a4, a5", "on:\n nop\n j 0");
    const blocks = [first, { ...between, left: true }, on];
    expect(withChoices(blocks, 0)).toEqual(blocks);
  });
});

/** Registers that are the host's as a rule, and others. */
const VALUES = "ra sp s0 s1 a0 a1 a2 a3 a4 a5 t3 t4 s6 s7 s8 s9".split(" ");
const NUMBERS = [0, 0, 1, -1, 7, 2047, -2048];
const BRANCHES = "beq bne blt bge bltu bgeu".split(" ");
const COMPUTING = [
  ...["add", "sub", "xor", "or", "and", "addw", "subw", "sh2add", "add.uw", "andn", "sltu", "slt"].map(
    (name) => (rd: string, a: string, b: string) => `${name} ${rd}, ${a}, ${b}`,
  ),
  ...["addi", "xori", "andi", "addiw"].map(
    (name) => (rd: string, a: string) => `${name} ${rd}, ${a}, ${-1 - (rd.length & 7)}`,
  ),
  ...["slli", "srli", "srai", "slliw", "srliw", "sraiw", "rori"].map(
    (name) => (rd: string, a: string) => `${name} ${rd}, ${a}, 13`,
  ),
  ...["sext.b", "sext.h", "zext.h", "mv"].map((name) => (rd: string, a: string) => `${name} ${rd}, ${a}`),
];

/** Loops of choices, of which some come behind something that the interpreter may have to take over. */
function program(random: Random): string {
  const one = () => (chance(random, 0.06) ? "zero" : pick(random, VALUES));
  const compute = (rd: string, first: string) => pick(random, COMPUTING)(rd, first, one());
  const way = () => {
    const lines: string[] = [];
    const kind = below(random, 4);
    if (kind !== 0) {
      const rd = pick(random, VALUES);
      lines.push(kind === 1 ? `li ${rd}, ${pick(random, NUMBERS)}` : compute(rd, one()));
      while (lines.length < 3 && chance(random, 0.5)) lines.push(compute(rd, rd));
    }
    while (lines.length < 3 && (kind === 0 || chance(random, 0.3))) {
      const rd = pick(random, VALUES);
      lines.push(chance(random, 0.5) ? `mv ${rd}, ${one()}` : `li ${rd}, ${pick(random, NUMBERS)}`);
      if (chance(random, 0.4)) break;
    }
    return lines;
  };
  const pieces: string[] = [];
  const elsewhere: string[] = [];
  for (let i = 0; i < 6; i++) {
    const before = Array.from({ length: below(random, 3) }, () => compute(pick(random, VALUES), one()));
    // Often as good as random, and often what lies in memory.
    if (chance(random, 0.5)) before.push("and t6, s11, s5", "add t6, t6, s2", `ld ${pick(random, VALUES)}, 0(t6)`);
    // Floating point may be off.
    if (chance(random, 0.2)) before.push(`fmv.x.d ${pick(random, VALUES)}, fa0`);
    before.push("rori s11, s11, 11", "add s11, s11, s3");
    const [a, b] = chance(random, 0.3) ? ["s11", one()] : [one(), one()];
    const branch = `${pick(random, BRANCHES)} ${a}, ${b}`;
    const [no, yes] = pick(random, [
      [way(), []],
      [[], way()],
      [way(), way()],
    ]);
    if (yes.length === 0) pieces.push(...before, `${branch}, on${i}`, ...no, `on${i}:`);
    else {
      pieces.push(...before, `${branch}, away${i}`, ...no, `on${i}:`);
      elsewhere.push(`away${i}:`, ...yes, `j on${i}`);
    }
  }
  return `
    ${VALUES.map((name) => `li ${name}, ${BigInt.asIntN(chance(random, 0.5) ? 32 : 64, random64(random))}`).join("\n")}
    li s2, ${DATA}
    li s5, ${pick(random, [0x7f8, 0x1ff8, 0x3ff8])}
    li s11, ${random64(random)}
    li s3, ${20 + below(random, 30)}
  again:
    ${pieces.join("\n")}
    addi s3, s3, -1
    bnez s3, again
  done:
    j done
    ${elsewhere.join("\n")}
  `;
}

describe.if(hasNative).each(HOSTS)("choices are what branches are, on %s", (_, rigOf) => {
  function prepare(rig: Rig, text: string, seed: number) {
    const loaded = loadNoisily(rig, text, seed);
    rig.setCsr("mstatus", seed % 4 < 2 ? 0x6000n : 0n);
    return loaded;
  }

  function written(rig: Rig): WrittenNative[] {
    const all: WrittenNative[] = [];
    rig.engine.followTranslation(
      () => {},
      (native) => void all.push(native),
    );
    return all;
  }

  test("wherever a run ends", () => {
    const rig = rigOf();
    const seen = { moves: 0, number: 0, no: 0, yes: 0, steps: 0, both: 0 };
    for (let seed = 1; seed <= Number(process.env.SEEDS ?? 150); seed++) {
      const random = createRandom(seed);
      const text = program(random);
      const budgets = Array.from({ length: 5 }, () => 1 + below(random, 600));
      const all = written(rig);
      compare((rig) => prepare(rig, text, seed), [...budgets, 1_000_000], [interpreted, rig], { seed, text });
      for (const { choice } of all.flatMap(({ blocks }) => blocks)) {
        if (choice === undefined) continue;
        const { computed, moves, counts } = choice;
        if (moves.length > 0) seen.moves++;
        if (moves.some(({ value }) => value !== undefined && value < 0)) seen.number++;
        if (computed !== undefined) seen[computed.taken ? "yes" : "no"]++;
        if (computed !== undefined && computed.steps.length > 1) seen.steps++;
        if (Math.min(...counts) > 0) seen.both++;
      }
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(10);
  });

  test("after every single instruction", () => {
    for (let seed = 501; seed <= 512; seed++) {
      const text = program(createRandom(seed));
      const budgets = [100, ...Array<number>(200).fill(1), 1_000_000];
      compare((rig) => prepare(rig, text, seed), budgets, [interpreted, rigOf()], { seed, text });
    }
  });
});
