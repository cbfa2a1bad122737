import { expect, test } from "bun:test";
import type { Block } from "../../../src/engine/translator/region.ts";
import { spreadOf } from "../../../src/engine/translator/spread.ts";
import { below, createRandom } from "../../isa/riscv/random.ts";

const goal = (at: number): Block => ({
  ...{ at, operations: [], next: undefined, taken: undefined, guesses: [], depth: 0, stop: undefined, order: 0 },
});
const goals = (...addresses: number[]) => addresses.map(goal);

test("a few goals are not worth a table", () => {
  expect(spreadOf(goals(0, 100, 200))).toBeUndefined();
});

test("goals at even distances take the shortest table", () => {
  expect(spreadOf(goals(8, 24, 40, 56, 72, 88, 104, 120))).toMatchObject({ shift: 4, slots: { length: 8 } });
});

test("what no bits of the page offset tell apart has no table", () => {
  expect(spreadOf(goals(0, 0x1000, 0x2000, 0x3000))).toBeUndefined();
});

test("each goal is in the slot that its address leads to, on whatever page", () => {
  const random = createRandom(3);
  let found = 0;
  for (let round = 0; round < 500; round++) {
    const addresses = new Set(Array.from({ length: 4 + below(random, 12) }, () => 2 * below(random, 0x1800) - 0x1000));
    const blocks = goals(...addresses);
    const spread = spreadOf(blocks);
    if (spread === undefined) continue;
    found++;
    for (const page of [0, 0x8000_0000, 0x7fff_f000]) {
      for (const block of blocks) {
        expect(spread.slots[((page + block.at) >>> spread.shift) & (spread.slots.length - 1)]).toBe(block);
      }
    }
  }
  expect(found).toBeGreaterThan(300);
});
