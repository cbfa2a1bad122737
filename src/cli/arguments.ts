/** Words of a command line: options that repeat, order between options, unknown options, and what is no option. */
import type { ArgsDef } from "citty";
import { fail } from "../diagnostics/diagnostic.ts";
import { nearestName } from "../vdev/registry.ts";

export interface Option {
  readonly name: string;
  readonly value: string;
}

/** Every occurrence of the options in `names`, long or of one letter, in the order of the command line. */
export function occurrences(rawArgs: readonly string[], names: readonly string[]): Option[] {
  const found: Option[] = [];
  for (let i = 0; i < rawArgs.length && rawArgs[i] !== "--"; i++) {
    const match = /^(?:-([A-Za-z])|--([a-z-]+))(?:=([\s\S]*))?$/.exec(rawArgs[i]);
    const name = match?.[1] ?? match?.[2];
    if (match === null || name === undefined || !names.includes(name)) continue;
    const value = match[3] ?? rawArgs[++i];
    if (value === undefined) fail("cli/usage", `${match[1] ? "-" : "--"}${name} needs a value`);
    found.push({ name, value });
  }
  return found;
}

/** Refuses options that the command does not have: `parseArguments` passes them over. */
export function refuseUnknown(rawArgs: readonly string[], args: ArgsDef): void {
  const { known, takesValue } = optionNames(args);
  for (let i = 0; i < rawArgs.length && rawArgs[i] !== "--"; i++) {
    const match = /^--?([A-Za-z][\w-]*)(=)?/.exec(rawArgs[i]);
    if (match === null) continue;
    const name = match[1];
    if (!known.has(name) && !known.has(name.replace(/^no-/, ""))) {
      const near = nearestName(name, [...known]);
      fail("cli/unknown-option", `there is no option --${name}`, {
        hint: near ? `did you mean --${near}?` : "--help lists the options",
      });
    }
    if (match[2] === undefined && takesValue.has(name)) i++;
  }
}

/** The words that are neither options nor their values: negative numbers among them, and all that follows `--`. */
export function positionals(rawArgs: readonly string[], args: ArgsDef): string[] {
  const { takesValue } = optionNames(args);
  const found: string[] = [];
  for (let i = 0; i < rawArgs.length; i++) {
    if (rawArgs[i] === "--") return [...found, ...rawArgs.slice(i + 1)];
    const match = /^--?([A-Za-z][\w-]*)(=)?/.exec(rawArgs[i]);
    if (match === null) found.push(rawArgs[i]);
    else if (match[2] === undefined && takesValue.has(match[1])) i++;
  }
  return found;
}

/** Whether there is a --help or -h that is not another option's value, as in `--expect -h`. */
export function asksForHelp(rawArgs: readonly string[], args: ArgsDef): boolean {
  const { takesValue } = optionNames(args);
  for (let i = 0; i < rawArgs.length && rawArgs[i] !== "--"; i++) {
    if (rawArgs[i] === "--help" || rawArgs[i] === "-h") return true;
    const match = /^--?([A-Za-z][\w-]*)$/.exec(rawArgs[i]);
    if (match !== null && takesValue.has(match[1])) i++;
  }
  return false;
}

function optionNames(args: ArgsDef): { known: Set<string>; takesValue: Set<string> } {
  const known = new Set<string>();
  const takesValue = new Set<string>();
  for (const [name, { type, alias = [] }] of Object.entries(
    args as Record<string, { type?: string; alias?: string | string[] }>,
  )) {
    if (type === "positional") continue;
    for (const each of [name, ...(Array.isArray(alias) ? alias : [alias])]) {
      known.add(each);
      if (type !== "boolean") takesValue.add(each);
    }
  }
  return { known, takesValue };
}

const UNITS: Record<string, number> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, min: 60e9, h: 3600e9 };

/** A duration such as `10s`, `500ms` or `2min` in nanoseconds; a bare number is seconds. */
export function duration(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(text);
  const unit = UNITS[match?.[2] || "s"];
  if (match === null || unit === undefined) {
    fail("cli/duration", `--${option} takes a duration, and "${text}" is none`, {
      hint: "for example 10s, 500ms or 2min",
    });
  }
  return Number(match[1]) * unit;
}

/** A guest address in hexadecimal, with or without `0x` and underscores. */
export function guestAddress(option: string, text: string): bigint {
  const digits = text.replace(/^0x/i, "").replaceAll("_", "");
  if (!/^[0-9a-f]{1,16}$/i.test(digits)) {
    fail("cli/address", `--${option} takes a guest address, and "${text}" is none`, {
      hint: "in hexadecimal, for example 0x80000000",
    });
  }
  return BigInt(`0x${digits}`);
}

/** The bytes that `--input` and `--expect` mean, a character for each: UTF-8, and \n \r \t \\ \e \xHH resolved. */
export function unescaped(text: string): string {
  const simple: Record<string, string> = { n: "\n", r: "\r", t: "\t", e: "\x1b", "\\": "\\" };
  const bytes = Buffer.from(text).toString("latin1");
  return bytes.replace(/\\(?:x([0-9a-fA-F]{2})|([nrte\\]))/g, (_, hex, letter) =>
    hex !== undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : simple[letter],
  );
}
