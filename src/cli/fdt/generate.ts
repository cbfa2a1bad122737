/** `vmrun fdt PROFILE`: the device tree that a board's guest reads, without starting the guest. */
import { existsSync } from "node:fs";
import { fail } from "../../diagnostics/diagnostic.ts";
import { boardTree } from "../../profile/devicetree.ts";
import { nearestName } from "../../vdev/registry.ts";
import { occurrences, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { startingClocks } from "../host-clocks.ts";
import { loadFromArguments, profileArguments } from "../profile-argument.ts";
import { summaries } from "../summaries.ts";
import { outputArguments, writeTree } from "../tree-output.ts";
import { applyFiles } from "./overlays.ts";
import { fdtVerbs } from "./verbs.ts";

const args = {
  ...profileArguments,
  ...outputArguments,
  overlay: { type: "string", valueHint: "FILE", description: "apply an overlay, DTB or DTS; may be repeated" },
} as const;

export const generate = defineCommand({
  meta: {
    name: "fdt",
    description: summaries.fdt,
  },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    refuseMisspeltVerb(given.profile);
    const { board, registry } = await loadFromArguments(given.profile, rawArgs);
    const overlays = occurrences(rawArgs, ["overlay"]).map(({ value }) => value);
    const { fdt, names } = await applyFiles(
      boardTree(board, registry, { clocks: startingClocks(board) }),
      overlays,
      rawArgs,
    );
    writeTree(fdt, { ...given, names });
    return ExitCode.success;
  },
});

function refuseMisspeltVerb(word: string): void {
  const near = nearestName(word, Object.keys(fdtVerbs));
  if (near === undefined || /[./\\]/.test(word) || existsSync(word)) return;
  fail("cli/unknown-command", `"${word}" is neither a command of fdt nor a profile`, {
    hint: `did you mean "vmrun fdt ${near}"?`,
  });
}
