/** What `vmrun run` is asked to find out about exits, and where the answers go. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fail, render } from "../../diagnostics/diagnostic.ts";
import { isElf } from "../../machine/boot/elf.ts";
import { BufferedStream } from "../../machine/buffered-stream.ts";
import type { Observer } from "../../machine/observer.ts";
import { BudgetKeeper, recordedBudgets } from "../../observe/budget.ts";
import { BY_REGISTER, EXIT_COLUMNS, type ExitColumn, type Exits } from "../../observe/exits.ts";
import { exitCsv, exitJson, exitTable, isExitColumn, spentTable } from "../../observe/print.ts";
import { Recorder } from "../../observe/recorder.ts";
import { Symbols } from "../../observe/symbols.ts";
import type { Board } from "../../profile/board.ts";
import { nearestName, type VdevRegistry } from "../../vdev/registry.ts";
import { occurrences } from "../arguments.ts";
import type { ObserveGiven } from "./arguments.ts";

const FORMATS = ["table", "csv", "json"] as const;
type Format = (typeof FORMATS)[number];

/** What was asked for, on the command line and by the profile's budgets. */
export function observationFrom(
  given: ObserveGiven,
  rawArgs: readonly string[],
  board: Board,
  registry: VdevRegistry,
): Observation {
  const by = given["exits-by"] === undefined ? undefined : columnsFrom(given["exits-by"]);
  const file = given["exits-file"];
  const format = formatFrom(rawArgs) ?? (by || file ? "table" : undefined);
  const record = given["budget-record"];
  const costs = format !== undefined || board.budgets.some(({ time }) => time !== undefined);
  const recorder = new Recorder(board, registry, costs ? "costs" : "counts");
  const symbols = symbolsFrom(rawArgs, board);
  return new Observation(recorder, new BudgetKeeper(board, registry, recorder), { format, by, file, record, symbols });
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

/** From `--symbols`, and from what the board starts where that is ELF: its symbols may still be there. */
function symbolsFrom(rawArgs: readonly string[], { boot }: Board): () => Symbols {
  const named = occurrences(rawArgs, ["symbols"]).map(({ value }) => value);
  for (const path of named) if (!existsSync(path)) fail("cli/symbols", `there is no file ${path}`);
  const booted = [boot.kernel, typeof boot.firmware === "string" ? undefined : boot.firmware.path];
  const read = (path: string) => ({ path, bytes: readFileSync(path) });
  let symbols: Symbols | undefined;
  return () => {
    const images = () => booted.flatMap((path) => (path === undefined ? [] : read(path)));
    symbols ??= new Symbols([...named.map(read), ...images().filter(({ bytes }) => isElf(bytes))]);
    return symbols;
  };
}

interface Wanted {
  /** The guest's; files are read when names are wanted first. */
  readonly symbols: () => Symbols;
  /** Absent where nobody wants to see them. */
  readonly format?: Format;
  readonly by?: readonly ExitColumn[];
  readonly file?: string;
  /** Where budgets are recorded. */
  readonly record?: string;
}

export class Observation {
  readonly #recorder: Recorder;
  readonly #budgets: BudgetKeeper;
  readonly #wanted: Wanted;

  constructor(recorder: Recorder, budgets: BudgetKeeper, wanted: Wanted) {
    this.#recorder = recorder;
    this.#budgets = budgets;
    this.#wanted = wanted;
  }

  get observer(): Observer {
    return this.#budgets;
  }

  /** The console of the run: what the guest prints may begin or end the phase of a budget. */
  console(sink: (bytes: Uint8Array) => void): BufferedStream {
    return new HeardStream(sink, (byte) => this.#budgets.printed(byte));
  }

  /** For a person who looks while the guest runs. */
  table(): string {
    return exitTable(this.#exits());
  }

  /** The run has ended: tells what was asked for by `say`, and answers whether all budgets were kept. */
  finish(say: (text: string) => void): boolean {
    const { format, by = BY_REGISTER, file, record } = this.#wanted;
    const exits = this.#exits();
    if (format !== undefined) {
      const text = format === "csv" ? exitCsv(exits, by) : format === "json" ? exitJson(exits, by) : exitTable(exits);
      if (file === undefined) say(text);
      else write(file, text);
    }
    if (record !== undefined) write(record, recordedBudgets(exits));
    const breaches = this.#budgets.breaches();
    for (const { finding, spent } of breaches) {
      say(`${render(finding)}\n`);
      if (spent) say(spentTable(spent.resolved(this.#wanted.symbols())));
    }
    return breaches.length === 0;
  }

  #exits(): Exits {
    const exits = this.#recorder.exits();
    const symbols = this.#wanted.symbols();
    return symbols.size > 0 ? exits.resolved(symbols) : exits;
  }
}

/** A console with an ear on what the guest prints. */
class HeardStream extends BufferedStream {
  readonly #hear: (byte: number) => void;

  constructor(sink: (bytes: Uint8Array) => void, hear: (byte: number) => void) {
    super(sink);
    this.#hear = hear;
  }

  override write(byte: number): void {
    super.write(byte);
    this.#hear(byte);
  }
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    fail("cli/exits", `cannot write ${file}: ${error instanceof Error ? error.message : error}`);
  }
}
