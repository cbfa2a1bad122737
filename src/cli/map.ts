/** `vmrun map`: the memory map and the interrupt tree of a device tree, as text or as a picture. */
import { fail } from "../diagnostics/diagnostic.ts";
import type { Board } from "../profile/board.ts";
import { positionals, refuseUnknown } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { ExitCode } from "./exit-codes.ts";
import { summaries } from "./summaries.ts";
import { loadTree, TREE_HINT, treeArguments } from "./tree-argument.ts";
import { outputArguments, writeText } from "./tree-output.ts";

const args = {
  tree: { type: "positional", required: false, valueHint: "X", description: TREE_HINT },
  svg: { type: "boolean", description: "draw a picture (SVG)" },
  output: outputArguments.output,
  ...treeArguments,
} as const;

export const map = defineCommand({
  meta: { name: "map", description: summaries.map },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const paths = positionals(rawArgs, args);
    if (paths.length !== 1) fail("cli/usage", "it takes one tree", { hint: TREE_HINT });
    const { fdt, board } = await loadTree(paths[0]!, rawArgs);
    const picture = given.svg || given.output?.endsWith(".svg");
    const text = picture
      ? (await import("../fdt/map-svg.ts")).renderMapSvg(fdt)
      : (await import("../fdt/map-text.ts")).renderMapText(fdt) + (board ? await backings(board) : "");
    writeText(text, given.output);
    return ExitCode.success;
  },
});

/** What the host has behind a board's memory, where that is more than memory: no tree tells it. */
async function backings({ memory }: Board): Promise<string> {
  const special = memory.filter(({ backing }) => backing.kind !== "anonymous");
  if (special.length === 0) return "";
  const { shownBacking } = await import("../profile/backing.ts");
  const lines = special.map(({ name, at, backing }) => `  0x${at.toString(16)}  ${name}: ${shownBacking(backing)}\n`);
  return `\nBehind memory\n${lines.join("")}`;
}
