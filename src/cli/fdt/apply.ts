/** `vmrun fdt apply`: overlays onto a base, as fdtoverlay. */
import { fail } from "../../diagnostics/diagnostic.ts";
import { positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadTree, TREE_HINT, treeArguments } from "../tree-argument.ts";
import { outputArguments, writeTree } from "../tree-output.ts";
import { applyFiles } from "./overlays.ts";

const args = {
  base: { type: "positional", required: false, valueHint: "BASE", description: TREE_HINT },
  overlays: { type: "positional", required: false, valueHint: "OVERLAY...", description: "DTB or DTS, in this order" },
  ...outputArguments,
  ...treeArguments,
} as const;

export const apply = defineCommand({
  meta: { name: "fdt apply", description: "Apply overlays to a tree, in order" },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const [base, ...overlays] = positionals(rawArgs, args);
    if (base === undefined || overlays.length === 0) fail("cli/usage", "it takes a tree and at least one overlay");
    // An overlay refers to labels: those of a source become symbols without being asked for.
    const { fdt } = await loadTree(base, rawArgs, { symbols: true });
    const applied = await applyFiles(fdt, overlays, rawArgs);
    writeTree(applied.fdt, { ...given, names: applied.names });
    return ExitCode.success;
  },
});
