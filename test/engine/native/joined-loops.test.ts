// Loops of words, which are extended only where somebody sees that, and loops that are entered in their middle.
import { describe, expect, test } from "bun:test";
import type { NativeBlock } from "../../../src/engine/native/blocks.ts";
import { joinLoops } from "../../../src/engine/native/joined-loops.ts";
import { below, chance, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import { Idioms } from "./idioms.ts";
import { loadNoisily, operationsOf } from "./native-programs.ts";
import { compare, DATA, hasNative, interpreted, native, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`loops of words in native code (${WHY_NOT})`, () => {});

/** Blocks that follow each other, of instructions of 4 bytes each. */
function blocksOf(...texts: string[]): NativeBlock[] {
  const operations = operationsOf(texts.join("\n"));
  let first = 0;
  return texts.map((text) => {
    const own = operations.slice(first, first + text.split("\n").length);
    first += own.length;
    return { at: own[0].at, operations: own, end: own[0].at + 4 * own.length, left: false };
  });
}

describe("a block that falls into one that goes back to it", () => {
  const names = (blocks: readonly NativeBlock[]) =>
    blocks.map(({ operations }) => operations.map(({ instruction }) => instruction.name).join(" "));

  test("becomes one with it, which remains", () => {
    const joined = joinLoops(blocksOf("again: add a0, a1, a2\n xor a1, a1, a2", "addi a5, a5, -1\n bnez a5, again"));
    expect(names(joined)).toEqual(["add xor addi bne", "addi bne"]);
    expect(joined.map(({ at, end }) => [at, end])).toEqual([
      [0, 16],
      [8, 16],
    ]);
  });

  test.each([
    ["that goes elsewhere", ["again: add a0, a1, a2", "addi a5, a5, -1\n bnez a5, 400"]],
    ["that goes back further", ["again: add a0, a1, a2", "add a0, a0, a1", "bnez a5, again"]],
    ["that does not fall into it", ["again: add a0, a1, a2\n j 8", "addi a5, a5, -1\n bnez a5, again"]],
    ["that is long", [`again: ${"add a0, a1, a2\n".repeat(63)} nop`, "addi a5, a5, -1\n bnez a5, again"]],
  ])("not %s", (_, texts) => {
    const blocks = blocksOf(...texts);
    expect(joinLoops(blocks)).toEqual(blocks);
  });
});

/** Registers that are the host's as a rule, and others: more than it has, so that each loop has some of its own there. */
const VALUES = "ra sp s0 a2 a3 a4 a5 s1 t0 t1 t3 t4 t5 s7 s8 s9 s10 s11".split(" ");
const LENGTH = 0x1800;

/** Two loops, which are entered in their middle or not; words come to them, and what is none. */
function program(random: Random): string {
  const values = (names: readonly string[]) =>
    names.map((name) => `li ${name}, ${BigInt.asIntN(chance(random, 0.5) ? 32 : 64, random64(random))}`).join("\n");
  const loop = (name: string) => {
    const idioms = new Idioms(random, ["a3", ...VALUES.filter(() => chance(random, 0.4))]);
    const bases = pick(random, [["a0"], ["a0", "a1"], []]);
    const steps = bases.map(() => pick(random, [1, 4, 8, 8, -4]));
    const access = () => {
      if (bases.length === 0) return idioms.filler();
      const what = pick(random, ["lw", "lw", "lhu", "ld", "sw", "sd"]);
      return `${what} ${idioms.one()}, ${4 * below(random, 4)}(${pick(random, bases)})`;
    };
    const extend = (name: string) => `addiw ${name}, ${name}, 0`;
    const between = () =>
      chance(random, 0.3) ? access() : chance(random, 0.2) ? extend(idioms.one()) : idioms.filler();
    const body = idioms.lines(4 + below(random, 24), between);
    // Always looked up: the interpreter may take over.
    if (chance(random, 0.4)) {
      body.splice(below(random, body.length), 0, `and t6, ${idioms.one()}, s5`, "add t6, t6, s2", "ld a6, 0(t6)");
    }
    const middle = below(random, body.length);
    const step = bases.map((base, i) => `addi ${base}, ${base}, ${steps[i]}`);
    const rounds = 1 + below(random, pick(random, [4, 40, 300]));
    return `
      li s4, ${1 + below(random, 4)}
    ${name}_outer:
      ${bases.map((base, i) => `li ${base}, ${DATA + (steps[i] < 0 ? LENGTH : 0x20) + below(random, 8)}`).join("\n")}
      li s3, ${rounds}
      ${values(VALUES.filter(() => chance(random, 0.15)))}
      ${chance(random, 0.7) ? `j ${name}_middle` : ""}
    ${name}:
      ${body.slice(0, middle).join("\n")}
    ${name}_middle:
      ${body.slice(middle).join("\n")}
      ${step.join("\n")}
      addi s3, s3, -1
      ${chance(random, 0.3) ? `beq a2, t3, ${name}_end` : ""}
      bnez s3, ${name}
    ${name}_end:
      addi s4, s4, -1
      bnez s4, ${name}_outer
    `;
  };
  return `
    ${values(VALUES)}
    li s2, ${DATA}
    li s5, ${pick(random, [0x7f8, 0x1ff8, 0x3ff8])}
    ${loop("first")}
    ${loop("second")}
  done:
    j done
  `;
}

describe.if(hasNative)("loops of words are what they are interpreted", () => {
  test("wherever a run ends", () => {
    for (let seed = 1; seed <= Number(process.env.SEEDS ?? 60); seed++) {
      const random = createRandom(seed);
      const text = program(random);
      const budgets = Array.from({ length: 6 }, () => 1 + below(random, 6000));
      compare((rig) => loadNoisily(rig, text, seed), [...budgets, 5_000_000], [interpreted, native], { seed, text });
    }
  });

  // What is the host's in the region is what the first loop uses.
  const OWN = "ra sp s0 s1 a1 a2 a3 a4 a5".split(" ");
  const OTHERS = "t3 t4 t5 s7 s8 s9".split(" ");

  test("where rounds have registers of their own", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = createRandom(seed);
      const [one, other] = [OWN, OTHERS].map((registers) => new Idioms(random, registers));
      const text = `
        ${[...OWN, ...OTHERS].map((name) => `li ${name}, ${BigInt.asIntN(32, random64(random))}`).join("\n")}
        li s2, ${DATA}
        li s5, 0x8000
        li s4, 5
      outer:
        li s3, 12
      first:
        ${OWN.map((name) => `addi ${name}, ${name}, 3\n xor ${name}, ${name}, ${one.one()}`).join("\n")}
        ${OWN.map((name) => `xor ${name}, ${name}, s3`).join("\n")}
        addi s3, s3, -1
        bnez s3, first
        li a0, ${DATA}
        li s3, ${20 + below(random, 60)}
        j middle
      second:
        ${other.lines(4, () => `add ${pick(random, OTHERS)}, ${pick(random, OTHERS)}, ${pick(random, OWN)}`).join("\n")}
      middle:
        lw t3, 0(a0)
        ${seed % 4 === 0 ? "slli t6, s3, 11\n and t6, t6, s5\n add t6, t6, s2\n ld a6, 0(t6)" : ""}
        ${other.lines(8, () => other.filler()).join("\n")}
        sw ${pick(random, OTHERS)}, 4(a0)
        addi a0, a0, 4
        addi s3, s3, -1
        bnez s3, second
        addi s4, s4, -1
        bnez s4, outer
      done:
        j done
      `;
      const budgets = Array.from({ length: 6 }, () => 1 + below(random, 1500));
      compare((rig) => loadNoisily(rig, text, seed), [...budgets, 5_000_000], [interpreted, native], { seed, text });
    }
  });

  // As words, they would compare the other way.
  test.each([
    ["compared", "slt t4, a2, a3"],
    ["moved", "mv t4, a2\n srli t4, t4, 8"],
    ["combined", "xor t4, a2, a3\n slti t4, t4, 0"],
  ])("where what comes in is none, and is %s", (_, look) => {
    const text = `
      li s4, 9
      li s1, 0
    outer:
      li a0, ${DATA}
      li s3, 40
      li a2, 0x1_8000_0000
      li a3, 0x7000_0000
    again:
      lw a4, 0(a0)
      ${look}
      slli s1, s1, 1
      add s1, s1, t4
      addw a2, a2, a4
      addw a3, a3, s3
      addi a0, a0, 4
      addi s3, s3, -1
      bnez s3, again
      add s8, s8, s1
      addi s4, s4, -1
      bnez s4, outer
    done:
      j done
    `.replaceAll("_", "");
    for (let more = 0; more < 64; more++) compare((rig) => loadNoisily(rig, text, more), [100 + more, 5_000_000]);
  });

  test.each(["", "addiw a2, a2, 0"])("where a trap comes in the middle (%s)", (extend) => {
    // In every other 16 rounds it goes to where nothing is.
    const text = `
      li s4, 4
      li s2, ${DATA}
      li s5, 0x8000
      li a2, 0
    outer:
      li a0, ${DATA}
      li s3, 120
    again:
      slli t6, s3, 11
      and t6, t6, s5
      add t6, t6, s2
      ld a6, 0(t6)
      lw a4, 0(a0)
      addw a2, a2, a4
      ${extend}
      addi a0, a0, 4
      addi s3, s3, -1
      bnez s3, again
      addi s4, s4, -1
      bnez s4, outer
    done:
      j done
    `;
    compare((rig) => loadNoisily(rig, text, 2), [5_000_000]);
    expect(native.hart.trapped).toBe(4 * 57);
  });

  test("after every single instruction", () => {
    for (let seed = 201; seed <= 206; seed++) {
      const text = program(createRandom(seed));
      const budgets = [300, ...Array<number>(200).fill(1), 5_000_000];
      compare((rig) => loadNoisily(rig, text, seed), budgets, undefined, { seed, text });
    }
  });
});
