// Minimum, maximum, the three comparisons and FCLASS: they look at numbers and never round.

import type { Exact, Format, Outcome } from "./format.ts";
import { Flag, isNaNKind, Kind, unpack } from "./format.ts";

export const min = (format: Format, a: bigint, b: bigint): Outcome => pick(format, a, b, true);
export const max = (format: Format, a: bigint, b: bigint): Outcome => pick(format, a, b, false);

/** Quiet comparison: only a signalling NaN is invalid. */
export function eq(format: Format, a: bigint, b: bigint): Outcome {
  return compare(format, a, b, false, (order) => order === 0);
}

/** Signalling comparison: any NaN is invalid. */
export function lt(format: Format, a: bigint, b: bigint): Outcome {
  return compare(format, a, b, true, (order) => order < 0);
}

/** Signalling comparison: any NaN is invalid. */
export function le(format: Format, a: bigint, b: bigint): Outcome {
  return compare(format, a, b, true, (order) => order <= 0);
}

/** FCLASS: one bit of ten says which class the number is in (RISC-V Unpriv, F §9). Raises nothing. */
export function classify(format: Format, a: bigint): Outcome {
  return { bits: 1n << BigInt(classOf(format, unpack(format, a))), flags: 0 };
}

function classOf(format: Format, x: Exact): number {
  switch (x.kind) {
    case Kind.signallingNaN:
      return 8;
    case Kind.quietNaN:
      return 9;
    case Kind.infinite:
      return x.negative ? 0 : 7;
    case Kind.zero:
      return x.negative ? 3 : 4;
    default: {
      const subnormal = x.significand < format.hiddenBit;
      if (x.negative) return subnormal ? 2 : 1;
      return subnormal ? 5 : 6;
    }
  }
}

/** IEEE 754-2019 §9.6 minimumNumber and maximumNumber: a number wins over a NaN, and -0 is below +0. */
function pick(format: Format, a: bigint, b: bigint, smaller: boolean): Outcome {
  const x = unpack(format, a);
  const y = unpack(format, b);
  const flags = x.kind === Kind.signallingNaN || y.kind === Kind.signallingNaN ? Flag.invalid : 0;
  if (isNaNKind(x) && isNaNKind(y)) return { bits: format.canonicalNaN, flags };
  const first = isNaNKind(y) || (!isNaNKind(x) && totalOrder(format, a) < totalOrder(format, b) === smaller);
  return { bits: BigInt.asUintN(format.width, first ? a : b), flags };
}

function compare(
  format: Format,
  a: bigint,
  b: bigint,
  signalling: boolean,
  holds: (order: number) => boolean,
): Outcome {
  const x = unpack(format, a);
  const y = unpack(format, b);
  if (isNaNKind(x) || isNaNKind(y)) {
    const raises = signalling || x.kind === Kind.signallingNaN || y.kind === Kind.signallingNaN;
    return { bits: 0n, flags: raises ? Flag.invalid : 0 };
  }
  const bothZero = x.kind === Kind.zero && y.kind === Kind.zero;
  const difference = bothZero ? 0n : totalOrder(format, a) - totalOrder(format, b);
  return { bits: holds(Number(difference)) ? 1n : 0n, flags: 0 };
}

/** Patterns of one sign are ordered like integers; negative ones the other way round and all below the positive. */
function totalOrder(format: Format, bits: bigint): bigint {
  const magnitude = bits & (format.signBit - 1n);
  return (bits & format.signBit) === 0n ? magnitude : -1n - magnitude;
}
