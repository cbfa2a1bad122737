// Seeded operands that sit where floating point goes wrong: limits, halfway points, cancellation, tiny and huge results.

import { fma, mul } from "../../../../src/isa/riscv/float/arithmetic.ts";
import type { Format } from "../../../../src/isa/riscv/float/format.ts";

/** A 64-bit generator (splitmix64): the same seed gives the same operands on every machine. */
export class Random {
  #state: bigint;

  constructor(seed: bigint) {
    this.#state = seed;
  }

  bits64(): bigint {
    this.#state = BigInt.asUintN(64, this.#state + 0x9e3779b97f4a7c15n);
    let z = this.#state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }

  below(limit: number): number {
    return Number(this.bits64() % BigInt(limit));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

/** Every number that stands at an edge of the format, with both signs, and NaNs of both kinds with payloads. */
export function specials(format: Format): bigint[] {
  const one = BigInt(format.bias) << BigInt(format.fractionBits);
  const quiet = format.hiddenBit >> 1n;
  const magnitudes = [
    0n,
    1n,
    2n,
    format.hiddenBit - 1n,
    format.hiddenBit,
    format.hiddenBit + 1n,
    format.hiddenBit * 2n,
    one - 1n,
    one,
    one + 1n,
    one + format.hiddenBit,
    one + (format.hiddenBit >> 1n),
    one - format.hiddenBit,
    format.largestFinite - 1n,
    format.largestFinite,
    format.infinity,
    format.canonicalNaN,
    format.canonicalNaN + 5n,
    format.infinity + 1n,
    format.infinity + quiet - 1n,
  ];
  return magnitudes.flatMap((magnitude) => [magnitude, magnitude | format.signBit]);
}

/** One operand: any pattern, a special, a sparse or nearly full significand, or a number of moderate size. */
export function operand(format: Format, random: Random, special: readonly bigint[] = specials(format)): bigint {
  const bits = BigInt.asUintN(format.width, random.bits64());
  const fractionMask = format.hiddenBit - 1n;
  switch (random.below(8)) {
    case 0:
      return random.pick(special);
    case 1:
      return bits;
    case 2:
      return withExponent(format, bits, random.below(64) - 32, sparse(format, random));
    case 3:
      return withExponent(format, bits, random.below(8) - 4, fractionMask - sparse(format, random));
    case 4: // Subnormal, or just above.
      return withExponent(format, bits, format.minExponent - 1 + random.below(3), bits & fractionMask);
    case 5: // The square of this one is at the limits of the exponent range.
      return withExponent(
        format,
        bits,
        random.pick([-1, 1]) * (format.bias >> 1) + random.below(5) - 2,
        bits & fractionMask,
      );
    case 6: // About the size of integers that do or do not fit a register.
      return withExponent(format, bits, random.below(68) - 2, random.pick([bits & fractionMask, fractionMask, 0n]));
    default:
      return withExponent(format, bits, random.below(6) - 3, bits & fractionMask);
  }
}

function withExponent(format: Format, signFrom: bigint, exponent: number, fraction: bigint): bigint {
  const biased = BigInt(Math.min(Math.max(exponent + format.bias, 0), 2 * format.bias));
  return (signFrom & format.signBit) | (biased << BigInt(format.fractionBits)) | fraction;
}

function sparse(format: Format, random: Random): bigint {
  const bit = () => 1n << BigInt(random.below(format.fractionBits));
  return random.pick([0n, bit(), bit() | bit(), bit() - 1n]);
}

/** Registers at the ends of what 24, 32, 53 and 64 bits hold, seen with and without a sign. */
export const specialIntegers: readonly bigint[] = [0, 1, 23, 24, 25, 31, 32, 52, 53, 54, 62, 63].flatMap((length) =>
  [-2n, -1n, 0n, 1n, 2n].flatMap((beside) => {
    const value = (1n << BigInt(length)) + beside;
    return [BigInt.asUintN(64, value), BigInt.asUintN(64, -value)];
  }),
);

/**
 * An integer register: of any length, of all ones or one bit, with few bits set, or as long as a significand and a bit
 * or two more, where it is a midpoint between two numbers or stands beside one. The upper half may be anything.
 */
export function integer(random: Random): bigint {
  const length = 1n + BigInt(random.below(64));
  const bit = 1n << (length - 1n);
  const beside = BigInt(random.below(5) - 2);
  const shift = BigInt(random.below(44));
  let value: bigint;
  switch (random.below(6)) {
    case 0:
      value = random.bits64() >> (64n - length);
      break;
    case 1:
      value = bit + beside;
      break;
    case 2:
      value = bit | (1n << BigInt(random.below(64))) | (1n << BigInt(random.below(64)));
      break;
    case 3: // 25 or 26 bits, then zeros up to a neighbour of the midpoint.
      value = ((((1n << 24n) | (random.bits64() >> 40n)) * 2n + 1n) << shift) + beside;
      break;
    case 4: // 54 bits and more, likewise.
      value = ((((1n << 52n) | (random.bits64() >> 12n)) * 2n + 1n) << (shift % 11n)) + beside;
      break;
    default:
      value = BigInt(random.below(2001) - 1000);
  }
  if (random.below(2) === 0) value = -value;
  if (random.below(3) === 0) value = (random.bits64() << 32n) | BigInt.asUintN(32, value);
  return BigInt.asUintN(64, value);
}

/** An operand of moderate size near a whole number or half of one: where rounding to an integer is decided. */
export function nearInteger(format: Format, random: Random): bigint {
  const half = BigInt(random.below(format.precision) + 1); // The bit that is worth one half, counted from the end.
  const exponent = BigInt(format.bias + format.precision) - half - 1n;
  const fraction = ((random.bits64() & (format.hiddenBit - 1n)) >> half) << half;
  const between = random.below(2) === 0 ? 1n << (half - 1n) : 0n;
  const sign = random.below(2) === 0 ? format.signBit : 0n;
  const magnitude = (exponent << BigInt(format.fractionBits)) | fraction | (between & (format.hiddenBit - 1n));
  return sign | (magnitude + BigInt(random.below(3) - 1));
}

/** An operand a few units in the last place away from another, with either sign: cancellation and near-equality. */
export function neighbour(format: Format, random: Random, of: bigint): bigint {
  const sign = random.below(2) === 0 ? format.signBit : 0n;
  return BigInt.asUintN(format.width, (of ^ sign) + BigInt(random.below(5) - 2));
}

/**
 * Three operands for an operation of `arity`, chosen by their relation too: equal and neighbouring ones, exact
 * quotients and roots or nearly so, and addends that cancel a product or meet it at a rounding boundary.
 */
export function tuple(format: Format, arity: number, random: Random, special: readonly bigint[]): bigint[] {
  let a = operand(format, random, special);
  const b = random.below(4) === 0 ? neighbour(format, random, a) : operand(format, random, special);
  let c = operand(format, random, special);
  const rm = random.below(5);
  switch (random.below(4)) {
    case 0:
      if (arity === 1) a = neighbour(format, random, mul(format, a, a, rm).bits) & ~format.signBit;
      else if (arity === 2) a = mul(format, a, b, rm).bits;
      else c = neighbour(format, random, mul(format, a, b, rm).bits);
      break;
    case 1: // The rounding error of a product has half its bits further down: subtracting it moves the end of the sum.
      if (arity === 1) a &= ~format.signBit;
      else if (arity === 3) {
        const product = mul(format, a, b, rm).bits;
        c = fma(format, a, b, product ^ format.signBit, rm).bits ^ (random.below(2) === 0 ? format.signBit : 0n);
      }
      break;
    case 2: // Half a unit, a unit and their neighbours beside the product, for midpoints.
      if (arity === 3) {
        const shift = BigInt(format.precision + random.below(4) - 2) << BigInt(format.fractionBits);
        const product = mul(format, a, b, rm).bits & (format.signBit - 1n);
        if (product > shift && product < format.infinity) c = neighbour(format, random, product - shift);
      }
      break;
  }
  return [a, b, c];
}
