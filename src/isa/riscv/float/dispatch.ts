// The soft-float operations by number, so that generated code can ask for one through a single import.

import { add, div, fma, mul, sqrt, sub } from "./arithmetic.ts";
import { classify, eq, le, lt, max, min } from "./compare.ts";
import type { IntegerWidth } from "./convert.ts";
import { convert, fromInt, toInt } from "./convert.ts";
import type { Format, Outcome } from "./format.ts";
import { binary32, binary64 } from "./format.ts";

/**
 * Operation numbers, stable: generated code and recorded vectors carry them. The last letter of an arithmetic name is
 * its format; conversions are named as the mnemonics are, destination first (`cvtWS` is FCVT.W.S, `cvtSW` FCVT.S.W).
 */
export const FloatOp = {
  addS: 0,
  addD: 1,
  subS: 2,
  subD: 3,
  mulS: 4,
  mulD: 5,
  divS: 6,
  divD: 7,
  sqrtS: 8,
  sqrtD: 9,
  fmaS: 10,
  fmaD: 11,
  minS: 12,
  minD: 13,
  maxS: 14,
  maxD: 15,
  eqS: 16,
  eqD: 17,
  ltS: 18,
  ltD: 19,
  leS: 20,
  leD: 21,
  classS: 22,
  classD: 23,
  cvtSD: 24,
  cvtDS: 25,
  cvtWS: 26,
  cvtWD: 27,
  cvtWUS: 28,
  cvtWUD: 29,
  cvtLS: 30,
  cvtLD: 31,
  cvtLUS: 32,
  cvtLUD: 33,
  cvtSW: 34,
  cvtDW: 35,
  cvtSWU: 36,
  cvtDWU: 37,
  cvtSL: 38,
  cvtDL: 39,
  cvtSLU: 40,
  cvtDLU: 41,
} as const;

export type FloatOp = (typeof FloatOp)[keyof typeof FloatOp];

type Operation = (rm: number, a: bigint, b: bigint, c: bigint) => Outcome;

const rounded2 =
  (operation: (format: Format, a: bigint, b: bigint, rm: number) => Outcome, format: Format): Operation =>
  (rm, a, b) =>
    operation(format, a, b, rm);

const unrounded2 =
  (operation: (format: Format, a: bigint, b: bigint) => Outcome, format: Format): Operation =>
  (_rm, a, b) =>
    operation(format, a, b);

const toInteger =
  (format: Format, width: IntegerWidth, signed: boolean): Operation =>
  (rm, a) =>
    toInt(format, a, rm, width, signed);

const fromInteger =
  (format: Format, width: IntegerWidth, signed: boolean): Operation =>
  (rm, a) =>
    fromInt(format, a, width, signed, rm);

const table: Record<FloatOp, Operation> = {
  [FloatOp.addS]: rounded2(add, binary32),
  [FloatOp.addD]: rounded2(add, binary64),
  [FloatOp.subS]: rounded2(sub, binary32),
  [FloatOp.subD]: rounded2(sub, binary64),
  [FloatOp.mulS]: rounded2(mul, binary32),
  [FloatOp.mulD]: rounded2(mul, binary64),
  [FloatOp.divS]: rounded2(div, binary32),
  [FloatOp.divD]: rounded2(div, binary64),
  [FloatOp.sqrtS]: (rm, a) => sqrt(binary32, a, rm),
  [FloatOp.sqrtD]: (rm, a) => sqrt(binary64, a, rm),
  [FloatOp.fmaS]: (rm, a, b, c) => fma(binary32, a, b, c, rm),
  [FloatOp.fmaD]: (rm, a, b, c) => fma(binary64, a, b, c, rm),
  [FloatOp.minS]: unrounded2(min, binary32),
  [FloatOp.minD]: unrounded2(min, binary64),
  [FloatOp.maxS]: unrounded2(max, binary32),
  [FloatOp.maxD]: unrounded2(max, binary64),
  [FloatOp.eqS]: unrounded2(eq, binary32),
  [FloatOp.eqD]: unrounded2(eq, binary64),
  [FloatOp.ltS]: unrounded2(lt, binary32),
  [FloatOp.ltD]: unrounded2(lt, binary64),
  [FloatOp.leS]: unrounded2(le, binary32),
  [FloatOp.leD]: unrounded2(le, binary64),
  [FloatOp.classS]: (_rm, a) => classify(binary32, a),
  [FloatOp.classD]: (_rm, a) => classify(binary64, a),
  [FloatOp.cvtSD]: (rm, a) => convert(binary64, binary32, a, rm),
  [FloatOp.cvtDS]: (rm, a) => convert(binary32, binary64, a, rm),
  [FloatOp.cvtWS]: toInteger(binary32, 32, true),
  [FloatOp.cvtWD]: toInteger(binary64, 32, true),
  [FloatOp.cvtWUS]: toInteger(binary32, 32, false),
  [FloatOp.cvtWUD]: toInteger(binary64, 32, false),
  [FloatOp.cvtLS]: toInteger(binary32, 64, true),
  [FloatOp.cvtLD]: toInteger(binary64, 64, true),
  [FloatOp.cvtLUS]: toInteger(binary32, 64, false),
  [FloatOp.cvtLUD]: toInteger(binary64, 64, false),
  [FloatOp.cvtSW]: fromInteger(binary32, 32, true),
  [FloatOp.cvtDW]: fromInteger(binary64, 32, true),
  [FloatOp.cvtSWU]: fromInteger(binary32, 32, false),
  [FloatOp.cvtDWU]: fromInteger(binary64, 32, false),
  [FloatOp.cvtSL]: fromInteger(binary32, 64, true),
  [FloatOp.cvtDL]: fromInteger(binary64, 64, true),
  [FloatOp.cvtSLU]: fromInteger(binary32, 64, false),
  [FloatOp.cvtDLU]: fromInteger(binary64, 64, false),
};

const operations: readonly Operation[] = Object.values(FloatOp).map((op) => table[op]);

/**
 * Runs one operation. Single-precision operands and results are plain 32-bit patterns: boxing, and choosing the
 * dynamic rounding mode, are the caller's. Operands it does not use are ignored.
 */
export function evaluate(op: number, rm: number, a: bigint, b: bigint, c: bigint): Outcome {
  const operation = operations[op];
  if (operation === undefined) throw new RangeError(`no floating-point operation has number ${op}`);
  return operation(rm, a, b, c);
}
