import { describe, expect, test } from "bun:test";
import { evaluate, FloatOp } from "../../../../src/isa/riscv/float/dispatch.ts";
import { binary32, binary64, Flag, Rounding } from "../../../../src/isa/riscv/float/format.ts";
import { arityOf, createHarness, helperNames } from "./harness.ts";
import { Random, specials, tuple } from "./operands.ts";

const harness = createHarness();

describe.each(helperNames)("%s", (name) => {
  const op = FloatOp[name];
  const format = op % 2 === 0 ? binary32 : binary64;

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
    const special = specials(format);
    for (const [rm, before, count] of [
      [Rounding.nearestEven, 0, 6000],
      [Rounding.nearestEven, Flag.inexact, 3000],
      [Rounding.nearestEven, Flag.divideByZero | Flag.underflow, 500],
      [Rounding.towardZero, 0, 300],
      [Rounding.nearestMaxMagnitude, Flag.overflow, 300],
    ]) {
      compare(
        Array.from({ length: count }, () => tuple(format, arityOf(name), random, special)),
        rm,
        before,
      );
    }
  });

  test("pairs of special operands", () => {
    const special = specials(format);
    compare(
      special.flatMap((a) => special.map((b, i) => [a, b, special[(i * 7) % special.length]])),
      Rounding.nearestEven,
      0,
    );
  });
});

test("ordinary numbers never leave WebAssembly", () => {
  const random = new Random(10n);
  const before = harness.slowCalls;
  for (const name of helperNames) {
    const format = FloatOp[name] % 2 === 0 ? binary32 : binary64;
    const count = 1000;
    for (let i = 0; i < count; i++) {
      // 1 <= x < 2, all bits random.
      const ordinary = () =>
        (BigInt(format.bias) << BigInt(format.fractionBits)) | (random.bits64() & (format.hiddenBit - 1n));
      harness.records.set([ordinary(), ordinary(), ordinary(), 0n, 0n], i * 5);
    }
    harness.run(name, Rounding.nearestEven, count);
  }
  expect(harness.slowCalls - before).toBe(0);
});
