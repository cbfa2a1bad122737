// What the expressions of the instruction table mean, in plain BigInt arithmetic: slow, simple, and independent of
// everything that is generated from the table. Values are unsigned; `i32` ones are below 2^32.

import type { Expr, Shared } from "../../../src/isa/riscv/semantics.ts";

/** Values of the operands. */
export interface Inputs {
  readonly x?: Partial<Record<"rs1" | "rs2", bigint>>;
  readonly f?: Partial<Record<"rs1" | "rs2" | "rs3", bigint>>;
  /** Sign-extended, as any bigint. */
  readonly imm?: bigint;
  readonly pc?: bigint;
  readonly shared?: ReadonlyMap<Shared, bigint>;
}

type Binary = (a: bigint, b: bigint, width: number) => bigint;

const signed = (value: bigint, width: number): bigint => BigInt.asIntN(width, value);
const flag = (holds: boolean): bigint => (holds ? 1n : 0n);
const amount = (by: bigint, width: number): bigint => by & BigInt(width - 1);

function leadingZeros(value: bigint, width: number): bigint {
  return BigInt(value === 0n ? width : width - value.toString(2).length);
}

function trailingZeros(value: bigint, width: number): bigint {
  return BigInt(value === 0n ? width : value.toString(2).length - value.toString(2).lastIndexOf("1") - 1);
}

/** WebAssembly traps here, so semantics that come here are wrong. WebAssembly Core §4.3.2 */
function dividable(a: bigint, b: bigint, width: number, overflows: boolean): void {
  if (b === 0n) throw new RangeError("the semantics divide by zero");
  if (overflows && signed(a, width) === -(1n << BigInt(width - 1)) && signed(b, width) === -1n) {
    throw new RangeError("the semantics divide with overflow");
  }
}

const binary: Readonly<Record<string, Binary>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div_s: (a, b, w) => {
    dividable(a, b, w, true);
    return signed(a, w) / signed(b, w);
  },
  div_u: (a, b, w) => {
    dividable(a, b, w, false);
    return a / b;
  },
  rem_s: (a, b, w) => {
    dividable(a, b, w, false);
    return signed(a, w) % signed(b, w);
  },
  rem_u: (a, b, w) => {
    dividable(a, b, w, false);
    return a % b;
  },
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b, w) => a << amount(b, w),
  shr_u: (a, b, w) => a >> amount(b, w),
  shr_s: (a, b, w) => signed(a, w) >> amount(b, w),
  rotl: (a, b, w) => (a << amount(b, w)) | (a >> (BigInt(w) - amount(b, w))),
  rotr: (a, b, w) => (a >> amount(b, w)) | (a << (BigInt(w) - amount(b, w))),
  eq: (a, b) => flag(a === b),
  ne: (a, b) => flag(a !== b),
  lt_s: (a, b, w) => flag(signed(a, w) < signed(b, w)),
  lt_u: (a, b) => flag(a < b),
  gt_s: (a, b, w) => flag(signed(a, w) > signed(b, w)),
  gt_u: (a, b) => flag(a > b),
  le_s: (a, b, w) => flag(signed(a, w) <= signed(b, w)),
  le_u: (a, b) => flag(a <= b),
  ge_s: (a, b, w) => flag(signed(a, w) >= signed(b, w)),
  ge_u: (a, b) => flag(a >= b),
};

const unary: Readonly<Record<string, (a: bigint, width: number) => bigint>> = {
  eqz: (a) => flag(a === 0n),
  clz: leadingZeros,
  ctz: trailingZeros,
  popcnt: (a) => BigInt(a.toString(2).replaceAll("0", "").length),
  extend8_s: (a) => signed(a, 8),
  extend16_s: (a) => signed(a, 16),
  extend32_s: (a) => signed(a, 32),
  wrap_i64: (a) => a,
  extend_i32_s: (a) => signed(a, 32),
  extend_i32_u: (a) => a,
};

/** The width of the operands that an operation named so works on. */
const widthOf = (name: string): number => (name.startsWith("i32") ? 32 : 64);

function apply(name: string, args: readonly bigint[]): bigint {
  const operation = name.slice(4);
  const width = widthOf(name);
  const [a, b] = args;
  const one = unary[operation];
  if (one && args.length === 1) return one(a, width);
  const two = binary[operation];
  if (two && args.length === 2) return two(a, b, width);
  throw new RangeError(`no meaning for ${name} of ${args.length}`);
}

/** Conversions are the only operations whose operands have another type than their name begins with. */
function operandType(name: string): string {
  if (name.endsWith("wrap_i64")) return "i64";
  return name.includes("extend_i32") ? "i32" : name.slice(0, 3);
}

function given(value: bigint | undefined, what: string): bigint {
  if (value === undefined) throw new RangeError(`the semantics use ${what}, which has no value here`);
  return BigInt.asUintN(64, value);
}

/** The value of an expression, unsigned. */
export function evaluate(expr: Expr, inputs: Inputs): bigint {
  return BigInt.asUintN(expr.type === "i32" ? 32 : 64, meaning(expr, inputs));
}

function meaning(expr: Expr, inputs: Inputs): bigint {
  switch (expr.kind) {
    case "x":
      return given(inputs.x?.[expr.field], expr.field);
    case "f":
      return given(inputs.f?.[expr.field], `f[${expr.field}]`);
    case "imm":
      return given(inputs.imm, "imm");
    case "pc":
      return given(inputs.pc, "pc");
    case "constant":
      return expr.value;
    case "op": {
      const wanted = operandType(expr.op);
      if (expr.args.some(({ type }) => type !== wanted)) throw new TypeError(`${expr.op} takes ${wanted} operands`);
      return apply(
        expr.op,
        expr.args.map((arg) => evaluate(arg, inputs)),
      );
    }
    case "mulHigh": {
      const [a, b] = expr.args.map((arg) => evaluate(arg, inputs));
      return expr.signed ? (signed(a, 64) * signed(b, 64)) >> 64n : (a * b) >> 64n;
    }
    case "choose":
      return evaluate(evaluate(expr.condition, inputs) !== 0n ? expr.yes : expr.no, inputs);
    case "let": {
      const shared = new Map(inputs.shared).set(expr.variable, evaluate(expr.value, inputs));
      return evaluate(expr.body, { ...inputs, shared });
    }
    case "shared":
      return given(inputs.shared?.get(expr), "a shared value");
  }
}
