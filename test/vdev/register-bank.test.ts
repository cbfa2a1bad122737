import { describe, expect, test } from "bun:test";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { registerBank } from "../../src/vdev/bank.ts";
import type { Json } from "../../src/vdev/host.ts";
import { registerMap } from "../../src/vdev/registers.ts";
import { fakeHost } from "../../src/vdev/testing.ts";

const map = registerMap({
  CONTROL: { at: 0x00, width: 4, reset: 0x1234_5678 },
  STATUS: { at: 0x04, width: 4, access: "w1c", reset: 0xff },
  IDENTITY: { at: 0x08, width: 4, access: "r", reset: 0xcafe_f00d },
  DOORBELL: { at: 0x0c, width: 4, access: "w" },
  COUNTER: { at: 0x10, width: 8, reset: 0x1122_3344_5566_7788n },
  SMALL: { at: 0x18, width: 1, writable: 0x0f, reset: 0xa0 },
  OTHER: { at: 0x19, width: 1 },
  SLOT: { at: 0x1_0000, width: 4, count: 64, stride: 0x100 },
  PAGED: { at: 0x00, width: 4, window: "second", reset: 9 },
});

describe("accesses", () => {
  test("reset values are read at their own width", () => {
    const bank = registerBank(map);
    expect(bank.read(0x00, 4)).toBe(0x1234_5678);
    expect(bank.read(0x08, 4)).toBe(0xcafe_f00d);
    expect(bank.read(0x10, 4)).toBe(0x5566_7788);
    expect(bank.read(0x14, 4)).toBe(0x1122_3344);
    expect(bank.read(0x18, 1)).toBe(0xa0);
  });

  test("narrower reads take bytes, narrower writes keep the others", () => {
    const bank = registerBank(map);
    expect(bank.read(0x01, 1)).toBe(0x56);
    expect(bank.read(0x02, 2)).toBe(0x1234);
    bank.write(0x02, 1, 0xff);
    expect(bank.registers.CONTROL.value).toBe(0x12ff_5678);
    bank.write(0x17, 1, 0x99);
    expect(bank.registers.COUNTER.wide()).toBe(0x9922_3344_5566_7788n);
  });

  test("wider and unaligned ones are made of parts, lowest first", () => {
    const order: string[] = [];
    const bank = registerBank(map).behave({
      SMALL: { write: (value) => order.push(`SMALL ${value}`) },
      OTHER: { write: (value) => order.push(`OTHER ${value}`) },
    });
    bank.write(0x18, 2, 0x2b3c);
    expect(order).toEqual([`SMALL ${0xac}`, `OTHER ${0x2b}`]);
    expect(bank.read(0x18, 4)).toBe(0x2bac);
    expect(bank.read(0x12, 4)).toBe(0x3344_5566);
    expect(bank.read(0x06, 4)).toBe(0xf00d_0000);
  });

  test("access kinds hold", () => {
    const told: number[] = [];
    const bank = registerBank(map).behave({
      STATUS: { write: (value) => told.push(value) },
      DOORBELL: { write: (value) => told.push(value) },
    });
    bank.write(0x04, 4, 0x0f);
    expect(bank.read(0x04, 4)).toBe(0xf0);
    // The bytes that are not written must not clear anything.
    bank.write(0x05, 1, 0xff);
    expect(bank.read(0x04, 4)).toBe(0xf0);
    bank.write(0x08, 4, 0);
    expect(bank.read(0x08, 4)).toBe(0xcafe_f00d);
    bank.write(0x0e, 2, 0x8001);
    expect(bank.read(0x0c, 4)).toBe(0);
    bank.write(0x18, 1, 0xff);
    expect(bank.read(0x18, 1)).toBe(0xaf);
    expect(told).toEqual([0x0f, 0xff00, 0x8001_0000]);
  });

  test("hooks know index and half, and their results are cut to width", () => {
    const seen: number[][] = [];
    const bank = registerBank(map).behave({
      SLOT: { read: (index) => index - 1, write: (value, index) => seen.push([value, index]) },
      COUNTER: { read: (_index, half) => 100 + half, write: (value, _index, half) => seen.push([value, half]) },
      SMALL: { read: () => 0x1234 },
    });
    expect(bank.read(0x1_0000, 4)).toBe(0xffff_ffff);
    expect(bank.read(0x1_3f00, 4)).toBe(62);
    bank.write(0x1_0300, 4, 5);
    bank.write(0x14, 4, 6);
    expect(seen).toEqual([
      [5, 3],
      [6, 1],
    ]);
    expect([bank.read(0x10, 4), bank.read(0x14, 4), bank.read(0x18, 1)]).toEqual([100, 101, 0x34]);
  });
});

test("a window shows other registers at the same place", () => {
  const bank = registerBank(map);
  bank.show("second");
  expect(bank.read(0, 4)).toBe(9);
  expect(bank.read(8, 4)).toBe(0xcafe_f00d);
  bank.write(0, 4, 1);
  bank.show(undefined);
  expect(bank.read(0, 4)).toBe(0x1234_5678);
  expect(bank.registers.PAGED.value).toBe(1);
  expect(() => bank.show("third")).toThrow(VmrunError);
});

test("places without a register read 0, ignore writes, and are reported a bounded number of times", () => {
  const { log, logged } = fakeHost();
  const bank = registerBank(map, { log });
  expect(bank.read(0x20, 4)).toBe(0);
  bank.write(0x20, 1, 1);
  bank.write(0x20, 1, 1);
  bank.write(0x08, 1, 1);
  expect(logged.map(({ message }) => message)).toEqual([
    "read at offset 0x20, where no register is",
    "read at offset 0x21, where no register is",
    "read at offset 0x22, where no register is",
    "read at offset 0x23, where no register is",
    "write at offset 0x20, where no register is",
    "write of IDENTITY at offset 0x8, which is read-only",
  ]);
  for (let offset = 0x2_0000; offset < 0x2_1000; offset++) bank.read(offset, 1);
  expect(logged).toHaveLength(16);
});

test("an instance may have fewer of an array", () => {
  const { log, logged } = fakeHost();
  const bank = registerBank(map, { log, counts: { SLOT: 2 } });
  bank.write(0x1_0100, 4, 7);
  bank.write(0x1_0200, 4, 7);
  expect([bank.read(0x1_0100, 4), bank.read(0x1_0200, 4)]).toEqual([7, 0]);
  expect(logged.length).toBeGreaterThan(0);
  expect(() => registerBank(map, { counts: { SLOT: 65 } })).toThrow("SLOT has 64 registers at most");
});

describe("state", () => {
  test("reset brings back everything, and a snapshot holds only what differs", () => {
    const bank = registerBank(map);
    const fresh = bank.snapshot();
    expect(fresh).toEqual({ window: null, values: {} });
    bank.write(0x1_0500, 4, 0xffff_ffff);
    bank.write(0x14, 4, 1);
    bank.show("second");
    const saved = JSON.parse(JSON.stringify(bank.snapshot()));
    expect(saved).toEqual({ window: "second", values: { COUNTER: [[0, 0x5566_7788, 1]], SLOT: [[5, 0xffff_ffff]] } });
    const copy = registerBank(map);
    copy.write(0x18, 1, 3);
    copy.restore(saved);
    expect(copy.snapshot()).toEqual(saved);
    expect(copy.read(0, 4)).toBe(9);
    bank.reset();
    expect(bank.snapshot()).toEqual(fresh);
  });

  test("a damaged snapshot changes nothing", () => {
    const bank = registerBank(map);
    const damaged: Json[] = [
      { window: "third", values: {} },
      { window: null, values: { NOPE: [[0, 1]] } },
      { window: null, values: { SLOT: [[64, 1]] } },
      { window: null, values: { SLOT: [[0, 1, 2]] } },
      { window: null, values: { SLOT: [[0, -1]] } },
      { window: null, values: { CONTROL: [[0, 1]], COUNTER: [[0, 1]] } },
    ];
    for (const state of damaged) expect(() => bank.restore(state)).toThrow(VmrunError);
    expect(bank.snapshot()).toEqual({ window: null, values: {} });
  });
});
