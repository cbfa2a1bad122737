/** `vmrun check`: is the profile right, and what does it come to? */
import { explainBoard } from "../profile/explain.ts";
import { refuseUnknown } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { ExitCode } from "./exit-codes.ts";
import { loadFromArguments, profileArguments } from "./profile-argument.ts";
import { summaries } from "./summaries.ts";

const args = {
  ...profileArguments,
  resolved: { type: "boolean", description: "print the board with every value and where it comes from" },
} as const;

export const check = defineCommand({
  meta: { name: "check", description: summaries.check },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const { board, provenance, registry, modules } = await loadFromArguments(given.profile, rawArgs);
    const paths = modules.map(({ path }) => path);
    if (given.resolved) process.stdout.write(`${explainBoard(board, provenance, registry, paths).trimEnd()}\n`);
    else process.stdout.write(`${given.profile}: ${board.name} is a valid board with ${board.vdevs.length} vdevs\n`);
    return ExitCode.success;
  },
});
