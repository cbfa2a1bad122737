/** What every tree must satisfy before it leaves memory, as a blob or as text. The reader holds its input to the same rules. */
import { fail } from "../diagnostics/diagnostic.ts";
import { nodeNameFault, propertyNameFault, quoted } from "./names.ts";
import { type Fdt, walk } from "./tree.ts";

const U64_END = 1n << 64n;

/** Throws unless names are legal, siblings distinct, nesting bounded, and the values outside the tree in range. */
export function assertWellFormed(fdt: Fdt): void {
  for (const { node, path, depth } of walk(fdt.root)) {
    const fault = depth === 0 ? rootNameFault(node.name) : nodeNameFault(node.name);
    if (fault) fail("fdt/name", fault, { place: { path } });
    for (const name of node.properties.keys()) {
      const propertyFault = propertyNameFault(name);
      if (propertyFault) fail("fdt/name", propertyFault, { place: { path } });
    }
    const siblings = new Set<string>();
    for (const { name } of node.children) {
      if (siblings.has(name)) fail("fdt/duplicate-node", `two nodes are named ${quoted(name)}`, { place: { path } });
      siblings.add(name);
    }
  }
  assertNumbers(fdt);
}

/** Throws unless a blob can hold the tree, right or wrong. */
export function assertExpressible(fdt: Fdt): void {
  for (const { node, path } of walk(fdt.root)) {
    for (const name of [node.name, ...node.properties.keys()]) {
      const bytes = Buffer.from(name, "latin1");
      if (bytes.includes(0) || bytes.toString("latin1") !== name)
        fail("fdt/name", `${quoted(name)} cannot stand in a blob`, { place: { path } });
    }
  }
  assertNumbers(fdt);
}

function assertNumbers(fdt: Fdt): void {
  for (const { address, size } of fdt.reservations) {
    // A size of zero ends the list for every reader, whatever follows it.
    if (size <= 0n || size >= U64_END || address < 0n || address >= U64_END) {
      fail("fdt/reservation", `a reservation of ${size} bytes at ${address} cannot be expressed`);
    }
  }
  const { bootCpu } = fdt;
  if (!Number.isInteger(bootCpu) || bootCpu < 0 || bootCpu > 0xffff_ffff) {
    fail("fdt/value", `the boot CPU's id ${bootCpu} is not a u32`);
  }
}

/** DTSpec v0.4 §5.4.1: the root's name is the empty string. */
export function rootNameFault(name: string): string | undefined {
  return name === "" ? undefined : `the root node is named ${quoted(name)}, not ""`;
}
