// What a guest was seen doing becomes a profile that lets it do just that.
import { describe, expect, test } from "bun:test";
import type { ClockOptions } from "../../../src/pass/clocks/options.ts";
import type { PassOptions } from "../../../src/pass/options.ts";
import { type ObservedClock, type ObservedPass, proposal } from "../../../src/pass/plan/propose.ts";
import { Recorder } from "../../../src/pass/plan/recorder.ts";
import { BASE, load } from "../../profile/support.ts";

const ORIGINAL = `${BASE}
[[clock]]
name = "ccu"
at = 0x0200_1000
size = "4KiB"
host = "shm:ccu"
compatible = "acme,ccu"
[[clock.register]]
name = "mmc0"
offset = 0x30
pass = 0xffff_ffff
reset = 0x8000_0001
[[clock.register.field]]
name = "gate"
bits = 31
[[clock.register.field]]
name = "m"
bits = [3, 0]
[[clock.output]]
name = "hosc"
rate = "24MHz"
[[clock.output]]
name = "mmc0"
from = "hosc"
gate = "mmc0.gate"
divide = "mmc0.m"
[[pass]]
name = "emmc"
at = 0x0402_0000
size = "16KiB"
host = "shm:emmc"
clocks = "ccu.mmc0"
`;
const { board } = load(ORIGINAL);
const optionsOf = (name: string) => board.vdevs.find(({ placement }) => placement.name === name)!.options;

/** A region of plain memory with a recorder before it. */
function region(size = 0x4000) {
  const bytes = new DataView(new ArrayBuffer(size));
  const recorder = new Recorder({
    read: (offset, width) =>
      width === 1
        ? bytes.getUint8(offset)
        : width === 2
          ? bytes.getUint16(offset, true)
          : bytes.getUint32(offset, true),
    write(offset, width, value) {
      if (width === 1) bytes.setUint8(offset, value);
      else if (width === 2) bytes.setUint16(offset, value, true);
      else bytes.setUint32(offset, value, true);
    },
  });
  return { recorder, set: (offset: number, value: number) => bytes.setUint32(offset, value, true) };
}

function planned(clock: (recorder: Recorder) => void, pass: (recorder: Recorder) => void = () => {}): string {
  const [ccu, emmc] = [region(), region()];
  ccu.set(0x30, 0x8000_0001);
  clock(ccu.recorder);
  pass(emmc.recorder);
  const clocks: ObservedClock = {
    name: "ccu",
    record: ccu.recorder.record,
    options: optionsOf("ccu") as unknown as ClockOptions,
    gates: new Set(["mmc0.gate"]),
  };
  const passes: ObservedPass = {
    name: "emmc",
    record: emmc.recorder.record,
    options: optionsOf("emmc") as unknown as PassOptions,
  };
  return proposal("original.toml", [clocks], [passes]);
}

/** The board that the proposal comes to. */
const loaded = (text: string) => load({ "board.toml": text, "original.toml": ORIGINAL }).board;
const registersOf = (text: string) =>
  (loaded(text).vdevs.find(({ placement }) => placement.name === "ccu")!.options as ClockOptions).register;

describe("a clock controller", () => {
  test("passes the bits that were changed, by the names that the profile has for them", () => {
    const text = planned((recorder) => {
      recorder.write(0x30, 4, recorder.read(0x30, 4) | 0x4);
      recorder.write(0x30, 4, 0x0000_0005);
    });
    expect(text).toContain("# 1 read, 2 writes of 4 bytes; changed: gate, m\npass = 0x80000004\n");
    expect(registersOf(text)).toMatchObject([{ name: "mmc0", pass: 0x8000_0004, reset: 0x8000_0001 }]);
  });

  test("emulates a gate that nobody moved, so that its device may still have the clock", () => {
    const text = planned((recorder) => recorder.read(0x30, 4));
    expect(registersOf(text)[0]).toMatchObject({
      pass: 0,
      field: [{ name: "gate", access: "emulate" }, { name: "m" }],
    });
    expect(registersOf(planned(() => {}))[0]).toMatchObject({ name: "mmc0", pass: 0 });
  });

  test("gets registers for what the profile did not describe, without overlaps", () => {
    const text = planned((recorder) => {
      recorder.read(0x40, 4);
      recorder.read(0x51, 1);
      recorder.write(0x52, 2, 7);
      recorder.write(0x61, 1, 7);
      recorder.read(0x61, 1);
    });
    const registers = registersOf(text).map(({ name, offset, width, pass }) => ({ name, offset, width, pass }));
    expect(registers.slice(1)).toEqual([
      { name: "r040", offset: 0x40, width: 4, pass: 0 },
      { name: "r050", offset: 0x50, width: 4, pass: 0xffff_0000 },
      { name: "r061", offset: 0x61, width: 1, pass: 0xff },
    ]);
  });

  test("of which nothing is known keeps its hands off", () => {
    expect(planned(() => {})).toContain('unlisted = "deny"\nblock = []');
  });
});

describe("a region", () => {
  const passOf = (text: string) => loaded(text).vdevs.find(({ placement }) => placement.name === "emmc")!;

  test("ends with the last page that was used, and is written where it was", () => {
    const text = planned(
      () => {},
      (recorder) => {
        recorder.read(0, 4);
        recorder.write(0x1004, 2, 1);
        recorder.write(0x1004, 2, 1);
      },
    );
    expect(text).toContain("# page 0x1000: 1 register\n#   0x1004: 2 writes of 2 bytes\n");
    expect(passOf(text).placement.regions[0]!.size).toBe(0x2000);
    expect(passOf(text).options).toMatchObject({ access: "rw" });
  });

  test("is only read where nothing was written", () => {
    const text = planned(
      () => {},
      (recorder) => recorder.read(4, 4),
    );
    expect(passOf(text).options).toMatchObject({ access: "r", size: 0x1000 });
    expect(planned(() => {})).toContain("it can do without (remove = true)");
  });
});

test("what a guest sweeps through does not fill memory", () => {
  const { recorder } = region(0x8000);
  for (let offset = 0; offset < 0x8000; offset += 4) recorder.read(offset, 4);
  expect(recorder.record).toMatchObject({ reads: 8192, beyond: 4096 });
  expect(recorder.record.registers).toHaveLength(4096);
});

test("accesses of 8 bytes stay whole where the device takes them so", () => {
  const seen: string[] = [];
  const recorder = new Recorder({
    read: () => 0,
    write: () => {},
    read64: (offset) => BigInt(seen.push(`read ${offset}`)),
    write64: (offset, value) => void seen.push(`write ${offset} ${value}`),
  });
  expect(recorder.read64!(8)).toBe(1n);
  recorder.write64!(8, 3n);
  expect(seen).toEqual(["read 8", "write 8 3"]);
  expect(recorder.record.registers[0]).toMatchObject({ width: 8, reads: 1, writes: 1, changed: 2 });
  expect(new Recorder({ read: () => 0, write: () => {} }).read64).toBeUndefined();
});
