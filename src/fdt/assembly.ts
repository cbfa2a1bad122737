/** A tree as source for an assembler: the bytes of its blob, and symbols where they begin, end, and where the tree's source has labels. */
import type { DtsSources } from "./dts/parse.ts";
import { align4, Header, RESERVATION_SIZE } from "./format.ts";
import type { Fdt, FdtNode } from "./tree.ts";
import { type WriteOptions, writeDtb } from "./writer.ts";

export interface AssemblyOptions extends WriteOptions {
  /** For the labels of a tree that was read from source. */
  readonly sources?: DtsSources;
  /** What the blob's own symbols begin with: `dt` for `dt_blob_start` and `dt_blob_end`, as in dtc. */
  readonly prefix?: string;
}

/** For GNU as and its like, whatever the byte order: the text has single bytes only. */
export function printAssembly(fdt: Fdt, { sources, prefix = "dt", ...options }: AssemblyOptions = {}): string {
  const blob = writeDtb(fdt, options);
  const field = (at: number) => new DataView(blob.buffer).getUint32(at);
  const symbols = new Symbols();
  const blocks = [
    ["header", 0],
    ["reserve_map", field(Header.reservationsOffset)],
    ["struct_start", field(Header.structureOffset)],
    ["strings_start", field(Header.stringsOffset)],
    ["strings_end", field(Header.stringsOffset) + field(Header.stringsSize)],
  ] as const;
  symbols.add(0, `${prefix}_blob_start`);
  for (const [name, offset] of blocks) symbols.add(offset, `${prefix}_${name}`);
  symbols.add(blob.length, `${prefix}_blob_end`);
  sources?.reservationLabels.forEach((labels, i) => {
    for (const label of labels) symbols.add(field(Header.reservationsOffset) + RESERVATION_SIZE * i, label);
  });
  if (sources) addLabels(symbols, sources, fdt.root, field(Header.structureOffset));

  const lines = ["/* A devicetree blob, made by vmrun. */", "\t.data", "\t.balign 8"];
  const offsets = symbols.offsets();
  offsets.forEach((start, i) => {
    for (const name of symbols.at(start)) lines.push(`\t.globl\t${name}`, `${name}:`);
    const end = offsets[i + 1] ?? start;
    for (let at = start; at < end; at += 16) {
      const bytes = Array.from(blob.subarray(at, Math.min(at + 16, end)), (byte) => `0x${hex(byte)}`);
      lines.push(`\t.byte\t${bytes.join(",")}`);
    }
  });
  return `${lines.join("\n")}\n`;
}

class Symbols {
  readonly #byOffset = new Map<number, string[]>();

  add(offset: number, name: string): void {
    const known = this.#byOffset.get(offset);
    if (known) known.push(name);
    else this.#byOffset.set(offset, [name]);
  }

  offsets(): number[] {
    return [...this.#byOffset.keys()].sort((a, b) => a - b);
  }

  at(offset: number): readonly string[] {
    return this.#byOffset.get(offset) ?? [];
  }
}

/** Labels of a node, its properties and values where the writer puts them; gives the offset behind the node. */
function addLabels(symbols: Symbols, sources: DtsSources, node: FdtNode, start: number): number {
  const labels = sources.labels(node);
  for (const label of labels) symbols.add(start, label);
  let at = start + 4 + align4(node.name.length + 1);
  for (const [name, value] of node.properties) {
    for (const label of sources.labels(node, name)) symbols.add(at, label);
    for (const { kind, name: label, offset } of sources.marks(node, name)) {
      if (kind === "label") symbols.add(at + 12 + Math.min(offset, value.length), label!);
    }
    at += 12 + align4(value.length);
  }
  for (const child of node.children) at = addLabels(symbols, sources, child, at);
  for (const label of labels) symbols.add(at + 4, `${label}_end`);
  return at + 4;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
