/** A tree from a directory that shows one: nodes are directories, properties are files, as Linux has it in /proc/device-tree. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../diagnostics/diagnostic.ts";
import { MAX_DEPTH, MAX_SIZE } from "../fdt/format.ts";
import { baseName } from "../fdt/names.ts";
import { type Fdt, type FdtNode, node, setProperty } from "../fdt/tree.ts";

/** Reads it whole, in the order of names: the file system's own order means nothing. Links are not followed. */
export function readDirectoryTree(path: string): Fdt {
  const budget = { bytes: MAX_SIZE };
  const root = readNode(path, "", 0, budget);
  const reg = root.children.find(({ name }) => name === "cpus")?.children[0]?.properties.get("reg");
  const bootCpu = reg?.length === 4 ? new DataView(reg.buffer, reg.byteOffset, 4).getUint32(0) : 0;
  return { root, reservations: [], bootCpu };
}

function readNode(path: string, name: string, depth: number, budget: { bytes: number }): FdtNode {
  if (depth >= MAX_DEPTH) fail("fdt/too-deep", `directories are nested more than ${MAX_DEPTH} levels deep`, at(path));
  const made = node(name);
  const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const inner = join(path, entry.name);
    if (entry.isFile()) {
      const value = new Uint8Array(readFileSync(inner));
      budget.bytes -= value.length;
      if (budget.bytes < 0) fail("fdt/too-large", `the files take more than ${MAX_SIZE} bytes`, at(inner));
      // Linux shows every node's name as a property, which a blob does without.
      const shown = entry.name === "name" && Buffer.from(value).toString("latin1") === `${baseName(name)}\0`;
      if (!shown) setProperty(made, entry.name, value);
    } else if (entry.isDirectory()) made.children.push(readNode(inner, entry.name, depth + 1, budget));
  }
  return made;
}

function at(file: string) {
  return { place: { file } };
}
