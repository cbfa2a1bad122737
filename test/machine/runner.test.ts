// The loop around a machine: limits, idle time skipped or slept, reboots, and when it gives up.
import { describe, expect, test } from "bun:test";
import { Runner, type RunnerOptions } from "../../src/machine/runner.ts";
import { A0, CLINT, POWER, type Rig, rig, UART, x } from "./rig.ts";

const power = (value: number) => `li t0, ${POWER}\n li t1, ${value}\n sw t1, 0(t0)\n end: j end`;
const SLEEP = (ticks: number) => `
  li t0, ${CLINT + 0x4000}
  li t1, ${ticks}
  sd t1, 0(t0)
  li t1, 0x80
  csrw mie, t1
  wfi
  ${power(0x5555)}`;

function runner(made: Rig, options: Partial<RunnerOptions> = {}): Runner {
  return new Runner(made.machine, { listening: () => false, between: () => false, ...options });
}

test("runs until the guest ends, and flushes its output", async () => {
  const made = rig(`li t0, ${UART}\n li t1, 65\n sb t1, 0(t0)\n ${power(0x5555)}`);
  expect(await runner(made).run()).toEqual({ kind: "poweroff" });
  expect(made.seen.output).toBe("A");
});

describe("a reboot", () => {
  const TWICE = `
    li t0, ${CLINT + 0x4000}
    csrr a0, time
    ${power(0x7777)}`;
  test("starts the guest again", async () => {
    const made = rig(TWICE);
    let rounds = 0;
    expect(await runner(made, { between: () => ++rounds > 5 }).run()).toEqual({ kind: "ended" });
    expect(made.machine.reboots).toBe(5);
  });

  test("time and again leaves the limits and the host's events in force", async () => {
    const AT_ONCE = power(0x7777);
    expect(await runner(rig(AT_ONCE), { guestLimit: 1e5 }).run()).toEqual({ kind: "guest-limit" });
    expect(await runner(rig(AT_ONCE), { hostLimit: 20e6 }).run()).toEqual({ kind: "host-limit" });
    let heard = false;
    setTimeout(() => {
      heard = true;
    }, 5);
    expect(await runner(rig(AT_ONCE), { between: () => heard, hostLimit: 10e9 }).run()).toEqual({ kind: "ended" });
  });

  test("may be the end", async () => {
    const made = rig(TWICE);
    expect(await runner(made, { endOnReboot: true }).run()).toEqual({ kind: "reboot" });
    expect(made.machine.reboots).toBe(0);
  });
});

describe("an idle guest", () => {
  test("whose time is skipped where nobody can call", async () => {
    const made = rig(SLEEP(36_000_000_000));
    const begun = Bun.nanoseconds();
    expect(await runner(made).run()).toEqual({ kind: "poweroff" });
    expect(made.machine.clock.now()).toBeGreaterThanOrEqual(3600e9);
    expect(Bun.nanoseconds() - begun).toBeLessThan(5e9);
  });

  const DOZE = `
    li t0, ${CLINT + 0x4000}
    li t1, 0x80
    csrw mie, t1
  again:
    csrr t1, time
    li t2, 10000
    add t1, t1, t2
    sd t1, 0(t0)
    wfi
    j again`;
  test.each(["virtual", "host"])("leaves the host's events their turn, in %s time", async (mode) => {
    const made = rig(DOZE, { set: [`time.mode=${mode}`] });
    let heard = false;
    setTimeout(() => {
      heard = true;
    }, 5);
    expect(await runner(made, { between: () => heard, hostLimit: 10e9 }).run()).toEqual({ kind: "ended" });
  });

  test("that nothing will wake is stuck", async () => {
    expect(await runner(rig("again: wfi\n j again")).run()).toEqual({ kind: "stuck" });
  });

  test("sleeps at the host's pace where somebody may call", async () => {
    const made = rig(SLEEP(300_000));
    const begun = Bun.nanoseconds();
    expect(await runner(made, { listening: () => true }).run()).toEqual({ kind: "poweroff" });
    expect(Bun.nanoseconds() - begun).toBeGreaterThan(25e6);
  });

  test("wakes when input comes", async () => {
    const made = rig(`
      li t0, ${UART}
      li t1, 1
      sb t1, 1(t0)
      li t1, 0x0c000000
      li t2, 1
      sw t2, 40(t1)
      li t3, 0x0c002000
      li t2, 0x400
      sw t2, 0(t3)
      li t2, 0x800
      csrw mie, t2
      wfi
      lbu a0, 0(t0)
      ${power(0x5555)}`);
    const loop = runner(made, { listening: () => true });
    setTimeout(() => {
      made.stdio.push(Uint8Array.of(0x41));
      loop.wake();
    }, 5);
    expect(await loop.run()).toEqual({ kind: "poweroff" });
    expect(x(made, A0)).toBe(0x41n);
  });

  test("is stuck once nobody listens any more", async () => {
    const made = rig("again: wfi\n j again");
    let open = true;
    const loop = runner(made, { listening: () => open });
    setTimeout(() => {
      open = false;
      loop.wake();
    }, 5);
    expect(await loop.run()).toEqual({ kind: "stuck" });
  });
});

describe("limits", () => {
  test("of guest time, busy or idle", async () => {
    const busy = rig("again: j again");
    expect(await runner(busy, { guestLimit: 20e6 }).run()).toEqual({ kind: "guest-limit" });
    expect(busy.machine.clock.now()).toBeLessThan(40e6);
    const idle = rig(SLEEP(36_000_000_000));
    expect(await runner(idle, { guestLimit: 2e9 }).run()).toEqual({ kind: "guest-limit" });
    expect(idle.machine.clock.now()).toBe(2e9);
  });

  test("of host time, busy or idle", async () => {
    const begun = Bun.nanoseconds();
    expect(await runner(rig("again: j again"), { hostLimit: 20e6 }).run()).toEqual({ kind: "host-limit" });
    const idle = runner(rig("again: wfi\n j again"), { hostLimit: 20e6, listening: () => true });
    expect(await idle.run()).toEqual({ kind: "host-limit" });
    expect(Bun.nanoseconds() - begun).toBeLessThan(5e9);
  });

  test("let the host's events have their turn while the guest is busy", async () => {
    const made = rig("again: j again");
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await runner(made, { hostLimit: 100e6 }).run();
    clearInterval(timer);
    expect(turns).toBeGreaterThan(2);
  });
});
