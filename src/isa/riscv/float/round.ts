// The one place where an exact number becomes a bit pattern: rounding, overflow, underflow, inexactness.

import type { Exact, Format, Outcome } from "./format.ts";
import { bitLength, Flag, Kind, Rounding } from "./format.ts";

/** A magnitude cut down to whole units, and whether that lost anything. */
export interface Rounded {
  readonly magnitude: bigint;
  readonly inexact: boolean;
}

/** Rounds magnitude / 2^shift to a whole number; a shift of zero or less is exact. */
export function roundShift(magnitude: bigint, shift: number, negative: boolean, rm: number): Rounded {
  if (shift <= 0) return { magnitude: magnitude << BigInt(-shift), inexact: false };
  const kept = magnitude >> BigInt(shift);
  const lost = magnitude - (kept << BigInt(shift));
  if (lost === 0n) return { magnitude: kept, inexact: false };
  const half = 1n << BigInt(shift - 1);
  return { magnitude: incrementsMagnitude(kept, lost, half, negative, rm) ? kept + 1n : kept, inexact: true };
}

function incrementsMagnitude(kept: bigint, lost: bigint, half: bigint, negative: boolean, rm: number): boolean {
  switch (rm) {
    case Rounding.nearestEven:
      return lost > half || (lost === half && (kept & 1n) === 1n);
    case Rounding.nearestMaxMagnitude:
      return lost >= half;
    case Rounding.down:
      return negative;
    case Rounding.up:
      return !negative;
    default:
      return false; // Toward zero; reserved modes never get here, decoding traps on them.
  }
}

/** Rounds an exact number into a format and raises what that rounding raises. */
export function deliver(format: Format, value: Exact, rm: number): Outcome {
  const sign = value.negative ? format.signBit : 0n;
  switch (value.kind) {
    case Kind.zero:
      return { bits: sign, flags: 0 };
    case Kind.infinite:
      return { bits: sign | format.infinity, flags: 0 };
    case Kind.quietNaN:
      return { bits: format.canonicalNaN, flags: 0 };
    case Kind.signallingNaN:
      return { bits: format.canonicalNaN, flags: Flag.invalid };
    default:
      return deliverFinite(format, value, sign, rm);
  }
}

function deliverFinite(format: Format, { negative, significand, exponent }: Exact, sign: bigint, rm: number): Outcome {
  const freeQuantum = exponent + bitLength(significand) - format.precision;
  const quantum = Math.max(freeQuantum, format.minQuantum);
  const { magnitude, inexact } = roundShift(significand, quantum - exponent, negative, rm);

  // Adding instead of inserting lets a significand that rounded up to the next power of two carry into the exponent,
  // also from the subnormal numbers into the normal ones.
  const biasedBelowHidden = BigInt(quantum - format.minQuantum);
  const bits = (biasedBelowHidden << BigInt(format.fractionBits)) + magnitude;
  if (bits >= format.infinity) return overflow(format, negative, sign, rm);
  if (!inexact) return { bits: sign | bits, flags: 0 };

  // RISC-V Unpriv, F §4 (subnormals): tininess is detected after rounding, as if the exponent range had no end.
  const tiny =
    freeQuantum < format.minQuantum &&
    (freeQuantum < format.minQuantum - 1 ||
      bitLength(roundShift(significand, freeQuantum - exponent, negative, rm).magnitude) <= format.precision);
  return { bits: sign | bits, flags: tiny ? Flag.underflow | Flag.inexact : Flag.inexact };
}

function overflow(format: Format, negative: boolean, sign: bigint, rm: number): Outcome {
  const away =
    rm === Rounding.nearestEven ||
    rm === Rounding.nearestMaxMagnitude ||
    rm === (negative ? Rounding.down : Rounding.up);
  return { bits: sign | (away ? format.infinity : format.largestFinite), flags: Flag.overflow | Flag.inexact };
}
