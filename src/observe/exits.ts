/** The record that everything about exits is made of: tables, CSV and JSON, traces, pictures, budgets. */
import type { EXIT_KINDS } from "../profile/budgets.ts";
import type { Histogram } from "./histogram.ts";

export type ExitKind = (typeof EXIT_KINDS)[number];

/** What exits can be told apart by. Fields that do not apply are absent. */
export interface ExitKey {
  readonly kind: ExitKind;
  /** Instance name of the vdev that is accessed, or whose timer fires. Absent where an access found nothing. */
  readonly vdev?: string;
  readonly region?: string;
  /** By the vdev's register map, all elements of an array under one name, `MTIMECMP[]`; `+0x1c` where the map has none. */
  readonly register?: string;
  /** What it was where it is no access: `supervisor timer`, `TIME.set_timer`, `illegal instruction`. */
  readonly event?: string;
  /** Bytes. An access of 8 is two of 4 where the region does not take it whole, as on the bus. */
  readonly width?: number;
  readonly hart?: number;
  /** Physical address. */
  readonly address?: number;
  /** Of the instruction that exits, as a number of 64 bits. Absent where no instruction does, or too many to keep apart. */
  readonly pc?: bigint;
  /** Function that the pc is in, where symbols are known ({@link Exits.resolved}). */
  readonly symbol?: string;
  /** Line that the instruction comes from, `uart.c:31`, where debug information tells. */
  readonly line?: string;
}

/** Tells where in the guest's source a pc is. */
export interface Symbolizer {
  resolve(pc: bigint): { readonly symbol: string; readonly line?: string } | undefined;
}

export interface Exit extends ExitKey {
  readonly count: number;
  /** Host time that all of them took together, ns: an estimate where some were timed. Absent where only counted. */
  readonly ns?: number;
}

/** The distribution of what exits cost, ns of host time. */
export interface Cost {
  readonly total: number;
  readonly min: number;
  readonly median: number;
  readonly p99: number;
  readonly max: number;
  /** How many were timed. */
  readonly timed: number;
}

export interface ExitRow extends Partial<ExitKey> {
  readonly count: number;
  readonly ns?: number;
  /** Absent where only counted, and in rows that tell pcs, addresses or places in the source apart. */
  readonly cost?: Cost;
}

/** Where host time went, ns. */
export interface RunTime {
  /** From the first instruction until now. */
  readonly total: number;
  /** In guest code and its exits. */
  readonly running: number;
  /** In exits alone; absent where they were only counted. */
  readonly exits?: number;
  /** Guest time, ns. */
  readonly guest: number;
  readonly instructions: number;
}

export type ExitColumn = keyof ExitKey;
export const EXIT_COLUMNS = [
  "kind",
  "vdev",
  "region",
  "register",
  "event",
  "width",
  "hart",
  "address",
  "pc",
  "symbol",
  "line",
] as const satisfies readonly ExitColumn[];
/** Rows of a register each. */
export const BY_REGISTER = ["kind", "vdev", "region", "register", "event", "width"] as const;

/** A record as the recorder keeps it. */
export interface ExitRecord extends Exit {
  /** Which one it is, throughout a run. */
  readonly id: number;
  /** Shared by records that differ in pc or address alone. */
  readonly histogram?: Histogram;
}

/** The exits of a run so far: a copy that does not change. */
export class Exits {
  constructor(
    readonly records: readonly ExitRecord[],
    readonly time: RunTime,
  ) {}

  /** Of accesses, interrupts and all the rest together. */
  get total(): number {
    return this.count();
  }

  /** How many there were of a kind: `exits.count({ vdev: "uart0", register: "THR", kind: "write" })`. */
  count(filter: Partial<ExitKey> = {}): number {
    return this.where(filter).records.reduce((sum, { count }) => sum + count, 0);
  }

  where(filter: Partial<ExitKey>): Exits {
    const wanted = Object.entries(filter) as [ExitColumn, unknown][];
    const records = this.records.filter((record) => wanted.every(([column, value]) => record[column] === value));
    return new Exits(records, this.time);
  }

  /** What has come since an earlier copy. Distributions are not kept apart in time, so these have none. */
  since(earlier: Exits): Exits {
    const before = new Map(earlier.records.map((record) => [record.id, record]));
    const records = this.records.flatMap(({ histogram: _, ...record }): ExitRecord[] => {
      const known = before.get(record.id);
      const count = record.count - (known?.count ?? 0);
      const ns = record.ns === undefined ? undefined : Math.max(0, record.ns - (known?.ns ?? 0));
      return count === 0 ? [] : [{ ...record, count, ns }];
    });
    const less = (key: "total" | "running" | "guest" | "instructions") => this.time[key] - earlier.time[key];
    const time = {
      total: less("total"),
      running: less("running"),
      exits: this.time.exits === undefined ? undefined : this.time.exits - (earlier.time.exits ?? 0),
      guest: less("guest"),
      instructions: less("instructions"),
    };
    return new Exits(records, time);
  }

  /** The same, with the guest's functions and lines by name. */
  resolved(symbols: Symbolizer): Exits {
    const records = this.records.map((record) => {
      const place = record.pc === undefined ? undefined : symbols.resolve(record.pc);
      return place === undefined ? record : { ...record, ...place };
    });
    return new Exits(records, this.time);
  }

  /** Rows that tell exits apart by these columns alone: most time first, where there are times, then most exits. */
  by(...columns: readonly ExitColumn[]): ExitRow[] {
    const groups = new Map<string, { key: Partial<ExitKey>; records: ExitRecord[] }>();
    for (const record of this.records) {
      const key = Object.fromEntries(
        columns.filter((column) => record[column] !== undefined).map((column) => [column, record[column]]),
      );
      const id = columns.map((column) => String(record[column])).join("\n");
      const group = groups.get(id);
      if (group) group.records.push(record);
      else groups.set(id, { key, records: [record] });
    }
    const shared = (["pc", "address", "symbol", "line"] as const).some((column) => columns.includes(column));
    const rows = [...groups].map(([id, { key, records }]) => ({ id, row: rowOf(key, records, shared) }));
    return rows.sort((a, b) => compare(a.row, b.row) || (a.id < b.id ? -1 : 1)).map(({ row }) => row);
  }
}

function compare(a: ExitRow, b: ExitRow): number {
  return (b.ns ?? 0) - (a.ns ?? 0) || b.count - a.count;
}

function rowOf(key: Partial<ExitKey>, records: readonly ExitRecord[], shared: boolean): ExitRow {
  const count = records.reduce((sum, record) => sum + record.count, 0);
  if (records.every(({ ns }) => ns === undefined)) return { ...key, count };
  const ns = records.reduce((sum, record) => sum + (record.ns ?? 0), 0);
  const kept = records.flatMap(({ histogram }) => (histogram !== undefined && histogram.timed > 0 ? histogram : []));
  const histograms = [...new Set(kept)];
  if (shared || histograms.length === 0) return { ...key, count, ns };
  const [first, ...others] = histograms;
  const all = others.reduce((sum, histogram) => sum.with(histogram), first);
  const { min, max, timed } = all;
  return {
    ...key,
    count,
    ns,
    cost: { total: ns, min, median: all.quantile(0.5), p99: all.quantile(0.99), max, timed },
  };
}
