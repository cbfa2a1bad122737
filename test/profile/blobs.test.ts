// [[blob]]: a file's bytes in the guest's memory, which the tree tells it to leave alone.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { printDts } from "../../src/fdt/printer.ts";
import { boot } from "../../src/index.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import { explainBoard } from "../../src/profile/explain.ts";
import { BASE, load, refused, registry } from "./support.ts";

const files = (text: string) => ({ "board.toml": `${BASE}${text}`, "keys.bin": "0123456789abcdef" });
const KEYS = '[[blob]]\nname = "keys"\nat = 0x8080_0000\nfile = "keys.bin"\n';

describe("a blob", () => {
  test("in RAM is reserved memory, and resolved it is the same board", () => {
    const text = files(`${KEYS}size = "4KiB"\ncompatible = "acme,keys"\n`);
    const { board, provenance } = load(text);
    expect(board.blobs).toMatchObject([{ name: "keys", at: 0x8080_0000, size: 4096, kind: "data" }]);
    expect(printDts(boardTree(board, registry))).toContain(
      '		keys@80800000 {\n			compatible = "acme,keys";\n			reg = <0x00 0x80800000 0x00 0x1000>;',
    );
    const again = { ...text, "board.toml": explainBoard(board, provenance, registry) };
    expect(load(again).board).toEqual(board);
  });

  test("is there when the guest starts, and after a reboot", () => {
    const folder = mkdtempSync(join(tmpdir(), "vmrun-blob-"));
    writeFileSync(join(folder, "keys.bin"), "0123456789abcdef");
    writeFileSync(join(folder, "board.toml"), `schema = 1\ninclude = "vmrun:virt-rv64"\n${KEYS}`);
    using guest = boot(join(folder, "board.toml"));
    const bytes = () => Buffer.from(guest.machine.memory.read(0x8080_0000, 16)!).toString();
    expect(bytes()).toBe("0123456789abcdef");
    guest.machine.memory.write(0x8080_0000, new Uint8Array(16));
    guest.machine.reboot();
    expect(bytes()).toBe("0123456789abcdef");
    writeFileSync(join(folder, "keys.bin"), "no tree");
    expect(() => boot(join(folder, "board.toml"), { set: ['blob.keys.kind="fdt"'] })).toThrow("fdt/");
    rmSync(folder, { recursive: true });
  });
});

test.each([
  [KEYS.replace("0x8080_0000", "0x4000_0000"), "is not in the board's memory"],
  [`${KEYS}size = 8\n`, "blob keys has 8 bytes; its file has 16"],
  [KEYS.replace("keys.bin", "kees.bin"), 'did you mean "keys.bin"?'],
  [`${KEYS}${KEYS.replace('"keys"', '"more"')}`, "overlaps blob keys"],
  [`${KEYS.replace("0x8080_0000", "0x8080_0004")}kind = "fdt"\n`, "a multiple of 8"],
])("is refused: %#", (text, message) => {
  expect(refused(files(text))).toContain(message);
});
