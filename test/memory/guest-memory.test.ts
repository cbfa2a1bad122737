import { beforeEach, describe, expect, test } from "bun:test";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { GuestMemory } from "../../src/memory/guest-memory.ts";

const RAM = 0x8000_0000;
const SIZE = 0x3000;
const HIGH = 2 ** 40;
const ROM = 0x1000;
const blocks = [
  { name: "high", at: HIGH, size: 0x1000 },
  { name: "ram", at: RAM, size: SIZE },
  { name: "rom", at: ROM, size: 0x1000, readOnly: true },
];
const memory = new GuestMemory(blocks, { reserved: 100, pool: 1 });
beforeEach(() => {
  memory.onCodeWrite = () => {};
  memory.codePages.fill(0);
  memory.clear();
});

describe("layout", () => {
  test("engine, blocks by address on 64 KiB boundaries, a byte for each page, pool", () => {
    expect(memory.blocks.map(({ name, offset }) => [name, offset])).toEqual([
      ["rom", 0x1_0000],
      ["ram", 0x2_0000],
      ["high", 0x3_0000],
    ]);
    expect(memory.codePagesOffset).toBe(0x4_0000);
    expect(memory.codePages.length).toBe(0x60);
    expect(memory.poolOffset).toBe(0x5_0000);
    expect(memory.u8.length).toBe(0x6_0000);
  });

  test("is refused where it does not fit", () => {
    const make = () => new GuestMemory([{ name: "ram", at: 0, size: 2 ** 32 }], { reserved: 1, pool: 1 });
    expect(make).toThrow(VmrunError);
    expect(make).toThrow("4 GiB");
  });
});

describe("bounds", () => {
  const outside: readonly (readonly [what: string, at: number, length: number])[] = [
    ["before", RAM - 1, 1],
    ["into from before", RAM - 1, 2],
    ["behind", RAM + SIZE, 1],
    ["out of", RAM + SIZE - 1, 2],
    ["all of it and more", RAM, SIZE + 1],
    ["nowhere", 0x4000_0000, 4],
    ["negative", -1, 1],
    ["not a number", Number.NaN, 1],
    ["infinite", Number.POSITIVE_INFINITY, 1],
    ["of negative length", RAM + 8, -4],
    ["of no length that is a number", RAM, Number.NaN],
    ["of endless length", RAM, Number.POSITIVE_INFINITY],
    ["beyond exact numbers", 2 ** 60, 8],
  ];
  test.each(outside)("%s: nothing is read or written", (_, at, length) => {
    expect(memory.view(at, length)).toBeUndefined();
    expect(memory.read(at, length)).toBeUndefined();
    expect(memory.mutable(at, length)).toBeUndefined();
    expect(memory.locate(at, length)).toBe(-1);
  });

  test("a write that does not fit writes nothing", () => {
    expect(memory.write(RAM + SIZE - 2, Uint8Array.of(1, 2, 3))).toBe(false);
    expect(memory.read(RAM + SIZE - 2, 2)).toEqual(new Uint8Array(2));
  });

  test("the first and the last byte are inside", () => {
    expect(memory.write(RAM, Uint8Array.of(1))).toBe(true);
    expect(memory.write(RAM + SIZE - 1, Uint8Array.of(2))).toBe(true);
    expect(memory.write(HIGH + 0xfff, Uint8Array.of(3))).toBe(true);
    const all = memory.read(RAM, SIZE)!;
    expect([all[0], all[SIZE - 1]]).toEqual([1, 2]);
    expect(memory.read(HIGH + 0xfff, 1)).toEqual(Uint8Array.of(3));
  });

  test("no length at all is inside", () => {
    expect(memory.read(RAM + 1, 0)).toEqual(new Uint8Array());
    expect(memory.write(RAM, new Uint8Array())).toBe(true);
  });
});

test("a copy is a copy, a view is not", () => {
  const copy = memory.read(RAM, 4)!;
  const view = memory.view(RAM, 4)!;
  memory.write(RAM, Uint8Array.of(9));
  expect([copy[0], view[0]]).toEqual([0, 9]);
});

test("ROM takes images and refuses writes", () => {
  expect(memory.write(ROM, Uint8Array.of(1))).toBe(false);
  expect(memory.mutable(ROM, 1)).toBeUndefined();
  expect(memory.load(ROM, Uint8Array.of(1))).toBe(true);
  expect(memory.read(ROM, 1)).toEqual(Uint8Array.of(1));
  expect(memory.load(ROM + 0xfff, Uint8Array.of(1, 2))).toBe(false);
});

test("blocks are found by address", () => {
  expect(memory.blockAt(ROM)?.name).toBe("rom");
  expect(memory.blockAt(RAM + SIZE - 1)?.name).toBe("ram");
  expect(memory.blockAt(RAM + SIZE)).toBeUndefined();
  expect(memory.blockAt(HIGH)?.name).toBe("high");
});

describe("whoever holds decoded code", () => {
  const told: number[] = [];
  const pageOf = (at: number) => memory.locate(at, 1) >>> 12;
  beforeEach(() => {
    told.length = 0;
    memory.onCodeWrite = (page) => void told.push(page);
    memory.codePages[pageOf(RAM)] = 1;
    memory.codePages[pageOf(RAM + 0x1000)] = 1;
    memory.codePages[pageOf(RAM + 0x2000)] = 1;
  });

  test("is told of the pages that a write touches, before it happens", () => {
    memory.onCodeWrite = (page) => {
      told.push(page);
      expect(memory.read(RAM + 0xffe, 4)).toEqual(new Uint8Array(4));
    };
    memory.write(RAM + 0xffe, Uint8Array.of(1, 2, 3, 4));
    expect(told).toEqual([pageOf(RAM), pageOf(RAM + 0x1000)]);
  });

  test("is told of loads, windows and clearing, too", () => {
    memory.load(RAM + 0x1000, Uint8Array.of(1));
    memory.mutable(RAM + 0x2fff, 1);
    memory.clear();
    const [a, b, c] = [RAM, RAM + 0x1000, RAM + 0x2000].map(pageOf);
    expect(told).toEqual([b, c, a, b, c]);
  });

  test("is not told of reads, of writes to other pages, and of writes that fail", () => {
    memory.read(RAM, SIZE);
    memory.view(RAM, SIZE);
    memory.write(HIGH, Uint8Array.of(1));
    memory.write(RAM, new Uint8Array(SIZE + 1));
    memory.write(RAM, new Uint8Array());
    expect(told).toEqual([]);
  });
});
