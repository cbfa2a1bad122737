// IEEE 754 binary formats as data, and bit patterns taken apart into exact numbers.

/** The shape of one binary interchange format (IEEE 754-2019 §3.4) and the constants that follow from it. */
export interface Format {
  readonly width: number;
  readonly exponentBits: number;
  readonly fractionBits: number;
  /** Significand bits, the hidden one included: p. */
  readonly precision: number;
  readonly bias: number;
  /** Exponent of the smallest and the largest normal number: emin and emax. */
  readonly minExponent: number;
  readonly maxExponent: number;
  /** Weight of the last bit of a subnormal number, as a power of two. */
  readonly minQuantum: number;
  readonly signBit: bigint;
  readonly hiddenBit: bigint;
  readonly infinity: bigint;
  readonly largestFinite: bigint;
  /** RISC-V Unpriv, F §3 (NaN generation): every NaN result is this one, positive and quiet with an empty payload. */
  readonly canonicalNaN: bigint;
}

function binaryFormat(exponentBits: number, fractionBits: number): Format {
  const maxExponent = 2 ** (exponentBits - 1) - 1;
  const hiddenBit = 1n << BigInt(fractionBits);
  const infinity = ((1n << BigInt(exponentBits)) - 1n) << BigInt(fractionBits);
  return {
    width: 1 + exponentBits + fractionBits,
    exponentBits,
    fractionBits,
    precision: fractionBits + 1,
    bias: maxExponent,
    minExponent: 1 - maxExponent,
    maxExponent,
    minQuantum: 1 - maxExponent - fractionBits,
    signBit: 1n << BigInt(exponentBits + fractionBits),
    hiddenBit,
    infinity,
    largestFinite: infinity - 1n,
    canonicalNaN: infinity | (hiddenBit >> 1n),
  };
}

export const binary32 = binaryFormat(8, 23);
export const binary64 = binaryFormat(11, 52);

/** Rounding modes as `frm` and the `rm` field number them (RISC-V Unpriv, F §2 (fcsr)). */
export const Rounding = { nearestEven: 0, towardZero: 1, down: 2, up: 3, nearestMaxMagnitude: 4 } as const;

/** Accrued exceptions as `fflags` numbers them. */
export const Flag = { inexact: 1, underflow: 2, overflow: 4, divideByZero: 8, invalid: 16 } as const;

/** What every operation returns: the result's bit pattern, never negative, and the flags it raises. */
export interface Outcome {
  readonly bits: bigint;
  readonly flags: number;
}

export const Kind = { zero: 0, finite: 1, infinite: 2, quietNaN: 3, signallingNaN: 4 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/**
 * An exact number: ±significand × 2^exponent where the kind is finite (significand > 0, of any length), else the
 * kind says all. A signalling NaN also stands for the result of an invalid operation: delivering it raises NV.
 */
export interface Exact {
  readonly kind: Kind;
  readonly negative: boolean;
  readonly significand: bigint;
  readonly exponent: number;
}

export const exactZero = (negative: boolean): Exact => ({ kind: Kind.zero, negative, significand: 0n, exponent: 0 });
export const exactInfinity = (negative: boolean): Exact => ({ ...exactZero(negative), kind: Kind.infinite });
export const exactFinite = (negative: boolean, significand: bigint, exponent: number): Exact => ({
  kind: Kind.finite,
  negative,
  significand,
  exponent,
});
export const quietNaN: Exact = { ...exactZero(false), kind: Kind.quietNaN };
export const invalid: Exact = { ...exactZero(false), kind: Kind.signallingNaN };

export const isNaNKind = (x: Exact): boolean => x.kind >= Kind.quietNaN;

/** What an operation with a NaN among its operands results in. */
export function joinNaNs(a: Exact, b: Exact): Exact {
  return a.kind === Kind.signallingNaN || b.kind === Kind.signallingNaN ? invalid : quietNaN;
}

/** Takes a bit pattern apart. Bits above the format's width are ignored, so a negative bigint is welcome. */
export function unpack(format: Format, bits: bigint): Exact {
  const negative = (bits & format.signBit) !== 0n;
  const fraction = bits & (format.hiddenBit - 1n);
  const biased = bits & format.infinity;
  if (biased === format.infinity) {
    if (fraction === 0n) return exactInfinity(negative);
    const quiet = (fraction & (format.hiddenBit >> 1n)) !== 0n;
    return { kind: quiet ? Kind.quietNaN : Kind.signallingNaN, negative, significand: fraction, exponent: 0 };
  }
  if (biased === 0n) {
    return fraction === 0n ? exactZero(negative) : exactFinite(negative, fraction, format.minQuantum);
  }
  const exponent = Number(biased >> BigInt(format.fractionBits)) - format.bias - format.fractionBits;
  return exactFinite(negative, fraction | format.hiddenBit, exponent);
}

/** Position of the highest set bit, plus one; of a positive number. */
export function bitLength(value: bigint): number {
  const digits = value.toString(16);
  return digits.length * 4 + 28 - Math.clz32(Number.parseInt(digits[0], 16));
}
