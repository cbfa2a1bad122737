/** `vmrun fdt list`: what is in a node, as fdtget -l and -p. */
import { fail } from "../../diagnostics/diagnostic.ts";
import { nodeAt } from "../../fdt/query.ts";
import { walk } from "../../fdt/tree.ts";
import { positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadTree, TREE_HINT, treeArguments } from "../tree-argument.ts";
import { writeText } from "../tree-output.ts";

const args = {
  tree: { type: "positional", required: false, valueHint: "X", description: TREE_HINT },
  path: {
    type: "positional",
    required: false,
    valueHint: "PATH",
    description: "of a node, or an alias; / when omitted",
  },
  properties: { type: "boolean", alias: "p", description: "list properties instead of nodes" },
  recursive: { type: "boolean", alias: "r", description: "list paths of all nodes below" },
  ...treeArguments,
} as const;

export const list = defineCommand({
  meta: { name: "fdt list", description: "List the nodes, or the properties, of nodes" },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const [path, ...nodes] = positionals(rawArgs, args);
    if (path === undefined) fail("cli/usage", "it takes a tree, and paths of nodes", { hint: TREE_HINT });
    const { fdt } = await loadTree(path, rawArgs);
    const lines = (nodes.length > 0 ? nodes : ["/"]).flatMap((at) => {
      const node = nodeAt(fdt, at);
      if (given.properties) return [...node.properties.keys()];
      if (!given.recursive) return node.children.map(({ name }) => name);
      const prefix = at.replace(/\/+$/, "");
      return [...walk(node)].slice(1).map((visit) => prefix + visit.path);
    });
    writeText(lines.map((line) => `${line}\n`).join(""));
    return ExitCode.success;
  },
});
