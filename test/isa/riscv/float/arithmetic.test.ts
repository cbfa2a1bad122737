import { describe, expect, test } from "bun:test";
import { add, div, fma, mul, sqrt, sub } from "../../../../src/isa/riscv/float/arithmetic.ts";
import type { Format, Outcome } from "../../../../src/isa/riscv/float/format.ts";
import { binary32, binary64, Flag, Rounding } from "../../../../src/isa/riscv/float/format.ts";
import { double, single, toBits, toNumber } from "./host.ts";
import { neighbour, operand, Random, specials } from "./operands.ts";

const { nearestEven, towardZero, down, up, nearestMaxMagnitude } = Rounding;
const { inexact, underflow, overflow, divideByZero, invalid } = Flag;
const modes = [nearestEven, towardZero, down, up, nearestMaxMagnitude];

const formats: readonly [string, Format][] = [
  ["binary32", binary32],
  ["binary64", binary64],
];

type Binary = (format: Format, a: bigint, b: bigint, rm: number) => Outcome;
const binaries: readonly [string, Binary, (a: number, b: number) => number][] = [
  ["add", add, (a, b) => a + b],
  ["sub", sub, (a, b) => a - b],
  ["mul", mul, (a, b) => a * b],
  ["div", div, (a, b) => a / b],
];

// Rounding a sum, product, quotient or root of two singles to double first cannot change its single: 53 >= 2 × 24 + 2.
describe.each(formats)("%s to nearest even agrees with the host", (_name, format) => {
  test.each(binaries)("%s", (_operation, ours, hosts) => {
    const random = new Random(1n);
    const special = specials(format);
    for (let i = 0; i < 4000; i++) {
      const a = operand(format, random, special);
      const b = i % 4 === 0 ? neighbour(format, random, a) : operand(format, random, special);
      const expected = toBits(format, hosts(toNumber(format, a), toNumber(format, b)));
      expect([a, b, ours(format, a, b, nearestEven).bits]).toEqual([a, b, expected]);
    }
  });

  test("sqrt", () => {
    const random = new Random(2n);
    for (let i = 0; i < 4000; i++) {
      const a = operand(format, random);
      expect([a, sqrt(format, a, nearestEven).bits]).toEqual([a, toBits(format, Math.sqrt(toNumber(format, a)))]);
    }
  });
});

// One sign-magnitude order for results, so that "between" means something; -0 and +0 count as one.
const ordered = (format: Format, bits: bigint): bigint =>
  (bits & format.signBit) === 0n ? bits : -(bits ^ format.signBit);

type Ternary = (format: Format, a: bigint, b: bigint, c: bigint, rm: number) => Outcome;
const all: readonly [string, Ternary][] = [
  ...binaries.map(([name, ours]): [string, Ternary] => [name, (format, a, b, _c, rm) => ours(format, a, b, rm)]),
  ["sqrt", (format, a, _b, _c, rm) => sqrt(format, a, rm)],
  ["fma", fma],
];

describe.each(formats)("%s laws of rounding", (_name, format) => {
  test.each(all)("%s", (_operation, run) => {
    const random = new Random(3n);
    const special = specials(format);
    for (let i = 0; i < 1500; i++) {
      const [a, b] = [operand(format, random, special), operand(format, random, special)];
      const product = mul(format, a, b, nearestEven).bits;
      const c = i % 3 === 0 ? neighbour(format, random, product) : operand(format, random, special);
      const outcomes = modes.map((rm) => run(format, a, b, c, rm));
      const where = `${a.toString(16)} ${b.toString(16)} ${c.toString(16)}`;
      const [even, zero, low, high, away] = outcomes.map(({ bits }) => ordered(format, bits));

      // Flags that do not tell of rounding are the same in every mode.
      const special0 = outcomes[0].flags & (invalid | divideByZero);
      expect([where, ...outcomes.map(({ flags }) => flags & (invalid | divideByZero))]).toEqual([
        where,
        ...modes.map(() => special0),
      ]);
      if (special0 !== 0 || outcomes[0].bits === format.canonicalNaN) continue;

      // Down and up are the two neighbours of an inexact result and one and the same when it is exact.
      const rounds = outcomes.some(({ flags }) => (flags & inexact) !== 0);
      expect([where, high - low]).toEqual([where, rounds ? 1n : 0n]);
      expect([where, outcomes.every(({ flags }) => ((flags & inexact) !== 0) === rounds)]).toEqual([where, true]);
      expect([where, zero]).toEqual([where, low >= 0n ? low : high]);
      for (const nearest of [even, away]) expect([where, nearest === low || nearest === high]).toEqual([where, true]);
      for (const { flags } of outcomes) {
        if ((flags & (underflow | overflow)) !== 0) expect([where, flags & inexact]).toEqual([where, inexact]);
      }
    }
  });
});

describe("signs of zero", () => {
  test("x - x is -0 only when rounding down", () => {
    for (const rm of modes) {
      const expected = rm === down ? -0 : 0;
      expect(sub(binary64, double(1.5), double(1.5), rm)).toEqual({ bits: double(expected), flags: 0 });
      expect(fma(binary64, double(2), double(3), double(-6), rm)).toEqual({ bits: double(expected), flags: 0 });
      expect(add(binary64, double(0), double(-0), rm).bits).toBe(double(expected));
      expect(add(binary64, double(-0), double(-0), rm).bits).toBe(double(-0));
      expect(add(binary64, double(0), double(0), rm).bits).toBe(double(0));
    }
  });

  test("products and quotients take the sign of their operands", () => {
    expect(mul(binary32, single(-0), single(5), nearestEven).bits).toBe(single(-0));
    expect(div(binary32, single(0), single(-5), nearestEven).bits).toBe(single(-0));
    expect(fma(binary32, single(-0), single(5), single(-0), nearestEven).bits).toBe(single(-0));
    expect(fma(binary32, single(-0), single(5), single(0), nearestEven).bits).toBe(single(0));
  });

  test("the root of -0 is -0", () => {
    expect(sqrt(binary64, double(-0), nearestEven)).toEqual({ bits: double(-0), flags: 0 });
  });
});

describe("NaN and invalid operations", () => {
  const quiet = 0x7ff8_0000_0000_1234n;
  const signalling = 0xfff0_0000_0000_0001n;
  const infinity = double(Infinity);
  const nan = (flags: number) => ({ bits: binary64.canonicalNaN, flags });

  test("a quiet NaN goes through silently as the canonical one", () => {
    expect(add(binary64, quiet, double(1), nearestEven)).toEqual(nan(0));
    expect(sqrt(binary64, quiet | binary64.signBit, nearestEven)).toEqual(nan(0));
    expect(div(binary64, quiet, double(0), nearestEven)).toEqual(nan(0));
  });

  test("a signalling NaN is invalid wherever it stands", () => {
    const one = double(1);
    for (const outcome of [
      add(binary64, one, signalling, down),
      mul(binary64, signalling, quiet, down),
      div(binary64, signalling, double(0), down),
      sqrt(binary64, signalling, down),
      fma(binary64, one, one, signalling, down),
    ]) {
      expect(outcome).toEqual(nan(invalid));
    }
  });

  test("operations without a value are invalid", () => {
    for (const outcome of [
      sub(binary64, infinity, infinity, up),
      mul(binary64, infinity, double(-0), up),
      div(binary64, double(0), double(0), up),
      div(binary64, infinity, infinity, up),
      sqrt(binary64, double(-1), up),
      fma(binary64, infinity, double(1), double(-Infinity), up),
    ]) {
      expect(outcome).toEqual(nan(invalid));
    }
  });

  test("infinity times zero is invalid even when a quiet NaN is added", () => {
    expect(fma(binary64, infinity, double(0), quiet, nearestEven)).toEqual(nan(invalid));
    expect(fma(binary64, infinity, quiet, double(0), nearestEven)).toEqual(nan(0));
  });
});

describe("limits of the range", () => {
  test("division by zero gives a signed infinity", () => {
    expect(div(binary32, single(3), single(-0), towardZero)).toEqual({ bits: single(-Infinity), flags: divideByZero });
    expect(div(binary32, single(Infinity), single(0), towardZero)).toEqual({ bits: single(Infinity), flags: 0 });
  });

  test("overflow gives infinity or the largest number as the mode says", () => {
    for (const [sign, infiniteModes] of [
      [0n, [nearestEven, nearestMaxMagnitude, up]],
      [binary32.signBit, [nearestEven, nearestMaxMagnitude, down]],
    ] as const) {
      for (const rm of modes) {
        const infinite = (infiniteModes as readonly number[]).includes(rm);
        const bits = sign | (infinite ? binary32.infinity : binary32.largestFinite);
        expect(add(binary32, binary32.largestFinite | sign, binary32.largestFinite | sign, rm)).toEqual({
          bits,
          flags: overflow | inexact,
        });
      }
    }
  });

  test("what rounds back to the largest number does not overflow", () => {
    expect(add(binary64, binary64.largestFinite, double(1), nearestEven)).toEqual({
      bits: binary64.largestFinite,
      flags: inexact,
    });
    expect(add(binary64, binary64.largestFinite, double(1), up)).toEqual({
      bits: binary64.infinity,
      flags: overflow | inexact,
    });
  });

  // (1 - 2^-24) × 2^-126 is tiny; with 24 bits and no lower end of exponents it would be itself, so it is tiny after
  // rounding too. (1 - 2^-25) × 2^-126 rounds to 2^-126 with 24 bits: not tiny after rounding, though it was before.
  test("tininess is judged after rounding", () => {
    const smallestNormal = single(2 ** -126);
    const nearlyOne = single(1 - 2 ** -24);
    expect(mul(binary32, nearlyOne, smallestNormal, nearestEven)).toEqual({
      bits: smallestNormal,
      flags: underflow | inexact,
    });
    const run = (rm: number) => fma(binary32, single(-(2 ** -75)), single(2 ** -76), smallestNormal, rm);
    expect(run(nearestEven)).toEqual({ bits: smallestNormal, flags: inexact });
    expect(run(towardZero)).toEqual({
      bits: smallestNormal - 1n,
      flags: underflow | inexact,
    });
  });

  test("an exact subnormal result raises nothing", () => {
    expect(mul(binary64, double(2 ** -1022), double(0.5), nearestEven)).toEqual({ bits: double(2 ** -1023), flags: 0 });
  });
});

describe("ties", () => {
  const half = single(2 ** -24); // Half a unit in the last place of 1.
  const cases: readonly [number, number, number][] = [
    [nearestEven, 1, -1],
    [towardZero, 1, -1],
    [down, 1, -1 - 2 ** -23],
    [up, 1 + 2 ** -23, -1],
    [nearestMaxMagnitude, 1 + 2 ** -23, -1 - 2 ** -23],
  ];
  test.each(cases)("mode %d", (rm, positive, negative) => {
    expect(add(binary32, single(1), half, rm)).toEqual({ bits: single(positive), flags: inexact });
    expect(sub(binary32, single(-1), half, rm)).toEqual({ bits: single(negative), flags: inexact });
  });
});

test("fma rounds once", () => {
  // (1 + 2^-52)² - (1 + 2^-51) is 2^-104 exactly; rounding the product first would leave 0.
  const a = double(1 + 2 ** -52);
  expect(fma(binary64, a, a, double(-(1 + 2 ** -51)), nearestEven)).toEqual({ bits: double(2 ** -104), flags: 0 });
});
