import { expect, test } from "bun:test";
import { strings } from "../../src/fdt/tree.ts";
import { assemble, contribution } from "../../src/vdev/testing.ts";
import { pl031 } from "../../src/vdevs/pl031.ts";

const DR = 0x00;
const MR = 0x04;
const LR = 0x08;
const CR = 0x0c;
const IMSC = 0x10;
const RIS = 0x14;
const MIS = 0x18;
const ICR = 0x1c;

const START = 1_767_225_600;
const SECOND = 1e9;

function build() {
  const { host, vdev, read, write } = assemble(pl031, {}, { epoch: BigInt(START) * 1_000_000_000n });
  vdev.reset();
  return {
    host,
    vdev,
    irq: host.line("irq"),
    get: (offset: number) => read(offset, 4),
    put: (offset: number, value: number) => write(offset, 4, value),
  };
}

test("it runs from power-on, in whole seconds of guest time", () => {
  const { host, get } = build();
  expect([get(DR), get(CR)]).toEqual([START, 1]);
  host.clock.advance(1.5 * SECOND);
  expect(get(DR)).toBe(START + 1);
});

test("the guest sets it, and a reset leaves it as it is", () => {
  const { host, vdev, get, put } = build();
  put(LR, 100);
  host.clock.advance(2 * SECOND);
  vdev.reset();
  expect(get(DR)).toBe(102);
  put(LR, 0xffff_ffff);
  host.clock.advance(SECOND);
  expect(get(DR)).toBe(0);
});

test("the alarm rings in its second, masked or not", () => {
  const { host, irq, get, put } = build();
  put(MR, START + 3);
  host.clock.advance(2.9 * SECOND);
  expect(get(RIS)).toBe(0);
  host.clock.advance(0.1 * SECOND);
  expect([get(RIS), get(MIS), irq.level]).toEqual([1, 0, false]);
  put(IMSC, 1);
  expect([get(MIS), irq.level]).toEqual([1, true]);
  put(ICR, 1);
  expect([get(RIS), irq.level]).toEqual([0, false]);
});

test("an alarm for now rings at once, one for the past does not", () => {
  const { host, get, put } = build();
  put(MR, START);
  expect(get(RIS)).toBe(1);
  put(ICR, 1);
  put(MR, START - 1);
  host.clock.advance(3600 * SECOND);
  expect(get(RIS)).toBe(0);
});

test("the alarm follows a clock that is set", () => {
  const { host, get, put } = build();
  put(MR, START + 100);
  put(LR, START + 98);
  host.clock.advance(2 * SECOND);
  expect(get(RIS)).toBe(1);
});

test("a snapshot keeps an alarm that is to come", () => {
  const { host, vdev, get, put } = build();
  put(MR, START + 5);
  const saved = vdev.snapshot();
  vdev.reset();
  expect(host.clock.deadlines).toEqual([]);
  vdev.restore(saved);
  host.clock.advance(5 * SECOND);
  expect(get(RIS)).toBe(1);
});

test("the device tree has what the binding asks for", () => {
  const [own] = contribution(pl031, {}).bus!;
  expect(strings(own!, "compatible")).toEqual(["arm,pl031", "arm,primecell"]);
  expect(strings(own!, "clock-names")).toEqual(["apb_pclk"]);
});
