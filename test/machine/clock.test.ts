import { describe, expect, test } from "bun:test";
import { MachineClock, MachineTimebase } from "../../src/machine/clock.ts";

function makeClock() {
  const source = { time: 0, now: () => source.time };
  return { source, clock: new MachineClock(source, 5n) };
}

describe("timers", () => {
  test("fire once, by deadline, and among equals in order of arming", () => {
    const { source, clock } = makeClock();
    const fired: string[] = [];
    const make = (name: string) => clock.timer(() => void fired.push(name));
    const [a, b, c] = [make("a"), make("b"), make("c")];
    c.arm(10);
    b.arm(20);
    a.arm(10);
    expect(clock.deadline).toBe(10);
    source.time = 9;
    clock.fireDue();
    expect(fired).toEqual([]);
    source.time = 30;
    clock.fireDue();
    clock.fireDue();
    expect(fired).toEqual(["c", "a", "b"]);
    expect(clock.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test("move when armed again, and do not fire when cancelled", () => {
    const { source, clock } = makeClock();
    let fired = 0;
    const timer = clock.timer(() => fired++);
    timer.arm(10);
    timer.arm(50);
    expect(timer.deadline).toBe(50);
    source.time = 20;
    clock.fireDue();
    timer.cancel();
    timer.cancel();
    source.time = 100;
    clock.fireDue();
    expect(fired).toBe(0);
    expect(timer.deadline).toBeUndefined();
  });

  test("are not armed any more when they call back, and may arm themselves", () => {
    const { source, clock } = makeClock();
    const seen: (number | undefined)[] = [];
    const timer = clock.timer(() => {
      seen.push(timer.deadline);
      timer.arm(0);
    });
    timer.arm(1);
    source.time = 1;
    clock.fireDue();
    // Armed for the past by its own callback: its next turn, not an endless loop.
    expect(seen).toEqual([undefined]);
    expect(clock.deadline).toBe(0);
  });

  test("may cancel each other", () => {
    const { source, clock } = makeClock();
    let fired = 0;
    const victim = clock.timer(() => fired++);
    clock.timer(() => victim.cancel()).arm(1);
    victim.arm(2);
    source.time = 5;
    clock.fireDue();
    expect(fired).toBe(0);
  });

  test("tell the machine when they are armed", () => {
    const { clock } = makeClock();
    const told: number[] = [];
    clock.onArm = (deadline) => void told.push(deadline);
    clock.timer(() => {}).arm(7);
    clock.timer(() => {}).arm(-3);
    expect(told).toEqual([7, 0]);
  });

  test("refuse NaN, for which no run would end", () => {
    const { clock } = makeClock();
    expect(() => clock.timer(() => {}).arm(Number.NaN)).toThrow(RangeError);
    expect(clock.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test("armed for never do not fire", () => {
    const { source, clock } = makeClock();
    let fired = 0;
    clock.timer(() => fired++).arm(Number.POSITIVE_INFINITY);
    source.time = Number.MAX_SAFE_INTEGER;
    clock.fireDue();
    expect(fired).toBe(0);
  });
});

test("the clock counts whole nanoseconds", () => {
  const { source, clock } = makeClock();
  source.time = 12.75;
  expect(clock.now()).toBe(12);
  expect(clock.epoch).toBe(5n);
});

describe("the timebase", () => {
  const make = (frequency: number) => {
    const source = { time: 0, now: () => source.time };
    return { source, timebase: new MachineTimebase(source, frequency) };
  };

  test("ticks at its frequency", () => {
    const { source, timebase } = make(10_000_000);
    source.time = 199;
    expect(timebase.ticks()).toBe(1n);
    source.time = 200;
    expect(timebase.ticks()).toBe(2n);
    expect(timebase.count()).toBe(2);
  });

  test("says when it will show a count: not a nanosecond too early or too late", () => {
    for (const frequency of [10_000_000, 32_768, 3_000_000, 1_000_000_000]) {
      const { source, timebase } = make(frequency);
      for (const ticks of [1, 2, 3, 1000, 123_457]) {
        source.time = timebase.whenCount(ticks);
        expect(timebase.count()).toBe(ticks);
        source.time--;
        expect(timebase.count()).toBe(ticks - 1);
      }
    }
  });

  test("is never too late for what lies beyond every run", () => {
    const { timebase } = make(10_000_000);
    expect(timebase.when(2n ** 64n - 1n)).toBe(Number.POSITIVE_INFINITY);
    expect(timebase.whenCount(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });

  test("is shifted by a guest that writes it, and wraps", () => {
    const { source, timebase } = make(10_000_000);
    source.time = 1000;
    timebase.set(1_000_000n);
    expect(timebase.ticks()).toBe(1_000_000n);
    source.time = 1100;
    expect(timebase.ticks()).toBe(1_000_001n);
    expect(timebase.when(1_000_005n)).toBe(1500);
    timebase.set(2n ** 64n - 1n);
    source.time = 1200;
    expect(timebase.ticks()).toBe(0n);
    timebase.set(0n);
    expect(timebase.count()).toBe(0);
  });
});
