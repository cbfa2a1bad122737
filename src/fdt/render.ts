/** Values for people: typed by their property's name where it tells, by their bytes where not, references by path. */
import { printValue } from "./printer.ts";
import { referencesIn } from "./references.ts";
import type { FdtNode } from "./tree.ts";
import { cellAt, cellOf, type TreeIndex } from "./tree-index.ts";

/** Properties that are cells whatever their bytes look like (DTSpec v0.4 §2.3). */
const CELLS =
  /^(#.*-cells|reg|ranges|dma-ranges|interrupts|interrupts-extended|interrupt-map|interrupt-map-mask|phandle|.*-frequency|clocks|bus-range|virtual-reg)$/;

/** A property as a line of source: `reg = <0x0 0x10000000 0x0 0x100>`, or its name alone. */
export function renderProperty(index: TreeIndex, owner: FdtNode, name: string): string {
  const value = owner.properties.get(name)!;
  return value.length === 0 ? name : `${name} = ${renderValue(index, owner, name, value)}`;
}

export function renderValue(index: TreeIndex, owner: FdtNode, name: string, value: Uint8Array): string {
  if (value.length === 0) return "";
  const references = new Set(referencesIn(index, owner, name, value));
  if (references.size === 0 && !(CELLS.test(name) && value.length % 4 === 0)) return printValue(value);
  const perEntry = entryCells(index, owner, name);
  const entries: string[][] = [];
  for (let at = 0, cell = 0; at < value.length; at += 4, cell++) {
    if (perEntry === undefined ? cell === 0 : cell % perEntry === 0) entries.push([]);
    const number = cellAt(value, at);
    entries.at(-1)!.push(references.has(at) ? `&{${index.target(number)}}` : `0x${number.toString(16)}`);
  }
  return entries.map((cells) => `<${cells.join(" ")}>`).join(", ");
}

/** A node and all below it as source text, one string per line. */
export function renderNode(index: TreeIndex, node: FdtNode, indent = ""): string[] {
  const lines = [`${indent}${node.name || "/"} {`];
  for (const name of node.properties.keys()) {
    if (!isNumbering(name)) lines.push(`${indent}\t${renderProperty(index, node, name)};`);
  }
  for (const child of node.children) lines.push(...renderNode(index, child, `${indent}\t`));
  lines.push(`${indent}};`);
  return lines;
}

/** Numbers that a compiler gives out: they mean nothing but the references to them. */
export function isNumbering(name: string): boolean {
  return name === "phandle" || name === "linux,phandle";
}

/** Where entries have a length: one pair of brackets each. */
function entryCells(index: TreeIndex, owner: FdtNode, name: string): number | undefined {
  const parent = index.parent(owner);
  if (!parent) return undefined;
  const address = cellOf(parent, "#address-cells") ?? 2;
  const size = cellOf(parent, "#size-cells") ?? 1;
  if (name === "reg") return address + size || undefined;
  if (name !== "ranges" && name !== "dma-ranges") return undefined;
  return address + (cellOf(owner, "#address-cells") ?? 2) + (cellOf(owner, "#size-cells") ?? 1) || undefined;
}
