import { describe, expect, test } from "bun:test";
import type { IntegerWidth } from "../../../../src/isa/riscv/float/convert.ts";
import { convert, fromInt, toInt } from "../../../../src/isa/riscv/float/convert.ts";
import { binary32, binary64, Flag, Rounding } from "../../../../src/isa/riscv/float/format.ts";
import { double, single, toBits, toNumber } from "./host.ts";
import { operand, Random } from "./operands.ts";

const { nearestEven, towardZero, down, up, nearestMaxMagnitude } = Rounding;
const { inexact, underflow, overflow, invalid } = Flag;
const result = (bits: bigint, flags = 0) => ({ bits, flags });
const register = (value: bigint): bigint => BigInt.asUintN(64, value);

describe("between formats", () => {
  test("agrees with the host to nearest even", () => {
    const random = new Random(6n);
    for (let i = 0; i < 5000; i++) {
      const wide = operand(binary64, random);
      expect(convert(binary64, binary32, wide, nearestEven).bits).toBe(toBits(binary32, toNumber(binary64, wide)));
      const narrow = operand(binary32, random);
      const widened = convert(binary32, binary64, narrow, nearestEven);
      expect(widened.bits).toBe(toBits(binary64, toNumber(binary32, narrow)));
      expect(widened.flags & ~invalid).toBe(0);
    }
  });

  test("narrowing raises what its rounding raises", () => {
    expect(convert(binary64, binary32, double(1e300), towardZero)).toEqual(
      result(binary32.largestFinite, overflow | inexact),
    );
    expect(convert(binary64, binary32, double(1e-300), up)).toEqual(result(1n, underflow | inexact));
    expect(convert(binary64, binary32, 0xfff0_0000_0000_0001n, nearestEven)).toEqual(
      result(binary32.canonicalNaN, invalid),
    );
  });
});

describe("to integers", () => {
  // RISC-V Unpriv, F §7, the table of invalid inputs: lower limit, upper limit, results out of range below
  // (and -∞), above (and +∞, NaN).
  const limits: readonly [IntegerWidth, boolean, bigint, bigint][] = [
    [32, true, -(1n << 31n), (1n << 31n) - 1n],
    [32, false, 0n, -1n], // 2^32 - 1, sign-extended
    [64, true, -(1n << 63n), (1n << 63n) - 1n],
    [64, false, 0n, (1n << 64n) - 1n],
  ];
  test.each(limits)("width %d, signed %p saturates", (width, signed, lowest, highest) => {
    for (const [value, expected] of [
      [-Infinity, lowest],
      [-1e300, lowest],
      [-(2 ** 65), lowest],
      [2 ** 65, highest],
      [2 ** width, highest],
      [Infinity, highest],
      [NaN, highest],
    ] as const) {
      expect(toInt(binary64, double(value), towardZero, width, signed)).toEqual(result(register(expected), invalid));
    }
    expect(toInt(binary64, binary64.canonicalNaN | binary64.signBit, towardZero, width, signed)).toEqual(
      result(register(highest), invalid),
    );
  });

  test.each([
    [nearestEven, 2n, -2n, 4n],
    [towardZero, 2n, -2n, 3n],
    [down, 2n, -3n, 3n],
    [up, 3n, -2n, 4n],
    [nearestMaxMagnitude, 3n, -3n, 4n],
  ])("mode %d rounds 2.5, -2.5 and 3.5", (rm, a, b, c) => {
    const round = (value: number) => toInt(binary32, single(value), rm, 64, true);
    expect([round(2.5), round(-2.5), round(3.5)]).toEqual([a, b, c].map((value) => result(register(value), inexact)));
  });

  test("the value after rounding decides whether it fits", () => {
    expect(toInt(binary64, double(-0.75), towardZero, 32, false)).toEqual(result(0n, inexact));
    expect(toInt(binary64, double(-0.75), nearestEven, 32, false)).toEqual(result(0n, invalid));
    expect(toInt(binary64, double(2 ** 31 - 0.5), towardZero, 32, true)).toEqual(result(0x7fff_ffffn, inexact));
    expect(toInt(binary64, double(2 ** 31 - 0.5), nearestEven, 32, true)).toEqual(result(0x7fff_ffffn, invalid));
    expect(toInt(binary64, double(-(2 ** 31) - 0.5), nearestEven, 32, true)).toEqual(
      result(register(-(1n << 31n)), inexact),
    );
  });

  test("unsigned 32-bit results are sign-extended", () => {
    expect(toInt(binary64, double(2 ** 31), towardZero, 32, false)).toEqual(result(0xffff_ffff_8000_0000n));
  });

  test("the smallest subnormal is inexact, not lost", () => {
    expect(toInt(binary64, 1n, up, 64, false)).toEqual(result(1n, inexact));
    expect(toInt(binary64, 1n, nearestEven, 64, false)).toEqual(result(0n, inexact));
    expect(toInt(binary64, binary64.signBit, down, 64, false)).toEqual(result(0n));
  });
});

describe("from integers", () => {
  test("agrees with the host to nearest even", () => {
    const random = new Random(7n);
    for (let i = 0; i < 4000; i++) {
      const value = random.bits64() >> BigInt(random.below(64));
      expect(fromInt(binary64, value, 64, false, nearestEven).bits).toBe(double(Number(value)));
      expect(fromInt(binary64, value, 64, true, nearestEven).bits).toBe(double(Number(BigInt.asIntN(64, value))));
      const low = BigInt.asIntN(32, value);
      expect(fromInt(binary32, value, 32, true, nearestEven).bits).toBe(single(Number(low)));
      expect(fromInt(binary64, value, 32, true, nearestEven)).toEqual(result(double(Number(low))));
    }
  });

  test("rounds once, straight to single", () => {
    // Through double it would tie at 2^24 + 1 and fall to even.
    const value = (1n << 60n) + (1n << 36n) + 1n;
    expect(fromInt(binary32, value, 64, true, nearestEven)).toEqual(result(single(2 ** 60 + 2 ** 37), inexact));
  });

  test("the width says which bits count and how", () => {
    expect(fromInt(binary32, 0xffff_ffff_ffff_ffffn, 32, false, towardZero)).toEqual(
      result(single(2 ** 32 - 2 ** 8), inexact),
    );
    expect(fromInt(binary32, 0xffff_ffffn, 32, true, towardZero)).toEqual(result(single(-1)));
    expect(fromInt(binary64, 1n << 32n, 32, true, down)).toEqual(result(0n));
  });
});
