// The host handle as a vdev has it: phases, events and work, timers, lazily opened resources.
import { describe, expect, test } from "bun:test";
import { type DiskImage, SHORTEST_PERIOD } from "../../src/vdev/host.ts";
import { type Phase, requirePhase, SERVICE_PHASES } from "../../src/vdev/phases.ts";
import { type FakeHostOptions, fakeHost } from "../../src/vdev/testing.ts";
import { nextTick } from "../../src/vdev/timers.ts";

const PLACEMENT: FakeHostOptions["placement"] = {
  interrupts: [{ name: "irq", controller: "plic", line: 1, trigger: "level" }],
};

describe("phases", () => {
  const phases: readonly Phase[] = ["create", "configured", "running", "terminated"];

  test("every service says which", () => {
    for (const [service, allowed] of Object.entries(SERVICE_PHASES)) {
      for (const phase of phases) {
        const call = () => requirePhase(service as keyof typeof SERVICE_PHASES, phase);
        if ((allowed as readonly Phase[]).includes(phase)) call();
        else expect(call).toThrow("vdev/phase");
      }
    }
  });

  test("lines, timers, harts and DMA wait for the board to be complete", () => {
    const fake = fakeHost({ placement: PLACEMENT });
    const { handle } = fake;
    fake.enter("create");
    const line = handle.interrupt("irq");
    const timer = handle.clock.timer(() => {});
    const uses = [
      () => line.set(true),
      () => line.pulse(),
      () => timer.arm(1),
      () => handle.harts[0]?.setPending(7, true),
      () => handle.memory.read(0x8000_0000, 1),
      () => handle.message(0, 1),
      () => handle.power({ action: "poweroff" }),
    ];
    for (const use of uses) expect(use).toThrow("vdev/phase");
    fake.enter("running");
    for (const use of uses) use();
    expect(fake.line("irq").changes).toEqual([true, false]);
    expect(fake.messages).toEqual([{ address: 0, data: 1 }]);
    expect(() => handle.message(2, 1)).toThrow("is no message");
    expect(() => handle.message(4, -1)).toThrow("is no message");
  });
});

describe("timers", () => {
  test("repeat without drift, and skip what was missed", () => {
    const { clock, handle } = fakeHost();
    const fired: number[] = [];
    const timer = handle.clock.timer(() => void fired.push(clock.now()));
    timer.every(10_000);
    clock.advance(35_000);
    expect(fired).toEqual([10_000, 20_000, 30_000]);
    timer.every(10_000, 36_000);
    clock.advance(21_000);
    expect(fired.slice(3)).toEqual([36_000, 46_000, 56_000]);
    timer.cancel();
    clock.advance(50_000);
    expect([fired.length, timer.deadline]).toEqual([6, undefined]);
    expect([nextTick(100, 10, 99), nextTick(100, 10, 100), nextTick(100, 10, 135)]).toEqual([100, 110, 140]);
  });

  test("repeat no faster than a guest can bear", () => {
    const { clock, handle } = fakeHost();
    let fired = 0;
    handle.clock.timer(() => fired++).every(1);
    clock.advance(SHORTEST_PERIOD * 10);
    expect(fired).toBeLessThanOrEqual(10);
    for (const period of [0, -1, Number.NaN]) {
      expect(() => handle.clock.timer(() => {}).every(period)).toThrow("cannot repeat");
    }
  });

  test("can be armed in any way from their own callback", () => {
    const { clock, handle } = fakeHost();
    const fired: number[] = [];
    const timer = handle.clock.timer(() => {
      fired.push(clock.now());
      if (fired.length === 2) timer.arm(100_000);
      if (fired.length === 3) timer.cancel();
    });
    timer.every(10_000);
    clock.advance(300_000);
    expect(fired).toEqual([10_000, 20_000, 100_000]);
  });
});

describe("what happens on the host", () => {
  test("events arrive in order, when they are delivered", async () => {
    const fake = fakeHost();
    const seen: number[] = [];
    const events = fake.handle.events((event: number) => void seen.push(event));
    events.send(1);
    events.send(2);
    expect(seen).toEqual([]);
    await fake.settle();
    expect(seen).toEqual([1, 2]);
  });

  test("work has an outcome, also when it fails before its first await", async () => {
    const fake = fakeHost();
    const seen: unknown[] = [];
    fake.handle.work(
      async () => 7,
      (outcome) => seen.push(outcome),
    );
    fake.handle.work(
      () => {
        throw new Error("at once");
      },
      (outcome) => seen.push(outcome),
    );
    await fake.settle();
    expect(seen).toHaveLength(2);
    expect(seen).toContainEqual({ ok: true, value: 7 });
    expect(seen).toContainEqual({ ok: false, error: new Error("at once") });
  });

  test("workers compute on a thread of their own", async () => {
    const fake = fakeHost();
    const seen: unknown[] = [];
    const module = new URL("./fixtures/square.ts", import.meta.url);
    fake.handle.worker(module, 12, (outcome) => seen.push(outcome));
    fake.handle.worker(module, -1, (outcome) => seen.push(outcome.ok || outcome.error.message));
    fake.handle.worker(new URL("./fixtures/none.ts", import.meta.url), 0, (outcome) => seen.push(outcome.ok));
    await fake.settle();
    expect(seen).toContainEqual({ ok: true, value: 144 });
    expect(seen).toContain("no squares of negative numbers here");
    expect(seen).toContain(false);
  });

  test("commands are refused unless somebody allowed them", async () => {
    const outcomes: unknown[] = [];
    const refusing = fakeHost();
    refusing.handle.command(["poweroff"], (outcome) => outcomes.push(outcome.ok));
    await refusing.settle();
    const allowing = fakeHost({ command: ([program]) => ({ status: program === "true" ? 0 : 1, output: "" }) });
    allowing.handle.command(["true"], (outcome) => outcomes.push(outcome));
    await allowing.settle();
    expect(outcomes).toEqual([false, { ok: true, value: { status: 0, output: "" } }]);
  });

  test("nothing reaches a vdev that has been terminated", async () => {
    const fake = fakeHost();
    const seen: unknown[] = [];
    fake.handle.events((event) => seen.push(event)).send(1);
    fake.handle.work(
      async () => 1,
      (outcome) => seen.push(outcome),
    );
    fake.enter("terminated");
    await fake.settle();
    expect(seen).toEqual([]);
  });
});

describe("host resources", () => {
  test("delayed: opened at the first use by a running guest", () => {
    const fake = fakeHost({ delayed: true });
    fake.enter("create");
    const disk: DiskImage = fake.handle.disk("a.img", { readOnly: false });
    const stream = fake.handle.stream("stdio");
    let heard = 0;
    stream.onInput = () => heard++;
    stream.write(65);
    expect(stream.waiting).toBe(0);
    fake.enter("running");
    fake.fakeStream("stdio").send("x");
    expect(heard).toBe(0);
    expect(stream.read()).toBe(120);
    fake.fakeStream("stdio").send("y");
    expect(heard).toBe(1);
    expect(disk.size).toBe(0x1_0000);
    expect(fake.fakeStream("stdio").text).toBe("");
  });

  test("a stream that is not there refuses the board at create, and is nothing when it is opened later", () => {
    const absent = ["unix-connect:a.sock"];
    const early = fakeHost({ absent });
    early.enter("create");
    expect(() => early.handle.stream("unix-connect:a.sock")).toThrow("unix-connect:a.sock is not there");
    expect(() => early.handle.stream("serial0")).toThrow("expected a stream");
    const late = fakeHost({ absent, delayed: true });
    late.enter("create");
    const stream = late.handle.stream("unix-connect:a.sock");
    late.enter("running");
    stream.write(65);
    expect([stream.read(), stream.waiting]).toEqual([-1, 0]);
    expect(late.logged).toEqual([{ level: "error", message: "unix-connect:a.sock is not there" }]);
  });

  test("a stream and a disk pass everything through", () => {
    const fake = fakeHost();
    const disk = fake.handle.disk("a.img", { readOnly: false });
    expect(disk.write(512, Uint8Array.of(1, 2))).toBe(true);
    expect([...fake.fakeDisk("a.img").bytes.subarray(512, 514)]).toEqual([1, 2]);
    expect([disk.flush(), disk.discard(512, 2), disk.read(0x1_0000, new Uint8Array(1))]).toEqual([true, true, false]);
    disk.close();
    expect(fake.fakeDisk("a.img").closed).toBe(true);
    const stream = fake.handle.stream("stdio");
    for (const byte of Buffer.from("ok")) stream.write(byte);
    expect(fake.fakeStream("stdio").text).toBe("ok");
  });
});
