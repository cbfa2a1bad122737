// What a machine's native code is made for: a window onto the memory that matters, where it is wanted.
import { expect, test } from "bun:test";
import { canMap } from "../../src/host/mapping.ts";
import type { Mirror } from "../../src/host/mirror.ts";
import { nativeHost } from "../../src/machine/native-host.ts";
import { GuestMemory } from "../../src/memory/guest-memory.ts";

const RAM = 0x8000_0000;

function makeMemory() {
  const blocks = [
    { name: "rom", at: 0x1000, size: 0x2000 },
    { name: "ram", at: RAM, size: 0x10_0000 },
  ];
  return new GuestMemory(blocks, { reserved: 0x1_0000, pool: 0x1_0000 });
}

const works = canMap() && nativeHost(makeMemory()) !== undefined;
if (!works) test.skip("native code's windows (this host has no native code, or cannot map memory)", () => {});

test.if(works)("there is a window onto the largest block, and who opens it is told what is to be released", () => {
  const memory = makeMemory();
  const ram = memory.locate(RAM, 0x10_0000);
  memory.u8.set([1, 2, 3], ram + 0x3000);
  const opened: Mirror[] = [];
  const window = nativeHost(memory, (mirror) => opened.push(mirror))!.openWindow!()!;
  expect([window.start, window.length, opened.length]).toEqual([ram, 0x10_0000, 1]);
  expect(window.show(0x3000, 0)).toBe(true);
  expect([...memory.u8.subarray(ram + 0x3000, ram + 0x3003)]).toEqual([1, 2, 3]);
  opened[0].release();
  expect(window.show(0x4000, 0)).toBe(false);
  expect([...memory.u8.subarray(ram + 0x3000, ram + 0x3003)]).toEqual([1, 2, 3]);
});

test.if(works)("there is none that nobody asks for", () => {
  expect(nativeHost(makeMemory())!.openWindow).toBeUndefined();
});
