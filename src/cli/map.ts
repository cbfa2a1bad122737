/** `vmrun map`: the memory map and the interrupt tree of a device tree, as text or as a picture. */
import { defineCommand } from "citty";
import { fail } from "../diagnostics/diagnostic.ts";
import { positionals, refuseUnknown } from "./arguments.ts";
import { ExitCode } from "./exit-codes.ts";
import { loadTree, TREE_HINT, treeArguments } from "./tree-argument.ts";
import { outputArguments, writeText } from "./tree-output.ts";

const args = {
  tree: { type: "positional", required: false, valueHint: "X", description: TREE_HINT },
  svg: { type: "boolean", description: "draw a picture (SVG)" },
  output: outputArguments.output,
  ...treeArguments,
} as const;

export const map = defineCommand({
  meta: { name: "map", description: "Show the memory map and the interrupt tree of a board or a device tree" },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const paths = positionals(rawArgs, args);
    if (paths.length !== 1) fail("cli/usage", "it takes one tree", { hint: TREE_HINT });
    const { fdt } = await loadTree(paths[0]!, rawArgs);
    const picture = given.svg || given.output?.endsWith(".svg");
    const text = picture
      ? (await import("../fdt/map-svg.ts")).renderMapSvg(fdt)
      : (await import("../fdt/map-text.ts")).renderMapText(fdt);
    writeText(text, given.output);
    return ExitCode.success;
  },
});
