/** What every kind of new thing comes as: files, and what to do with them. */
import { basename, join } from "node:path";
import { fail } from "../../diagnostics/diagnostic.ts";

/** By path. */
export type NewFiles = Readonly<Record<string, string>>;

export interface Draft {
  readonly files: NewFiles;
  /** What a person does next. */
  readonly next: string;
}

/** Refuses names that cannot be both a file's and what `pattern` allows. */
export function checkName(name: string, pattern: RegExp, hint: string): void {
  if (!pattern.test(name) || name.length > 40) fail("new/name", `"${basename(name)}" cannot be its name`, { hint });
}

export function inFolder(folder: string, file: string): string {
  return join(folder, file);
}

/** Commands, each with what it is for. */
export function nextSteps(steps: readonly (readonly [command: string, purpose: string])[]): string {
  const width = Math.max(...steps.map(([command]) => command.length));
  return `\n${steps.map(([command, purpose]) => `  ${command.padEnd(width)}   ${purpose}`).join("\n")}\n`;
}
