import { describe, expect, test } from "bun:test";
import { BASE, load } from "./support.ts";

const vdev = (type: string, rest = "") => `[[vdev]]\ntype = "${type}"\n${rest}`;
const placements = (text: string) => load(text).board.vdevs.map(({ placement }) => placement);

describe("automatic placement", () => {
  test("takes free pages and lines in order, around what is explicit and reserved", () => {
    const uart = vdev("test-uart");
    const [, a, b, c, d] = placements(
      `${BASE}${uart}${uart}${vdev("test-uart", 'at = 0x1000_0000\nirq = "plic:2"\n')}${uart}
[[reserve]]
at = 0x1000_2000
size = "4KiB"
`,
    );
    expect([a, b, c, d].map((p) => p!.regions[0]!.at)).toEqual([0x1000_1000, 0x1000_3000, 0x1000_0000, 0x1000_4000]);
    expect([a, b, c, d].map((p) => p!.interrupts[0]!.line)).toEqual([1, 3, 2, 4]);
  });

  test("explicit addresses may lie in reserved space", () => {
    const text = `${BASE}${vdev("test-uart", "at = 0x1000_0000\n")}[[reserve]]\nat = 0x1000_0000\nsize = "1MiB"\n`;
    expect(placements(text)[1]!.regions[0]!.at).toBe(0x1000_0000);
  });

  test("memory without an address follows the other memory", () => {
    const { board } = load(`${BASE}[[memory]]\nsize = "1MiB"\n[[memory]]\nkind = "rom"\nsize = "4KiB"\nat = 0x1000\n`);
    expect(board.memory).toMatchObject([
      { name: "rom0", kind: "rom", at: 0x1000 },
      { name: "dram", at: 0x8000_0000 },
      { name: "ram0", at: 0x8100_0000 },
    ]);
  });

  test("the same text gives the same board", () => {
    const text = BASE + vdev("test-uart").repeat(5) + vdev("test-dma");
    expect(load(text).board).toEqual(load(text).board);
  });

  test("phandles do not move when harts or vdevs are added", () => {
    const before = placements(BASE + vdev("test-uart")).map(({ phandle }) => phandle);
    const after = placements(`${BASE}${vdev("test-uart")}${vdev("test-dma")}[cpu]\nharts = 16\n`);
    expect(after.slice(0, 2).map(({ phandle }) => phandle)).toEqual(before);
    const harts = load(BASE, ["cpu.harts=16"]).board.cpu.intcPhandles;
    expect(new Set([...harts, ...after.map(({ phandle }) => phandle)]).size).toBe(16 + after.length);
  });
});

describe("several regions and interrupts", () => {
  test("by name", () => {
    const text = vdev("test-dma", 'at = { data = 0x2000_0000 }\nirq = { error = "plic:7" }\n');
    expect(placements(BASE + text)[1]).toMatchObject({
      regions: [
        { name: "control", at: 0x1000_0000 },
        { name: "data", at: 0x2000_0000 },
      ],
      interrupts: [
        { name: "done", line: 1, trigger: "level" },
        { name: "error", line: 7, trigger: "edge" },
      ],
    });
  });

  test("an address alone is the first region's; a list of interrupts is in order", () => {
    const text = vdev("test-dma", 'at = 0x2000_0000\nirq = ["plic", "plic:1"]\n');
    expect(placements(BASE + text)[1]).toMatchObject({
      regions: [{ at: 0x2000_0000 }, { at: 0x1000_0000 }],
      interrupts: [{ line: 2 }, { line: 1 }],
    });
  });

  test('"none" leaves an interrupt unwired', () => {
    const text = vdev("test-dma", 'irq = ["none", "plic:5"]\n');
    expect(placements(BASE + text)[1]!.interrupts).toEqual([
      { name: "error", controller: "plic", line: 5, trigger: "edge" },
    ]);
  });
});
