// Addition, multiplication, division, square root and fused multiply-add: exact first, rounded once.

import type { Exact, Format, Outcome } from "./format.ts";
import {
  bitLength,
  exactFinite,
  exactInfinity,
  exactZero,
  Flag,
  invalid,
  isNaNKind,
  joinNaNs,
  Kind,
  Rounding,
  unpack,
} from "./format.ts";
import { deliver } from "./round.ts";

export function add(format: Format, a: bigint, b: bigint, rm: number): Outcome {
  return deliver(format, exactSum(unpack(format, a), unpack(format, b), rm), rm);
}

export function sub(format: Format, a: bigint, b: bigint, rm: number): Outcome {
  return add(format, a, b ^ format.signBit, rm);
}

export function mul(format: Format, a: bigint, b: bigint, rm: number): Outcome {
  return deliver(format, exactProduct(unpack(format, a), unpack(format, b)), rm);
}

/** a × b + c, rounded once. The callers of FMSUB, FNMADD and FNMSUB flip the signs of their operands. */
export function fma(format: Format, a: bigint, b: bigint, c: bigint, rm: number): Outcome {
  // An invalid product (∞ × 0) stays invalid whatever is added, a quiet NaN too: RISC-V Unpriv, F §6.
  const product = exactProduct(unpack(format, a), unpack(format, b));
  return deliver(format, exactSum(product, unpack(format, c), rm), rm);
}

export function div(format: Format, a: bigint, b: bigint, rm: number): Outcome {
  const dividend = unpack(format, a);
  const divisor = unpack(format, b);
  if (divisor.kind === Kind.zero && dividend.kind === Kind.finite) {
    const infinity = exactInfinity(dividend.negative !== divisor.negative);
    return { ...deliver(format, infinity, rm), flags: Flag.divideByZero };
  }
  return deliver(format, quotient(format, dividend, divisor), rm);
}

export function sqrt(format: Format, a: bigint, rm: number): Outcome {
  return deliver(format, squareRoot(format, unpack(format, a)), rm);
}

function exactSum(x: Exact, y: Exact, rm: number): Exact {
  if (isNaNKind(x) || isNaNKind(y)) return joinNaNs(x, y);
  if (x.kind === Kind.infinite) {
    return y.kind === Kind.infinite && x.negative !== y.negative ? invalid : x;
  }
  if (y.kind === Kind.infinite) return y;
  if (x.kind === Kind.zero && y.kind !== Kind.zero) return y;
  if (y.kind === Kind.zero && x.kind !== Kind.zero) return x;

  const exponent = Math.min(x.exponent, y.exponent);
  const sum = signedAt(x, exponent) + signedAt(y, exponent);
  if (sum === 0n) {
    // IEEE 754-2019 §6.3: zeros of one sign keep it; an exact cancellation is +0, or -0 when rounding down.
    return exactZero(x.negative === y.negative ? x.negative : rm === Rounding.down);
  }
  return sum < 0n ? exactFinite(true, -sum, exponent) : exactFinite(false, sum, exponent);
}

/** A zero or finite number as a signed count of 2^exponent. */
function signedAt(x: Exact, exponent: number): bigint {
  const magnitude = x.significand << BigInt(x.exponent - exponent);
  return x.negative ? -magnitude : magnitude;
}

function exactProduct(x: Exact, y: Exact): Exact {
  if (isNaNKind(x) || isNaNKind(y)) return joinNaNs(x, y);
  const negative = x.negative !== y.negative;
  if (x.kind === Kind.infinite || y.kind === Kind.infinite) {
    return x.kind === Kind.zero || y.kind === Kind.zero ? invalid : exactInfinity(negative);
  }
  if (x.kind === Kind.zero || y.kind === Kind.zero) return exactZero(negative);
  return exactFinite(negative, x.significand * y.significand, x.exponent + y.exponent);
}

function quotient(format: Format, x: Exact, y: Exact): Exact {
  if (isNaNKind(x) || isNaNKind(y)) return joinNaNs(x, y);
  if (x.kind === y.kind && x.kind !== Kind.finite) return invalid; // 0 / 0 and ∞ / ∞
  const negative = x.negative !== y.negative;
  if (x.kind === Kind.infinite || y.kind === Kind.zero) return exactInfinity(negative);
  if (x.kind === Kind.zero || y.kind === Kind.infinite) return exactZero(negative);

  // A divisor has at most p bits, so this scale leaves at least p + 2 bits of quotient, subnormal dividends included.
  const scale = 2 * format.precision + 2;
  const dividend = x.significand << BigInt(scale);
  const whole = dividend / y.significand;
  const remains = whole * y.significand !== dividend;
  return withSticky(negative, whole, remains, x.exponent - scale - y.exponent);
}

function squareRoot(format: Format, x: Exact): Exact {
  if (isNaNKind(x)) return joinNaNs(x, x);
  if (x.kind === Kind.zero) return x; // The root of -0 is -0: IEEE 754-2019 §5.4.1.
  if (x.negative) return invalid;
  if (x.kind === Kind.infinite) return x;

  // At least 2p + 4 bits of radicand give p + 2 bits of root; an even exponent halves exactly.
  const wanted = 2 * format.precision + 4;
  const scale = wanted + ((x.exponent - wanted) & 1);
  const radicand = x.significand << BigInt(scale);
  const root = integerSquareRoot(radicand);
  return withSticky(false, root, root * root !== radicand, (x.exponent - scale) / 2);
}

/** Appends a bit that says whether a number lies above `whole`: all that rounding needs to know about the rest. */
function withSticky(negative: boolean, whole: bigint, remains: boolean, exponent: number): Exact {
  return exactFinite(negative, (whole << 1n) | (remains ? 1n : 0n), exponent - 1);
}

/** Floor of the square root, by Newton's iteration from above: it falls until it stands on the floor. */
function integerSquareRoot(value: bigint): bigint {
  let root = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
