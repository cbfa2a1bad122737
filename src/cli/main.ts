/** Dispatches to commands, each loaded when it is asked for, and turns errors into text and exit codes. */
import type { CommandDef } from "citty";
import { VmrunError } from "../diagnostics/diagnostic.ts";
import { nearestName } from "../vdev/registry.ts";
import { asksForHelp } from "./arguments.ts";
import { defineCommand, resolvedArguments, runCommand } from "./command.ts";
import { ExitCode } from "./exit-codes.ts";
import { looksLikeFile } from "./kept/door.ts";
import { summaries } from "./summaries.ts";

const VERSION = "0.1.0";

/** A command: its usage for citty, and a result that is the exit code. */
const commands: Readonly<Record<keyof typeof summaries, () => Promise<CommandDef>>> = {
  run: () => import("./run.ts").then((m) => m.run as CommandDef),
  check: () => import("./check.ts").then((m) => m.check as CommandDef),
  fdt: () => import("./fdt/generate.ts").then((m) => m.generate as CommandDef),
  map: () => import("./map.ts").then((m) => m.map as CommandDef),
  clocks: () => import("./clocks.ts").then((m) => m.clocks as CommandDef),
  pass: () => import("./pass/plan.ts").then((m) => m.plan as CommandDef),
  bench: () => import("./bench/bench.ts").then((m) => m.bench as CommandDef),
  vdevs: () => import("./vdevs.ts").then((m) => m.vdevs as CommandDef),
  new: () => import("./new/new.ts").then((m) => m.newFiles as CommandDef),
  test: () => import("./test.ts").then((m) => m.test as CommandDef),
  schema: () => import("./schema.ts").then((m) => m.schema as CommandDef),
};

/** Commands whose first word may name a command of their own. */
const verbs: Record<string, Readonly<Record<string, () => Promise<CommandDef>>>> = {
  get fdt() {
    const { fdtVerbs } = require("./fdt/verbs.ts") as typeof import("./fdt/verbs.ts");
    return fdtVerbs;
  },
  bench: { console: () => import("./bench/console.ts").then((m) => m.benchConsole as CommandDef) },
  pass: { plan: () => import("./pass/plan.ts").then((m) => m.plan as CommandDef) },
};

/** What the help of vmrun shows. */
const root = () =>
  defineCommand({
    meta: {
      name: "vmrun",
      version: VERSION,
      description:
        "Machine emulator: runs the board that a TOML profile declares. `vmrun PROFILE` is `vmrun run PROFILE`.",
    },
    subCommands: Object.fromEntries(
      Object.entries(summaries).map(([name, description]) => [name, { meta: { name, description } }]),
    ),
  });

/** Runs a command line; answers the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch([...args]);
  } catch (error) {
    const { report } = await import("./report.ts");
    return report(error);
  }
}

async function dispatch(args: string[]): Promise<number> {
  const [first] = args;
  if (first === undefined || first === "--help" || first === "-h" || first === "help") {
    print(await usage(root() as CommandDef));
    return first === undefined ? ExitCode.usage : ExitCode.success;
  }
  if (first === "--version" || first === "-v") {
    print(VERSION);
    return ExitCode.success;
  }
  const named = isCommand(first);
  const verb = named && Object.hasOwn(verbs, first) ? ownEntry(verbs[first], args[1]) : undefined;
  const command = await (verb ?? commands[named ? first : commandMeant(first)])();
  const rest = args.slice(verb ? 2 : named ? 1 : 0);
  if (asksForHelp(rest, await resolvedArguments(command))) {
    print(await usage(command, root() as CommandDef));
    return ExitCode.success;
  }
  const result = await runCommand(command, rest);
  return typeof result === "number" ? result : ExitCode.success;
}

async function usage(command: CommandDef, parent?: CommandDef): Promise<string> {
  return (await import("citty")).renderUsage(command, parent);
}

function isCommand(word: string): word is keyof typeof summaries {
  return Object.hasOwn(commands, word);
}

function ownEntry<T>(entries: Readonly<Record<string, T>>, name: string | undefined): T | undefined {
  return name !== undefined && Object.hasOwn(entries, name) ? entries[name] : undefined;
}

/** A first word that is no command is a profile, unless it looks like a command misspelt. */
function commandMeant(word: string): "run" {
  if (looksLikeFile(word)) return "run";
  const near = nearestName(word, Object.keys(commands));
  throw new VmrunError({
    code: "cli/unknown-command",
    severity: "error",
    message: `"${word}" is neither a command nor a profile`,
    hint: near ? `did you mean "vmrun ${near}"?` : "vmrun --help lists the commands; a profile is a .toml file",
  });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
