/**
 * What two trees mean differently. Order, phandle numbers and the bytes of a blob carry no meaning: nodes and properties
 * are matched by name, and a reference is the node that it names.
 */
import { referencesIn } from "./references.ts";
import { isNumbering, renderNode, renderProperty } from "./render.ts";
import type { Fdt, FdtNode } from "./tree.ts";
import { cellAt, TreeIndex } from "./tree-index.ts";

export interface Difference {
  readonly change: "added" | "removed" | "changed";
  readonly what: "node" | "property" | "reservation" | "boot-cpu";
  /** The node, or the node that has the property. */
  readonly path: string;
  readonly property?: string;
  /** As source text, references by path; undefined on the side that has it not. */
  readonly before?: string;
  readonly after?: string;
}

/** Every difference, in the order of the first tree; what only the second has follows in its order. */
export function diffTrees(before: Fdt, after: Fdt): Difference[] {
  const found: Difference[] = [];
  const sides = { before: new TreeIndex(before), after: new TreeIndex(after) };
  diffReservations(before, after, found);
  if (before.bootCpu !== after.bootCpu) {
    const [from, to] = [String(before.bootCpu), String(after.bootCpu)];
    found.push({ change: "changed", what: "boot-cpu", path: "/", before: from, after: to });
  }
  diffNodes(sides, before.root, after.root, found);
  return found;
}

interface Sides {
  readonly before: TreeIndex;
  readonly after: TreeIndex;
}

function diffNodes(sides: Sides, before: FdtNode, after: FdtNode, found: Difference[]): void {
  const path = sides.before.path(before);
  const property = (change: Difference["change"], name: string) => {
    const from = change === "added" ? undefined : renderProperty(sides.before, before, name);
    const to = change === "removed" ? undefined : renderProperty(sides.after, after, name);
    found.push({ change, what: "property", path, property: name, before: from, after: to });
  };
  for (const name of before.properties.keys()) {
    if (isNumbering(name)) continue;
    if (!after.properties.has(name)) property("removed", name);
    else if (!sameMeaning(sides, before, after, name)) property("changed", name);
  }
  for (const name of after.properties.keys()) {
    if (!isNumbering(name) && !before.properties.has(name)) property("added", name);
  }

  const counterparts = new Map(after.children.map((child) => [child.name, child]));
  for (const child of before.children) {
    const counterpart = counterparts.get(child.name);
    if (counterpart) diffNodes(sides, child, counterpart, found);
    else found.push(wholeNode("removed", sides.before, child));
    counterparts.delete(child.name);
  }
  for (const child of counterparts.values()) found.push(wholeNode("added", sides.after, child));
}

function wholeNode(change: "added" | "removed", index: TreeIndex, node: FdtNode): Difference {
  const text = renderNode(index, node).join("\n");
  const path = index.path(node);
  return { change, what: "node", path, ...(change === "added" ? { after: text } : { before: text }) };
}

/** Same bytes but for references, and those name the same nodes. Whether a cell refers, either tree may tell. */
export function sameMeaning(sides: Sides, before: FdtNode, after: FdtNode, name: string): boolean {
  const left = before.properties.get(name)!;
  const right = after.properties.get(name)!;
  if (left.length !== right.length) return false;
  const leftReferences = referencesIn(sides.before, before, name, left);
  const rightReferences = referencesIn(sides.after, after, name, right);
  if (leftReferences.length !== rightReferences.length) return false;
  let compared = 0;
  for (let i = 0; i < leftReferences.length; i++) {
    const at = leftReferences[i]!;
    if (at !== rightReferences[i]) return false;
    if (sides.before.target(cellAt(left, at)) !== sides.after.target(cellAt(right, at))) return false;
    if (!sameBytes(left, right, compared, at)) return false;
    compared = at + 4;
  }
  return sameBytes(left, right, compared, left.length);
}

function sameBytes(left: Uint8Array, right: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (left[i] !== right[i]) return false;
  return true;
}

/** As a set: nobody reads an order into reservations. */
function diffReservations(before: Fdt, after: Fdt, found: Difference[]): void {
  const texts = ({ reservations }: Fdt) =>
    new Set(reservations.map(({ address, size }) => `/memreserve/ 0x${address.toString(16)} 0x${size.toString(16)}`));
  const [left, right] = [texts(before), texts(after)];
  for (const text of left.difference(right)) {
    found.push({ change: "removed", what: "reservation", path: "/", before: text });
  }
  for (const text of right.difference(left)) {
    found.push({ change: "added", what: "reservation", path: "/", after: text });
  }
}

/** For people: each place once, and under it what was (`-`) and what is (`+`). */
export function formatDifferences(differences: readonly Difference[]): string {
  const lines: string[] = [];
  let heading: string | undefined;
  for (const { what, path, before, after } of differences) {
    const place = what === "node" ? `${before === undefined ? "added" : "removed"} ${path}` : path;
    if (place !== heading) lines.push(...(heading === undefined ? [] : [""]), place);
    heading = place;
    const label = what === "boot-cpu" ? "boot CPU: " : "";
    const end = what === "property" || what === "reservation" ? ";" : "";
    for (const line of before?.split("\n") ?? []) lines.push(`  - ${label}${line}${end}`);
    for (const line of after?.split("\n") ?? []) lines.push(`  + ${label}${line}${end}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}
