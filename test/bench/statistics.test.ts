import { expect, test } from "bun:test";
import { compare, duration, mips } from "../../bench/statistics.ts";
import { median } from "../../src/observe/bench/statistics.ts";

test("the median is the middle, or the mean of the two in the middle", () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("ratios are taken pair by pair, so that a slow moment of both changes nothing", () => {
  const { ratio, low, high, seconds } = compare("work", [2, 40, 3], [1, 20, 1]);
  expect([ratio, low, high]).toEqual([2, 2, 3]);
  expect(seconds).toEqual({ subject: 3, peer: 1 });
});

test("have three digits and a unit", () => {
  expect([123.4, 1.5, 0.0123, 4.56e-6, 7e-9, 5e-11].map(duration)).toEqual([
    "123 s",
    "1.50 s",
    "12.3 ms",
    "4.56 us",
    "7.00 ns",
    "0.05 ns",
  ]);
  expect(mips(2e-9)).toBe("500 MIPS");
});
