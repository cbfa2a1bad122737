/** What `vmrun run` is asked to find out about exits, and where the answers go. */
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { fail, render } from "../../diagnostics/diagnostic.ts";
import { isElf } from "../../machine/boot/elf.ts";
import { BufferedStream } from "../../machine/buffered-stream.ts";
import type { Observer } from "../../machine/observer.ts";
import { BudgetKeeper, recordedBudgets } from "../../observe/budget.ts";
import { BY_REGISTER, EXIT_COLUMNS, type ExitColumn, type Exits } from "../../observe/exits.ts";
import { exitCsv, exitJson, exitTable, isExitColumn, spentTable, thousands } from "../../observe/print.ts";
import { Recorder } from "../../observe/recorder.ts";
import { Symbols } from "../../observe/symbols.ts";
import { Timeline } from "../../observe/timeline.ts";
import { Tracer } from "../../observe/tracer.ts";
import type { Board } from "../../profile/board.ts";
import { nearestName, type VdevRegistry } from "../../vdev/registry.ts";
import { occurrences } from "../arguments.ts";
import type { ObserveGiven } from "./arguments.ts";
import { showTop } from "./top.ts";

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
  const wanted = {
    ...{ format, by, file },
    record: given["budget-record"],
    page: given["exits-html"],
    picture: given["exits-svg"],
    trace: given.trace,
    events: eventsFrom(given["trace-events"]),
    top: given.top === true,
    walks: given["exits-walks"] === true,
  };
  return new Observation(board, registry, wanted, symbolsFrom(rawArgs, board));
}

/** They lie in memory until the run ends, 80 bytes each. */
const MOST_EVENTS = 5_000_000;

function eventsFrom(text = "200000"): number {
  const events = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  if (events > 0 && events <= MOST_EVENTS) return events;
  return fail("cli/trace", `--trace-events takes a number of events, and "${text}" is none`, {
    hint: `1 to ${MOST_EVENTS}`,
  });
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
  /** Absent where nobody wants to see them. */
  readonly format?: Format;
  readonly by?: readonly ExitColumn[];
  /** Where that goes, where a page, a picture, a trace go, and where budgets are recorded. */
  readonly file?: string;
  readonly page?: string;
  readonly picture?: string;
  readonly trace?: string;
  readonly record?: string;
  /** The most events of a trace. */
  readonly events: number;
  readonly top: boolean;
  /** Page-table walks are exits, too. */
  readonly walks: boolean;
}

export class Observation {
  /** What the machine is to tell. */
  readonly observer: Observer;
  readonly #board: Board;
  readonly #wanted: Wanted;
  readonly #symbols: () => Symbols;
  readonly #recorder: Recorder;
  readonly #budgets: BudgetKeeper;
  readonly #timeline: Timeline | undefined;
  readonly #tracer: Tracer | undefined;

  constructor(board: Board, registry: VdevRegistry, wanted: Wanted, symbols: () => Symbols) {
    const { format, page, picture, trace, top } = wanted;
    const costs = format ?? page ?? picture ?? (top || board.budgets.some(({ time }) => time !== undefined));
    this.#board = board;
    this.#wanted = wanted;
    this.#symbols = symbols;
    this.#recorder = new Recorder(board, registry, costs ? "costs" : "counts", wanted.walks);
    this.#budgets = new BudgetKeeper(board, registry, this.#recorder);
    let observer: Observer = this.#budgets;
    if (page ?? picture) observer = this.#timeline = new Timeline(observer, this.#recorder);
    if (trace !== undefined) observer = this.#tracer = new Tracer(observer, board, registry, wanted.events);
    this.observer = observer;
  }

  /** The console of the run: what the guest prints may begin or end the phase of a budget. */
  console(sink: (bytes: Uint8Array) => void): BufferedStream {
    return new HeardStream(sink, (byte) => this.#budgets.printed(byte));
  }

  /** Shows exits in the upper part of a terminal until the answer is called; where that was asked for. */
  show(): () => void {
    return this.#wanted.top ? showTop((rows) => exitTable(this.#exits(), { rows, places: 0 })) : () => {};
  }

  /** For a person who looks while the guest runs. */
  table(): string {
    return exitTable(this.#exits());
  }

  /** The run has ended: tells what was asked for by `say`, and answers whether all budgets were kept. */
  async finish(say: (text: string) => void): Promise<boolean> {
    const { format, file, page, picture, trace, record, top } = this.#wanted;
    const exits = this.#exits();
    if (format !== undefined) {
      const text = this.#text(format, exits);
      if (file === undefined) say(text);
      else write(file, text);
    } else if (top) say(exitTable(exits));
    if (page ?? picture) {
      const steps = this.#timeline!.finished();
      if (page) write(page, (await import("../../observe/page.ts")).exitPage(exits, steps, this.#board));
      if (picture) write(picture, (await import("../../observe/picture.ts")).exitSvg(exits, steps, this.#board));
    }
    if (trace !== undefined) await this.#writeTrace(trace, say);
    if (record !== undefined) write(record, recordedBudgets(exits));
    const breaches = this.#budgets.breaches();
    for (const { finding, spent } of breaches) {
      say(`${render(finding)}\n`);
      if (spent) say(spentTable(spent.resolved(this.#symbols())));
    }
    return breaches.length === 0;
  }

  #text(format: Format, exits: Exits): string {
    const { by = BY_REGISTER } = this.#wanted;
    if (format === "table") return exitTable(exits);
    return format === "csv" ? exitCsv(exits, by) : exitJson(exits, by);
  }

  async #writeTrace(path: string, say: (text: string) => void): Promise<void> {
    const tracer = this.#tracer!;
    const { writeChromeTrace } = await import("../../observe/chrome-trace.ts");
    const { dropped } = tracer;
    try {
      const file = openSync(path, "w");
      const about = { board: this.#board.name, harts: this.#board.cpu.harts, dropped };
      writeChromeTrace(tracer.events(), about, this.#symbols(), (text) => writeSync(file, text));
      closeSync(file);
    } catch (error) {
      refuse(path, error);
    }
    if (dropped === 0) return;
    const more = `${thousands(dropped)} later ones are not in it; --trace-events raises that`;
    say(`${path} has the first ${thousands(this.#wanted.events)} events: ${more}\n`);
  }

  #exits(): Exits {
    const exits = this.#recorder.exits();
    const symbols = this.#symbols();
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
    refuse(file, error);
  }
}

function refuse(file: string, error: unknown): never {
  return fail("cli/exits", `cannot write ${file}: ${error instanceof Error ? error.message : error}`);
}
