// Plain memory asks the host's kernel for huge pages, but not at its ends.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { transparentMode } from "../../src/host/huge-pages.ts";
import { madvise } from "../../src/host/linux.ts";
import { addressOf, canMap } from "../../src/host/mapping.ts";
import { Held } from "../../src/machine/boot/contents.ts";
import { layPages } from "../../src/machine/lazy-laid-memory.ts";
import { GuestMemory } from "../../src/memory/guest-memory.ts";
import type { BoardMemory } from "../../src/profile/board.ts";

const MIB = 2 ** 20;
const NO_HUGE_PAGE = 15;
const RAM = 0x8000_0000;
const works = canMap() && transparentMode() !== "never";

/** Whether the kernel was asked for huge pages at an offset of the memory. */
function asked({ memory }: GuestMemory, offset: number): boolean {
  const address = addressOf(memory.buffer, offset);
  let inside = false;
  for (const line of readFileSync("/proc/self/smaps", "utf8").split("\n")) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? [];
    if (from !== undefined) inside = Number.parseInt(from, 16) <= address && address < Number.parseInt(to!, 16);
    else if (inside && line.startsWith("VmFlags:")) return line.includes(" hg");
  }
  throw new Error("it is not mapped");
}

function laid(size: number, { kind = "anonymous", image = 8 * MIB } = {}) {
  const backing = { kind };
  const board = [{ name: "dram", at: RAM, size, kind: "ram", backing }] as unknown as BoardMemory[];
  const memory = new GuestMemory([{ name: "dram", at: RAM, size }], { reserved: 65536, pool: 16 * MIB });
  // JavaScriptCore may have had it for another one.
  const { buffer } = memory.memory;
  expect(madvise(addressOf(buffer), buffer.byteLength, NO_HUGE_PAGE)).toBe(0);
  const loads = [{ name: "kernel", at: RAM, contents: new Held(new Uint8Array(image)) }];
  const pages = layPages(board, memory, () => {}, loads);
  const { offset } = memory.blocks[0]!;
  return {
    ram: (at: number) => asked(memory, offset + at),
    pool: (at: number) => asked(memory, memory.poolOffset + at),
    [Symbol.dispose]: () => pages.release(),
  };
}

if (!works) test.skip("huge pages of plain memory (this host has no transparent ones, or cannot map memory)", () => {});
describe.if(works)("huge pages", () => {
  test("are asked for where a guest with an operating system goes, and an engine with it", () => {
    using memory = laid(16 * MIB);
    expect([0, 2, 8, 13, 15].map((at) => memory.ram(at * MIB))).toEqual([false, true, true, true, false]);
    expect([0, 2, 11, 15].map((at) => memory.pool(at * MIB))).toEqual([false, true, true, false]);
  });

  test("are not asked for where memory is all ends", () => {
    using memory = laid(4 * MIB);
    expect([0, 2, 3].map((at) => memory.ram(at * MIB))).toEqual([false, false, false]);
  });

  test("are not asked for where the image is a small one", () => {
    using memory = laid(16 * MIB, { image: 2 * MIB });
    expect([memory.ram(8 * MIB), memory.pool(8 * MIB)]).toEqual([false, false]);
  });

  test("are not asked for in memory that lies elsewhere", () => {
    using memory = laid(16 * MIB, { kind: "memfd" });
    expect(memory.ram(8 * MIB)).toBe(false);
  });
});
