import { describe, expect, test } from "bun:test";
import { monotonicAhead, monotonicNanoseconds } from "../../src/host/linux.ts";

describe("the monotonic clock", () => {
  /** Two clocks of one time, which goes on by so much before and after each look at the monotonic one. */
  function clocks(delays: readonly (readonly [number, number])[], ahead: number) {
    let time = 1000;
    let look = 0;
    return {
      own: () => time,
      monotonic: () => {
        const [before, after] = delays[Math.min(look++, delays.length - 1)];
        time += before;
        const seen = time + ahead;
        time += after;
        return seen;
      },
    };
  }

  test("is compared where that took least", () => {
    for (const delays of [
      [
        [2_000_000, 0],
        [50, 50],
        [0, 700],
      ],
      [
        [0, 2_000_000],
        [90_000, 10],
        [30, 30],
        [80_000, 0],
      ],
    ] as const) {
      const { own, monotonic } = clocks(delays, 123_456_789);
      expect(monotonicAhead(own, monotonic)).toBe(123_456_789);
    }
  });

  test("is behind by less than it took to look", () => {
    const { own, monotonic } = clocks([[400, 0]], -5_000_000);
    expect(Math.abs(monotonicAhead(own, monotonic) + 5_000_000)).toBeLessThanOrEqual(200);
  });

  test("is not ahead of itself", () => {
    const before = monotonicNanoseconds();
    const ahead = monotonicAhead(monotonicNanoseconds);
    expect(Math.abs(ahead)).toBeLessThanOrEqual(monotonicNanoseconds() - before);
  });
});
