/** Budgets: what a run may spend on exits, in all or between two markers, and what is told where it spends more. */
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { EnginePort } from "../engine/engine.ts";
import type { Observed } from "../machine/observer.ts";
import type { Board, BoardBudget, BoardMarker } from "../profile/board.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import type { ExitKey, ExitRow, Exits } from "./exits.ts";
import { BY_REGISTER } from "./exits.ts";
import { Layer } from "./layer.ts";
import { RegisterMaps } from "./names.ts";
import { duration, thousands } from "./print.ts";
import type { Recorder } from "./recorder.ts";

/** A budget that was not kept. */
export interface Breach {
  readonly budget: BoardBudget;
  readonly finding: Diagnostic;
  /** What it was spent on; absent where its phase never began. */
  readonly spent?: Exits;
}

/** One budget and how far its phase has come. */
interface Watched {
  readonly budget: BoardBudget;
  start?: Exits;
  end?: Exits;
}

/** Stands around the recorder, and looks for the markers of phases. */
export class BudgetKeeper extends Layer {
  readonly #recorder: Recorder;
  readonly #maps: RegisterMaps;
  readonly #watched: readonly Watched[];
  #texts: readonly TextWatch[] = [];

  constructor(board: Board, registry: VdevRegistry, recorder: Recorder) {
    super(recorder);
    this.#recorder = recorder;
    this.#maps = new RegisterMaps(board, registry);
    this.#watched = board.budgets.map((budget) => ({ budget }));
    this.#texts = this.#awaitedTexts();
  }

  override attach(port: EnginePort, machine: Observed): EnginePort {
    const inner = super.attach(port, machine);
    const markers = this.#watched.flatMap(({ budget: { from, to } }) => [from, to]);
    if (!markers.some((marker) => marker !== undefined && "vdev" in marker)) return inner;
    return {
      ...inner,
      writer: undefined,
      store: (address, width, value) => {
        const stored = inner.store(address, width, value);
        this.#written(machine, address, value);
        return stored;
      },
    };
  }

  /** The guest prints a byte on the console. */
  printed(byte: number): void {
    for (const watch of this.#texts) {
      if (watch.sees(byte)) this.#passed((marker) => "text" in marker && marker.text === watch.text);
    }
  }

  /** The budgets that were not kept, in the order of the profile. */
  breaches(): Breach[] {
    const now = this.#recorder.exits();
    return this.#watched.flatMap(({ budget, start, end = now }) => {
      if (budget.from !== undefined && start === undefined) return [{ budget, finding: neverBegan(budget) }];
      const phase = start === undefined ? end : end.since(start);
      const spent = phase.where(budget.filter as Partial<ExitKey>);
      const finding = exceeded(budget, spent);
      return finding ? [{ budget, finding, spent }] : [];
    });
  }

  #written(machine: Observed, address: number, value: number): void {
    const region = machine.regions.find(({ at, size }) => address >= at && address < at + size);
    if (region === undefined) return;
    const register = this.#maps.register(region, address - region.at, "write", region.handler.names?.window());
    this.#passed(
      (marker) =>
        "vdev" in marker &&
        marker.vdev === region.owner &&
        marker.register === register &&
        (marker.value === undefined || marker.value === value),
    );
  }

  /** A marker was seen: phases begin behind the exit that did it, and end with it. */
  #passed(matches: (marker: BoardMarker) => boolean): void {
    let seen: Exits | undefined;
    const exits = () => {
      seen ??= this.#recorder.exits();
      return seen;
    };
    for (const watched of this.#watched) {
      const { from, to } = watched.budget;
      if (watched.end !== undefined) continue;
      const begun = from === undefined || watched.start !== undefined;
      if (!begun && matches(from)) watched.start = exits();
      else if (begun && to !== undefined && matches(to)) watched.end = exits();
    }
    if (seen !== undefined) this.#texts = this.#awaitedTexts();
  }

  /** The texts that may still begin or end something. Those that go on being awaited keep what they have seen. */
  #awaitedTexts(): readonly TextWatch[] {
    const awaited = this.#watched.flatMap(({ budget: { from, to }, start, end }) => {
      const next = from !== undefined && start === undefined ? from : end === undefined ? to : undefined;
      return next !== undefined && "text" in next ? next.text : [];
    });
    return [...new Set(awaited)].map((text) => this.#texts.find((watch) => watch.text === text) ?? new TextWatch(text));
  }
}

function neverBegan({ name, from, place }: BoardBudget): Diagnostic {
  const marker = from!;
  const what = "text" in marker ? JSON.stringify(marker.text) : `a write to ${marker.vdev}.${marker.register}`;
  return {
    code: "budget/phase",
    severity: "error",
    message: `budget ${name}: its phase never began: there was no ${what}`,
    place,
  };
}

function exceeded({ name, exits, time, place }: BoardBudget, spent: Exits): Diagnostic | undefined {
  const ns = spent.records.reduce((sum, record) => sum + (record.ns ?? 0), 0);
  const over = [
    exits !== undefined && spent.total > exits && `${thousands(spent.total)} exits, ${thousands(exits)} allowed`,
    time !== undefined && ns > time && `${duration(ns)} of host time, ${duration(time)} allowed`,
  ].filter((part) => part !== false);
  if (over.length === 0) return undefined;
  const message = `budget ${name} is exceeded: ${over.join("; ")}`;
  return { code: "budget/exceeded", severity: "error", message, place };
}

/** Finds a text in bytes that come one by one. */
class TextWatch {
  readonly #wanted: Uint8Array;
  /** By length of a match so far: the longest shorter one that it ends with. */
  readonly #shorter: number[] = [0, 0];
  #matched = 0;

  constructor(readonly text: string) {
    this.#wanted = new TextEncoder().encode(text);
    for (let length = 1, match = 0; length < this.#wanted.length; length++) {
      match = this.#extend(match, this.#wanted[length]);
      this.#shorter.push(match);
    }
  }

  sees(byte: number): boolean {
    this.#matched = this.#extend(this.#matched, byte);
    if (this.#matched < this.#wanted.length) return false;
    this.#matched = this.#shorter[this.#matched];
    return true;
  }

  #extend(matched: number, byte: number): number {
    let match = matched;
    while (match > 0 && this.#wanted[match] !== byte) match = this.#shorter[match];
    return this.#wanted[match] === byte ? match + 1 : 0;
  }
}

/** What was spent, as the text of a file of budgets that a run which does the same just keeps. */
export function recordedBudgets(exits: Exits): string {
  const lines = [
    "# Recorded by vmrun run --budget-record: counts of one run. A run that needs more exits fails.",
    "schema = 1",
  ];
  lines.push("", "[budget.all]", `exits = ${exits.total}`);
  const names = new Set(["all"]);
  const rows = exits.by(...BY_REGISTER.filter((column) => column !== "width"));
  for (const row of rows.toSorted((a, b) => (recordName(a) < recordName(b) ? -1 : 1))) {
    let name = recordName(row);
    for (let i = 2; names.has(name); i++) name = `${recordName(row)}-${i}`;
    names.add(name);
    lines.push("", `[budget.${name}]`);
    for (const column of ["kind", "vdev", "region", "register", "event"] as const) {
      if (row[column] !== undefined) lines.push(`${column} = ${JSON.stringify(row[column])}`);
    }
    lines.push(`exits = ${row.count}`);
  }
  return `${lines.join("\n")}\n`;
}

function recordName({ kind, vdev, register, event }: ExitRow): string {
  const parts = [vdev, kind === "timer" ? undefined : (register ?? event), kind];
  return parts
    .filter((part) => part !== undefined)
    .join("-")
    .replace(/[^A-Za-z0-9_-]+/g, "_")
    .replace(/^[^A-Za-z]+/, "x")
    .slice(0, 56);
}
