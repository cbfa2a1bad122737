// Which region answers an access: several on a page, their ends, gaps, and what is nobody's.
import { describe, expect, test } from "bun:test";
import { Bus, type BusRegion } from "../../src/machine/bus.ts";

type Access = readonly [name: string, offset: number, width: number];

const QUIET = { failed: () => -1, promised: () => {}, took: () => {}, nanoseconds: () => 0 };

function makeBus(spans: readonly (readonly [name: string, at: number, size: number])[]) {
  const seen: Access[] = [];
  const lost: [address: number, width: number, store: boolean][] = [];
  const regions = spans.map(
    ([name, at, size]): BusRegion => ({
      owner: name,
      name: "registers",
      at,
      size,
      handler: {
        read(offset, width) {
          seen.push([name, offset, width]);
          return width === 4 ? 0x1234_5678 : 0x5678;
        },
        write: (offset, width) => void seen.push([name, offset, width]),
      },
    }),
  );
  const bus = new Bus(regions, {
    unclaimed(address, width, store) {
      lost.push([address, width, store]);
      return -1;
    },
    ...QUIET,
  });
  return { bus, seen, lost };
}

test("small regions that share a page answer each for itself", () => {
  const { bus, seen, lost } = makeBus([
    ["c", 0x1200, 0x10],
    ["a", 0x1000, 0x100],
    ["b", 0x1100, 0x8],
  ]);
  // Twice: the second time the table of pages has been used.
  for (let round = 0; round < 2; round++) {
    for (const at of [0x1000, 0x10fc, 0x1100, 0x1104, 0x1108, 0x11fc, 0x1200, 0x120c, 0x1210, 0xffc]) bus.load(at, 4);
  }
  const once: Access[] = [
    ["a", 0, 4],
    ["a", 0xfc, 4],
    ["b", 0, 4],
    ["b", 4, 4],
    ["c", 0, 4],
    ["c", 0xc, 4],
  ];
  expect(seen).toEqual([...once, ...once]);
  expect(lost.slice(0, 4).map(([at]) => at)).toEqual([0x1108, 0x11fc, 0x1210, 0xffc]);
});

test("an access has to lie inside its region as a whole", () => {
  const { bus, seen, lost } = makeBus([
    ["a", 0x1000, 6],
    ["b", 0x1006, 0x10],
  ]);
  expect(bus.load(0x1004, 2)).toBe(0x5678);
  expect(bus.load(0x1004, 4)).toBe(-1);
  expect(bus.store(0x1004, 4, 0)).toBe(false);
  expect(bus.load(0x0ffe, 4)).toBe(-1);
  expect(seen).toEqual([["a", 4, 2]]);
  expect(lost).toEqual([
    [0x1004, 4, false],
    [0x1004, 4, true],
    [0x0ffe, 4, false],
  ]);
});

test("a region that begins or ends in the middle of a page leaves the rest of it alone", () => {
  const { bus, seen } = makeBus([["a", 0x1800, 0x1000]]);
  for (const at of [0x17fc, 0x1800, 0x1ffc, 0x2000, 0x27fc, 0x2800]) bus.load(at, 4);
  expect(seen.map(([, offset]) => offset)).toEqual([0, 0x7fc, 0x800, 0xffc]);
});

test("regions far apart that meet in the table's slots do not mix", () => {
  const slots = 1024 * 4096;
  const spans = Array.from({ length: 40 }, (_, i) => [`r${i}`, i * slots, 0x1000] as const);
  const { bus, seen } = makeBus(spans);
  for (let round = 0; round < 3; round++) for (let i = 0; i < 40; i++) bus.load(i * slots + 8, 4);
  expect(seen.map(([name]) => name)).toEqual(Array.from({ length: 120 }, (_, i) => `r${i % 40}`));
});

test("addresses up to 2^53 are told apart", () => {
  const { bus, seen, lost } = makeBus([["low", 0x1000, 0x1000]]);
  bus.load(0x1000, 4);
  bus.load(2 ** 44 + 0x1000, 4);
  bus.load(2 ** 53 - 4096, 4);
  expect(seen).toHaveLength(1);
  expect(lost).toHaveLength(2);
});

test("with no region at all everything is unclaimed", () => {
  const { bus, lost } = makeBus([]);
  expect(bus.load(0, 1)).toBe(-1);
  expect(lost).toHaveLength(1);
});

describe("values", () => {
  test("that are no unsigned numbers of the width are failures of the vdev", () => {
    const answers: unknown[] = [
      5,
      0xff,
      0x100,
      -1,
      Number.NaN,
      1.5,
      "7",
      7n,
      undefined,
      Promise.reject(new Error("late")),
    ];
    const wrong: string[] = [];
    const handler = { read: () => answers.shift() as number, write: () => {} };
    const bus = new Bus([{ owner: "a", name: "r", at: 0, size: 4, handler }], {
      ...QUIET,
      unclaimed: () => -1,
      failed: (_, error) => wrong.push((error as Error).message) - 100,
    });
    const read = Array.from({ length: 10 }, () => bus.load(0, 1));
    expect(read.slice(0, 2)).toEqual([5, 0xff]);
    expect(read.slice(2).every((value) => value < 0)).toBe(true);
    expect(wrong.slice(0, 3)).toEqual([
      "it answered 256, which is no unsigned number of 8 bits",
      "it answered -1, which is no unsigned number of 8 bits",
      "it answered NaN, which is no unsigned number of 8 bits",
    ]);
    expect(wrong).toHaveLength(8);
  });
});

test("accesses are counted, also those that nobody answers", () => {
  const { bus } = makeBus([["a", 0, 16]]);
  bus.load(0, 4);
  bus.store(0, 4, 1);
  bus.load(0x1000, 4);
  expect(bus.exits).toBe(3);
});

describe("8 bytes", () => {
  function wide(read64: (offset: number) => bigint) {
    const seen: unknown[] = [];
    const handler = {
      read: () => 0,
      write: () => {},
      read64,
      write64: (offset: number, value: bigint) => void seen.push([offset, value]),
    };
    const regions = [
      { owner: "wide", name: "registers", at: 0x1000, size: 0x10, handler },
      { owner: "narrow", name: "registers", at: 0x2000, size: 0x10, handler: { read: () => 0, write: () => {} } },
    ];
    return { bus: new Bus(regions, { ...QUIET, unclaimed: () => -1 }), seen };
  }

  test("are one access to a region that takes them whole, and the port's halves to others", () => {
    const { bus, seen } = wide((offset) => 0xffff_ffff_0000_0000n + BigInt(offset));
    expect(bus.load64(0x1008)).toBe(0xffff_ffff_0000_0008n);
    expect(bus.store64(0x1000, 2n ** 64n - 1n)).toBe(true);
    expect([seen, bus.exits]).toEqual([[[0, 2n ** 64n - 1n]], 2]);
    expect([bus.load64(0x2000), bus.store64(0x2000, 1n), bus.load64(0x100c)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(bus.exits).toBe(2);
  });

  test("fault where the handler throws, and a bus that times its accesses sees them as well", () => {
    const { bus, seen } = wide(() => {
      throw new Error("gone");
    });
    bus.timed = true;
    expect(bus.load64(0x1000)).toBe(-1n);
    expect(bus.store64(0x1000, 7n)).toBe(true);
    expect(seen).toEqual([[0, 7n]]);
  });
});
