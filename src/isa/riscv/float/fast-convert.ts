// The helpers of convert.ts: between the formats, and between numbers and integer registers.

import type { Callable, FunctionWriter, Local } from "../../../wasm/function.ts";
import type { IntegerWidth } from "./convert.ts";
import { FloatOp } from "./dispatch.ts";
import type { FastPath, FloatWriter, HelperContext, Lane } from "./fast-path.ts";
import { defineFastPath, defineWhole, double, single } from "./fast-path.ts";
import { binary64, Flag, Rounding } from "./format.ts";

/** How the bits of an integer register count. */
interface IntegerKind {
  readonly width: IntegerWidth;
  readonly signed: boolean;
}

const W: IntegerKind = { width: 32, signed: true };
const WU: IntegerKind = { width: 32, signed: false };
const L: IntegerKind = { width: 64, signed: true };
const LU: IntegerKind = { width: 64, signed: false };

export function defineConversions(context: HelperContext) {
  const toInteger = (op: FloatOp, lane: Lane, kind: IntegerKind): Callable =>
    defineFastPath(context, op, lane, { operands: [lane.type], result: "i64" }, (path) => writeToInteger(path, kind));
  const fromInteger = (op: FloatOp, lane: Lane, kind: IntegerKind): Callable =>
    defineFastPath(context, op, lane, { operands: ["i64"], result: lane.type }, (path) => writeFromInteger(path, kind));
  const fromWord = (kind: IntegerKind): Callable =>
    defineWhole(context, double, { operands: ["i64"], result: "f64" }, (writer) => writeFromWord(writer, kind));
  return {
    cvtSD: () => defineFastPath(context, FloatOp.cvtSD, single, { operands: ["f64"], result: "f32" }, writeNarrow),
    cvtDS: () => defineWhole(context, single, { operands: ["f32"], result: "f64" }, writeWiden),
    cvtWS: () => toInteger(FloatOp.cvtWS, single, W),
    cvtWD: () => toInteger(FloatOp.cvtWD, double, W),
    cvtWUS: () => toInteger(FloatOp.cvtWUS, single, WU),
    cvtWUD: () => toInteger(FloatOp.cvtWUD, double, WU),
    cvtLS: () => toInteger(FloatOp.cvtLS, single, L),
    cvtLD: () => toInteger(FloatOp.cvtLD, double, L),
    cvtLUS: () => toInteger(FloatOp.cvtLUS, single, LU),
    cvtLUD: () => toInteger(FloatOp.cvtLUD, double, LU),
    cvtSW: () => fromInteger(FloatOp.cvtSW, single, W),
    cvtDW: () => fromWord(W),
    cvtSWU: () => fromInteger(FloatOp.cvtSWU, single, WU),
    cvtDWU: () => fromWord(WU),
    cvtSL: () => fromInteger(FloatOp.cvtSL, single, L),
    cvtDL: () => fromInteger(FloatOp.cvtDL, double, L),
    cvtSLU: () => fromInteger(FloatOp.cvtSLU, single, LU),
    cvtDLU: () => fromInteger(FloatOp.cvtDLU, double, LU),
  };
}

/**
 * A number that comes back the same was exact, in every mode, zeros, subnormals and infinities included. Any other is
 * inexact, a NaN, or out of range; a normal finite result leaves only the first (see fast-arithmetic.ts).
 */
function writeNarrow(path: FastPath): void {
  const { f, operands, result } = path;
  const [a] = operands;
  f.get(a).op("f32.demote_f64").set(result);
  path.widened(result);
  f.get(a).op("f64.eq");
  path.returnExactIf();
  path.requireNearestEven();
  path.isNormal(result).require();
  path.accrue(Flag.inexact);
  f.get(result).op("return");
}

/** Every single is a double. */
function writeWiden(writer: FloatWriter): void {
  const { f, operands } = writer;
  const [a] = operands;
  writer.isNaN(a);
  f.if("f64");
  writer.isSignalling(a).accrueIf(Flag.invalid);
  f.i64(binary64.canonicalNaN).op("f64.reinterpret_i64");
  f.else();
  writer.widened(a);
  f.end();
}

/** The value after rounding decides whether it fits. NaNs fail both comparisons; what is out of range raises NV. */
function writeToInteger(path: FastPath, { width, signed }: IntegerKind): void {
  const { f, operands, result, rm } = path;
  const [value, rounded] = [f.local("f64"), f.local("f64")];
  path.widened(operands[0]);
  f.set(value);
  writeRounded(f, value, rm);
  f.set(rounded);

  f.get(rounded)
    .f64(signed ? -(2 ** (width - 1)) : 0)
    .op("f64.ge");
  f.get(rounded)
    .f64(2 ** (signed ? width - 1 : width))
    .op("f64.lt", "i32.and");
  path.require();

  f.get(rounded).op(width === 64 && !signed ? "i64.trunc_f64_u" : "i64.trunc_f64_s");
  if (width === 32 && !signed) f.op("i64.extend32_s");
  f.set(result);
  path.returnInexactIf(() => f.get(rounded).get(value).op("f64.ne"));
}

/** Modes that are one instruction, those that compilers ask for first. */
const ROUNDING_INSTRUCTIONS = [
  [Rounding.towardZero, "f64.trunc"],
  [Rounding.nearestEven, "f64.nearest"],
  [Rounding.down, "f64.floor"],
  [Rounding.up, "f64.ceil"],
] as const;

/** Leaves a value rounded to a whole number, as a double. */
function writeRounded(f: FunctionWriter, value: Local, rm: Local): void {
  for (const [mode, instruction] of ROUNDING_INSTRUCTIONS) {
    f.get(rm).i32(mode).op("i32.eq").if("f64");
    f.get(value).op(instruction);
    f.else();
  }
  // To nearest, ties away from zero. The part behind the point is exact; where there is one, adding 1 is exact as well.
  const whole = f.local("f64");
  f.get(value).op("f64.trunc").tee(whole);
  f.get(value).get(whole).op("f64.sub", "f64.abs").f64(0.5).op("f64.ge", "f64.convert_i32_u");
  f.get(value).op("f64.copysign", "f64.add");
  for (const _ of ROUNDING_INSTRUCTIONS) f.end();
}

/** An integer is exact, in every mode, if the bits from its first to its last one fit the significand. */
function writeFromInteger(path: FastPath, kind: IntegerKind): void {
  const { f, lane, operands, result } = path;
  const [value, magnitude] = [f.local("i64"), f.local("i64")];
  f.get(operands[0]);
  writeExtend(f, kind);
  f.tee(value)
    .op(`${lane.type}.convert_i64_${kind.signed ? "s" : "u"}`)
    .set(result);
  f.get(value);
  if (kind.signed) {
    const sign = f.local("i64");
    f.i64(63n).op("i64.shr_s").tee(sign).get(value).op("i64.xor").get(sign).op("i64.sub");
  }
  f.tee(magnitude).op("i64.clz").get(magnitude).op("i64.ctz", "i64.add");
  f.i64(BigInt(64 - lane.format.precision)).op("i64.ge_u");
  path.returnExactIf();
  path.requireNearestEven();
  path.accrue(Flag.inexact);
  f.get(result).op("return");
}

/** 32 bits always fit a double. */
function writeFromWord(writer: FloatWriter, { signed }: IntegerKind): void {
  const { f, operands } = writer;
  f.get(operands[0])
    .op("i32.wrap_i64")
    .op(signed ? "f64.convert_i32_s" : "f64.convert_i32_u");
}

/** Extends the low bits of the register on the stack to the 64-bit integer that they stand for. */
function writeExtend(f: FunctionWriter, { width, signed }: IntegerKind): void {
  if (width === 64) return;
  if (signed) f.op("i64.extend32_s");
  else f.i64(0xffff_ffffn).op("i64.and");
}
