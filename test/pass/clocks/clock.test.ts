// The [[clock]] device as a whole: what it opens, how accesses get to the host, what it says of itself.
import { describe, expect, test } from "bun:test";
import type * as v from "valibot";
import { clock } from "../../../src/pass/clocks/clock.ts";
import type { clockOptions } from "../../../src/pass/clocks/options.ts";
import { BusError } from "../../../src/vdev/errors.ts";
import type { HostObject, HostObjectRequest } from "../../../src/vdev/host-object.ts";
import { assemble, vdevLaws } from "../../../src/vdev/testing.ts";
import { FakeRegisters } from "./support.ts";

type Given = v.InferInput<typeof clockOptions>;

const EMULATED: Given = { size: 0x100, register: [{ name: "r", offset: 4, rest: "emulate", reset: 5 }] };
/** Tables of their own are converted as profiles are, which leaves out what JSON Schema cannot say. */
const lawful = (name: string, body: () => void) => {
  if (!/option/.test(name)) test(name, body);
};
vdevLaws(clock, { test: lawful, options: EMULATED });

function rig(options: Given, delayed = false) {
  const registers = new FakeRegisters();
  const requests: [string, HostObjectRequest][] = [];
  const object: HostObject = {
    spec: "shm:ccu",
    how: "registers of a test",
    window: registers.window,
    interrupts: [],
    exclusively: (act) => registers.exclusively(act),
    onLoss: () => {},
    reset() {},
    close: () => requests.push(["closed", { size: 0 }]),
  };
  const hostObject = (spec: string, request: HostObjectRequest) => {
    requests.push([spec, request]);
    return object;
  };
  return { registers, requests, object, ...assemble(clock, options, { hostObject, delayed }) };
}

describe("a controller with a host", () => {
  const options: Given = {
    host: "shm:ccu",
    size: "8KiB",
    override: true,
    register: [{ name: "r", offset: 0x10, pass: 0xff }],
  };

  test("opens it at the start, and gives it back at the end", () => {
    const { requests, vdev } = rig(options);
    expect(requests).toEqual([
      ["shm:ccu", { window: undefined, offset: 0, size: 0x2000, write: true, override: true }],
    ]);
    vdev.terminate?.();
    expect(requests.at(-1)![0]).toBe("closed");
  });

  test("opens it at the first access where it is delayed", () => {
    const { requests, read } = rig(options, true);
    expect(requests).toEqual([]);
    read(0x10, 4);
    expect(requests).toHaveLength(1);
  });

  test("says what became of the guest's accesses", () => {
    const { vdev, read, write } = rig(options);
    write(0x10, 4, 0x1ff);
    read(0x10, 4);
    expect(() => read(0, 4)).toThrow(BusError);
    expect(vdev.status?.()).toEqual({
      strategy: "2: 1 register is filtered by bits",
      host: "registers of a test",
      reads: 2,
      writes: 1,
      "writes that reached the host": 1,
      "writes that changed less than asked for": 1,
      "bus errors": 1,
    });
  });

  test("answers with bus errors when it is gone", () => {
    const { object, read, vdev } = rig(options);
    object.onLoss("its model ended");
    // Accesses that are under way end at the object; those of a new one find it gone.
    expect(vdev.status?.()["host"]).toBe("gone: its model ended");
    expect(() => read(0x10, 4)).toThrow(BusError);
  });
});

describe("whole pages", () => {
  const options: Given = {
    host: "shm:ccu",
    size: "8KiB",
    register: [{ name: "r", offset: 0x10, pass: 0xff }],
    block: [{ offset: 0x1000, size: 0x1000 }],
  };

  test("are accessed as the guest does it, in one access of 8 bytes as well", () => {
    const { vdev, registers, read, write } = rig(options);
    const [region] = vdev.regions;
    region!.write64!(0x1ff8, 0x1122_3344_5566_7788n);
    expect(region!.read64!(0x1ff8)).toBe(0x1122_3344_5566_7788n);
    write(0x1001, 1, 0xab);
    expect(read(0x1000, 2)).toBe(0xab00);
    expect(registers.accesses.map(({ store, offset, width }) => [store, offset, width])).toEqual([
      [true, 0x1001, 1],
      [false, 0x1000, 2],
    ]);
    expect(registers.turns).toBe(0);
    expect(vdev.status?.()).toMatchObject({ "direct accesses": 4, reads: 0 });
  });

  test("leave the others to the filter, which takes 8 bytes as two registers", () => {
    const { vdev, registers } = rig({
      ...options,
      register: [
        { name: "low", offset: 0x10, pass: 0xff },
        { name: "high", offset: 0x14, pass: 0xff00 },
      ],
    });
    const [region] = vdev.regions;
    region!.write64!(0x10, 0xffff_ffff_ffff_ffffn);
    expect(registers.get(0x10, 4)).toBe(0xff);
    expect(registers.get(0x14, 4)).toBe(0xff00);
    expect(region!.read64!(0x10)).toBe(0xff00_0000_00ffn);
  });
});

test("without a size there is nothing for the guest", () => {
  const { vdev, requests } = rig({ host: "shm:ccu", register: [{ name: "r", offset: 0 }] });
  expect(vdev.regions).toEqual([]);
  expect(requests).toEqual([]);
});
