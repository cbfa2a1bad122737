// Regions of a running guest, as text, for those who ask for an address.
import { afterAll, describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import type { WrittenRegion } from "../../../src/engine/translator/region-text.ts";
import { RegionWatch } from "../../../src/engine/translator/region-watch.ts";
import { boot } from "../../../src/index.ts";
import { disassemble } from "../../../src/isa/riscv/disassemble.ts";

const PROFILE = resolve(import.meta.dir, "../../../profiles/virt-rv64.toml");

const guest = boot(PROFILE, { engine: "forced" });
afterAll(() => guest[Symbol.dispose]());
const regions: WrittenRegion[] = [];
expect(guest.machine.followTranslation((written) => regions.push(written))).toBe(true);
guest.runUntil({ text: "monitor\x1b[0m> ", guestTime: 20 });

const entryOf = ({ page, region }: WrittenRegion): bigint => page + BigInt(region.entry.at);
const shown = (addresses: readonly bigint[], written: readonly WrittenRegion[]): string => {
  const watch = new RegionWatch(addresses);
  for (const region of written) watch.note(region);
  return watch.report();
};

test("the monitor is translated, and each region has a text of its own", () => {
  expect(regions.length).toBeGreaterThan(50);
  for (const written of regions.slice(-20)) {
    const text = shown([entryOf(written)], [written]);
    expect(text).toStartWith(`region at 0x${entryOf(written).toString(16)}, thorough: `);
    expect(text).toContain(") (result i32)\n");
  }
});

test("guest code is what lies in memory, all of the region's", () => {
  const { memory } = guest.machine;
  const instruction = (address: bigint): string => {
    const at = memory.locate(Number(address), 4) >>> 1;
    const low = memory.u16[at];
    const short = (low & 3) !== 3;
    return disassemble(short ? low : low | (memory.u16[at + 1] << 16), address, short ? 2 : 4);
  };
  const longest = regions.toSorted((a, b) => b.region.instructions - a.region.instructions)[0];
  const lines = [...shown([entryOf(longest)], [longest]).matchAll(/^;; (0x\w+) {2}(.*)$/gm)];
  expect(lines).toHaveLength(longest.region.instructions);
  for (const [, address, text] of lines) expect(text).toBe(instruction(BigInt(address)));
});

test("an address in the middle of an instruction is its instruction's, one behind the region nobody's", () => {
  const [first] = regions;
  const operations = first.region.blocks.flatMap((block) => block.operations);
  const { at, length } = operations.toSorted((a, b) => b.at - a.at)[0];
  const last = first.page + BigInt(at);
  expect(shown([last + 1n], [first])).toStartWith("region at ");
  const behind = `0x${(last + BigInt(length)).toString(16)}`;
  expect(shown([last + BigInt(length)], [first])).toBe(
    `nothing was translated at ${behind}: it did not run often enough, or is none that translated code executes\n`,
  );
});

describe("of what is translated again and again", () => {
  const [first] = regions;
  const quick: WrittenRegion = { ...first, place: { ...first.place, level: "quick" } };

  test("the newest is shown", () => {
    const text = shown([entryOf(first)], [quick, first]);
    expect(text.match(/^region at .*/gm)).toEqual([expect.stringContaining(", thorough: ")]);
  });

  test("so much is kept and no more", () => {
    const places = Array.from({ length: 20 }, (_, i) => BigInt(i) * 0x1000_0000n);
    const moved = places.map((page) => ({ ...first, page }));
    const text = shown(moved.map(entryOf), moved);
    expect(text).toStartWith("4 older regions are not shown\n");
    expect(text.match(/^region at /gm)).toHaveLength(16);
  });
});

test("the interpreter has none", () => {
  using interpreted = boot(PROFILE, { engine: "interpreter" });
  expect(interpreted.machine.followTranslation(() => {})).toBe(false);
});
