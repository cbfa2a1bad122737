/** `vmrun fdt get`: values of properties, as fdtget. */
import { fail } from "../../diagnostics/diagnostic.ts";
import { findNode, formatValue, parseValueType, propertyAt } from "../../fdt/query.ts";
import { writeStdout } from "../../host/terminal.ts";
import { positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadTree, TREE_HINT, treeArguments } from "../tree-argument.ts";

export const TYPE_HINT = "s string, r raw; i int, u unsigned, x hex, after b (1 byte), h (2), l (4) or q (8)";

const args = {
  tree: { type: "positional", required: false, valueHint: "X", description: TREE_HINT },
  path: { type: "positional", required: false, valueHint: "PATH", description: "of a node, or an alias" },
  property: { type: "positional", required: false, valueHint: "PROPERTY", description: "its name; pairs may follow" },
  type: { type: "string", alias: "t", valueHint: "TYPE", description: TYPE_HINT },
  default: { type: "string", alias: "d", valueHint: "TEXT", description: "what to print for what is not there" },
  ...treeArguments,
} as const;

export const get = defineCommand({
  meta: { name: "fdt get", description: "Print values of properties, one per line" },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const [path, ...pairs] = positionals(rawArgs, args);
    if (path === undefined || pairs.length === 0 || pairs.length % 2 !== 0) {
      fail("cli/usage", "it takes a tree, and pairs of a path and a property");
    }
    const type = given.type === undefined ? undefined : parseValueType(given.type);
    const { fdt } = await loadTree(path, rawArgs);
    const out: string[] = [];
    for (let i = 0; i < pairs.length; i += 2) {
      const [at, name] = [pairs[i]!, pairs[i + 1]!];
      if (given.default !== undefined && !findNode(fdt, at)?.properties.has(name)) out.push(`${given.default}\n`);
      else out.push(formatValue(propertyAt(fdt, at, name), type) + (type?.kind === "raw" ? "" : "\n"));
    }
    writeStdout(Buffer.from(out.join(""), type?.kind === "raw" ? "latin1" : "utf8"));
    return ExitCode.success;
  },
});
