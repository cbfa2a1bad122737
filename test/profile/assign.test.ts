// A vdev that chooses its own place and interrupt, as far as the profile leaves it open.
import { expect, test } from "bun:test";
import * as v from "valibot";
import { loadProfile } from "../../src/profile/load.ts";
import { type Assignment, defineVdev } from "../../src/vdev/descriptor.ts";
import { BASE, memoryFiles, registry } from "./support.ts";

const chooser = defineVdev({
  type: "chooser",
  summary: "Knows where it wants to be",
  options: v.object({ slot: v.optional(v.number(), 2) }),
  regions: [
    { name: "a", size: 0x1000 },
    { name: "b", size: 0x1000, access: { read: "memory" } },
  ],
  interrupts: [{ name: "irq", trigger: "level" }],
  assign({ slot }, { harts }): Assignment {
    if (slot === 9) return { at: -1 };
    return { at: { a: 0x3000_0000 + slot * 0x1000, b: 0x4000_0000 * harts }, irq: "plic:7" };
  },
  create: () => {
    throw new Error("never");
  },
});

function placed(keys: string) {
  const files = memoryFiles({ "board.toml": `${BASE}[[vdev]]\ntype = "chooser"\nname = "c0"\n${keys}` });
  const { board } = loadProfile("board.toml", { registry: registry.with([chooser]), files });
  const { regions, interrupts } = board.vdevs.find(({ placement }) => placement.name === "c0")!.placement;
  return { at: regions.map(({ at }) => at), line: interrupts[0]?.line, access: regions[1]?.access };
}

test("applies where the profile says nothing", () => {
  expect(placed("")).toEqual({
    at: [0x3000_2000, 0x4000_0000],
    line: 7,
    access: { read: "memory", write: "trap", execute: "none" },
  });
  expect(placed("slot = 3").at[0]).toBe(0x3000_3000);
});

test("yields to the profile", () => {
  expect(placed('at = { a = 0x5000_0000 }\nirq = "plic:3"')).toMatchObject({ line: 3 });
  expect(placed("at = { a = 0x5000_0000 }").at[0]).toBe(0x5000_0000);
});

test("an impossible choice is an error of the vdev, located at its table", () => {
  expect(() => placed("slot = 9")).toThrow('the code of type "chooser" failed: assign chose -1 for an address');
});

test("a region with memory behind it lies on a page of its own", () => {
  expect(() => placed("at = { b = 0x5000_0800 }")).toThrow("is not a multiple of 0x1000");
});
