/** Exits as a table for people, and as CSV and JSON for programs. */
import { BY_REGISTER, EXIT_COLUMNS, type ExitColumn, type ExitRow, type Exits } from "./exits.ts";

/** Rows of a table for people, unless they ask for more. */
const ROWS = 20;
const PLACES = 8;

export interface TableOptions {
  /** At most so many registers. */
  readonly rows?: number;
  /** At most so many guest functions. */
  readonly places?: number;
}

/** What happened, where its time went, and which guest code asked for it. */
export function exitTable(exits: Exits, { rows = ROWS, places = PLACES }: TableOptions = {}): string {
  const all = exits.by(...BY_REGISTER);
  const total = exits.time.total;
  const timed = exits.time.exits !== undefined;
  const regions = regionsOf(all);
  const head = timed
    ? ["EXITS", "TIME", "OF RUN", "MIN", "MEDIAN", "P99", "MAX", "", "BYTES", "WHAT"]
    : ["EXITS", "SHARE", "", "BYTES", "WHAT"];
  const line = (row: ExitRow): string[] => {
    const { count, ns = 0, cost, kind = "", width } = row;
    const what = [kind, width === undefined ? "" : String(width), nameOf(row, regions)];
    if (!timed) return [thousands(count), percent(count / exits.total), ...what];
    const spread = cost ? [cost.min, cost.median, cost.p99, cost.max].map(duration) : ["", "", "", ""];
    return [thousands(count), ns > 0 ? duration(ns) : "", ns > 0 ? percent(ns / total) : "", ...spread, ...what];
  };
  const body = [head, ...all.slice(0, rows).map(line)];
  const rest = all.slice(rows);
  if (rest.length > 0) {
    const count = rest.reduce((sum, row) => sum + row.count, 0);
    const ns = rest.reduce((sum, row) => sum + (row.ns ?? 0), 0);
    const columns = timed ? [duration(ns), percent(ns / total), "", "", "", ""] : [percent(count / exits.total)];
    body.push([thousands(count), ...columns, "", "", `${rest.length} more`]);
  }
  const right = timed ? [0, 1, 2, 3, 4, 5, 6, 8] : [0, 1, 3];
  const sections = [summary(exits), "", ...columns(body, right)];
  const costliest = placesOf(exits).slice(0, places);
  if (costliest.length > 0) {
    const title = timed ? ["EXITS", "TIME", "OF RUN", "GUEST CODE"] : ["EXITS", "SHARE", "GUEST CODE"];
    const cells = costliest.map(({ place, count, ns = 0 }) =>
      timed
        ? [thousands(count), duration(ns), percent(ns / total), place]
        : [thousands(count), percent(count / exits.total), place],
    );
    sections.push("", ...columns([title, ...cells], timed ? [0, 1, 2] : [0, 1]));
  }
  return `${sections.join("\n")}\n`;
}

/** What a budget was spent on: registers, and the guest code that used them. */
export function spentTable(spent: Exits): string {
  const rows = spent.by(...BY_REGISTER);
  const regions = regionsOf(rows);
  const cells = rows.slice(0, PLACES).map((row) => [thousands(row.count), row.kind!, nameOf(row, regions)]);
  const places = placesOf(spent)
    .toSorted((a, b) => b.count - a.count)
    .slice(0, PLACES)
    .map(({ place, count }) => [thousands(count), "from", place]);
  return `${columns(
    [...cells, ...places].map((row) => ["", ...row]),
    [1],
  ).join("\n")}\n`;
}

/** One line: how many, and where host time went. */
export function summary({ total, time }: Exits): string {
  const outside = `${percent((time.total - time.running) / time.total)} outside (idle, output, starting)`;
  const where =
    time.exits === undefined
      ? `${percent(time.running / time.total)} running the guest, ${outside}`
      : `${percent((time.running - time.exits) / time.total)} in guest code, ${percent(time.exits / time.total)} in exits, ${outside}`;
  return `${thousands(total)} exits in ${duration(time.total)}: ${where}`;
}

export interface Place {
  /** A function with its line where symbols tell, else an address. */
  readonly place: string;
  readonly count: number;
  readonly ns?: number;
}

/** Which guest code the exits come from, the costliest first. */
export function placesOf(exits: Exits): Place[] {
  const known = exits.records.some(({ symbol }) => symbol !== undefined);
  const rows = known ? exits.by("symbol", "line") : exits.by("pc");
  return rows.flatMap(({ pc, symbol, line, count, ns }) => {
    if (symbol === undefined && pc === undefined) return [];
    return [{ place: symbol === undefined ? hex(pc!) : symbol + (line ? ` (${line})` : ""), count, ns }];
  });
}

const FIGURES = ["count", "ns", "min", "median", "p99", "max", "timed"] as const;

/** RFC 4180, a header first. Times are in ns; cells that do not apply are empty. */
export function exitCsv(exits: Exits, by: readonly ExitColumn[] = BY_REGISTER): string {
  const lines = exits
    .by(...by)
    .map((row) =>
      [...by.map((column) => shown(row, column)), ...FIGURES.map((name) => figure(row, name))].map(quoted).join(","),
    );
  return `${[[...by, ...FIGURES].join(","), ...lines].join("\r\n")}\r\n`;
}

/** Times are in ns; addresses and pcs are hexadecimal text. */
export function exitJson(exits: Exits, by: readonly ExitColumn[] = BY_REGISTER): string {
  const rows = exits.by(...by).map((row) => ({
    ...Object.fromEntries(by.filter((name) => row[name] !== undefined).map((name) => [name, plain(row, name)])),
    count: row.count,
    ...(row.ns === undefined ? {} : { ns: Math.round(row.ns) }),
    ...(row.cost && { cost: row.cost }),
  }));
  return `${JSON.stringify({ format: 1, total: exits.total, time: exits.time, exits: rows }, undefined, 2)}\n`;
}

export function isExitColumn(name: string): name is ExitColumn {
  return (EXIT_COLUMNS as readonly string[]).includes(name);
}

/** `uart0.THR`; with the region where the vdev has several. */
export function nameOf(row: Partial<ExitRow>, regions: ReadonlyMap<string, ReadonlySet<string>> = new Map()): string {
  const { kind, vdev, region, register, event } = row;
  if (kind === "timer") return `timer of ${vdev}`;
  if (event !== undefined) return event;
  if (vdev === undefined) return "nothing there";
  const several = (regions.get(vdev)?.size ?? 0) > 1 && region !== vdev;
  return [vdev, several ? region : undefined, register].filter((part) => part !== undefined).join(".");
}

export function regionsOf(rows: readonly ExitRow[]): Map<string, Set<string>> {
  const regions = new Map<string, Set<string>>();
  for (const { vdev, region } of rows) {
    if (vdev === undefined || region === undefined) continue;
    const known = regions.get(vdev);
    if (known) known.add(region);
    else regions.set(vdev, new Set([region]));
  }
  return regions;
}

/** Three digits and a unit, as a person reads it. */
export function duration(ns: number): string {
  if (!Number.isFinite(ns)) return "";
  const units = ["ns", "us", "ms", "s"];
  let [value, unit] = [ns, 0];
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

export function thousands(count: number): string {
  return count.toLocaleString("en-US");
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(1)}%` : "";
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** Aligned; the columns named in `right` on their right side. */
export function columns(rows: readonly (readonly string[])[], right: readonly number[]): string[] {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join("  ")
      .trimEnd(),
  );
}

function shown(row: ExitRow, column: ExitColumn): string {
  return String(plain(row, column) ?? "");
}

function plain(row: ExitRow, column: ExitColumn): string | number | undefined {
  const value = row[column];
  if (typeof value === "bigint" || (column === "address" && value !== undefined)) return hex(value as number | bigint);
  return value;
}

function figure(row: ExitRow, name: (typeof FIGURES)[number]): string {
  const value = name === "count" || name === "ns" ? row[name] : row.cost?.[name];
  return value === undefined ? "" : String(Math.round(value));
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
