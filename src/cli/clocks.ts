/** `vmrun clocks`: the clock tree of a board, what it runs at, and what the guest may change. */
import { fail } from "../diagnostics/diagnostic.ts";
import { hostStates } from "../pass/clocks/host-values.ts";
import { controllersOf } from "../pass/clocks/outputs.ts";
import { clockStates, resetValue } from "../pass/clocks/rates.ts";
import { clockLines, renderClocks } from "../pass/clocks/report.ts";
import { clockTablesOf, clockUsers } from "../profile/clocks.ts";
import { positionals, refuseUnknown } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { ExitCode } from "./exit-codes.ts";
import { withHardware } from "./host-clocks.ts";
import { loadFromArguments, profileArguments } from "./profile-argument.ts";
import { summaries } from "./summaries.ts";
import { writeText } from "./tree-output.ts";

const args = {
  ...profileArguments,
  host: { type: "boolean", description: "by the registers of the host as they are now, not as at reset" },
  json: { type: "boolean", description: "print JSON" },
} as const;

export const clocks = defineCommand({
  meta: { name: "clocks", description: summaries.clocks },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    if (positionals(rawArgs, args).length !== 1) fail("cli/usage", "it takes one profile");
    const { board } = await loadFromArguments(given.profile, rawArgs);
    const tables = clockTablesOf(board);
    if (tables.length === 0) fail("cli/no-clocks", `${board.name} has no [[clock]] tables`);
    const controllers = controllersOf(tables);
    const states = given.host
      ? withHardware(board, (open) => hostStates(tables, controllers, open))
      : clockStates(controllers, resetValue);
    const lines = clockLines(controllers, states, clockUsers(board));
    writeText(given.json ? `${JSON.stringify(lines, null, 2)}\n` : renderClocks(lines));
    return ExitCode.success;
  },
});
