// [[group]]: parts that make up one device, complete or refused, and one node of the tree.
import { describe, expect, test } from "bun:test";
import { printDts } from "../../src/fdt/printer.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import { explainBoard } from "../../src/profile/explain.ts";
import { BASE, load, refused, registry } from "./support.ts";

const part = (name: string, at: string, more = 'group = "audio"\n') =>
  `[[pass]]\nname = "${name}"\nat = ${at}\nsize = "4KiB"\nhost = "shm:${name}"\n${more}`;
const AUDIO = `[[group]]
name = "audio"
members = ["i2s0", "codec"]
${part("codec", "0x0300_0000")}${part("i2s0", "0x0200_0000", 'group = "audio"\nirq = "plic:3"\n')}`;

describe("a group", () => {
  test("is a bus of its own in the tree, with its parts by address", () => {
    const uart = '[[vdev]]\ntype = "test-uart"\nname = "uart0"\nat = 0x0100_0000\n';
    const text = printDts(boardTree(load(`${BASE}${uart}${AUDIO}`).board, registry));
    const names = text.split("soc {")[1]!.match(/[\w-]+(@\w+)? \{/g);
    expect(names).toEqual(["serial@1000000 {", "audio {", "i2s0@2000000 {", "codec@3000000 {", "plic@c000000 {"]);
    expect(text).toContain(
      [
        "		audio {",
        "			#address-cells = <0x02>;",
        "			#size-cells = <0x02>;",
        '			compatible = "simple-bus";',
        "			ranges;",
      ].join("\n"),
    );
  });

  test("of vdevs leads aliases and the console to their place in it", () => {
    const uart = '[[vdev]]\ntype = "test-uart"\nat = 0x0100_0000\ngroup = "io"\n';
    const text = printDts(boardTree(load(`${BASE}[[group]]\nname = "io"\n${uart}`).board, registry));
    expect(text).toContain('serial0 = "/soc/io/serial@1000000";');
    expect(text).toContain('stdout-path = "/soc/io/serial@1000000";');
  });

  test("resolved is a profile of the same board", () => {
    const { board, provenance } = load(`${BASE}${AUDIO}`);
    expect(board.groups).toEqual([{ name: "audio", members: ["codec", "i2s0"], compatible: ["simple-bus"] }]);
    expect(load(explainBoard(board, provenance, registry)).board).toEqual(board);
  });
});

describe("is refused", () => {
  test.each([
    [AUDIO.replace('name = "audio"', 'name = "sound"'), 'there is no [[group]] "audio"'],
    [AUDIO.replace('"codec"]', '"codec", "dma"]'), 'group audio lacks its part "dma"'],
    [AUDIO.replace('["i2s0", ', "["), "group audio does not list pass i2s0"],
    [AUDIO.replace('["i2s0", ', '["plic", "i2s0", '), "vdev plic does not belong to group audio"],
    ['[[group]]\nname = "audio"\n', "nothing belongs to group audio"],
  ])("%#: a part that is missing, unlisted or another's", (text, message) => {
    expect(refused(`${BASE}${text}`)).toContain(message);
  });
});
