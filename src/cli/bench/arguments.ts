/** What `vmrun bench` and `vmrun bench console` share: options, and where figures go. */
import { fail } from "../../diagnostics/diagnostic.ts";
import type { BenchEngine } from "../../observe/bench/measure.ts";
import { occurrences } from "../arguments.ts";

export const ENGINES: readonly BenchEngine[] = ["interpreter", "translator"];

export const benchArguments = {
  engine: {
    type: "string",
    valueHint: "KIND",
    description: `${ENGINES.join(" or ")}: measure this alone; both when omitted. Repeats`,
  },
  quick: { type: "boolean", description: "fewer and shorter runs: a look, no figures to keep" },
  json: { type: "boolean", description: "print the figures as JSON" },
  csv: { type: "boolean", description: "print the figures as CSV" },
} as const;

export function enginesFrom(rawArgs: readonly string[]): readonly BenchEngine[] {
  const named = occurrences(rawArgs, ["engine"]).map(({ value }) => {
    const engine = ENGINES.find((known) => known === value);
    return engine ?? fail("cli/engine", `there is no engine "${value}" to measure`, { hint: ENGINES.join(", ") });
  });
  return named.length === 0 ? ENGINES : ENGINES.filter((engine) => named.includes(engine));
}

/** A line at the terminal that tells what goes on; nothing in files and pipes. */
export class ProgressLine {
  readonly #terminal = process.stderr.isTTY === true;

  tell(what: string, at: number, of: number): void {
    if (this.#terminal) process.stderr.write(`\r\x1b[K${at}/${of}  ${what}`);
  }

  clear(): void {
    if (this.#terminal) process.stderr.write("\r\x1b[K");
  }
}
