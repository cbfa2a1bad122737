/** `vmrun bench console`: the same characters over an ns16550a, a PL011 and a virtio-console. */
import { fail } from "../../diagnostics/diagnostic.ts";
import { describeHost } from "../../observe/bench/bench.ts";
import { benchConsoles, consoleTable, FULL_CONSOLE, QUICK_CONSOLE } from "../../observe/bench/console.ts";
import { csv } from "../../observe/bench/report.ts";
import { createRegistry } from "../../vdev/registry.ts";
import { catalogue } from "../../vdevs/catalogue.ts";
import { positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { benchArguments, enginesFrom, ProgressLine } from "./arguments.ts";

const COLUMNS = ["console", "what", "runner", "characters", "exits", "ns", "deviation", "runs"] as const;

export const benchConsole = defineCommand({
  meta: {
    name: "bench console",
    description: "Send 1 MiB over an ns16550a, a PL011 and a virtio-console: exits, host time, characters per exit",
  },
  args: benchArguments,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, benchArguments);
    if (positionals(rawArgs, benchArguments).length > 0) {
      fail("cli/usage", "it has a board of its own, and takes no profile", {
        hint: "a profile of that name in this folder is ./console",
      });
    }
    if (given.json && given.csv) fail("cli/usage", "--json and --csv exclude each other");
    const line = new ProgressLine();
    const rows = await benchConsoles(createRegistry([], catalogue), {
      engines: enginesFrom(rawArgs),
      ...(given.quick ? QUICK_CONSOLE : FULL_CONSOLE),
      progress: (...step) => line.tell(...step),
    }).finally(() => line.clear());
    const text = given.json
      ? `${JSON.stringify({ format: 1, machine: describeHost(), rows }, null, 2)}\n`
      : given.csv
        ? csv(COLUMNS, rows)
        : consoleTable(rows);
    process.stdout.write(text);
    return ExitCode.success;
  },
});
