import { describe, expect, test } from "bun:test";
import { cells, strings, u32 } from "../../src/fdt/tree.ts";
import { assemble, contribution } from "../../src/vdev/testing.ts";
import { sp805 } from "../../src/vdevs/sp805.ts";

const LOAD = 0x000;
const VALUE = 0x004;
const CONTROL = 0x008;
const INTCLR = 0x00c;
const RIS = 0x010;
const MIS = 0x014;
const LOCK = 0xc00;
const ITCR = 0xf00;
const ITOP = 0xf04;

const UNLOCK = 0x1acc_e551;
const COUNT = 1;
const BITE = 2;
const MS = 1e6;

type Action = "reset" | "terminate" | "interrupt" | "dump";

/** At 1 MHz: a load of 999 is a millisecond. */
function build(action: Action = "reset") {
  const { host, vdev, read, write } = assemble(sp805, { action, frequency: "1MHz" });
  vdev.reset();
  return {
    host,
    vdev,
    irq: host.line("irq"),
    get: (offset: number) => read(offset, 4),
    put: (offset: number, value: number) => write(offset, 4, value),
  };
}

describe("counting", () => {
  test("it stands until it is enabled, and holds its value while it is not", () => {
    const { host, get, put } = build();
    put(LOAD, 999);
    host.clock.advance(MS);
    expect(get(VALUE)).toBe(999);
    put(CONTROL, COUNT);
    host.clock.advance(0.4 * MS);
    expect(get(VALUE)).toBe(599);
    put(CONTROL, 0);
    host.clock.advance(MS);
    expect(get(VALUE)).toBe(599);
    put(CONTROL, COUNT);
    expect(get(VALUE)).toBe(999);
  });

  test("at zero it interrupts and goes round; an answer starts it over", () => {
    const { host, irq, get, put } = build();
    put(LOAD, 999);
    put(CONTROL, COUNT);
    host.clock.advance(1.2 * MS);
    expect([get(RIS), get(MIS), irq.level, get(VALUE)]).toEqual([1, 1, true, 799]);
    put(INTCLR, 0);
    expect([get(RIS), irq.level, get(VALUE)]).toEqual([0, false, 999]);
    host.clock.advance(5.5 * MS);
    expect([irq.level, get(VALUE), host.powerRequests]).toEqual([true, 499, []]);
  });

  test("a counter of one tick does not keep the machine busy", () => {
    const { host, irq, put } = build();
    put(LOAD, 0);
    put(CONTROL, COUNT);
    host.clock.advance(1000 * MS);
    expect([irq.level, host.clock.deadlines]).toEqual([true, []]);
  });
});

describe("the second expiry", () => {
  function starve(action: Action) {
    const made = build(action);
    made.put(LOAD, 999);
    made.put(CONTROL, COUNT | BITE);
    made.host.clock.advance(1.5 * MS);
    expect([made.host.powerRequests, made.host.dumps]).toEqual([[], []]);
    made.host.clock.advance(10 * MS);
    return made;
  }

  test("reset restarts the guest, once", () => {
    const { host, get } = starve("reset");
    expect(host.powerRequests).toEqual([{ action: "reboot" }]);
    expect([get(VALUE), host.clock.deadlines]).toEqual([0, []]);
  });

  test("terminate ends the run", () => {
    expect(starve("terminate").host.powerRequests).toEqual([{ action: "watchdog" }]);
  });

  test("dump writes down the state and lets the guest go on", () => {
    const { host } = starve("dump");
    expect([host.dumps.length, host.powerRequests]).toEqual([1, []]);
  });

  test("interrupt does nothing more", () => {
    const { host, irq } = starve("interrupt");
    expect([host.powerRequests, host.dumps, irq.level]).toEqual([[], [], true]);
  });

  test("does not come while somebody answers", () => {
    const { host, put } = build();
    put(LOAD, 999);
    put(CONTROL, COUNT | BITE);
    for (let i = 0; i < 10; i++) {
      host.clock.advance(1.5 * MS);
      put(INTCLR, 1);
    }
    expect(host.powerRequests).toEqual([]);
  });

  test("comes after the enable, when that is late", () => {
    const { host, put } = build();
    put(LOAD, 999);
    put(CONTROL, COUNT);
    host.clock.advance(7.5 * MS);
    put(CONTROL, COUNT | BITE);
    host.clock.advance(0.4 * MS);
    expect(host.powerRequests).toEqual([]);
    host.clock.advance(0.1 * MS);
    expect(host.powerRequests).toEqual([{ action: "reboot" }]);
  });
});

test("locked, it hears only its key", () => {
  const { host, get, put } = build();
  expect(get(LOCK)).toBe(0);
  put(LOCK, 1);
  put(LOAD, 5);
  put(CONTROL, COUNT);
  expect([get(LOCK), get(LOAD), get(CONTROL)]).toEqual([1, 0xffff_ffff, 0]);
  expect(host.logged.length).toBeGreaterThan(0);
  put(LOCK, UNLOCK);
  put(LOAD, 5);
  expect([get(LOCK), get(LOAD)]).toEqual([0, 5]);
});

test("integration test registers drive the line", () => {
  const { irq, put } = build();
  put(ITCR, 1);
  put(ITOP, 2);
  expect(irq.level).toBe(true);
  put(ITCR, 0);
  expect(irq.level).toBe(false);
});

test("a snapshot goes on counting where it was", () => {
  const { host, vdev, put } = build();
  put(LOAD, 999);
  put(CONTROL, COUNT | BITE);
  host.clock.advance(1.5 * MS);
  const saved = vdev.snapshot();
  vdev.reset();
  vdev.restore(saved);
  host.clock.advance(0.4 * MS);
  expect(host.powerRequests).toEqual([]);
  host.clock.advance(0.1 * MS);
  expect(host.powerRequests).toEqual([{ action: "reboot" }]);
});

test("the device tree names both clocks, the counter's first", () => {
  const { bus, root } = contribution(sp805, { frequency: "32768Hz" });
  expect(strings(bus![0]!, "clock-names")).toEqual(["wdog_clk", "apb_pclk"]);
  expect(root!.map((clock) => u32(clock, "clock-frequency"))).toEqual([32768, 24_000_000]);
  expect(cells(bus![0]!, "clocks")).toEqual(root!.map((clock) => u32(clock, "phandle")!));
});
