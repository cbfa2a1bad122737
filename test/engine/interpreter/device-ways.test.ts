// What goes by a way is counted and sampled; the rest of what ways do is in test/machine/bus-ways.test.ts.
import { describe, expect, test } from "bun:test";
import type { EnginePort } from "../../../src/engine/engine.ts";
import { DeviceStatus, deviceWays } from "../../../src/engine/interpreter/device-ways.ts";
import { HartField, RESIDENT } from "../../../src/isa/riscv/hart.ts";
import { Rig } from "../rig.ts";

const REGISTER = 0x1000_0000;
const { memory } = new Rig();

function madeWays({ pauses, answer = 7 }: { pauses?: number[]; answer?: number }) {
  const log: string[] = [];
  const told = { read: 0, write: 0 };
  const unknown: number[] = [];
  const port = {
    reader: () => ({
      load: () => {
        log.push("load");
        return answer;
      },
    }),
    writer: () => ({
      store: () => {
        log.push("store");
        return true;
      },
    }),
    ...(pauses && {
      sampler: () => ({
        pause: () => pauses.shift() ?? 1000,
        begin: () => log.push("begin"),
        end: () => log.push("end"),
      }),
    }),
    repeated: ({ store }: { store: boolean }, count: number) => {
      told[store ? "write" : "read"] += count;
    },
  } as unknown as EnginePort;
  const ways = deviceWays(memory, port, 1000);
  const otherwise = (status: number) => {
    unknown.push(status);
    return status;
  };
  const load = ways.loader(otherwise);
  const store = ways.storer(otherwise);
  // What comes once is not worth a way.
  for (let i = 0; i < 2; i++) ways.learnLoad(REGISTER, 0, 1, REGISTER);
  for (let i = 0; i < 2; i++) ways.learnStore(REGISTER, 0, 1, REGISTER);
  return { ways, load: () => load(REGISTER, 0, 1), store: () => store(REGISTER, 0, 1, 1), log, told, unknown };
}

describe("a sampler", () => {
  test("looks after its pauses, and everything is counted once", () => {
    const { ways, load, log, told } = madeWays({ pauses: [2, 99, 0, 3] });
    for (let i = 0; i < 9; i++) expect(load()).toBe(DeviceStatus.done);
    // 2 unseen; one seen, 0 unseen; one seen, 3 unseen; one seen, the rest unseen. 99 is the store's.
    const seen = ["begin", "load", "end"];
    expect(log).toEqual(["load", "load", ...seen, ...seen, "load", "load", "load", ...seen, "load"]);
    ways.settle();
    expect(told).toEqual({ read: 9, write: 0 });
  });

  test("is not disturbed by a settlement", () => {
    const { ways, store, log, told } = madeWays({ pauses: [99, 3] });
    for (let i = 0; i < 5; i++) {
      store();
      ways.settle();
      expect(told.write).toBe(i + 1);
    }
    expect(log).toEqual(["store", "store", "store", "begin", "store", "end", "store"]);
    ways.settle();
    expect(told.write).toBe(5);
  });

  test("sees faults, too", () => {
    const { load, log, unknown } = madeWays({ pauses: [0, 99], answer: -1 });
    expect(load()).toBe(DeviceStatus.fault);
    expect([log, unknown]).toEqual([["begin", "load", "end"], [DeviceStatus.fault]]);
  });
});

test("without a sampler nothing looks, and everything is counted", () => {
  const { ways, load, store, log, told } = madeWays({});
  for (let i = 0; i < 1000; i++) load();
  for (let i = 0; i < 10; i++) store();
  ways.forget();
  expect(told).toEqual({ read: 1000, write: 10 });
  expect(log).toHaveLength(1010);
  expect(load()).toBe(DeviceStatus.unknown);
});

test("a register that is storage is not asked: its bits are read, cleared and written where they lie", () => {
  const words = Uint32Array.of(0, 0xffff_ff87);
  const log: string[] = [];
  const port = {
    reader: () => ({ stored: { words, word: 1, mask: 0xffff_00ff, clears: 0x83 }, load: () => log.push("load") }),
    writer: () => ({ stored: { words, word: 1, mask: 0xf000_000f, clears: 0 }, store: () => log.push("store") > 0 }),
  } as unknown as EnginePort;
  const ways = deviceWays(memory, port, 1000);
  const load = ways.loader((status) => status);
  const store = ways.storer((status) => status);
  for (let i = 0; i < 2; i++) {
    ways.learnLoad(REGISTER, 0, 4, REGISTER);
    ways.learnStore(REGISTER, 0, 4, REGISTER);
  }
  const value = () => memory.data.getBigUint64(RESIDENT + HartField.mail0, true);
  expect([load(REGISTER, 0, 4), value()]).toEqual([DeviceStatus.done, 0xffff_0087n]);
  expect([load(REGISTER, 0, 4), value()]).toEqual([DeviceStatus.done, 0xffff_0004n]);
  expect(store(REGISTER, 0, 4, 0x7fff_fff9 | 0)).toBe(DeviceStatus.done);
  expect([...words]).toEqual([0, 0x7fff_ff09]);
  ways.settle();
  expect([ways.loads, ways.stores, log]).toEqual([2, 1, []]);
});
