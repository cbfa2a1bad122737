/** The `[[clock]]` tables of a profile and the `clocks` of its devices: checked, and every name resolved. */
import { fail } from "../diagnostics/diagnostic.ts";
import type { ClockController, ClockReference } from "../pass/clocks/description.ts";
import { hostStates, type Open } from "../pass/clocks/host-values.ts";
import type { ClockOptions } from "../pass/clocks/options.ts";
import { ClockNames, type ClockTable, controllersOf, reportLoops } from "../pass/clocks/outputs.ts";
import type { Report } from "../pass/clocks/problems.ts";
import { type ClockStates, clockStates, resetValue } from "../pass/clocks/rates.ts";
import { checkRegisters } from "../pass/clocks/registers.ts";
import { dependsOnHost, shownClock, supplyOf, whyNotSupplied } from "../pass/clocks/supply.ts";
import type { PlacedRegion } from "../vdev/placement.ts";
import type { Board, BoardClock } from "./board.ts";
import type { Findings } from "./findings.ts";
import { type Located, lookup, pathOf, type TableNode } from "./located.ts";
import type { ProfileVdev } from "./schema.ts";
import type { DraftVdev } from "./vdevs.ts";

const TABLE = "clock";

/** The clock tables of a board, in its order. */
export function clockTablesOf({ vdevs }: Board): ClockTable[] {
  return vdevs.flatMap(({ table, placement, options }) =>
    table === TABLE ? [tableOf(placement.name, placement.regions, options)] : [],
  );
}

function tableOf(name: string, regions: readonly PlacedRegion[], options: object): ClockTable {
  // The descriptor's own schema made them.
  return { name, at: regions[0]?.at, options: options as ClockOptions };
}

/**
 * Each device's clocks by its name, after reporting everything that is wrong.
 * @param missing Names of clock tables that could not be read: who refers to them is not wrong.
 */
export function resolveClocks(
  drafts: readonly DraftVdev[],
  regions: ReadonlyMap<string, readonly PlacedRegion[]>,
  missing: ReadonlySet<string>,
  findings: Findings,
): ReadonlyMap<string, readonly BoardClock[]> {
  const own = drafts.filter(({ table }) => table === TABLE);
  const tables = own.map(({ name, options }) => tableOf(name, regions.get(name) ?? [], options));
  const reports = own.map((draft) => reporter(draft, missing, findings));
  for (const [i, { options }] of tables.entries()) checkRegisters(options, reports[i]!);
  const controllers = controllersOf(tables, (i) => reports[i]!);
  reportLoops(controllers, (i) => reports[i]!);
  const users = drafts.filter(({ profile }) => profile.clocks !== undefined);
  if (users.length === 0) return new Map();
  const names = new ClockNames(tables);
  return new Map(users.map((user) => [user.name, clocksOf(user, names, controllers, missing, findings)]));
}

/** Places in the text of a clock table, for what is found out below this room. */
function reporter({ name, node }: DraftVdev, missing: ReadonlySet<string>, findings: Findings): Report {
  return (code, path, message, hint) => {
    if (code === "clock/unknown-clock" && namesOneOf(missing, lookup(node, ...path))) return;
    const place = deepest(node, path).place;
    findings.error(code, place, `${pathOf(TABLE, name, ...path)}: ${message}`, { hint });
  };
}

/** The innermost thing on the way that is written down. */
function deepest(node: TableNode, path: readonly (string | number)[]): Located {
  let at: Located = node;
  for (const key of path) at = lookup(at, key) ?? at;
  return at;
}

function namesOneOf(names: ReadonlySet<string>, node: Located | undefined): boolean {
  return node?.kind === "scalar" && names.has(String(node.value).split(".")[0]!);
}

function clocksOf(
  { table, name, label, node, profile }: DraftVdev,
  names: ClockNames,
  controllers: readonly ClockController[],
  missing: ReadonlySet<string>,
  findings: Findings,
): BoardClock[] {
  const states = clockStates(controllers, resetValue);
  return entriesOf(profile.clocks).flatMap(({ key, name: own, clock }) => {
    const at = lookup(node, "clocks", ...key);
    if (namesOneOf(missing, at)) return [];
    const place = (at ?? node).place;
    const path = pathOf(table, name, "clocks", ...key);
    const found = names.find(clock);
    if ("problem" in found) {
      findings.error("clock/unknown-clock", place, `${path}: ${found.problem}`, { hint: found.hint });
      return [];
    }
    const why = whyNotSupplied(controllers, found, states);
    if (why) findings.error("clock/not-supplied", place, `${label} needs a clock: ${why.message}`, { hint: why.hint });
    return [{ name: own, clock }];
  });
}

/** A text, a list, or a table of name = clock. */
function entriesOf(clocks: ProfileVdev["clocks"] = []): (BoardClock & { readonly key: (string | number)[] })[] {
  if (typeof clocks === "string") return [{ key: [], clock: clocks }];
  if (Array.isArray(clocks)) return clocks.map((clock, i) => ({ key: [i], clock }));
  return Object.entries(clocks).map(([name, clock]) => ({ key: [name], name, clock: clock as string }));
}

/** Devices by the clocks that they name, as {@link shownClock} calls those. */
export function clockUsers(board: Board): Map<string, string[]> {
  const tables = clockTablesOf(board);
  const names = new ClockNames(tables);
  const controllers = controllersOf(tables);
  const users = new Map<string, string[]>();
  for (const { placement, clocks = [] } of board.vdevs) {
    for (const { clock } of clocks) {
      const found = names.find(clock);
      if ("problem" in found) continue;
      const shown = shownClock(controllers, found);
      const known = users.get(shown) ?? [];
      if (!known.includes(placement.name)) users.set(shown, [...known, placement.name]);
    }
  }
  return users;
}

/**
 * What the clocks run at, where the board cannot know that alone: a device's fixed clock depends on registers of the host.
 * `undefined` where none does. Throws what `open` does, and where a rate stays unknown.
 */
export function clockStatesOfHost(board: Board, open: Open): ClockStates | undefined {
  const tables = clockTablesOf(board);
  const names = new ClockNames(tables);
  const controllers = controllersOf(tables);
  const used = board.vdevs.flatMap(({ clocks = [] }) => clocks.flatMap(({ clock }) => found(names.find(clock))));
  const wanted = used.filter((at) => supplyOf(controllers, at) === "fixed" && dependsOnHost(controllers, at));
  if (wanted.length === 0) return undefined;
  const states = hostStates(tables, controllers, open);
  for (const at of wanted) {
    const { rate, unknown = "" } = states[at.controller]![at.output]!;
    if (rate !== undefined) continue;
    fail(
      "clock/unknown-rate",
      `${shownClock(controllers, at)} runs at a rate that the host does not tell: ${unknown}`,
      {
        hint: 'state its rate, such as rate = "24MHz"',
      },
    );
  }
  return states;
}

function found(at: ReturnType<ClockNames["find"]>): ClockReference[] {
  return "problem" in at ? [] : [at];
}
