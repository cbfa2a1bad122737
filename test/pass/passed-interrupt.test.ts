// Masking: after an interrupt the host holds the next one back until the guest is done, however fast it comes.
import { describe, expect, test } from "bun:test";
import { PassedInterrupt } from "../../src/pass/passed-interrupt.ts";
import { FakeLine } from "../../src/vdev/testing.ts";

/** A host's interrupt that obeys its mask, as a UIO device does: what comes meanwhile is counted and told at once. */
function storm() {
  let raised: (count: number) => void = () => {};
  let waiting = 0;
  let masked = false;
  const tell = () => {
    if (masked || waiting === 0) return;
    const count = waiting;
    waiting = 0;
    masked = true;
    raised(count);
  };
  return {
    source: {
      name: "irq",
      connect(listener: (count: number) => void) {
        raised = listener;
      },
      unmask() {
        masked = false;
        tell();
      },
    },
    fire() {
      waiting++;
      tell();
    },
    get masked() {
      return masked;
    },
  };
}

describe("a level", () => {
  test("rises once, and falls with the guest's completion; only then the host interrupts again", () => {
    const host = storm();
    const line = new FakeLine();
    const passed = new PassedInterrupt(host.source, line, { trigger: "level", unmask: "handled" });
    host.fire();
    host.fire();
    expect([line.changes, host.masked]).toEqual([[true], true]);
    line.onComplete!();
    expect(line.changes).toEqual([true, false, true]);
    line.onComplete!();
    expect([line.changes.at(-1), host.masked]).toEqual([false, false]);
    expect(passed.status()).toEqual({ raised: 2, merged: 0, masked: false });
  });

  test("survives a million interrupts that the guest never asked for", () => {
    const host = storm();
    const line = new FakeLine();
    const passed = new PassedInterrupt(host.source, line, { trigger: "level", unmask: "handled" });
    for (let i = 0; i < 1_000_000; i++) host.fire();
    line.onComplete!();
    expect(line.changes).toEqual([true, false, true]);
    expect(passed.status()).toEqual({ raised: 1_000_000, merged: 999_998, masked: true });
  });

  test("a completion of nothing unmasks nothing", () => {
    const host = storm();
    const line = new FakeLine();
    new PassedInterrupt(host.source, line, { trigger: "level", unmask: "handled" });
    line.onComplete!();
    expect(line.changes).toEqual([]);
  });
});

describe("an edge", () => {
  test("is a pulse, and waits for the guest all the same", () => {
    const host = storm();
    const line = new FakeLine();
    new PassedInterrupt(host.source, line, { trigger: "edge", unmask: "handled" });
    host.fire();
    host.fire();
    expect([line.changes, host.masked]).toEqual([[true, false], true]);
    line.onComplete!();
    expect(line.changes).toEqual([true, false, true, false]);
  });

  test("unmasked early does not", () => {
    const host = storm();
    const line = new FakeLine();
    const passed = new PassedInterrupt(host.source, line, { trigger: "edge", unmask: "early" });
    for (let i = 0; i < 3; i++) host.fire();
    expect(line.changes).toEqual([true, false, true, false, true, false]);
    expect(passed.status()).toEqual({ raised: 3, merged: 0, masked: false });
  });
});

test("a power-on forgets what the guest had not handled; an end lets nothing through", () => {
  const host = storm();
  const line = new FakeLine();
  const passed = new PassedInterrupt(host.source, line, { trigger: "level", unmask: "handled" });
  host.fire();
  passed.reset();
  expect([line.level, host.masked]).toEqual([false, false]);
  passed.end();
  host.fire();
  expect([line.level, host.masked, line.onComplete]).toEqual([false, true, undefined]);
});
