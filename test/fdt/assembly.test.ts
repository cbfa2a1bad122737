// Source for an assembler: its bytes are the blob's, its symbols stand where the source's labels do.
import { expect, test } from "bun:test";
import { printAssembly } from "../../src/fdt/assembly.ts";
import { parseDts } from "../../src/fdt/dts/parse.ts";
import { writeDtb } from "../../src/fdt/writer.ts";
import { expectSameBytes, sampleFdt } from "./support.ts";

/** What an assembler would make of the text. */
function assemble(text: string): { bytes: Uint8Array; symbols: Map<string, number> } {
  const bytes: number[] = [];
  const symbols = new Map<string, number>();
  for (const line of text.split("\n")) {
    const data = /^\t\.byte\t(.*)$/.exec(line);
    const label = /^(\w+):$/.exec(line);
    if (data) bytes.push(...data[1]!.split(",").map(Number));
    if (label) symbols.set(label[1]!, bytes.length);
  }
  return { bytes: new Uint8Array(bytes), symbols };
}

test("has the bytes of the blob, with its options", () => {
  expectSameBytes(assemble(printAssembly(sampleFdt(), { padding: 7 })).bytes, writeDtb(sampleFdt(), { padding: 7 }));
});

test("has symbols for the blob's parts and for the labels of its source", () => {
  const source = '/dts-v1/; r: /memreserve/ 1 2; / { p: prop = "ab", v: <1 w: 2> e:; n: node { }; };';
  const tree = parseDts(source);
  const { bytes, symbols } = assemble(printAssembly(tree, { sources: tree.sources, prefix: "board" }));
  const at = (name: string) => symbols.get(name)! - symbols.get("board_struct_start")!;
  expect(symbols.get("r")).toBe(40);
  expect(symbols.get("board_blob_end")).toBe(bytes.length);
  expect([at("p"), at("v"), at("w"), at("e"), at("n"), at("n_end")]).toEqual([8, 23, 27, 31, 32, 48]);
  const word = (offset: number) => new DataView(bytes.buffer).getUint32(symbols.get("board_struct_start")! + offset);
  expect([word(8), word(32), word(44)]).toEqual([3, 1, 2]);
});
