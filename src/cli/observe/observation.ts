/** What `vmrun run` is asked to find out about exits, and where the answers go. */
import { writeFileSync } from "node:fs";
import { fail } from "../../diagnostics/diagnostic.ts";
import type { Observer } from "../../machine/observer.ts";
import { BY_REGISTER, EXIT_COLUMNS, type ExitColumn, type Exits } from "../../observe/exits.ts";
import { exitCsv, exitJson, exitTable, isExitColumn } from "../../observe/print.ts";
import { Recorder } from "../../observe/recorder.ts";
import type { Board } from "../../profile/board.ts";
import { nearestName, type VdevRegistry } from "../../vdev/registry.ts";
import type { ObserveGiven } from "./arguments.ts";

const FORMATS = ["table", "csv", "json"] as const;
type Format = (typeof FORMATS)[number];

/** What was asked for; `undefined` where nothing was, and nothing is to be measured. */
export function observationFrom(
  given: ObserveGiven,
  rawArgs: readonly string[],
  board: Board,
  registry: VdevRegistry,
): Observation | undefined {
  const by = given["exits-by"] === undefined ? undefined : columnsFrom(given["exits-by"]);
  const file = given["exits-file"];
  const format = formatFrom(rawArgs) ?? (by || file ? "table" : undefined);
  if (format === undefined) return undefined;
  return new Observation(new Recorder(board, registry, "costs"), { format, by, file });
}

/** `--exits` has a value only where it is written with "=". */
function formatFrom(rawArgs: readonly string[]): Format | undefined {
  let format: Format | undefined;
  for (const argument of rawArgs) {
    const match = /^--exits(?:=(.*))?$/.exec(argument);
    if (match === null) continue;
    const name = match[1] ?? "table";
    format = FORMATS.find((known) => known === name);
    if (format === undefined) fail("cli/exits", `exits cannot be told as "${name}"`, { hint: FORMATS.join(", ") });
  }
  return format;
}

function columnsFrom(text: string): ExitColumn[] {
  return text.split(",").map((name) => {
    if (isExitColumn(name)) return name;
    const near = nearestName(name, EXIT_COLUMNS);
    return fail("cli/exits", `exits have no column "${name}"`, {
      hint: near ? `did you mean "${near}"?` : EXIT_COLUMNS.join(", "),
    });
  });
}

interface Wanted {
  readonly format: Format;
  readonly by?: readonly ExitColumn[];
  readonly file?: string;
}

export class Observation {
  constructor(
    readonly recorder: Recorder,
    readonly wanted: Wanted,
  ) {}

  get observer(): Observer {
    return this.recorder;
  }

  /** For a person who looks while the guest runs. */
  table(): string {
    return exitTable(this.#exits());
  }

  /** The run has ended. `say` writes to standard error. */
  finish(say: (text: string) => void): void {
    const { format, by = BY_REGISTER, file } = this.wanted;
    const exits = this.#exits();
    const text = format === "csv" ? exitCsv(exits, by) : format === "json" ? exitJson(exits, by) : exitTable(exits);
    if (file === undefined) return say(text);
    try {
      writeFileSync(file, text);
    } catch (error) {
      fail("cli/exits", `cannot write ${file}: ${error instanceof Error ? error.message : error}`);
    }
  }

  #exits(): Exits {
    return this.recorder.exits();
  }
}
