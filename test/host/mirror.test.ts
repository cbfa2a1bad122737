// Pages of a memory that are seen at other places as well: the same bytes, and as they were when it is over.
import { type Pointer, toArrayBuffer } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { canMap } from "../../src/host/mapping.ts";
import { Mirror } from "../../src/host/mirror.ts";

const PAGE = 4096;
const START = 65_536;
const LENGTH = 8 * PAGE;
const SIZE = 4 * PAGE;

if (!canMap()) test.skip("mirrors (this host cannot map memory)", () => {});

describe.if(canMap())("a mirror", () => {
  function open() {
    const { buffer } = new WebAssembly.Memory({ initial: 4, maximum: 4 });
    const memory = new Uint8Array(buffer);
    for (let i = 0; i < memory.length; i++) memory[i] = i * 167 + (i >> 12);
    const mirror = Mirror.open({ buffer, offset: START, length: LENGTH }, SIZE)!;
    const seen = (at: number) => new Uint8Array(toArrayBuffer((mirror.address + at) as Pointer, 0, PAGE));
    return { memory, mirror, seen, page: (n: number) => memory.subarray(START + n * PAGE, START + (n + 1) * PAGE) };
  }

  test("shows pages in another order, and what is stored in either", () => {
    const { mirror, seen, page, memory } = open();
    const before = memory.slice();
    expect([mirror.show(5 * PAGE, 0), mirror.show(2 * PAGE, PAGE), mirror.show(5 * PAGE, 3 * PAGE)]).toEqual([
      true,
      true,
      true,
    ]);
    expect(memory).toEqual(before);
    expect([seen(0), seen(PAGE), seen(3 * PAGE)]).toEqual([page(5), page(2), page(5)]);
    seen(0)[7] = 1;
    page(5)[8] = 2;
    expect([page(5)[7], seen(0)[8], seen(3 * PAGE)[7], seen(3 * PAGE)[8]]).toEqual([1, 2, 1, 2]);
    // Another one in its place.
    expect(mirror.show(6 * PAGE, 0)).toBe(true);
    seen(0)[7] = 3;
    expect([page(6)[7], page(5)[7], seen(3 * PAGE)[7]]).toEqual([3, 1, 1]);
    mirror.release();
  });

  test("leaves the memory with what it had, and shows nothing any more", () => {
    const { mirror, seen, memory, page } = open();
    mirror.show(PAGE, 0);
    mirror.show(4 * PAGE, PAGE);
    seen(PAGE)[0] = 99;
    const before = memory.slice();
    mirror.release();
    mirror.release();
    expect(memory).toEqual(before);
    expect(page(4)[0]).toBe(99);
    expect(mirror.show(0, 0)).toBe(false);
  });

  test("moves no page when somebody has the host's own, and shows those that have moved", () => {
    const { mirror, seen, page } = open();
    mirror.show(PAGE, 0);
    mirror.keep();
    expect([mirror.show(2 * PAGE, PAGE), mirror.show(PAGE, 2 * PAGE)]).toEqual([false, true]);
    expect(seen(2 * PAGE)).toEqual(page(1));
    mirror.release();
  });

  test("has no other memory to show, and no other place to show it", () => {
    const { mirror } = open();
    for (const [page, at] of [
      [-PAGE, 0],
      [LENGTH, 0],
      [0, -PAGE],
      [0, SIZE],
    ]) {
      expect(() => mirror.show(page, at)).toThrow(RangeError);
    }
    mirror.release();
  });

  test("shows so many pages and no more, for a process may have so many mappings", () => {
    const MOST = 8192;
    const MOST_SHARED = 12_288;
    const { buffer } = new WebAssembly.Memory({ initial: 1024, maximum: 1024 });
    const length = (MOST_SHARED + 8) * PAGE;
    const mirror = Mirror.open({ buffer, offset: 0, length }, length)!;
    // Backwards: neighbours are not one mapping then.
    for (let i = 0; i < MOST; i++) if (!mirror.show(i * PAGE, (MOST - i) * PAGE)) throw new Error(`not ${i}`);
    expect(mirror.show(0, 0)).toBe(false);
    expect(mirror.show(0, PAGE)).toBe(true);
    mirror.hide(2 * PAGE, 2 * PAGE);
    expect([mirror.show(0, 0), mirror.show(0, 2 * PAGE), mirror.show(0, 3 * PAGE)]).toEqual([true, true, false]);
    expect(() => mirror.hide(length, PAGE)).toThrow(RangeError);
    for (let i = MOST; i < MOST_SHARED; i++) if (!mirror.show(i * PAGE, 0)) throw new Error(`not ${i}`);
    expect([mirror.show(MOST_SHARED * PAGE, 0), mirror.show((MOST_SHARED - 1) * PAGE, 0)]).toEqual([false, true]);
    mirror.release();
  });
});
