/** An order that does not depend on how a tree was made: for trees that are kept under version control or compared as text. */
import type { Fdt, FdtNode } from "./tree.ts";

/** Sorts reservations by address, properties and nodes by name, in place. As `dtc -s`. */
export function sortTree(fdt: Fdt): void {
  fdt.reservations.sort((a, b) => compare(a.address, b.address) || compare(a.size, b.size));
  sortNode(fdt.root);
}

function sortNode(node: FdtNode): void {
  node.properties = new Map([...node.properties].sort(([a], [b]) => compare(a, b)));
  node.children.sort((a, b) => compare(a.name, b.name));
  for (const child of node.children) sortNode(child);
}

/** By code units: of names that is what C's strcmp does. */
function compare<T extends string | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
