// What instructions compute, against expectations written by hand from the specification.

import { describe, expect, test } from "bun:test";
import { instructionNamed, instructions } from "../../../src/isa/riscv/instructions/table.ts";
import { evaluate } from "./evaluate.ts";

const MAX = 0x7fffffffffffffffn;
const MIN = 0x8000000000000000n;
const ALL = 0xffffffffffffffffn;
const W_MIN = 0xffffffff80000000n;

/** `name a b result`: a is rs1, b is rs2 or the immediate, whichever the instruction has. Negative numbers are welcome. */
type Line = readonly [name: string, a: bigint, b: bigint, result: bigint];

const integer: readonly Line[] = [
  ["lui", 0n, -0x80000000n, W_MIN],
  ["addi", MAX, 1n, MIN],
  ["addi", 5n, -6n, ALL],
  ["slti", -1n, 0n, 1n],
  ["slti", 0n, -1n, 0n],
  ["sltiu", 0n, -1n, 1n],
  ["sltiu", ALL, -1n, 0n],
  ["xori", 0x55n, -1n, ~0x55n],
  ["ori", 0x100n, -256n, -256n],
  ["andi", ALL, -2048n, -2048n],
  ["slli", 1n, 63n, MIN],
  ["srli", ALL, 63n, 1n],
  ["srai", MIN, 62n, -2n],
  ["addiw", 0x7fffffffn, 1n, W_MIN],
  ["addiw", 0xdeadbeef00000001n, -2n, ALL],
  ["slliw", 0xf00000001n, 31n, W_MIN],
  ["srliw", 0xff80000000n, 31n, 1n],
  ["srliw", 0xffffffff_80000000n, 0n, W_MIN],
  ["sraiw", 0x80000000n, 31n, ALL],
  ["add", ALL, 2n, 1n],
  ["sub", 0n, 1n, ALL],
  ["sub", MIN, 1n, MAX],
  ["sll", 1n, 64n + 4n, 16n],
  ["slt", MIN, MAX, 1n],
  ["slt", MAX, MIN, 0n],
  ["sltu", MAX, MIN, 1n],
  ["sltu", MIN, MAX, 0n],
  ["xor", 0b1100n, 0b1010n, 0b0110n],
  ["srl", MIN, ALL, 1n],
  ["sra", MIN, ALL, ALL],
  ["or", 0b1100n, 0b1010n, 0b1110n],
  ["and", 0b1100n, 0b1010n, 0b1000n],
  ["addw", 0x7fffffffn, 1n, W_MIN],
  ["subw", 0n, 0x80000000n, W_MIN],
  ["sllw", 3n, 32n + 31n, W_MIN],
  ["srlw", 0xf_80000000n, 31n, 1n],
  ["sraw", 0x80000000n, 0x1_00000004n, 0xfffffffff8000000n],
];

const multiplication: readonly Line[] = [
  ["mul", 0x1_0000_0001n, 0x1_0000_0001n, 0x2_0000_0001n],
  ["mul", -3n, 5n, -15n],
  ["mulh", MIN, MIN, 1n << 62n],
  ["mulh", -1n, -1n, 0n],
  ["mulh", -1n, 1n, -1n],
  ["mulh", MAX, MAX, 0x3fffffffffffffffn],
  ["mulhsu", -1n, ALL, -1n],
  ["mulhsu", MIN, ALL, MIN],
  ["mulhsu", MAX, ALL, 0x7ffffffffffffffen],
  ["mulhsu", -1n, 1n, -1n],
  ["mulhsu", 1n, ALL, 0n],
  ["mulhu", ALL, ALL, ALL - 1n],
  ["mulhu", MIN, 2n, 1n],
  ["div", 7n, -2n, -3n],
  ["div", 7n, 0n, ALL],
  ["div", MIN, -1n, MIN],
  ["div", 5n, -1n, -5n],
  ["divu", 7n, 0n, ALL],
  ["divu", MIN, ALL, 0n],
  ["divu", ALL, 2n, MAX],
  ["rem", 7n, -2n, 1n],
  ["rem", -7n, 2n, -1n],
  ["rem", -7n, 0n, -7n],
  ["rem", MIN, -1n, 0n],
  ["remu", ALL, 10n, 5n],
  ["remu", 7n, 0n, 7n],
  ["remu", MIN, ALL, MIN],
  ["mulw", 0x10000n, 0x8000n, W_MIN],
  ["mulw", 0xff_ffffffffn, 2n, -2n],
  ["divw", 0x80000000n, -1n, W_MIN],
  ["divw", 0x1_00000007n, 0x5_fffffffen, -3n],
  ["divw", 7n, 0x1_00000000n, ALL],
  ["divuw", 0xff_ffffffffn, 1n, ALL],
  ["divuw", 0xfffffffen, 2n, 0x7fffffffn],
  ["divuw", 7n, 0x1_00000000n, ALL],
  ["remw", 0x80000000n, -1n, 0n],
  ["remw", -7n, 2n, -1n],
  ["remw", 0x5_80000001n, 0x1_00000000n, 0xffffffff80000001n],
  ["remuw", 0xffffffffn, 10n, 5n],
  ["remuw", 0x1_f0000000n, 0n, 0xfffffffff0000000n],
];

const bits: readonly Line[] = [
  ["add.uw", -1n, 1n, 0x1_00000000n],
  ["sh1add", MIN + 3n, 1n, 7n],
  ["sh2add", 3n, 1n, 13n],
  ["sh3add", -1n, 8n, 0n],
  ["sh1add.uw", -1n, 1n, 0x1_ffffffffn],
  ["sh2add.uw", 0xff_00000001n, 1n, 5n],
  ["sh3add.uw", 0xffffffff_80000000n, 0n, 0x4_00000000n],
  ["slli.uw", -1n, 4n, 0xf_fffffff0n],
  ["slli.uw", -1n, 63n, MIN],
  ["andn", 0b1100n, 0b1010n, 0b0100n],
  ["orn", 0b1100n, -11n, 0b1110n],
  ["xnor", 0b1100n, 0b1010n, ~0b0110n],
  ["clz", 0n, 0n, 64n],
  ["clz", 1n, 0n, 63n],
  ["clz", ALL, 0n, 0n],
  ["ctz", 0n, 0n, 64n],
  ["ctz", MIN, 0n, 63n],
  ["cpop", 0xf0f0_0000_0000_0001n, 0n, 9n],
  ["clzw", 0xff_00000001n, 0n, 31n],
  ["clzw", 0xff_00000000n, 0n, 32n],
  ["ctzw", 0xff_00000000n, 0n, 32n],
  ["ctzw", 0x1_80000000n, 0n, 31n],
  ["cpopw", ALL, 0n, 32n],
  ["max", -1n, 1n, 1n],
  ["maxu", -1n, 1n, -1n],
  ["min", -1n, 1n, -1n],
  ["minu", -1n, 1n, 1n],
  ["sext.b", 0x1234_80n, 0n, -128n],
  ["sext.b", -129n, 0n, 0x7fn],
  ["sext.h", 0x12_8000n, 0n, -32768n],
  ["zext.h", ALL, 0n, 0xffffn],
  ["rol", 0x8000000000000001n, 1n, 3n],
  ["rol", 0x123n, 64n, 0x123n],
  ["ror", 3n, 1n, 0x8000000000000001n],
  ["rori", 0x10n, 5n, MIN],
  ["rolw", 0xff_80000001n, 1n, 3n],
  ["rolw", 0x40000000n, 33n, W_MIN],
  ["rorw", 1n, 1n, W_MIN],
  ["rorw", 0x5_00000002n, 33n, 1n],
  ["roriw", 0xff_00000001n, 1n, W_MIN],
  ["orc.b", 0x0001_8000_7f00_00ffn, 0n, 0x00ff_ff00_ff00_00ffn],
  ["orc.b", 0x0102_0408_1020_4080n, 0n, ALL],
  ["orc.b", 0n, 0n, 0n],
  ["rev8", 0x0123_4567_89ab_cdefn, 0n, 0xefcd_ab89_6745_2301n],
  ["bclr", ALL, 127n, MAX],
  ["bclri", 0xffn, 0n, 0xfen],
  ["bext", MIN, 63n, 1n],
  ["bext", MIN, 62n, 0n],
  ["bexti", 0x10n, 4n, 1n],
  ["binv", 1n, 64n, 0n],
  ["binvi", 0n, 63n, MIN],
  ["bset", 0n, 64n + 32n, 1n << 32n],
  ["bseti", 1n, 63n, MIN | 1n],
];

const branches: readonly Line[] = [
  ["beq", ALL, ALL, 1n],
  ["beq", ALL, 1n, 0n],
  ["bne", ALL, ALL, 0n],
  ["bne", 0n, MIN, 1n],
  ["blt", -1n, 0n, 1n],
  ["blt", 0n, 0n, 0n],
  ["bge", 0n, -1n, 1n],
  ["bge", 0n, 0n, 1n],
  ["bge", MIN, MAX, 0n],
  ["bltu", -1n, 0n, 0n],
  ["bltu", 0n, MIN, 1n],
  ["bgeu", -1n, 0n, 1n],
  ["bgeu", 0n, 0n, 1n],
  ["bgeu", 0n, MIN, 0n],
];

/** a is what was in memory, b is rs2. */
const atomics: readonly Line[] = [
  ["amoswap.w", 1n, 2n, 2n],
  ["amoadd.w", 0x7fffffffn, 1n, 0x80000000n],
  ["amoxor.w", 0b1100n, 0b1010n, 0b0110n],
  ["amoand.w", 0b1100n, 0b1010n, 0b1000n],
  ["amoor.w", 0b1100n, 0b1010n, 0b1110n],
  ["amomin.w", -1n, 0x1_00000000n, -1n],
  ["amomax.w", -1n, 0x1_00000000n, 0n],
  ["amominu.w", -1n, 0x1_00000005n, 5n],
  ["amomaxu.w", -1n, 0x1_00000005n, -1n],
  ["amoswap.d", 1n, 2n, 2n],
  ["amoadd.d", MAX, 1n, MIN],
  ["amoxor.d", ALL, 1n, -2n],
  ["amoand.d", ALL, MIN, MIN],
  ["amoor.d", 1n, MIN, MIN | 1n],
  ["amomin.d", MIN, 0n, MIN],
  ["amomax.d", MIN, 0n, 0n],
  ["amominu.d", MIN, 0n, 0n],
  ["amomaxu.d", MIN, 0n, MIN],
];

const floatBits: readonly Line[] = [
  // A single that is not NaN-boxed counts as the canonical NaN. RISC-V Unpriv §22.2
  ["fsgnj.s", 0xffffffff_3f800000n, 0xffffffff_80000000n, 0xbf800000n],
  ["fsgnj.s", 0x00000000_3f800000n, 0xffffffff_80000000n, 0xffc00000n],
  ["fsgnj.s", 0xffffffff_bf800000n, 0x7fffffff_80000000n, 0x3f800000n],
  ["fsgnjn.s", 0xffffffff_3f800000n, 0xffffffff_80000000n, 0x3f800000n],
  ["fsgnjn.s", 0xffffffff_3f800000n, 0xffffffff_00000000n, 0xbf800000n],
  ["fsgnjx.s", 0xffffffff_bf800000n, 0xffffffff_80000000n, 0x3f800000n],
  ["fsgnjx.s", 0xffffffff_bf800000n, 0xffffffff_00000000n, 0xbf800000n],
  ["fsgnj.d", 0x3ff0000000000000n, MIN, 0xbff0000000000000n],
  ["fsgnjn.d", 0x3ff0000000000000n, MIN, 0x3ff0000000000000n],
  ["fsgnjx.d", 0xbff0000000000000n, MIN, 0x3ff0000000000000n],
  ["fmv.x.w", 0x12345678_80000000n, 0n, W_MIN],
  ["fmv.x.d", MIN, 0n, MIN],
  ["fmv.w.x", 0x12345678_9abcdef0n, 0n, 0x9abcdef0n],
  ["fmv.d.x", 0x12345678_9abcdef0n, 0n, 0x12345678_9abcdef0n],
];

const lines = [...integer, ...multiplication, ...bits, ...branches, ...atomics, ...floatBits];

function compute([name, a, b]: Line): bigint {
  const { semantics } = instructionNamed(name);
  const inputs = { x: { rs1: a, rs2: b }, f: { rs1: a, rs2: b }, imm: b, pc: 0n };
  switch (semantics.does) {
    case "set":
      return evaluate(semantics.value, inputs);
    case "setF":
      return evaluate(semantics.bits, inputs);
    case "branch":
      return evaluate(semantics.condition, inputs);
    case "amo": {
      // What an AMO stores is the low part of what its expression says.
      const combined = evaluate(semantics.combine, {
        x: { rs2: b },
        shared: new Map([[semantics.old, BigInt.asUintN(64, a)]]),
      });
      return BigInt.asUintN(semantics.width * 8, combined);
    }
    default:
      throw new Error(`${name} computes nothing`);
  }
}

function expected([name, , , result]: Line): bigint {
  const { semantics } = instructionNamed(name);
  return BigInt.asUintN(semantics.does === "amo" ? semantics.width * 8 : 64, result);
}

const hex = (value: bigint) => `0x${BigInt.asUintN(64, value).toString(16)}`;

describe("semantics", () => {
  for (const line of lines) {
    const [name, a, b] = line;
    test(`${name} ${hex(a)} ${hex(b)}`, () => expect(hex(compute(line))).toBe(hex(expected(line))));
  }

  test("auipc adds to its own address", () => {
    const { semantics } = instructionNamed("auipc");
    if (semantics.does !== "set") throw new Error("auipc sets a register");
    expect(evaluate(semantics.value, { pc: 0x80000004n, imm: -0x1000n })).toBe(0x7ffff004n);
  });

  test("jalr clears the lowest bit of its target, and loads and stores add their offset", () => {
    const { semantics } = instructionNamed("jalr");
    if (semantics.does !== "jumpTo") throw new Error("jalr jumps");
    expect(evaluate(semantics.target, { x: { rs1: 0x1000n }, imm: 5n })).toBe(0x1004n);
    for (const row of instructions) {
      if (row.semantics.does !== "load" && row.semantics.does !== "store") continue;
      expect(evaluate(row.semantics.address, { x: { rs1: 1n }, imm: -2n })).toBe(ALL);
    }
  });

  test("every instruction that is an expression has an expectation here", () => {
    const kinds = new Set(["set", "setF", "branch", "amo"]);
    const covered = new Set(["auipc", ...lines.map(([name]) => name)]);
    const missing = instructions.filter(({ name, semantics }) => kinds.has(semantics.does) && !covered.has(name));
    expect(missing.map(({ name }) => name)).toEqual([]);
  });
});
