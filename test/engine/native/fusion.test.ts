// Instructions that are one together: what they become, and that nobody can tell.
import { describe, expect, test } from "bun:test";
import type { NativeOp } from "../../../src/engine/native/blocks.ts";
import { fuse } from "../../../src/engine/native/fusion.ts";
import { integerNames } from "../../../src/isa/riscv/register-names.ts";
import { below, chance, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import { register } from "../program.ts";
import type { Rig } from "../rig.ts";
import { Idioms } from "./idioms.ts";
import {
  Border,
  follow,
  HOSTS,
  MOST_PIECES,
  mapped,
  operationsOf,
  type Piece,
  witnessTraps,
} from "./native-programs.ts";
import { DATA, hasNative, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`fused instructions in native code (${WHY_NOT})`, () => {});

/** An instruction with what it has of registers and immediates. Upper halves of constants are there in full. */
function textOf({ instruction, rd, rs1, rs2, imm }: NativeOp): string {
  const operands = instruction.syntax.split(",").map((part) => {
    if (part === "rd") return integerNames[rd];
    if (part === "rs1") return integerNames[rs1];
    if (part === "rs2") return integerNames[rs2];
    return `${imm}`;
  });
  return `${instruction.name} ${operands.join(",")}`;
}

/** What became something else, and what is not carried out. */
function fused(text: string): { readonly [position: number]: string; readonly folded: readonly number[] } {
  const before = operationsOf(text);
  const { operations, folded } = fuse(before);
  const changed = operations.flatMap((operation, i): [number, string][] =>
    operation === before[i] ? [] : [[i, textOf(operation)]],
  );
  // Nothing else of an instruction is another.
  operations.forEach(({ at, length, rd, float }, i) => {
    expect({ at, length, rd, float }).toEqual({ at: i * 4, length: 4, rd: before[i].rd, float: before[i].float });
  });
  return { ...Object.fromEntries(changed), folded: [...folded].sort() };
}

const NOTHING = { folded: [] };

describe("bits without those of another register", () => {
  test("are one instruction, whichever comes first", () => {
    expect(fused("xori a0, a1, -1\n and a2, a0, a3")).toEqual({ 1: "andn a2,a3,a1", folded: [] });
    expect(fused("xori a0, a1, -1\n and a2, a3, a0")).toEqual({ 1: "andn a2,a3,a1", folded: [] });
    expect(fused("xori a0, a1, -1\n and a0, a0, a1")).toEqual({ 1: "andn a0,a1,a1", folded: [] });
  });

  test("are so where what was inverted is the same register", () => {
    expect(fused("xori a1, a1, -1\n and a1, a1, a3")).toEqual({ 1: "andn a1,a3,a1", folded: [0] });
    expect(fused("xori a1, a1, -1\n and a1, a3, a1")).toEqual({ 1: "andn a1,a3,a1", folded: [0] });
  });

  test.each([
    ["another number", "xori a0, a1, -2\n and a2, a0, a3"],
    ["or", "xori a0, a1, -1\n or a2, a0, a3"],
    ["one register twice", "xori a0, a1, -1\n and a2, a0, a0"],
    ["a register that changes between the two", "xori a0, a1, -1\n addi a1, a1, 1\n and a2, a0, a3"],
    ["what was inverted itself, and lost", "xori a1, a1, -1\n and a2, a1, a3"],
  ])("are not: %s", (_, text) => {
    expect(fused(text)).toEqual(NOTHING);
  });
});

describe("rotations", () => {
  for (const name of ["or", "xor", "add", "addw"]) {
    test(`are of words, by ${name}`, () => {
      const [down, up] = ["srliw a0, a1, 10", "slliw a2, a1, 22"];
      const right = { 2: "roriw a3,a1,10", folded: [] };
      expect(fused(`${down}\n ${up}\n ${name} a3, a0, a2`)).toEqual(right);
      expect(fused(`${up}\n ${down}\n ${name} a3, a0, a2`)).toEqual(right);
      expect(fused(`${down}\n ${up}\n ${name} a3, a2, a0`)).toEqual(right);
    });
  }

  test.each(["or", "xor", "add"])("are of doublewords, by %s", (name) => {
    const shifts = "slli a2, a1, 22\n srli a0, a1, 42";
    expect(fused(`${shifts}\n ${name} a3, a2, a0`)).toEqual({ 2: "rori a3,a1,42", folded: [] });
    expect(fused(`${shifts}\n ${name} a0, a0, a2`)).toEqual({ 2: "rori a0,a1,42", folded: [] });
  });

  test.each([
    ["addw of doublewords", "srli a0, a1, 42\n slli a2, a1, 22\n addw a3, a0, a2"],
    ["and", "srliw a0, a1, 10\n slliw a2, a1, 22\n and a3, a0, a2"],
    ["words shifted as doublewords", "srli a0, a1, 10\n slli a2, a1, 22\n or a3, a0, a2"],
    ["a word and a doubleword", "srliw a0, a1, 10\n slli a2, a1, 22\n or a3, a0, a2"],
    ["other counts", "srliw a0, a1, 10\n slliw a2, a1, 23\n or a3, a0, a2"],
    ["other counts of doublewords", "srli a0, a1, 10\n slli a2, a1, 53\n or a3, a0, a2"],
    ["both to the right", "srliw a0, a1, 10\n srliw a2, a1, 22\n or a3, a0, a2"],
    ["two registers", "srliw a0, a1, 10\n slliw a2, a4, 22\n or a3, a0, a2"],
    ["one register twice", "srliw a0, a1, 16\n or a3, a0, a0"],
    ["a register that changes between the two", "srliw a0, a1, 10\n addi a1, a1, 1\n slliw a2, a1, 22\n or a3, a0, a2"],
    ["a register that changes after the two", "srliw a0, a1, 10\n slliw a2, a1, 22\n ld a1, 0(a1)\n or a3, a0, a2"],
    ["a part that changes", "srliw a0, a1, 10\n slliw a2, a1, 22\n addi a0, a0, 0\n or a3, a0, a2"],
    ["a part that a load sets", "srliw a0, a1, 10\n slliw a2, a1, 22\n lw a2, 0(a4)\n or a3, a0, a2"],
    ["what the first made of it", "srliw a1, a1, 10\n slliw a2, a1, 22\n or a3, a1, a2"],
    ["a part that goes to x0", "srliw zero, a1, 10\n slliw a2, a1, 22\n or a3, zero, a2"],
  ])("are not: %s", (_, text) => {
    expect(fused(text)).toEqual(NOTHING);
  });

  test("are of what the second overwrites with its part, if the result goes there", () => {
    const shifts = "srliw a0, a1, 10\n slliw a1, a1, 22";
    expect(fused(`${shifts}\n or a1, a0, a1`)).toEqual({ 2: "roriw a1,a1,10", folded: [1] });
    expect(fused(`slliw a0, a1, 22\n srliw a1, a1, 10\n or a1, a0, a1`)).toEqual({ 2: "roriw a1,a1,10", folded: [1] });
    expect(fused(`${shifts}\n or a0, a0, a1`)).toEqual(NOTHING);
    expect(fused(`${shifts}\n sd a1, 0(a2)\n or a1, a0, a1`)).toEqual(NOTHING);
  });

  test("are of whatever x0 and the results of others hold", () => {
    expect(fused("srliw a0, zero, 10\n slliw a2, zero, 22\n or a3, a0, a2")).toEqual({
      ...{ 2: "roriw a3,zero,10", folded: [] },
    });
    expect(fused("addi a1, a1, 3\n srliw a0, a1, 10\n slliw a2, a1, 22\n or zero, a0, a2")).toEqual({
      ...{ 3: "roriw zero,a1,10", folded: [] },
    });
  });
});

describe("scaled sums", () => {
  test.each([1, 2, 3])("are of an index shifted by %i", (by) => {
    expect(fused(`slli a0, a1, ${by}\n add a2, a0, a3`)).toEqual({ 1: `sh${by}add a2,a1,a3`, folded: [] });
    expect(fused(`slli a0, a1, ${by}\n add a2, a3, a0`)).toEqual({ 1: `sh${by}add a2,a1,a3`, folded: [] });
    expect(fused(`slli.uw a0, a1, ${by}\n add a2, a3, a0`)).toEqual({ 1: `sh${by}add.uw a2,a1,a3`, folded: [] });
  });

  test("are of words that are not shifted, too", () => {
    expect(fused("slli.uw a0, a1, 0\n add a2, a0, a3")).toEqual({ 1: "add.uw a2,a1,a3", folded: [] });
  });

  test.each([
    ["a shift by 0", "slli a0, a1, 0\n add a2, a0, a3"],
    ["a shift by 4", "slli a0, a1, 4\n add a2, a0, a3"],
    ["a word shifted by 4", "slli.uw a0, a1, 4\n add a2, a0, a3"],
    ["a shifted word", "slliw a0, a1, 2\n add a2, a0, a3"],
    ["a sum of words", "slli a0, a1, 2\n addw a2, a0, a3"],
    ["one register twice", "slli a0, a1, 2\n add a2, a0, a0"],
    ["an index that changes", "slli a0, a1, 2\n addi a1, a1, 1\n add a2, a0, a3"],
    ["an index that a load sets", "slli a0, a1, 2\n ld a1, 0(a1)\n add a2, a0, a3"],
    [
      "an index that changes before it is shifted itself",
      "slli a0, a1, 3\n addi a1, a1, 1\n slli a1, a1, 2\n add a1, a0, a3",
    ],
    ["an index that an atomic instruction sets", "slli a0, a1, 2\n amoadd.w a1, a1, (a4)\n add a2, a0, a3"],
  ])("are not: %s", (_, text) => {
    expect(fused(text)).toEqual(NOTHING);
  });

  test("leave the shifted index to others that read it", () => {
    expect(fused("slli a0, a1, 2\n add a2, a0, a3\n add a4, a0, a2")).toEqual({
      ...{ 1: "sh2add a2,a1,a3", 2: "sh2add a4,a1,a2", folded: [] },
    });
  });

  test("are in place, where nobody else has read the shifted index", () => {
    expect(fused("slli a0, a0, 3\n add a0, a0, a1")).toEqual({ 1: "sh3add a0,a0,a1", folded: [0] });
    expect(fused("slli a0, a0, 3\n add a0, a1, a0")).toEqual({ 1: "sh3add a0,a0,a1", folded: [0] });
    expect(fused("slli a0, a0, 3\n add a2, a0, a1")).toEqual(NOTHING);
    for (const reader of ["sd a0, 0(a2)", "lw a3, 0(a0)", "addi a3, a0, 1", "amoadd.w a3, a0, (a2)"]) {
      expect(fused(`slli a0, a0, 3\n ${reader}\n add a0, a0, a1`)).toEqual(NOTHING);
    }
    expect(fused("slli a0, a0, 3\n fcvt.d.l fa0, a0\n add a0, a0, a1")).toEqual(NOTHING);
  });

  test("do not read the index where it was to be shifted, too", () => {
    // 12 times a1: the second shift is read as what is added.
    const operations = operationsOf("slli a0, a1, 3\n slli a1, a1, 2\n add a1, a0, a1");
    const { operations: after, folded } = fuse(operations);
    const { rs1, rs2, instruction } = after[2];
    const reads = instruction.name === "add" ? [] : [rs1, rs2];
    // Either it is a1 as it was that is shifted, or a1 as it is that is added; not both.
    expect(reads.filter((n) => n === register("a1")).length).toBeLessThan(2);
    if (reads[1] === register("a1")) expect(folded.has(1)).toBe(false);
  });
});

describe("shifts up and down again", () => {
  test.each([
    ["slli a0, a1, 32; srli a2, a0, 32", "slli.uw a2,a1,0"],
    ["slli a0, a1, 32; srli a2, a0, 29", "slli.uw a2,a1,3"],
    ["slli a0, a1, 32; srli a2, a0, 1", "slli.uw a2,a1,31"],
    ["slli a0, a1, 48; srli a2, a0, 48", "zext.h a2,a1"],
    ["slli a0, a1, 48; srai a2, a0, 48", "sext.h a2,a1"],
    ["slli a0, a1, 56; srai a2, a0, 56", "sext.b a2,a1"],
  ])("are words, halfwords or bytes: %s", (name, becomes) => {
    const text = name.replace("; ", "\n");
    expect(fused(text)).toEqual({ 1: becomes, folded: [] });
    // In place; and read in between.
    const inPlace = text.replaceAll(/a[012]/g, "a5");
    expect(fused(inPlace)).toEqual({ 1: becomes.replaceAll(/a[12]/g, "a5"), folded: [0] });
    expect(fused(inPlace.replace("\n", "\n addi a4, a5, 0\n"))).toEqual(NOTHING);
    expect(fused(inPlace.replace("\n", "\n sd a5, 0(a4)\n"))).toEqual(NOTHING);
    expect(fused(inPlace.replace("\n", "\n addi a5, a4, 0\n"))).toEqual(NOTHING);
    expect(fused(inPlace.replace("\n", "\n lw a4, 0(a3)\n"))).toEqual({
      ...{ 2: becomes.replaceAll(/a[12]/g, "a5"), folded: [0] },
    });
  });

  test.each([
    ["to the right by more", "slli a0, a1, 32\n srli a2, a0, 33"],
    ["to the right by nothing", "slli a0, a1, 32\n srli a2, a0, 0"],
    ["a word with its sign", "slli a0, a1, 32\n srai a2, a0, 32"],
    ["other counts", "slli a0, a1, 48\n srli a2, a0, 47"],
    ["other counts, with a sign", "slli a0, a1, 48\n srai a2, a0, 56"],
    ["a byte without a sign", "slli a0, a1, 56\n srli a2, a0, 56"],
    ["shifts of words", "slliw a0, a1, 16\n srliw a2, a0, 16"],
    [
      "of what is another's now, which is made of what has changed",
      "slli a0, a1, 32\n slli a1, a2, 5\n addi a2, a2, 1\n srli a1, a0, 32",
    ],
    ["to the left by less", "slli a0, a1, 31\n srli a2, a0, 31"],
  ])("are not: %s", (_, text) => {
    expect(fused(text)).toEqual(NOTHING);
  });

  test("are indices with a third instruction", () => {
    expect(fused("slli t0, t0, 32\n srli t0, t0, 29\n add t0, t0, a1")).toEqual({
      ...{ 1: "slli.uw t0,t0,3", 2: "sh3add.uw t0,t0,a1", folded: [0, 1] },
    });
    expect(fused("slli t0, t1, 32\n srli t0, t0, 32\n add t0, a1, t0")).toEqual({
      ...{ 1: "slli.uw t0,t1,0", 2: "add.uw t0,t1,a1", folded: [] },
    });
    expect(fused("slli t0, t0, 32\n srli t0, t0, 28\n add t0, t0, a1")).toEqual({ 1: "slli.uw t0,t0,4", folded: [0] });
    expect(fused("slli t0, t0, 32\n srli t0, t0, 29\n add t2, t0, a1")).toEqual({ 1: "slli.uw t0,t0,3", folded: [0] });
  });
});

describe("constants and addresses in two parts", () => {
  const upper = (value: number) => value >>> 12;
  test.each([
    ["addi", 0x12345000, 0x678, 0x12345678],
    ["addi", 0x12345000, -1, 0x12344fff],
    ["addiw", 0x12345000, -2048, 0x12344800],
    ["addiw", -0x8000_0000, -1, 0x7fff_ffff],
    ["addiw", 0x7fff_f000, 2047, 0x7fff_f7ff],
    ["addi", -0x8000_0000, 2047, -0x7fff_f801],
    ["addi", 0x1000, 0, 0x1000],
  ])("are one constant: %s of 0x%x and %i", (name, high, low, value) => {
    expect(fused(`lui a0, ${upper(high)}\n ${name} a1, a0, ${low}`)).toEqual({ 1: `lui a1,${value}`, folded: [] });
    expect(fused(`lui a0, ${upper(high)}\n ${name} a0, a0, ${low}`)).toEqual({ 1: `lui a0,${value}`, folded: [] });
  });

  test("are none where they are more than 32 bits", () => {
    expect(fused(`lui a0, ${upper(-0x8000_0000)}\n addi a1, a0, -1`)).toEqual(NOTHING);
    expect(fused(`auipc a0, ${upper(-0x8000_0000)}\n addi a1, a0, 0`)).toEqual(NOTHING);
  });

  test("are addresses from where the second stands", () => {
    expect(fused("auipc a0, 1\n addi a1, a0, 16")).toEqual({ 1: `auipc a1,${0x1000 + 16 - 4}`, folded: [] });
    expect(fused("auipc a0, 1\n nop\n nop\n addi a0, a0, -16")).toEqual({
      ...{ 3: `auipc a0,${0x1000 - 16 - 12}`, folded: [] },
    });
    // Words are none.
    expect(fused("auipc a0, 1\n addiw a1, a0, 16")).toEqual(NOTHING);
  });

  test("go on from one sum to the next", () => {
    expect(fused("lui a0, 1\n addi a0, a0, 1\n addi a0, a0, 1")).toEqual({
      1: "lui a0,4097",
      2: "lui a0,4098",
      folded: [],
    });
  });

  test("are none where the register is another's in between", () => {
    expect(fused("lui a0, 1\n lw a0, 0(a1)\n addi a0, a0, 1")).toEqual(NOTHING);
    expect(fused("lui zero, 1\n addi a0, zero, 1")).toEqual(NOTHING);
  });
});

test("what begins no idiom stays the very same", () => {
  const operations = operationsOf("add a0, a1, a2\n or a0, a0, a1\n sd a0, 0(a3)");
  const { operations: after, folded } = fuse(operations);
  expect(after).toBe(operations);
  expect(folded.size).toBe(0);
});

// ---- programs ----

const REGISTERS = "a0 a1 a5 t0 t1 s5".split(" ");
const FLOATS = ["fa0", "fa1"];
/** What memory lines have for bases: a page, one page after another, nothing, what cannot be written, a border. */
const BASES = "s0 s0 s0 s0 s1 s1 s6 s7 sp".split(" ");
const LOADS = "lb lbu lh lhu lw lw lwu ld ld".split(" ");
const STORES = "sb sh sw sd sd".split(" ");
const BRANCHES = "beq bne blt bge bltu bgeu".split(" ");

class Programs extends Idioms {
  #labels = 0;

  #memory(): string {
    const { random, one } = this;
    const offset = 8 * (below(random, 64) - 32) + (chance(random, 0.2) ? below(random, 8) : 0);
    const place = `${offset}(${pick(random, BASES)})`;
    const kinds = [
      () => `${pick(random, LOADS)} ${one()}, ${place}`,
      () => `${pick(random, LOADS)} ${one()}, ${place}`,
      () => `${pick(random, STORES)} ${one()}, ${place}`,
      () => `amoadd.w ${one()}, ${one()}, (s0)`,
      () => `amoswap.d ${one()}, ${one()}, (s6)`,
      () => `lr.d ${one()}, (s0)\n sc.d ${one()}, ${one()}, (s0)`,
    ];
    return pick(random, kinds)();
  }

  #float(): string {
    const { random, one } = this;
    const f = () => pick(random, FLOATS);
    const kinds = [
      () => `fmv.x.d ${one()}, ${f()}`,
      () => `fmv.x.w ${one()}, ${f()}`,
      () => `fmv.d.x ${f()}, ${one()}`,
      () => `fld ${f()}, 16(s0)`,
      () => `fcvt.d.l ${f()}, ${one()}`,
      () => `fcvt.w.d ${one()}, ${f()}`,
      () => `fadd.d ${f()}, ${f()}, ${f()}`,
      () => `flt.d ${one()}, ${f()}, ${f()}`,
    ];
    return pick(random, kinds)();
  }

  #branch(): string {
    const label = `l${this.#labels++}`;
    const skipped = Array.from({ length: 1 + below(this.random, 3) }, () => this.filler());
    const condition = `${pick(this.random, BRANCHES)} ${this.one()}, ${this.one()}, ${label}`;
    return [condition, ...skipped, `${label}:`].join("\n");
  }

  #between(floats: boolean): string {
    const kind = below(this.random, 20);
    if (kind < 8) return this.#memory();
    if (kind < 9) return this.#branch();
    if (kind < 12 && floats) return this.#float();
    return this.filler();
  }

  write(): string {
    const { random } = this;
    const floats = chance(random, 0.3);
    return `
        li   s0, ${DATA + 0x400}
        li   s1, ${DATA + 0x100}
        li   s6, ${Border.nothing + 0x200}
        li   s7, ${Border.readOnly + 8 * (below(random, 16) - 8)}
        li   sp, ${pick(random, Object.values(Border)) + 8 * (below(random, 16) - 8)}
        li   s8, ${400 + below(random, 1500)}
        li   s9, 5
      again:
        ${this.lines(12 + below(random, 40), () => this.#between(floats)).join("\n")}
        add  s1, s1, s8
        addi s9, s9, -1
        bnez s9, again
        wfi
      done:
        j done
    `;
  }
}

/** Where runs end: only at the end, at odd places, or everywhere. */
function budgets(random: Random, i: number): number[] {
  if (i % 20 === 7) return new Array<number>(250).fill(1);
  return i % 4 === 0 ? Array.from({ length: 12 }, () => 1 + below(random, 120)) : [];
}

function startWith(rig: Rig, seed: number): void {
  const random = createRandom(seed);
  for (const name of REGISTERS) rig.hart.setX(register(name), random64(random) >> BigInt(below(random, 40)));
  for (let n = 10; n < 12; n++) rig.hart.setF(n, random64(random));
  witnessTraps(rig);
  mapped(rig);
}

describe.if(hasNative)("programs of idioms are the same, with traps in the middle, on", () => {
  for (const [name, host] of HOSTS) {
    test(name, () => {
      let trapped = 0;
      for (let seed = 1; seed <= 5; seed++) {
        const random = createRandom(seed * 6007);
        const pieces = Array.from({ length: MOST_PIECES }, (_, i): Piece => {
          return { text: new Programs(random, REGISTERS).write(), budgets: budgets(random, i) };
        });
        follow(pieces, (rig) => startWith(rig, seed), host(), { seed });
        trapped += host().hart.trapped;
      }
      expect(trapped).toBeGreaterThan(1000);
    });
  }
});
