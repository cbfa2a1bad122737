/** The checks as commands run them: levels from the command line, places from the tree's source. */
import type { Diagnostic } from "../../diagnostics/diagnostic.ts";
import type { CheckLevels } from "../../fdt/checks/run.ts";
import { occurrences } from "../arguments.ts";
import { placeIn, referencesIn, type TreeArgument } from "../tree-argument.ts";

export const levelArguments = {
  W: { type: "string", valueHint: "CHECK", description: "warn of what it finds; no-CHECK: do not. May be repeated" },
  E: {
    type: "string",
    valueHint: "CHECK",
    description: "what it finds is an error; no-CHECK: is not. May be repeated",
  },
} as const;

/** The checks are loaded on demand: most conversions do without. */
export async function levelsFrom(rawArgs: readonly string[], all = false): Promise<CheckLevels> {
  const { CheckLevels } = await import("../../fdt/checks/run.ts");
  const levels = new CheckLevels();
  if (all) levels.all();
  for (const { name, value } of occurrences(rawArgs, ["W", "E"])) {
    levels.set(name === "W" ? "warning" : "error", value);
  }
  return levels;
}

/** What is wrong with a tree, what was found while it was read included. */
export async function checkLoaded(tree: TreeArgument, levels: CheckLevels): Promise<Diagnostic[]> {
  const { checkTree } = await import("../../fdt/checks/run.ts");
  const { fdt, file, dts, findings } = tree;
  const plugin = dts?.plugin ?? fdt.root.children.some(({ name }) => name === "__fixups__");
  const subject = { fdt, file, plugin, findings, place: placeIn(tree), references: referencesIn(tree) };
  return checkTree(subject, levels).map(withPath);
}

/** With a line of source to point at, a report leaves the path out; here it is what the finding is about. */
function withPath(finding: Diagnostic): Diagnostic {
  const { place, message } = finding;
  if (place?.line === undefined || place.path === undefined) return finding;
  return { ...finding, message: `${place.path}: ${message}` };
}
