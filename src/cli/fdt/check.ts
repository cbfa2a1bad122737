/** `vmrun fdt check`: dtc's checks by dtc's names, and those of the bindings that vmrun knows. */
import { defineCommand } from "citty";
import { type Diagnostic, fail, render } from "../../diagnostics/diagnostic.ts";
import { CheckLevels, checkTree } from "../../fdt/checks/run.ts";
import { CHECKS } from "../../fdt/checks/table.ts";
import { occurrences, positionals, refuseUnknown } from "../arguments.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadTree, placeIn, referencesIn, TREE_HINT, treeArguments } from "../tree-argument.ts";
import { writeText } from "../tree-output.ts";

const args = {
  tree: { type: "positional", required: false, valueHint: "X", description: TREE_HINT },
  W: { type: "string", valueHint: "CHECK", description: "warn of what it finds; no-CHECK: do not. May be repeated" },
  E: {
    type: "string",
    valueHint: "CHECK",
    description: "what it finds is an error; no-CHECK: is not. May be repeated",
  },
  all: { type: "boolean", description: "warn of everything" },
  list: { type: "boolean", description: "name the checks and their levels" },
  json: { type: "boolean", description: "print findings as JSON" },
  ...treeArguments,
} as const;

export const check = defineCommand({
  meta: { name: "fdt check", description: "Check a device tree: as dtc -W, and by the bindings of known devices" },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const levels = new CheckLevels();
    if (given.all) levels.all();
    for (const { name, value } of occurrences(rawArgs, ["W", "E"]))
      levels.set(name === "W" ? "warning" : "error", value);
    if (given.list) {
      writeText(listing(levels));
      return ExitCode.success;
    }
    const paths = positionals(rawArgs, args);
    if (paths.length !== 1) fail("cli/usage", "it takes one tree", { hint: TREE_HINT });
    const tree = await loadTree(paths[0]!, rawArgs);
    const plugin = tree.dts?.plugin ?? tree.fdt.root.children.some(({ name }) => name === "__fixups__");
    const { fdt, file } = tree;
    const findings = checkTree({ fdt, file, plugin, place: placeIn(tree), references: referencesIn(tree) }, levels);
    writeText(given.json ? `${JSON.stringify(findings, null, 2)}\n` : report(file, findings));
    return findings.some(({ severity }) => severity === "error") ? ExitCode.usage : ExitCode.success;
  },
});

function listing(levels: CheckLevels): string {
  const width = Math.max(...CHECKS.map(({ name }) => name.length));
  return CHECKS.map(({ name, summary }) => `${levels.of(name).padEnd(7)}  ${name.padEnd(width)}  ${summary}\n`).join(
    "",
  );
}

function report(file: string, findings: readonly Diagnostic[]): string {
  if (findings.length === 0) return `${file}: nothing found\n`;
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;
  const sum = `${count(errors, "error")}, ${count(findings.length - errors, "warning")}`;
  return `${findings.map((finding) => `${render(withPath(finding))}\n`).join("")}${sum}\n`;
}

/** With a line of source to point at, a report leaves the path out; here it is what the finding is about. */
function withPath(finding: Diagnostic): Diagnostic {
  const { place, message } = finding;
  return place?.line === undefined ? finding : { ...finding, message: `${place.path}: ${message}` };
}
