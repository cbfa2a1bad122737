import { describe, expect, test } from "bun:test";
import type { ClockController, ClockRegister } from "../../../src/pass/clocks/description.ts";
import { ClockFilter } from "../../../src/pass/clocks/filter.ts";
import { BusError } from "../../../src/vdev/errors.ts";
import { controller, FakeRegisters, field, register } from "./support.ts";

function rig(registers: readonly ClockRegister[], more: Partial<ClockController> = {}, hostless = false) {
  const host = new FakeRegisters();
  const told: string[] = [];
  const refused: string[] = [];
  const filter = new ClockFilter(controller({ registers, ...more }), hostless ? undefined : host, {
    changed: (message) => told.push(message),
    refused: (message) => refused.push(message),
  });
  return { host, filter, told, refused };
}

describe("bits that pass", () => {
  const { host, filter, refused } = rig([register({ offset: 0x10, pass: 0x0000_ff00 })]);

  test("are the only ones that change, in one read and one write under the lock", () => {
    host.set(0x10, 4, 0x1122_3344);
    filter.write(0x10, 4, 0xaabb_ccdd);
    expect(host.get(0x10, 4)).toBe(0x1122_cc44);
    expect(host.accesses.map(({ store, offset, width }) => [store, offset, width])).toEqual([
      [false, 0x10, 4],
      [true, 0x10, 4],
    ]);
    expect(host.turns).toBe(1);
    expect(refused).toEqual(["a write to r leaves bits 0xbb990099 as they are"]);
  });

  test("keep what others change in between", () => {
    host.set(0x10, 4, 0x1122_cc44);
    expect(filter.read(0x10, 4)).toBe(0x1122_cc44);
    host.set(0x10, 4, 0x5566_cc77);
    filter.write(0x10, 4, 0x1122_dd44);
    expect(host.get(0x10, 4)).toBe(0x5566_dd77);
  });

  test("pass in parts of the register, which the host sees whole", () => {
    host.set(0x10, 4, 0x5566_dd77);
    host.accesses.length = 0;
    filter.write(0x11, 1, 0xee);
    expect(host.stores).toEqual([{ store: true, offset: 0x10, width: 4, value: 0x5566_ee77 }]);
    expect(filter.read(0x12, 2)).toBe(0x5566);
  });

  test("are not reached by a write to the register's other bytes", () => {
    host.accesses.length = 0;
    filter.write(0x10, 1, 0x77);
    expect(host.stores).toEqual([]);
  });
});

test("a register that is the guest's alone is written without being read", () => {
  const { host, filter } = rig([register({ pass: 0xffff_ffff })]);
  filter.write(0, 4, 0x8000_0001);
  expect(host.accesses).toEqual([{ store: true, offset: 0, width: 4, value: 0x8000_0001 }]);
  expect(host.turns).toBe(0);
  filter.write(1, 1, 0xff);
  expect(host.get(0, 4)).toBe(0x8000_ff01);
  expect(host.turns).toBe(1);
});

describe("a field that passes if", () => {
  const divider = field("m", 3, 0, { access: "pass-if", allow: [{ from: 2, to: 5 }] });

  test("its value is allowed", () => {
    const { host, filter, refused } = rig([register({ pass: 0xffff_0000, fields: [divider] })]);
    filter.write(0, 4, 0x0001_0005);
    expect(host.get(0, 4)).toBe(0x0001_0005);
    filter.write(0, 4, 0x0002_0006);
    // The rest of the write goes through.
    expect(host.get(0, 4)).toBe(0x0002_0005);
    expect(refused).toEqual(["a write to r leaves bits 0x3 as they are"]);
    expect(filter.counts).toMatchObject({ writes: 2, forwarded: 2, ignored: 1, denied: 0 });
  });

  test("is a bus error otherwise, where the profile says so, and then nothing changes", () => {
    const { host, filter } = rig([register({ pass: 0xffff_0000, fields: [{ ...divider, refused: "deny" }] })]);
    expect(() => filter.write(0, 4, 0x0001_0006)).toThrow(BusError);
    expect(host.get(0, 4)).toBe(0);
    expect(host.held).toBe(false);
    // What the host put there may stay.
    host.set(0, 4, 9);
    filter.write(0, 4, 0x0001_0009);
    expect(host.get(0, 4)).toBe(0x0001_0009);
  });
});

describe("emulated bits", () => {
  test("are the host's until they are written, and never reach it", () => {
    const { host, filter } = rig([register({ pass: 1, rest: "emulate" })]);
    host.set(0, 4, 0x8000_0000);
    expect(filter.read(0, 4)).toBe(0x8000_0000);
    filter.write(0, 4, 0x7000_0001);
    expect(host.get(0, 4)).toBe(0x8000_0001);
    expect(filter.read(0, 4)).toBe(0x7000_0001);
    filter.reset();
    expect(filter.read(0, 4)).toBe(0x8000_0001);
  });

  test("begin with the profile's value, without asking the host", () => {
    const { host, filter } = rig([register({ rest: "emulate", reset: 0x1234 })]);
    expect(filter.read(0, 4)).toBe(0x1234);
    filter.write(1, 1, 0xff);
    expect(filter.read(0, 4)).toBe(0xff34);
    expect(host.accesses).toEqual([]);
  });

  test("survive a snapshot", () => {
    const registers = [register({ rest: "emulate" })];
    const [one, two] = [rig(registers).filter, rig(registers).filter];
    one.write(0, 2, 0xabcd);
    two.restore(one.snapshot());
    expect(two.read(0, 4)).toBe(0xabcd);
    expect(two.snapshot()).toEqual(one.snapshot());
  });
});

test("denied bits are a bus error where they would change, and no hindrance where not", () => {
  const { host, filter } = rig([register({ pass: 0xff, rest: "deny" })]);
  host.set(0, 4, 0x100);
  filter.write(0, 4, 0x155);
  expect(host.get(0, 4)).toBe(0x155);
  expect(() => filter.write(0, 4, 0x055)).toThrow("changes bits 0x100");
  expect(host.get(0, 4)).toBe(0x155);
});

test("bits that act when written as one are written as zero for others", () => {
  const { host, filter } = rig([register({ pass: 0x0f, strobes: 0xf3 })]);
  // Another's event waits in bit 7, one of the guest's in bit 0.
  host.set(0, 4, 0x81);
  filter.write(0, 4, 0x82);
  expect(host.stores.at(-1)!.value).toBe(0x02);
  // Not even of the guest's own bits, where it wrote another byte.
  host.set(0, 4, 0x01);
  const wide = rig([register({ pass: 0xffff, strobes: 0xff })]);
  wide.host.set(0, 4, 0x01);
  wide.filter.write(1, 1, 0x55);
  expect(wide.host.get(0, 4)).toBe(0x5500);
});

describe("where no register is described", () => {
  const registers = [register({ offset: 8, width: 1, pass: 0xff })];

  test("accesses are bus errors", () => {
    const { filter } = rig(registers);
    expect(() => filter.read(0, 4)).toThrow(BusError);
    expect(() => filter.write(0, 4, 1)).toThrow("no register is described");
    expect(filter.counts.denied).toBe(2);
    // From a register into nothing.
    expect(() => filter.read(8, 2)).toThrow("reaches beyond the register r");
  });

  test("they come to nothing, or read the host, as the profile says", () => {
    const ignoring = rig(registers, { unlisted: "ignore" });
    ignoring.host.set(0, 4, 7);
    expect(ignoring.filter.read(0, 4)).toBe(0);
    const reading = rig(registers, { unlisted: "read" });
    reading.host.set(0, 4, 7);
    reading.host.set(8, 1, 7);
    expect(reading.filter.read(0, 4)).toBe(7);
    reading.filter.write(0, 4, 9);
    expect(reading.host.get(0, 4)).toBe(7);
    expect(reading.refused).toHaveLength(1);
    // Not by way of what lies before a register.
    expect(reading.filter.read(6, 4)).toBe(0);
  });

  test("a block forwards what comes, as it comes", () => {
    const { host, filter } = rig(registers, { blocks: [{ offset: 0x100, size: 6 }] });
    filter.write(0x102, 2, 0xbeef);
    expect(filter.read(0x100, 4)).toBe(0xbeef_0000);
    expect(host.accesses.map(({ offset, width }) => [offset, width])).toEqual([
      [0x102, 2],
      [0x100, 4],
    ]);
    expect(() => filter.read(0x104, 4)).toThrow(BusError);
  });
});

test("hidden registers are not there", () => {
  const { filter } = rig([register({ pass: 0xffff_ffff, hidden: true })]);
  expect(() => filter.read(0, 4)).toThrow(BusError);
});

test("without a host, registers are as at reset, and emulated bits as written", () => {
  const { filter } = rig([register({ reset: 0xff00, fields: [field("e", 3, 0, { access: "emulate" })] })], {}, true);
  filter.write(0, 4, 0xffff);
  expect(filter.read(0, 4)).toBe(0xff0f);
});

test("changes are told where the profile asks for it", () => {
  const { filter, told } = rig([
    register({ name: "a", pass: 0xffff_ffff, log: true }),
    register({ name: "b", offset: 4, fields: [field("m", 7, 4, { access: "pass", log: true }), field("n", 3, 0)] }),
  ]);
  filter.write(0, 4, 5);
  filter.write(0, 4, 5);
  filter.write(4, 4, 0x73);
  expect(told).toEqual(["a: 0x0 becomes 0x5", "b.m: 0x0 becomes 0x7"]);
});
