import { describe, expect, test } from "bun:test";
import { evaluate, FloatOp } from "../../../../src/isa/riscv/float/dispatch.ts";
import { Flag, Rounding } from "../../../../src/isa/riscv/float/format.ts";
import { createHarness, formatOf, type HelperName, helperNames, signatureOf } from "./harness.ts";
import { integer, nearInteger, Random, specialIntegers, specials, tuple } from "./operands.ts";

const harness = createHarness();

/** Random tuples of the kind that the operation takes. */
function tuplesFor(name: HelperName, count: number, random: Random): bigint[][] {
  const { from, to, arity } = signatureOf(name);
  const format = formatOf(from);
  if (format === undefined) return Array.from({ length: count }, () => [integer(random), 0n, 0n]);
  const special = specials(format);
  return Array.from({ length: count }, (_, i) =>
    to === "x" && arity === 1 && i % 2 === 0
      ? [nearInteger(format, random), 0n, 0n]
      : tuple(format, arity, random, special),
  );
}

describe.each(helperNames)("%s", (name) => {
  const op = FloatOp[name];
  const { from, arity } = signatureOf(name);

  function compare(tuples: readonly (readonly bigint[])[], rm: number, before: number): void {
    const { records } = harness;
    tuples.forEach(([a, b, c], i) => {
      records.set([a, b, c, 0n, BigInt(before)], i * 5);
    });
    harness.run(name, rm, tuples.length);
    const mismatches = tuples.flatMap(([a, b, c], i) => {
      const exact = evaluate(op, rm, a, b, c);
      const [bits, flags] = records.subarray(i * 5 + 3, i * 5 + 5);
      if (bits === exact.bits && flags === BigInt(before | exact.flags)) return [];
      return [{ rm, before, operands: [a, b, c].map((x) => x.toString(16)), bits, flags, exact }];
    });
    expect(mismatches).toEqual([]);
  }

  test("results and flags are those of the exact implementation", () => {
    const random = new Random(BigInt(op));
    for (const [rm, before, count] of [
      [Rounding.nearestEven, 0, 2000],
      [Rounding.nearestEven, Flag.inexact, 1000],
      [Rounding.nearestEven, Flag.divideByZero | Flag.underflow, 500],
      [Rounding.towardZero, 0, 500],
      [Rounding.towardZero, Flag.inexact, 300],
      [Rounding.down, 0, 500],
      [Rounding.up, Flag.invalid, 500],
      [Rounding.nearestMaxMagnitude, Flag.overflow, 500],
    ]) {
      compare(tuplesFor(name, count, random), rm, before);
    }
  });

  test("special operands, in pairs, in every mode", () => {
    const format = formatOf(from);
    const special = format === undefined ? specialIntegers : specials(format);
    const tuples =
      arity === 1
        ? special.map((a) => [a, 0n, 0n])
        : special.flatMap((a) => special.map((b, i) => [a, b, special[(i * 7) % special.length]]));
    for (const rm of Object.values(Rounding)) compare(tuples, rm, 0);
  });
});

describe("ordinary numbers never leave WebAssembly", () => {
  const slowCalls = (name: HelperName, rm: number, operands: readonly (readonly bigint[])[]): number => {
    const before = harness.slowCalls;
    operands.forEach(([a, b, c], i) => {
      harness.records.set([a, b, c, 0n, 0n], i * 5);
    });
    harness.run(name, rm, operands.length);
    return harness.slowCalls - before;
  };

  test.each(helperNames)("%s, to nearest even", (name) => {
    const random = new Random(10n);
    const format = formatOf(signatureOf(name).from);
    // 1 <= x < 2, all bits random; integers of all bits.
    const ordinary = () =>
      format === undefined
        ? random.bits64()
        : (BigInt(format.bias) << BigInt(format.fractionBits)) | (random.bits64() & (format.hiddenBit - 1n));
    const operands = Array.from({ length: 1000 }, () => [ordinary(), ordinary(), ordinary()]);
    expect(slowCalls(name, Rounding.nearestEven, operands)).toBe(0);
  });

  test.each(helperNames.filter((name) => /^cvt[WL]/.test(name)))("%s, in every mode", (name) => {
    const random = new Random(11n);
    const format = formatOf(signatureOf(name).from);
    if (format === undefined) throw new Error(`${name} takes numbers`);
    // Zero, and 1 <= x < 2^30, all bits random.
    const ordinary = () =>
      (BigInt(format.bias + random.below(30)) << BigInt(format.fractionBits)) |
      (random.bits64() & (format.hiddenBit - 1n));
    const operands = Array.from({ length: 500 }, (_, i) => [i === 0 ? 0n : ordinary(), 0n, 0n]);
    for (const rm of Object.values(Rounding)) expect(slowCalls(name, rm, operands)).toBe(0);
  });

  test.each(helperNames.filter((name) => /^cvt[SD][WL]/.test(name)))("%s of short integers, in every mode", (name) => {
    const operands = Array.from({ length: 500 }, (_, i) => [BigInt(i * 33_000), 0n, 0n]);
    for (const rm of Object.values(Rounding)) expect(slowCalls(name, rm, operands)).toBe(0);
  });

  test.each(helperNames.filter((name) => /^(eq|lt|le|min|max|class|cvtDS)/.test(name)))("%s, NaNs too", (name) => {
    const format = formatOf(signatureOf(name).from);
    if (format === undefined) throw new Error(`${name} takes numbers`);
    const special = specials(format);
    const operands = special.flatMap((a) => special.map((b) => [a, b, 0n]));
    expect(slowCalls(name, Rounding.nearestEven, operands)).toBe(0);
  });
});
