/** `vmrun fdt check`: dtc's checks by dtc's names, and those of the bindings that vmrun knows. */
import { type Diagnostic, fail, render } from "../../diagnostics/diagnostic.ts";
import type { CheckLevels } from "../../fdt/checks/run.ts";
import { CHECKS } from "../../fdt/checks/table.ts";
import { positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadTree, TREE_HINT, treeArguments } from "../tree-argument.ts";
import { writeText } from "../tree-output.ts";
import { checkLoaded, levelArguments, levelsFrom } from "./checking.ts";

const args = {
  tree: { type: "positional", required: false, valueHint: "X", description: TREE_HINT },
  ...levelArguments,
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
    const levels = await levelsFrom(rawArgs, given.all);
    if (given.list) {
      writeText(listing(levels));
      return ExitCode.success;
    }
    const paths = positionals(rawArgs, args);
    if (paths.length !== 1) fail("cli/usage", "it takes one tree", { hint: TREE_HINT });
    const tree = await loadTree(paths[0]!, rawArgs, { tolerant: true });
    const findings = await checkLoaded(tree, levels);
    writeText(given.json ? `${JSON.stringify(findings, null, 2)}\n` : report(tree.file, findings));
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
  return `${findings.map((finding) => `${render(finding)}\n`).join("")}${sum}\n`;
}
