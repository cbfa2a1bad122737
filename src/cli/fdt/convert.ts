/** `vmrun fdt convert`: between source text and the binary form. */
import { defineCommand } from "citty";
import { fail } from "../../diagnostics/diagnostic.ts";
import { positionals, refuseUnknown } from "../arguments.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadTree, TREE_HINT, type TreeArgument, treeArguments } from "../tree-argument.ts";
import { outputArguments, writeTree } from "../tree-output.ts";

const args = {
  tree: { type: "positional", required: false, valueHint: "X", description: TREE_HINT },
  to: { type: "string", valueHint: "FORM", description: "dtb or dts; else by the output's name, else what X is not" },
  symbols: { type: "boolean", description: "keep a DTS's labels, for overlays to refer to" },
  output: outputArguments.output,
  padding: outputArguments.padding,
  ...treeArguments,
} as const;

export const convert = defineCommand({
  meta: { name: "fdt convert", description: "Turn a DTS into a DTB, and a DTB into a DTS" },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const paths = positionals(rawArgs, args);
    if (paths.length !== 1) fail("cli/usage", "it takes one tree", { hint: TREE_HINT });
    const tree = await loadTree(paths[0]!, rawArgs, { symbols: given.symbols });
    const { dts } = tree;
    const printer = dts && (await import("../../fdt/dts/printer.ts"));
    const print = dts && printer ? () => printer.printSource(dts) : undefined;
    writeTree(tree.fdt, { ...given, dts: toSource(given, tree), print });
    return ExitCode.success;
  },
});

function toSource({ to, output }: { readonly to?: string; readonly output?: string }, { kind }: TreeArgument): boolean {
  if (to !== undefined && to !== "dts" && to !== "dtb") fail("cli/usage", `--to takes dtb or dts, not "${to}"`);
  if (to !== undefined) return to === "dts";
  if (output !== undefined && /\.dt(s|si|so)$/.test(output)) return true;
  if (output !== undefined && /\.dtbo?$/.test(output)) return false;
  return kind === "dtb";
}
