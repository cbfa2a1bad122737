import { describe, expect, test } from "bun:test";
import { classify, eq, le, lt, max, min } from "../../../../src/isa/riscv/float/compare.ts";
import { binary32, binary64, Flag } from "../../../../src/isa/riscv/float/format.ts";
import { double, single, toBits, toNumber } from "./host.ts";
import { neighbour, operand, Random } from "./operands.ts";

const quiet = binary64.canonicalNaN | 77n;
const signalling = binary64.infinity | 77n;
const result = (bits: bigint, flags = 0) => ({ bits, flags });

describe("comparison", () => {
  test("agrees with the host", () => {
    const random = new Random(4n);
    for (const format of [binary32, binary64]) {
      for (let i = 0; i < 3000; i++) {
        const a = operand(format, random);
        const b = i % 3 === 0 ? neighbour(format, random, a) : operand(format, random);
        const [x, y] = [toNumber(format, a), toNumber(format, b)];
        const ours = [eq, lt, le].map((compare) => compare(format, a, b).bits === 1n);
        expect([a, b, ...ours]).toEqual([a, b, x === y, x < y, x <= y]);
      }
    }
  });

  test("equality is quiet, order is not", () => {
    expect(eq(binary64, quiet, double(1))).toEqual(result(0n));
    expect(lt(binary64, quiet, double(1))).toEqual(result(0n, Flag.invalid));
    expect(le(binary64, quiet, quiet)).toEqual(result(0n, Flag.invalid));
    for (const compare of [eq, lt, le]) {
      expect(compare(binary64, double(1), signalling)).toEqual(result(0n, Flag.invalid));
    }
  });
});

describe("minimum and maximum", () => {
  test("agree with the host on numbers, zeros ordered by sign", () => {
    const random = new Random(5n);
    for (let i = 0; i < 3000; i++) {
      const [a, b] = [operand(binary64, random), operand(binary64, random)];
      const [x, y] = [toNumber(binary64, a), toNumber(binary64, b)];
      if (Number.isNaN(x) || Number.isNaN(y)) continue;
      expect(min(binary64, a, b)).toEqual(result(toBits(binary64, Math.min(x, y))));
      expect(max(binary64, a, b)).toEqual(result(toBits(binary64, Math.max(x, y))));
    }
    expect(min(binary32, single(0), single(-0))).toEqual(result(single(-0)));
    expect(max(binary32, single(-0), single(0))).toEqual(result(single(0)));
  });

  test("a number wins over a NaN, and a signalling one is still reported", () => {
    for (const pick of [min, max]) {
      expect(pick(binary64, quiet, double(-3))).toEqual(result(double(-3)));
      expect(pick(binary64, double(-3), signalling)).toEqual(result(double(-3), Flag.invalid));
      expect(pick(binary64, quiet, quiet)).toEqual(result(binary64.canonicalNaN));
      expect(pick(binary64, quiet, signalling)).toEqual(result(binary64.canonicalNaN, Flag.invalid));
    }
  });
});

test.each([
  [0, -Infinity],
  [1, -1.5],
  [2, -(2 ** -140)],
  [3, -0],
  [4, 0],
  [5, 2 ** -140],
  [6, 1.5],
  [7, Infinity],
])("class %d holds %p", (bit, value) => {
  expect(classify(binary32, single(value))).toEqual(result(1n << BigInt(bit)));
});

test("classes 8 and 9 hold signalling and quiet NaNs, silently", () => {
  expect(classify(binary64, signalling)).toEqual(result(1n << 8n));
  expect(classify(binary64, quiet | binary64.signBit)).toEqual(result(1n << 9n));
});
