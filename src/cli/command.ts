/**
 * Commands, as citty has them, and their command lines. citty prints the help; it is not loaded to read a line, which would
 * take a tenth of the time in which `vmrun fdt` makes a tree.
 */
import type { ArgsDef, CommandContext, CommandDef, ParsedArgs } from "citty";
import { fail } from "../diagnostics/diagnostic.ts";
import { positionals } from "./arguments.ts";

/** Identity with full inference. */
export function defineCommand<const Args extends ArgsDef = ArgsDef>(command: CommandDef<Args>): CommandDef<Args> {
  return command;
}

/** Runs a command with the words behind its name; answers what it answers. */
export async function runCommand(command: CommandDef, rawArgs: string[]): Promise<unknown> {
  const args = parseArguments(rawArgs, await resolvedArguments(command)) as CommandContext["args"];
  return command.run?.({ rawArgs, args, cmd: command });
}

/** citty's definitions may be promises, or functions of them. */
export async function resolvedArguments({ args }: CommandDef): Promise<ArgsDef> {
  return (await (typeof args === "function" ? args() : args)) ?? {};
}

/**
 * The values of a command's arguments; of an option that is there several times the last. `--no-NAME` is false, a string
 * option without its value is empty, and options that the command does not have are passed over: see `refuseUnknown`.
 */
export function parseArguments<const Args extends ArgsDef>(
  rawArgs: readonly string[],
  definitions: Args,
): ParsedArgs<Args> {
  const words = positionals(rawArgs, definitions);
  const values: Record<string, unknown> = { _: [...words] };
  const options = new Map<string, { readonly name: string; readonly boolean: boolean }>();
  for (const [name, definition] of Object.entries(definitions)) {
    values[name] = "default" in definition ? definition.default : undefined;
    if (definition.type === "positional") {
      const word = words.shift();
      if (word !== undefined) values[name] = word;
      else if (values[name] === undefined && definition.required !== false) {
        fail("cli/usage", `Missing required positional argument: ${name.toUpperCase()}`, {
          hint: "--help tells what the command takes",
        });
      }
      continue;
    }
    const alias = "alias" in definition ? (definition.alias ?? []) : [];
    for (const each of [name, ...(Array.isArray(alias) ? alias : [alias])]) {
      options.set(each, { name, boolean: definition.type === "boolean" });
    }
  }
  for (let i = 0; i < rawArgs.length && rawArgs[i] !== "--"; i++) {
    const match = /^--?([A-Za-z][\w-]*)(?:=([\s\S]*))?$/.exec(rawArgs[i]);
    if (match === null) continue;
    const option = options.get(match[1]);
    const negated = option ? undefined : options.get(match[1].replace(/^no-/, ""));
    if (negated) values[negated.name] = false;
    else if (option?.boolean) values[option.name] = match[2] !== "false";
    else if (option) values[option.name] = match[2] ?? rawArgs[++i] ?? "";
  }
  for (const [alias, { name }] of options) values[alias] = values[name];
  return values as ParsedArgs<Args>;
}
