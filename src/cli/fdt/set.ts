/** `vmrun fdt set`: changes in a tree, as fdtput. */
import { fail } from "../../diagnostics/diagnostic.ts";
import { createNode, deleteProperty, parseValue, parseValueType, removeNode, writeProperty } from "../../fdt/query.ts";
import { type Fdt, walk } from "../../fdt/tree.ts";
import { positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadTree, TREE_HINT, treeArguments } from "../tree-argument.ts";
import { outputArguments, writeTree } from "../tree-output.ts";
import { TYPE_HINT } from "./get.ts";

const args = {
  tree: { type: "positional", required: false, valueHint: "X", description: TREE_HINT },
  path: { type: "positional", required: false, valueHint: "PATH", description: "of a node, or an alias" },
  property: { type: "positional", required: false, valueHint: "PROPERTY", description: "its name" },
  value: { type: "positional", required: false, valueHint: "VALUE...", description: "integers, or what --type says" },
  type: { type: "string", alias: "t", valueHint: "TYPE", description: TYPE_HINT },
  create: { type: "boolean", alias: "c", description: "X PATH...: make nodes" },
  remove: { type: "boolean", alias: "r", description: "X PATH...: remove nodes and all below them" },
  delete: { type: "boolean", alias: "d", description: "X PATH PROPERTY...: delete properties" },
  parents: { type: "boolean", alias: "p", description: "make what is missing of a path" },
  "in-place": { type: "boolean", alias: "i", description: "write to X itself, a DTB" },
  ...outputArguments,
  dts: {
    type: "boolean",
    description: "print source text instead of the binary form; of a DTS, with its labels and comments",
  },
  ...treeArguments,
} as const;

export const set = defineCommand({
  meta: { name: "fdt set", description: "Set a property, or make and remove nodes; the changed tree is the output" },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const [path, ...words] = positionals(rawArgs, args);
    if (path === undefined || words.length === 0) fail("cli/usage", "it takes a tree, and what to change in it");
    const modes = [given.create, given.remove, given.delete].filter(Boolean);
    if (modes.length > 1) fail("cli/usage", "--create, --remove and --delete exclude each other");
    const { fdt, kind, dts } = await loadTree(path, rawArgs);
    if (given["in-place"] && (kind !== "dtb" || path === "-" || given.output !== undefined || given.dts)) {
      fail("cli/usage", "--in-place is for the file of a DTB", { hint: "-o FILE writes to another" });
    }
    // New names come behind those that the blob has, as in an edit in place.
    const names = Array.from(walk(fdt.root), ({ node }) => [...node.properties.keys()]).flat();
    change(fdt, words, given);
    const printer = given.dts && dts && (await import("../../fdt/dts/printer.ts"));
    const print = printer ? () => printer.printSource(dts, { changed: true }) : undefined;
    writeTree(fdt, { ...given, names, output: given["in-place"] ? path : given.output, print });
    return ExitCode.success;
  },
});

interface Changes {
  readonly create?: boolean;
  readonly remove?: boolean;
  readonly delete?: boolean;
  readonly parents?: boolean;
  readonly type?: string;
}

function change(fdt: Fdt, words: readonly string[], { create, remove, delete: gone, parents, type }: Changes): void {
  if (create) for (const each of words) createNode(fdt, each, { parents });
  else if (remove) for (const each of words) removeNode(fdt, each);
  else {
    const [path, ...rest] = words as [string, ...string[]];
    if (rest.length === 0) fail("cli/usage", "it takes the name of a property, too");
    if (gone) {
      for (const name of rest) deleteProperty(fdt, path, name);
      return;
    }
    const [name, ...value] = rest as [string, ...string[]];
    if (parents) createNode(fdt, path, { parents });
    writeProperty(fdt, path, name, parseValue(value, type === undefined ? undefined : parseValueType(type)));
  }
}
