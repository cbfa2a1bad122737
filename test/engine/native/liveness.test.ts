// What of a straight line is left out, and that nobody ever sees that: not the interpreter either, where it takes over.
import { describe, expect, test } from "bun:test";
import type { NativeOp } from "../../../src/engine/native/blocks.ts";
import { fuse } from "../../../src/engine/native/fusion.ts";
import { livenessOf } from "../../../src/engine/native/liveness.ts";
import { LARGEST } from "../../../src/engine/native/native-code.ts";
import { areNarrow } from "../../../src/engine/native/traits.ts";
import { NARROW_COMPARISONS } from "../../../src/engine/translator/narrow.ts";
import { operandsOf } from "../../../src/engine/translator/operands.ts";
import { integerNames } from "../../../src/isa/riscv/register-names.ts";
import { type Expr, op, word } from "../../../src/isa/riscv/semantics.ts";
import { evaluate } from "../../isa/riscv/evaluate.ts";
import { below, chance, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import { register } from "../program.ts";
import { DEVICE, type Rig } from "../rig.ts";
import { Idioms } from "./idioms.ts";
import { EXTENSIONS, follow, HOSTS, mapped, operationsOf, type Piece, witnessTraps } from "./native-programs.ts";
import { CrampedRig, DATA, hasNative, interpreted, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`what native code leaves out (${WHY_NOT})`, () => {});

const NOBODY: ReadonlySet<number> = new Set();
const EXITS: ReadonlySet<string> = new Set("load store amo loadReserved storeConditional float".split(" "));
const exitsOf = (operations: readonly NativeOp[]) =>
  operations.map(({ instruction }) => EXITS.has(instruction.semantics.does));
const positions = (flags: Uint8Array) => [...flags].flatMap((flag, i) => (flag === 0 ? [] : [i]));

/** With every load and store one that the interpreter may take over. */
function livenessIn(text: string, exits?: readonly boolean[]) {
  const operations = operationsOf(text);
  return livenessOf({ operations, folded: NOBODY }, exits ?? exitsOf(operations));
}
const deadIn = (text: string) => positions(livenessIn(text).fate);
const looseIn = (text: string) => positions(livenessIn(text).loose);

describe("a result is put off", () => {
  test.each([
    ["that is overwritten", "add a0, a1, a2\n addi a0, zero, 1", [0]],
    ["that only such a one reads", "add a0, a1, a2\n add a3, a0, a1\n lui a3, 1\n lui a0, 1", [0, 1]],
    ["that is overwritten in place, again and again", "addi a0, a0, 1\n addi a0, a0, 1\n lui a0, 1", [0, 1]],
    ["that a load overwrites", "add a0, a1, a2\n ld a0, 0(a3)", [0]],
    ["that an atomic instruction overwrites", "add a0, a1, a2\n amoadd.d a0, a4, (a3)", [0]],
    ["that a call overwrites", "add ra, a1, a2\n jal ra, 64", [0]],
    ["while its sources stay", "add a0, a1, a2\n lw a3, 0(a4)\n lui a0, 1", [0]],
    ["while its source is what it overwrites", "addi a0, a0, 1\n lw a3, 0(a4)\n lui a0, 1", [0]],
    ["whose sources change after the last exit", "add a0, a1, a2\n lw a3, 0(a4)\n addi a1, a1, 1\n lui a0, 1", [0]],
    ["whose source changes where that exit is", "add a0, a1, a2\n lw a1, 0(a4)\n lui a0, 1", [0]],
    ["with only x0 for a source", "addi a0, zero, 1\n lw a3, 0(a4)\n addi a0, zero, 2", [0]],
    ["that comes from a float, with no exit", "fmv.x.d a0, fa0\n fmv.d.x fa0, a1\n lui a0, 1", [0]],
    ["that is relative to its own address", "auipc a0, 1\n lw a3, 0(a4)\n lui a0, 1", [0]],
  ])("%s", (_, text, dead) => {
    expect(deadIn(text)).toEqual(dead);
  });

  // Each of these reads a0, or does not overwrite it; the last one overwrites it everywhere else.
  test.each([
    ["is read", "add a3, a0, a1\n lui a0, 1"],
    ["is read and overwritten in one", "addi a0, a0, 1"],
    ["is stored", "sw a0, 0(a3)\n lui a0, 1"],
    ["is a base", "sw a3, 0(a0)\n lui a0, 1"],
    ["is the base of a load over it", "ld a0, 0(a0)"],
    ["is swapped with memory", "amoswap.w a3, a0, (a4)\n lui a0, 1"],
    ["is the place of a reservation", "lr.w a3, (a0)\n lui a0, 1"],
    ["is stored on condition", "sc.w a3, a0, (a4)\n lui a0, 1"],
    ["becomes a float", "fmv.d.x fa0, a0\n lui a0, 1"],
    ["is converted", "fcvt.d.l fa0, a0\n lui a0, 1"],
    ["decides a branch", "bne a0, a3, 8"],
    ["is there at the end", "lui a3, 1"],
    ["is there where it branches", "bne a3, a4, 8"],
    ["is where a jump goes to", "jalr zero, 0(a0)"],
    ["is what an exit wants, made of what is gone", "addi a1, a1, 1\n lw a3, 0(a4)\n lui a0, 1"],
    ["is made of what is gone at the second exit", "lw a3, 0(a4)\n lui a2, 1\n sw a3, 0(a4)\n lui a0, 1"],
    ["is made of what a load sets", "ld a1, 0(a4)\n ld a3, 8(a4)\n lui a0, 1"],
    ["is made of what is gone where it is overwritten", "lui a1, 1\n ld a0, 0(a4)"],
  ])("not where it %s", (_, text) => {
    expect(deadIn(`add a0, a1, a2\n ${text}`)).not.toContain(0);
  });

  test("not with what it is made of", () => {
    // The second is put off: then the first has to be there.
    expect(deadIn("add a1, a2, a3\n add a0, a1, a1\n lw a4, 0(a5)\n lui a0, 1\n lui a1, 1")).toEqual([1]);
    expect(deadIn("addi a0, a0, 1\n addi a0, a0, 1\n lw a4, 0(a5)\n lui a0, 1")).toEqual([1]);
  });

  test("not where it is a float that is gone", () => {
    for (const gone of ["fmv.d.x fa0, a1", "fld fa0, 8(a4)", "fadd.d fa0, fa1, fa1"]) {
      expect(deadIn(`fmv.x.d a0, fa0\n ${gone}\n lw a3, 0(a4)\n lui a0, 1`)).toEqual([]);
      expect(deadIn(`fmv.x.w a0, fa0\n ${gone}\n lw a3, 0(a4)\n lui a0, 1`)).toEqual([]);
    }
  });

  test("never of loads, atomic instructions and calls", () => {
    for (const text of [
      "lw a0, 0(a1)",
      "amoadd.w a0, a1, (a2)",
      "lr.d a0, (a1)",
      "sc.d a0, a1, (a2)",
      "flt.d a0, fa0, fa1",
    ]) {
      expect(deadIn(`${text}\n lui a0, 1`)).toEqual([]);
    }
  });

  test("only for exits that there are", () => {
    const text = "add a0, a1, a2\n addi a1, a1, 1\n lw a3, 0(a4)\n lui a0, 1";
    expect(positions(livenessIn(text).fate)).toEqual([]);
    expect(positions(livenessIn(text, [false, false, false, false]).fate)).toEqual([0]);
  });

  test("with what was folded, whose source has to be there", () => {
    const before = operationsOf("add a5, a6, a7\n slli a5, a5, 32\n lw a2, 0(a1)\n srli a5, a5, 32\n lui a5, 1");
    const { operations, folded } = fuse(before);
    expect([...folded]).toEqual([1]);
    // The shift is made up for at the load, of the sum.
    expect(positions(livenessOf({ operations, folded }, exitsOf(operations)).fate)).toEqual([1, 3]);
  });

  test("with all that was folded", () => {
    const { operations, folded } = fuse(
      operationsOf("slli a5, a5, 32\n srli a5, a5, 29\n add a5, a5, a0\n sd a5, 0(a0)"),
    );
    expect(positions(livenessOf({ operations, folded }, exitsOf(operations)).fate)).toEqual([0, 1]);
  });
});

describe("the sign of a word is left out", () => {
  test.each([
    ["for a word that is made of it", "addw a0, a1, a2\n addw a0, a0, a3", [0]],
    ["for a word that is stored", "addw a0, a1, a2\n sw a0, 0(a3)\n lui a0, 1", [0]],
    ["for a byte that is stored", "addw a0, a1, a2\n sb a0, 0(a3)\n lui a0, 1", [0]],
    ["for a copy of the same kind", "addw a0, a1, a2\n mv a3, a0\n sw a3, 0(a4)\n lui a0, 1\n lui a3, 1", [0, 1]],
    ["bit by bit", "addw a0, a1, a2\n xori a0, a0, -1\n sw a0, 0(a3)\n lui a0, 1", [0, 1]],
    ["for bytes and halfwords", "addw a0, a1, a2\n sext.b a3, a0\n sext.h a4, a0\n lui a0, 1", [0]],
    ["where words are compared", "addw a0, a1, a2\n subw a3, a1, a2\n sltu a4, a0, a3\n lui a0, 1\n lui a3, 1", [0, 1]],
    ["where it is compared with a constant", "addw a0, a1, a2\n slti a4, a0, -3\n lui a0, 1", [0]],
    ["where it is compared with what was loaded", "addw a0, a1, a2\n lw a3, 0(a5)\n slt a4, a0, a3\n lui a0, 1", [0]],
    ["where it is an index without one", "addw a0, a1, a2\n sh2add.uw a3, a0, a4\n lui a0, 1", [0]],
    ["of a constant", "lui a0, 0x80000\n sw a0, 0(a3)\n addi a0, zero, 1", [0]],
  ])("%s", (_, text, loose) => {
    expect(looseIn(text)).toEqual(loose);
  });

  test.each([
    ["is a doubleword to somebody", "add a3, a0, a1\n lui a0, 1"],
    ["is stored as a doubleword", "sd a0, 0(a3)\n lui a0, 1"],
    ["is a base", "lw a3, 0(a0)\n lui a0, 1"],
    ["is the base of a store", "sw a3, 0(a0)\n lui a0, 1"],
    ["is the place of an atomic instruction", "amoadd.w a3, a4, (a0)\n lui a0, 1"],
    ["is compared with a doubleword", "sltu a3, a0, a4\n lui a0, 1"],
    ["is compared with what was loaded without one", "lwu a3, 0(a5)\n slt a4, a0, a3\n lui a0, 1"],
    ["is shifted as a doubleword", "srai a3, a0, 4\n lui a0, 1"],
    ["has something added", "addi a3, a0, 1\n lui a0, 1"],
    ["is the least of two", "min a3, a0, a4\n lui a0, 1"],
    ["is swapped with memory", "amoswap.d a3, a0, (a4)\n lui a0, 1"],
    ["becomes a float", "fcvt.d.l fa0, a0\n lui a0, 1"],
    ["is there at the end", "lui a3, 1"],
    ["is copied, and that is there at the end", "mv a3, a0\n lui a0, 1"],
    ["is and-ed, and that is there at the end", "and a3, a0, a4\n lui a0, 1"],
    ["is read by what is put off", "add a3, a0, a0\n lw a4, 0(a5)\n lui a3, 1\n lui a0, 1"],
  ])("not where it %s", (_, text) => {
    expect(looseIn(`addw a0, a1, a2\n ${text}`)).not.toContain(0);
  });

  test("not where there is none", () => {
    for (const text of [
      "add a0, a1, a2",
      "slli a0, a1, 3",
      "addi a0, a1, 1",
      "lw a0, 0(a1)",
      "amoadd.w a0, a1, (a2)",
    ]) {
      expect(looseIn(`${text}\n sw a0, 0(a3)\n lui a0, 1`)).toEqual([]);
    }
  });
});

describe("a register is a word", () => {
  /** The last one sets a0: is it one? Before that, a1 and a2 are words; a3 and a4 are not. */
  const isNarrow = (text: string) => {
    const { narrow } = livenessIn(`lw a1, 0(sp)\n addw a2, a3, a4\n ${text.replace("; ", "\n")}\n nop`);
    return ((narrow[narrow.length - 1] >>> register("a0")) & 1) === 1;
  };

  test.each([
    ...["lb a0, 0(sp)", "lbu a0, 0(sp)", "lh a0, 0(sp)", "lhu a0, 0(sp)", "lw a0, 0(sp)"],
    ...[
      "addw a0, a3, a4",
      "srliw a0, a3, 0",
      "mulw a0, a3, a4",
      "divuw a0, a3, a4",
      "roriw a0, a3, 1",
      "lui a0, 0x80000",
    ],
    ...["sext.b a0, a3", "sext.h a0, a3", "zext.h a0, a3", "clzw a0, a3", "slt a0, a3, a4", "sltiu a0, a3, 1"],
    ...[
      "andi a0, a3, 2047",
      "and a0, a1, a2",
      "or a0, a1, a2",
      "xori a0, a1, -1",
      "xnor a0, a1, a2",
      "andn a0, a1, a2",
    ],
    ...[
      "mv a0, a1",
      "mv a0, zero",
      "addi a0, zero, -5; mv a0, a2",
      "max a0, a1, a2",
      "srai a0, a1, 3",
      "bexti a0, a3, 40",
    ],
    ...["fmv.x.w a0, fa0"],
  ])("after %s", (text) => {
    expect(isNarrow(text)).toBe(true);
  });

  test.each([
    ...["ld a0, 0(sp)", "lwu a0, 0(sp)", "add a0, a1, a2", "addi a0, a1, 1", "slli a0, a1, 1", "srli a0, a1, 1"],
    ...["andi a0, a3, -2", "and a0, a1, a3", "or a0, a1, a3", "xor a0, a3, a1", "mv a0, a3", "max a0, a1, a3"],
    ...["srai a0, a3, 40", "auipc a0, 1", "slli.uw a0, a1, 0", "add.uw a0, a1, zero", "mul a0, a1, a2", "orc.b a0, a1"],
    ...["amoadd.d a0, a1, (sp)", "lr.d a0, (sp)", "fmv.x.d a0, fa0", "lw a0, 0(sp); ld a0, 0(sp)"],
    ...["mv a0, a1; srl a0, a0, a3", "fld fa0, 0(sp)", "sub a0, a1, a2", "sra a0, a3, a1"],
  ])("not after %s", (text) => {
    expect(isNarrow(text)).toBe(false);
  });

  test("from the beginning: x0", () => {
    expect([...livenessIn("nop\n ld zero, 0(a0)\n nop").narrow]).toEqual([1, 1, 1]);
  });

  test("still, where what set it is folded", () => {
    const { operations, folded } = fuse(operationsOf("lw a0, 0(a1)\n slli a0, a0, 32\n srli a0, a0, 32\n nop"));
    const { narrow } = livenessOf({ operations, folded }, exitsOf(operations));
    expect([...narrow].map((bits) => (bits >>> register("a0")) & 1)).toEqual([0, 1, 1, 0]);
  });
});

// ---- what native code does with it, with registers that are plain numbers ----

const WORD = 2n ** 32n;

/** Comparisons of words look at words. */
function asNative(e: Expr, operation: NativeOp, narrow: number): Expr {
  if (e.kind !== "op") return e;
  const comparison = NARROW_COMPARISONS[e.op];
  if (comparison !== undefined && areNarrow(e.args, operation, narrow)) return op(comparison, ...e.args.map(word));
  return { ...e, args: e.args.map((arg) => asNative(arg, operation, narrow)) };
}

interface State {
  readonly x: bigint[];
  readonly f: bigint[];
}
const copy = ({ x, f }: State): State => ({ x: [...x], f: [...f] });

/** What a load gives, whoever carries it out. */
type Loaded = readonly bigint[];

function carryOut(operation: NativeOp, { x, f }: State, loaded: bigint, narrow: number): void {
  const { instruction, rd, rs1, rs2, rs3, imm, at } = operation;
  const { semantics } = instruction;
  const inputs = {
    ...{ x: { rs1: x[rs1], rs2: x[rs2] }, f: { rs1: f[rs1], rs2: f[rs2], rs3: f[rs3] } },
    ...{ imm: BigInt(imm), pc: BigInt(at) },
  };
  const set = (value: bigint) => {
    if (rd !== 0) x[rd] = BigInt.asUintN(64, value);
  };
  if (semantics.does === "set") set(evaluate(asNative(semantics.value, operation, narrow), inputs));
  else if (semantics.does === "setF") f[rd] = evaluate(semantics.bits, inputs);
  else if (semantics.does === "load" && semantics.to === "x") {
    const bits = semantics.width * 8;
    set(semantics.signed ? BigInt.asIntN(bits, loaded) : BigInt.asUintN(bits, loaded));
  } else if (semantics.does === "load") f[rd] = loaded;
}

/** What memory gets to know: an address, and what is stored. */
function asked({ instruction, rs1, rs2 }: NativeOp, { x }: State): readonly bigint[] {
  const { semantics } = instruction;
  if (semantics.does === "load") return [x[rs1]];
  return semantics.does === "store" ? [x[rs1], BigInt.asUintN(semantics.width * 8, x[rs2])] : [];
}

class Model {
  #loose = 0;
  #putOff: { readonly operation: NativeOp; readonly narrow: number }[] = [];

  constructor(
    readonly state: State,
    readonly random: Random,
  ) {}

  /** As the interpreter finds it, where it takes over. */
  seen(): State {
    const seen = copy(this.state);
    for (let n = 1; n < 32; n++) {
      if (((this.#loose >>> n) & 1) === 1) seen.x[n] = BigInt.asUintN(64, BigInt.asIntN(32, seen.x[n]));
    }
    for (const { operation, narrow } of this.#putOff) carryOut(operation, seen, 0n, narrow);
    return seen;
  }

  /** Whether a register holds something else than it ought to. */
  isPutOff(n: number): boolean {
    return this.#putOff.some(({ operation }) => operation.rd === n);
  }

  step(operation: NativeOp, loaded: bigint, narrow: number, dead: boolean, loose: boolean): void {
    const { rd, instruction } = operation;
    if (!dead) carryOut(operation, this.state, loaded, narrow);
    if (rd === 0 || !operandsOf(instruction).writesX) return;
    this.#putOff = this.#putOff.filter((other) => other.operation.rd !== rd);
    if (dead) this.#putOff.push({ operation, narrow });
    else if (loose) {
      this.#loose |= 1 << rd;
      // Anything.
      this.state.x[rd] = (this.state.x[rd] % WORD) + BigInt(this.random()) * WORD;
    } else this.#loose &= ~(1 << rd);
  }
}

function expectNobodyToTell(text: string, random: Random, seed: number): { dead: number; loose: number } {
  const original = operationsOf(text);
  // Some accesses find their way with those before.
  const exits = exitsOf(original).map((may) => may && chance(random, 0.7));
  const { operations, folded } = fuse(original);
  const { fate: dead, loose, narrow } = livenessOf({ operations, folded }, exits);
  const loaded: Loaded = original.map(() => random64(random));
  const small = () => (chance(random, 0.4) ? BigInt.asUintN(64, BigInt(random() | 0)) : random64(random));
  const start: State = { x: Array.from({ length: 32 }, (_, n) => (n === 0 ? 0n : small())), f: new Array(32).fill(5n) };
  const right = copy(start);
  const model = new Model(copy(start), random);
  const about = (i: number) => ({ seed, i, text });
  operations.forEach((operation, i) => {
    if (exits[i]) expect({ ...about(i), ...model.seen() }).toEqual({ ...about(i), ...right });
    for (let n = 0; n < 32; n++) {
      if (((narrow[i] >>> n) & 1) === 0 || model.isPutOff(n)) continue;
      expect({ ...about(i), n, x: BigInt.asUintN(64, BigInt.asIntN(32, right.x[n])) }).toEqual({
        ...about(i),
        n,
        x: right.x[n],
      });
    }
    expect({ ...about(i), asks: asked(operation, model.state) }).toEqual({
      ...about(i),
      asks: asked(operation, right),
    });
    model.step(operation, loaded[i], narrow[i], dead[i] !== 0, loose[i] !== 0);
    carryOut(original[i], right, loaded[i], 0);
  });
  expect({ ...about(-1), ...model.state }).toEqual({ ...about(-1), ...right });
  return { dead: positions(dead).length, loose: positions(loose).length };
}

test("what is left out of random lines is there where anybody looks", () => {
  const REGISTERS = "a0 a1 a2 a3 t0".split(" ");
  let [dead, loose] = [0, 0];
  for (let seed = 1; seed <= 1500; seed++) {
    const random = createRandom(seed * 31337);
    const idioms = new Idioms(random, REGISTERS);
    const { one } = idioms;
    const between = () => {
      const kinds = [
        () => `${pick(random, ["lw", "lbu", "lwu", "ld", "lh"])} ${one()}, 0(${one()})`,
        () => `${pick(random, ["sw", "sd", "sb"])} ${one()}, 0(${one()})`,
        () => `${pick(random, ["fmv.x.d", "fmv.x.w"])} ${one()}, fa${below(random, 2)}`,
        () => `fmv.d.x fa${below(random, 2)}, ${one()}`,
        () => `fld fa${below(random, 2)}, 0(${one()})`,
      ];
      return chance(random, 0.5) ? idioms.filler() : pick(random, kinds)();
    };
    const counts = expectNobodyToTell(idioms.lines(4 + below(random, 20), between).join("\n"), random, seed);
    dead += counts.dead;
    loose += counts.loose;
  }
  expect([dead > 3000, loose > 400]).toEqual([true, true]);
});

// ---- native code ----

describe.if(hasNative)("where the interpreter takes over, it finds every register as it ought to be", () => {
  /** What may be left out before. */
  const LEFT_OUT = {
    "a sum": "add a0, a1, a2",
    "a sum in memory": "add t0, a1, t1",
    "a sum in place": "add a0, a0, a2",
    "one made of another": "addi a0, a1, 3\n add t0, a0, a2\n xor a0, a0, a2",
    "a word": "addw a0, a1, a2\n addw t0, t1, t1",
    "words of words": "addw a0, a1, a2\n subw t0, a0, a3\n and a0, a0, t0",
    "words that are compared": "addw a3, a1, a2\n subw a4, a1, a2",
    "a comparison of words": "addw a3, a1, a2\n subw a4, a1, a2\n sltu a0, a3, a4\n slt t0, a4, a3",
    "a rotation": "srliw a0, a1, 10\n slliw a1, a1, 22",
    "an index": "slli a0, a0, 32\n srli a0, a0, 29",
    "an index in memory": "slli t0, t0, 32",
    "an index that is a sum": "add a0, a1, a2\n slli a0, a0, 3",
    "an index that is a word": "addw a0, a1, a2\n slli a0, a0, 32",
    "a constant and an address": "lui a0, 0x12345\n auipc t0, 1",
    "a float's bits": "fmv.x.d a0, fa0\n fmv.d.x fa0, a1\n fmv.x.w t0, fa1\n fcvt.d.l fa1, a2",
    "a quotient": "div a0, a1, a2\n remuw t0, a1, t1",
  };
  /** And after. */
  const NOT_ASKED = {
    "overwritten by it": "",
    "overwritten later": "lui a0, 1\n lui t0, 1",
    "read as words": "addw a0, a0, a1\n addw t0, t0, a1\n addw a3, a3, a4",
    "compared as words": "sltu a0, a3, a4\n slt t0, a4, a3\n lui a3, 1\n lui a4, 1",
    fused: "or a1, a0, a1\n srli t0, t0, 32\n add a0, a0, a3\n srli a4, a0, 32",
    "fused, and overwritten": "or a1, a0, a1\n srli t0, t0, 32\n srli a0, a0, 32\n lui a0, 1\n lui t0, 1\n lui a1, 1",
  };
  /** It is the interpreter's, or may be. */
  const EXITS = {
    "a load that faults": "lw a0, 0(zero)",
    "a store that faults": "sd a1, 0(zero)",
    "a load of a page that nobody has been to": "lw t0, 0(s1)",
    "a store to a page that nobody has been to": "sw a1, 0(s1)",
    "an atomic instruction that faults": "amoadd.w a0, a1, (zero)",
    "an atomic instruction on a page that nobody has been to": "amoadd.d a0, a1, (s1)",
    "a reservation that faults": "lr.d t0, (zero)",
    "a sum of floats that is not a number": "fadd.d fa2, fa3, fa3",
    "a comparison with what is not a number": "flt.d a0, fa3, fa3",
    "a conversion of what is out of range": "fcvt.w.d a0, fa3",
    // Runs end there.
    "a load from a device": "lw a0, 0(s0)",
    "a store to a device": "sw a1, 0(s0)",
  };
  const QUIET_NAN = 0x7ff8_0000_0000_0000n;

  let stopped = 0;

  function prepare(rig: Rig): void {
    witnessTraps(rig);
    mapped(rig);
    stopped = 0;
    const stop = () => {
      stopped++;
      rig.engine.requestStop();
    };
    rig.onLoad = () => {
      stop();
      return 5;
    };
    rig.onStore = () => {
      stop();
      return true;
    };
  }

  /** Nobody has been to any page. */
  function begin(rig: Rig): void {
    const random = createRandom(99);
    for (const name of integerNames.slice(1)) rig.hart.setX(register(name), random64(random));
    rig.hart.setX(register("s0"), BigInt(DEVICE));
    rig.hart.setX(register("s1"), BigInt(DATA));
    for (let n = 0; n < 32; n++) rig.hart.setF(n, random64(random));
    rig.hart.setF(13, QUIET_NAN);
    rig.enter(1);
    rig.engine.flushTranslations();
  }

  for (const [host, rig] of HOSTS) {
    test.each(Object.entries(EXITS))(`at %s, on ${host}`, (exit, line) => {
      const pieces = Object.values(LEFT_OUT).flatMap((before) =>
        Object.values(NOT_ASKED).map((after): Piece => {
          const text = `addi a5, a5, 1\n ${before}\n ${line}\n ${after}\n wfi\n done: j done`;
          return { text, budgets: [1000] };
        }),
      );
      follow(pieces, prepare, rig(), { exit }, begin);
      // Of both.
      if (exit.includes("device")) expect(stopped).toBe(2 * pieces.length);
      if (exit.includes("faults")) expect(rig().hart.trapped).toBe(pieces.length);
    });
  }

  test("in code that is not larger than code may be", () => {
    const others = integerNames.filter((name) => !["zero", "a0", "s1"].includes(name));
    const each = (line: (name: string) => string) => others.map(line).join("\n");
    // All are put off, and made up for at each of the exits.
    const text = `
        ${each((name) => `rev8 ${name}, a0`)}
        ${"amoswap.w zero, zero, (s1)\n".repeat(90)}
        ${each((name) => `lui ${name}, 1`)}
        wfi
    `;
    const roomy = new CrampedRig(4 * LARGEST, EXTENSIONS);
    for (const rig of [interpreted, roomy]) {
      rig.reset();
      rig.load(text);
      rig.hart.setX(register("s1"), BigInt(DATA));
      rig.run(500);
    }
    expect(roomy.state()).toEqual(interpreted.state());
    expect(roomy.engine.statistics.native!.bytes).toBeLessThan(LARGEST);
  });
});
