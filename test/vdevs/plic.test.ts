import { describe, expect, test } from "bun:test";
import { cells, u32 } from "../../src/fdt/tree.ts";
import { HartInterrupt } from "../../src/vdev/host.ts";
import { assemble, contribution } from "../../src/vdev/testing.ts";
import { plic } from "../../src/vdevs/plic.ts";

const { meip, seip } = HartInterrupt;

const priority = (source: number) => 4 * source;
const PENDING = 0x1000;
const enable = (context: number, word = 0) => 0x2000 + 0x80 * context + 4 * word;
const threshold = (context: number) => 0x20_0000 + 0x1000 * context;
const claim = (context: number) => threshold(context) + 4;

/** Context 0 is M of hart 0, context 1 S of hart 0, and so on. */
function build(options = {}, harts = 2) {
  const made = assemble(plic, options, { harts });
  made.vdev.reset();
  return { ...made, input: (line: number, level: boolean) => made.vdev.input!(line, level) };
}

describe("one source", () => {
  test("interrupts the contexts that enable it, is claimed once, and completes", () => {
    const { host, read, write, input } = build();
    write(priority(10), 4, 1);
    write(enable(1), 4, 1 << 10);
    input(10, true);
    expect(host.harts.map(({ pending }) => pending)).toEqual([1 << seip, 0]);
    expect(read(PENDING, 4)).toBe(1 << 10);
    expect(read(claim(1), 4)).toBe(10);
    expect(host.harts[0]!.pending).toBe(0);
    expect([read(PENDING, 4), read(claim(1), 4)]).toEqual([0, 0]);
    input(10, false);
    write(claim(1), 4, 10);
    expect(host.harts[0]!.pending).toBe(0);
  });

  test("is pending again after completion while its wire is high", () => {
    const { host, read, write, input } = build();
    write(priority(1), 4, 7);
    write(enable(0), 4, 2);
    input(1, true);
    expect(read(claim(0), 4)).toBe(1);
    input(1, true);
    expect(host.harts[0]!.isPending(meip)).toBe(false);
    write(claim(0), 4, 1);
    expect(host.harts[0]!.isPending(meip)).toBe(true);
  });

  test("tells whoever drives its wire that it is completed, before it looks at the wire again", () => {
    const { host, read, write, input } = build();
    write(priority(5), 4, 1);
    write(enable(0), 4, 1 << 5);
    input(5, true);
    write(claim(0), 4, 5);
    expect(host.completions).toEqual([]);
    expect(read(claim(0), 4)).toBe(5);
    write(claim(0), 4, 5);
    write(claim(0), 4, 5);
    expect(host.completions).toEqual([5]);
  });

  test("stays pending when its wire falls before the claim", () => {
    const { read, write, input } = build();
    write(priority(1), 4, 1);
    write(enable(0), 4, 2);
    input(1, true);
    input(1, false);
    expect(read(claim(0), 4)).toBe(1);
    write(claim(0), 4, 1);
    expect(read(claim(0), 4)).toBe(0);
  });

  test("a completion by a context that does not enable it is ignored", () => {
    const { host, read, write, input } = build();
    write(priority(1), 4, 1);
    write(enable(0), 4, 2);
    input(1, true);
    read(claim(0), 4);
    write(claim(1), 4, 1);
    expect(host.harts[0]!.isPending(meip)).toBe(false);
    write(claim(0), 4, 2000);
    write(claim(0), 4, 1);
    expect(host.harts[0]!.isPending(meip)).toBe(true);
  });
});

describe("several sources", () => {
  test("the highest priority is claimed first, of equals the lowest number, across words", () => {
    const { read, write, input } = build();
    for (const [source, level] of [
      [3, 2],
      [31, 5],
      [32, 5],
      [63, 7],
      [95, 1],
    ] as const) {
      write(priority(source), 4, level);
      input(source, true);
    }
    for (let word = 0; word < 3; word++) write(enable(0, word), 4, 0xffff_ffff);
    const order = Array.from({ length: 6 }, () => read(claim(0), 4));
    expect(order).toEqual([63, 31, 32, 3, 95, 0]);
  });

  test("priority 0 never interrupts, and the threshold masks but does not stop a claim", () => {
    const { host, read, write, input } = build();
    write(enable(0), 4, 0xffff_ffff);
    input(5, true);
    expect([host.harts[0]!.pending, read(claim(0), 4)]).toEqual([0, 0]);
    write(threshold(0), 4, 3);
    write(priority(5), 4, 3);
    expect(host.harts[0]!.pending).toBe(0);
    write(priority(5), 4, 4);
    expect(host.harts[0]!.isPending(meip)).toBe(true);
    write(threshold(0), 4, 7);
    expect(host.harts[0]!.pending).toBe(0);
    expect(read(claim(0), 4)).toBe(5);
  });

  test("a claim by one context takes the source from the others", () => {
    const { host, read, write, input } = build();
    write(priority(9), 4, 1);
    write(enable(1), 4, 1 << 9);
    write(enable(3), 4, 1 << 9);
    input(9, true);
    expect(host.harts.map((hart) => hart.isPending(seip))).toEqual([true, true]);
    expect(read(claim(3), 4)).toBe(9);
    expect(host.harts.map((hart) => hart.isPending(seip))).toEqual([false, false]);
    expect(read(claim(1), 4)).toBe(0);
  });
});

test("registers keep only the bits of sources that exist", () => {
  const { read, write } = build({ sources: 40 });
  write(priority(1), 4, 0xffff_ffff);
  write(enable(0), 4, 0xffff_ffff);
  write(enable(0, 1), 4, 0xffff_ffff);
  write(enable(0, 2), 4, 0xffff_ffff);
  write(priority(41), 4, 7);
  expect([read(priority(1), 4), read(enable(0), 4), read(enable(0, 1), 4), read(enable(0, 2), 4)]).toEqual([
    7, 0xffff_fffe, 0x1ff, 0,
  ]);
  expect(read(priority(41), 4)).toBe(0);
  expect(read(0, 4)).toBe(0);
});

test("lines out of range are ignored", () => {
  const { vdev, input } = build();
  const before = vdev.snapshot();
  for (const line of [-1, 0, 96, 1e9]) input(line, true);
  expect(vdev.snapshot()).toEqual(before);
});

test("agrees with a plain model over random sequences", () => {
  let state = 99;
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const { host, read, write, input } = build({ sources: 70 });
  const sources = Array.from({ length: 71 }, () => ({ priority: 0, level: false, pending: false, claimed: false }));
  const contexts = Array.from({ length: 4 }, () => ({ threshold: 0, enabled: new Set<number>() }));
  const best = (c: number, floor: number) => {
    let found = 0;
    for (let s = 1; s <= 70; s++) {
      if (!sources[s]!.pending || !contexts[c]!.enabled.has(s)) continue;
      if (sources[s]!.priority > Math.max(floor, found ? sources[found]!.priority : 0)) found = s;
    }
    return found;
  };
  for (let step = 0; step < 5000; step++) {
    const s = 1 + next(70);
    const c = next(4);
    const source = sources[s]!;
    switch (next(6)) {
      case 0:
        source.priority = next(8);
        write(priority(s), 4, source.priority);
        break;
      case 1:
        contexts[c]!.threshold = next(4);
        write(threshold(c), 4, contexts[c]!.threshold);
        break;
      case 2: {
        const word = s >> 5;
        const bits = (next(2 ** 32) | next(2 ** 32)) >>> 0;
        write(enable(c, word), 4, bits);
        for (let bit = 0; bit < 32; bit++) {
          const id = word * 32 + bit;
          if (bits & (1 << bit) && id > 0 && id <= 70) contexts[c]!.enabled.add(id);
          else contexts[c]!.enabled.delete(id);
        }
        break;
      }
      case 3:
        source.level = next(2) === 0;
        input(s, source.level);
        if (source.level && !source.claimed) source.pending = true;
        break;
      case 4: {
        const expected = best(c, 0);
        expect(read(claim(c), 4)).toBe(expected);
        if (expected) Object.assign(sources[expected]!, { pending: false, claimed: true });
        break;
      }
      default: {
        const done = sources.findIndex(({ claimed }) => claimed);
        if (done < 0) break;
        write(claim(c), 4, done);
        if (!contexts[c]!.enabled.has(done)) break;
        sources[done]!.claimed = false;
        if (sources[done]!.level) sources[done]!.pending = true;
      }
    }
    for (let context = 0; context < 4; context++) {
      const level = best(context, contexts[context]!.threshold) !== 0;
      expect(host.harts[context >> 1]!.isPending(context & 1 ? seip : meip)).toBe(level);
    }
  }
});

describe("contexts and device tree", () => {
  test("QEMU virt's layout by default", () => {
    const [own] = contribution(plic, {}, 2).bus!;
    expect(cells(own!, "interrupts-extended")).toEqual([1, 11, 1, 9, 2, 11, 2, 9]);
    expect(u32(own!, "riscv,ndev")).toBe(95);
    expect(cells(own!, "reg")!.slice(2)).toEqual([0, 0x60_0000]);
    expect(plic.controller!({ sources: 95, contexts: "ms" })).toEqual({ first: 1, last: 95 });
  });

  test("a hart without S-mode has one context", () => {
    const contexts: ("m" | "ms")[] = ["m"];
    const [own] = contribution(plic, { contexts }, 2).bus!;
    expect(cells(own!, "interrupts-extended")).toEqual([1, 11, 2, 11, 2, 9]);
    const { host, write, input } = build({ contexts });
    write(priority(1), 4, 1);
    write(enable(1), 4, 2);
    input(1, true);
    expect(host.harts.map(({ pending }) => pending)).toEqual([0, 1 << meip]);
  });
});
