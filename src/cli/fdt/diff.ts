/** `vmrun fdt diff`: what two trees mean differently. */
import { fail } from "../../diagnostics/diagnostic.ts";
import { diffTrees, formatDifferences } from "../../fdt/diff.ts";
import { produceOverlay } from "../../fdt/produce-overlay.ts";
import { positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadTree, TREE_HINT, treeArguments } from "../tree-argument.ts";
import { writeText, writeTree } from "../tree-output.ts";

const args = {
  before: { type: "positional", required: false, valueHint: "A", description: TREE_HINT },
  after: { type: "positional", required: false, valueHint: "B", description: "another" },
  json: { type: "boolean", description: "print the differences as JSON" },
  overlay: { type: "string", valueHint: "FILE", description: "write the overlay (DTB, or .dts) that turns A into B" },
  ...treeArguments,
} as const;

export const diff = defineCommand({
  meta: {
    name: "fdt diff",
    description: "Compare two trees by meaning: order and phandle numbers do not count. Exit code 9 when they differ",
  },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const paths = positionals(rawArgs, args);
    if (paths.length !== 2) fail("cli/usage", "it takes two trees", { hint: TREE_HINT });
    if (paths[0] === "-" && paths[1] === "-") fail("cli/usage", "standard input is one tree, not two");
    const before = await loadTree(paths[0]!, rawArgs);
    const after = await loadTree(paths[1]!, rawArgs);
    const differences = diffTrees(before.fdt, after.fdt);
    writeText(given.json ? `${JSON.stringify(differences, null, 2)}\n` : formatDifferences(differences));
    if (given.overlay !== undefined) {
      const { overlay, remaining } = produceOverlay(before.fdt, after.fdt);
      writeTree(overlay, { output: given.overlay, dts: /\.dtso?$/.test(given.overlay) });
      if (remaining.length > 0) {
        process.stderr.write(`an overlay cannot do this:\n${formatDifferences(remaining)}`);
      }
    }
    return differences.length > 0 ? ExitCode.different : ExitCode.success;
  },
});
