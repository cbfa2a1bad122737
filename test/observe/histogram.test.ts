// Distributions in buckets: quantiles are right to an eighth, and adding two is as adding to one.
import { expect, test } from "bun:test";
import { Histogram } from "../../src/observe/histogram.ts";

const of = (values: readonly number[], weight = 1) => {
  const histogram = new Histogram();
  for (const value of values) histogram.add(value, weight);
  return histogram;
};

test("quantiles are right to an eighth, from nothing to hours", () => {
  for (const scale of [1, 10, 1000, 1e6, 1e10]) {
    const values = Array.from({ length: 1000 }, (_, i) => (i + 1) * scale);
    const histogram = of(values);
    for (const share of [0.01, 0.5, 0.9, 0.99]) {
      const exact = share * 1000 * scale;
      expect(Math.abs(histogram.quantile(share) - exact)).toBeLessThanOrEqual(Math.max(1, exact / 8));
    }
    expect([histogram.min, histogram.max, histogram.timed]).toEqual([scale, 1000 * scale, 1000]);
  }
  expect(of([0, 0, 0]).quantile(0.5)).toBe(0);
  expect(of([]).quantile(0.5)).toBeNaN();
  expect(of([1e15]).quantile(0.5)).toBe(1e15);
});

test("a weight is as many values", () => {
  const heavy = of([10], 98).with(of([1000, 5000]));
  expect(heavy.quantile(0.5)).toBe(10);
  expect(heavy.quantile(0.98)).toBe(10);
  expect(heavy.quantile(0.99)).toBeGreaterThan(900);
  expect(heavy.timed).toBe(3);
});

test("adding two is as adding to one", () => {
  const [a, b] = [
    [1, 5, 70, 800, 90_000],
    [3, 40, 41, 42],
  ];
  const sum = of(a).with(of(b));
  const all = of([...a, ...b]);
  for (let share = 0; share <= 1; share += 0.05) expect(sum.quantile(share)).toBe(all.quantile(share));
  expect([sum.min, sum.max, sum.timed]).toEqual([all.min, all.max, all.timed]);
});
