// Conversions between formats and between numbers and integers, with RISC-V's saturation.

import type { Format, Outcome } from "./format.ts";
import { exactFinite, exactZero, Flag, isNaNKind, Kind, unpack } from "./format.ts";
import { deliver, roundShift } from "./round.ts";

export type IntegerWidth = 32 | 64;

/** FCVT.S.D and FCVT.D.S: a number of one format in another. A NaN becomes the canonical one. */
export function convert(from: Format, to: Format, bits: bigint, rm: number): Outcome {
  return deliver(to, unpack(from, bits), rm);
}

/**
 * A number rounded to an integer register: a 64-bit pattern, 32-bit results sign-extended even when unsigned.
 * What does not fit becomes the nearest limit and NaN the upper one, raising NV alone (RISC-V Unpriv, F §7).
 */
export function toInt(format: Format, bits: bigint, rm: number, width: IntegerWidth, signed: boolean): Outcome {
  const lowest = signed ? -(1n << BigInt(width - 1)) : 0n;
  const highest = (1n << BigInt(signed ? width - 1 : width)) - 1n;
  const x = unpack(format, bits);
  if (x.kind === Kind.zero) return { bits: 0n, flags: 0 };

  const saturated: Outcome = {
    bits: inRegister(x.negative && !isNaNKind(x) ? lowest : highest, width),
    flags: Flag.invalid,
  };
  if (x.kind !== Kind.finite || x.exponent > width) return saturated;

  const { magnitude, inexact } = roundShift(x.significand, -x.exponent, x.negative, rm);
  const integer = x.negative ? -magnitude : magnitude;
  if (integer < lowest || integer > highest) return saturated;
  return { bits: inRegister(integer, width), flags: inexact ? Flag.inexact : 0 };
}

/** The low `width` bits of an integer register as a number. Zero is +0 in every rounding mode. */
export function fromInt(format: Format, value: bigint, width: IntegerWidth, signed: boolean, rm: number): Outcome {
  const integer = signed ? BigInt.asIntN(width, value) : BigInt.asUintN(width, value);
  if (integer === 0n) return deliver(format, exactZero(false), rm);
  return deliver(format, exactFinite(integer < 0n, integer < 0n ? -integer : integer, 0), rm);
}

function inRegister(integer: bigint, width: IntegerWidth): bigint {
  return BigInt.asUintN(64, BigInt.asIntN(width, integer));
}
