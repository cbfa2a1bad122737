import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { defineVdev } from "../../src/vdev/descriptor.ts";
import {
  assemble,
  FakeDisk,
  FakeMemory,
  FakeTimebase,
  fakeHost,
  fakePlacement,
  ManualClock,
} from "../../src/vdev/testing.ts";

describe("the manual clock", () => {
  test("fires timers at their deadlines, in order, and once", () => {
    const clock = new ManualClock();
    const fired: [string, number][] = [];
    const late = clock.timer(() => fired.push(["late", clock.now()]));
    const early = clock.timer(() => fired.push(["early", clock.now()]));
    const tied = clock.timer(() => fired.push(["tied", clock.now()]));
    const cancelled = clock.timer(() => fired.push(["cancelled", clock.now()]));
    late.arm(30);
    early.arm(10);
    tied.arm(30);
    cancelled.arm(20);
    cancelled.cancel();
    expect(clock.deadlines).toEqual([10, 30, 30]);
    clock.advance(100);
    expect(fired).toEqual([
      ["early", 10],
      ["late", 30],
      ["tied", 30],
    ]);
    expect([clock.now(), early.deadline]).toEqual([100, undefined]);
  });

  test("a timer in the past fires at the next step; arming again moves it", () => {
    const clock = new ManualClock();
    clock.advance(50);
    let fired = 0;
    const timer = clock.timer(() => fired++);
    timer.arm(500);
    timer.arm(10);
    clock.advance(0);
    expect([fired, clock.now()]).toEqual([1, 50]);
    clock.advance(1000);
    expect(fired).toBe(1);
  });

  test("a timer that never lets time pass is an error, not a hang", () => {
    const clock = new ManualClock();
    const timer = clock.timer(() => timer.arm(clock.now()));
    timer.arm(0);
    expect(() => clock.advance(1)).toThrow("without end");
  });
});

test("the timebase counts, can be set, and knows when", () => {
  const clock = new ManualClock();
  const timebase = new FakeTimebase(clock, 10_000_000);
  clock.advance(1050);
  expect(timebase.ticks()).toBe(10n);
  expect(timebase.when(11n)).toBe(1100);
  timebase.set(1000n);
  expect(timebase.when(1001n)).toBe(1100);
  clock.advance(50);
  expect(timebase.ticks()).toBe(1001n);
  expect(timebase.when(0xffff_ffff_ffff_ffffn)).toBe(Number.POSITIVE_INFINITY);
});

test("lines, harts, streams, log and power requests are recorded", () => {
  const interrupts = [{ name: "irq", controller: "plic", line: 1, trigger: "level" }] as const;
  const host = fakeHost({ placement: { interrupts }, harts: 2 });
  host.interrupt("irq").set(true);
  host.interrupt("irq").set(true);
  host.interrupt("irq").set(false);
  expect(host.line("irq").changes).toEqual([true, false]);
  expect(() => host.interrupt("other")).toThrow('no interrupt "other"');
  host.harts[1]!.setPending(11, true);
  expect([host.harts[0]!.pending, host.harts[1]!.isPending(11)]).toEqual([0, true]);
  const stream = host.stream("stdio");
  let told = 0;
  stream.onInput = () => told++;
  host.fakeStream("stdio").send("é");
  stream.write(0x41);
  expect([told, stream.waiting, stream.read(), stream.read(), stream.read()]).toEqual([1, 2, 0xc3, 0xa9, -1]);
  expect(host.fakeStream("stdio").text).toBe("A");
  host.log.guestError("no");
  host.power({ action: "reboot" });
  expect(host.logged).toEqual([{ level: "guest-error", message: "no" }]);
  expect(host.powerRequests).toEqual([{ action: "reboot" }]);
});

test("memory refuses what is not wholly inside", () => {
  const memory = new FakeMemory(0x8000_0000, 16);
  expect(memory.write(0x8000_0008, new Uint8Array([1, 2]))).toBe(true);
  expect(memory.read(0x8000_0008, 2)).toEqual(new Uint8Array([1, 2]));
  for (const [at, length] of [
    [0x7fff_ffff, 2],
    [0x8000_000f, 2],
    [0, 1],
    [0x8000_0000, -1],
    [Number.NaN, 1],
  ] as const) {
    expect(memory.view(at, length)).toBeUndefined();
  }
});

test("disks know their end, read-only and host errors", () => {
  const disk = new FakeDisk(new Uint8Array(1024));
  expect(disk.write(1020, new Uint8Array([1, 2, 3, 4]))).toBe(true);
  expect(disk.write(1021, new Uint8Array(4))).toBe(false);
  expect(disk.discard(1022, 2)).toBe(true);
  expect([...disk.bytes.subarray(1020)]).toEqual([1, 2, 0, 0]);
  expect(new FakeDisk(new Uint8Array(512), true).write(0, new Uint8Array(1))).toBe(false);
  disk.broken = true;
  expect([disk.read(0, new Uint8Array(1)), disk.flush()]).toEqual([false, false]);
});

test("chance is the same in every run, and depends on seed and source", () => {
  const draw = (seed: number, source: "seeded" | "host") => {
    const into = new Uint8Array(16);
    fakeHost({ seed }).random(into, source);
    return into.join();
  };
  expect(draw(1, "seeded")).toBe(draw(1, "seeded"));
  expect(new Set([draw(1, "seeded"), draw(2, "seeded"), draw(1, "host")]).size).toBe(3);
});

test("assemble builds a vdev as a machine would", () => {
  const sample = defineVdev({
    type: "sample",
    summary: "for this test",
    options: v.object({ size: v.optional(v.number(), 0x2000) }),
    regions: ({ size }, { harts }) => [
      { name: "one", size: 0x100 },
      { name: "two", size: size * harts },
    ],
    interrupts: [{ name: "irq", trigger: "edge" }],
    create(host, { size }) {
      const words = new Uint32Array(4);
      const handler = {
        read: (offset: number) => words[offset >> 2]!,
        write: (offset: number, _width: number, value: number) =>
          void words.fill(value, offset >> 2, (offset >> 2) + 1),
      };
      host.log.debug(`size ${size}`);
      return { regions: [handler, handler], reset() {}, snapshot: () => null, restore() {} };
    },
  });
  expect(fakePlacement(sample, { size: 0x2000 }, 2).regions).toEqual([
    { name: "one", at: 0x1000_0000, size: 0x100 },
    { name: "two", at: 0x1000_4000, size: 0x4000 },
  ]);
  const { host, read, write, read64 } = assemble(sample, {});
  write(0, 8, 0x1_0000_0002n);
  expect([read(0, 4), read(4, 4, 1), read(0, 8)]).toEqual([2, 1, 0x1_0000_0002]);
  expect(read64(0)).toBe(0x1_0000_0002n);
  expect(host.logged[0]!.message).toBe("size 8192");
  expect(() => read(0, 4, 2)).toThrow("no region 2");
});
