/** What runs of a kernel come to: how many times QEMU's speed, and the table of it. */
import { median, threeDigits } from "../../src/observe/bench/statistics.ts";
import { duration } from "../statistics.ts";
import { type Column, table } from "../table.ts";
import type { Run } from "../whole/child.ts";

export type Engine = "interpreter" | "translator" | "portable" | "forced";
export const ENGINES: readonly Engine[] = ["interpreter", "translator", "portable", "forced"];

/** `--quick` leaves this part of the work. */
export const QUICK = 4;

/** Runs of one participant: with the work, and without it. What the second takes is starting. */
export interface Runs {
  readonly work: readonly Times[];
  readonly start: readonly Times[];
}

export type Times = Pick<Run, "wall" | "user" | "system">;

/** One kernel, one layout, one engine beside QEMU. Speeds are QEMU's time over vmrun's: 2 is twice as fast. */
export interface Score {
  readonly kernel: string;
  readonly layout: number;
  readonly engine: Engine;
  /** Of the work alone: what starting takes is taken off both. */
  readonly speed: { readonly wall: number; readonly cpu: number };
  /** Of whole processes. */
  readonly whole: { readonly wall: number; readonly cpu: number };
  /** Medians in seconds. */
  readonly wall: { readonly vmrun: number; readonly qemu: number };
  readonly start: { readonly vmrun: number; readonly qemu: number };
  /** Of the work, as vmrun counts them. */
  readonly instructions: number;
  /** Both printed the same. */
  readonly same: boolean;
}

/** One job under Linux. */
export interface JobScore {
  readonly job: string;
  readonly engine: Engine;
  /** QEMU's time over vmrun's. */
  readonly speed: { readonly wall: number; readonly cpu: number };
  /** Medians in seconds. */
  readonly wall: { readonly vmrun: number; readonly qemu: number };
  /** Both printed the same; absent where nothing is printed. */
  readonly same?: boolean;
}

/** A shorter difference is noise, and no speed follows from it; seconds. */
const LEAST = 0.005;

export function score(
  who: Pick<Score, "kernel" | "layout" | "engine">,
  vmrun: Runs,
  qemu: Runs,
  instructions: number,
  same: boolean,
): Score {
  const of = (runs: Runs, part: keyof Runs, time: keyof Times) => median(runs[part].map((run) => run[time]));
  const whole = (time: keyof Times) => of(qemu, "work", time) / of(vmrun, "work", time);
  const net = (time: keyof Times) => {
    const [theirs, ours] = [qemu, vmrun].map((runs) => of(runs, "work", time) - of(runs, "start", time));
    return Math.min(theirs, ours) < LEAST ? Number.NaN : theirs / ours;
  };
  return {
    ...who,
    speed: { wall: net("wall"), cpu: net("user") },
    whole: { wall: whole("wall"), cpu: whole("user") },
    wall: { vmrun: of(vmrun, "work", "wall"), qemu: of(qemu, "work", "wall") },
    start: { vmrun: of(vmrun, "start", "wall"), qemu: of(qemu, "start", "wall") },
    instructions,
    same,
  };
}

/** Of what is known. */
export function geometricMean(values: readonly number[]): number {
  const known = values.filter((value) => Number.isFinite(value));
  return Math.exp(known.reduce((sum, value) => sum + Math.log(value), 0) / known.length);
}

const times = (value: number) => (Number.isFinite(value) ? `${threeDigits(value)}x` : "-");

const right = (title: string): Column => ({ title, align: "right" });
const COLUMNS: readonly Column[] = [
  { title: "kernel", align: "left" },
  ...["CPU", "wall", "whole CPU", "whole wall", "vmrun", "QEMU", "start", "QEMU", "MIPS", "QEMU"].map(right),
  { title: "output", align: "left" },
];

/** One engine's scores; the geometric mean is the last row. */
export function scoreTable(scores: readonly Score[]): string {
  const lines = scores.map((s) => {
    const rate = (who: "vmrun" | "qemu") => threeDigits(s.instructions / 1e6 / (s.wall[who] - s.start[who]));
    return [
      s.layout === 0 ? s.kernel : `${s.kernel} +${s.layout}`,
      ...[s.speed.cpu, s.speed.wall, s.whole.cpu, s.whole.wall].map(times),
      ...[s.wall.vmrun, s.wall.qemu, s.start.vmrun, s.start.qemu].map(duration),
      ...[rate("vmrun"), rate("qemu")],
      s.same ? "same" : "DIFFERS",
    ];
  });
  const mean = (pick: (s: Score) => number) => times(geometricMean(scores.map(pick)));
  const means = [
    mean((s) => s.speed.cpu),
    mean((s) => s.speed.wall),
    mean((s) => s.whole.cpu),
    mean((s) => s.whole.wall),
  ];
  return table(COLUMNS, [...lines, ["geometric mean", ...means, ...COLUMNS.slice(5).map(() => "")]]);
}

/** One engine's jobs under Linux. */
export function jobTable(scores: readonly JobScore[]): string {
  const columns: Column[] = [
    { title: "under Linux", align: "left" },
    ...["CPU", "wall", "vmrun", "QEMU"].map(right),
    { title: "output", align: "left" },
  ];
  const lines = scores.map(({ job, speed, wall, same }) => [
    job,
    ...[speed.cpu, speed.wall].map(times),
    ...[wall.vmrun, wall.qemu].map(duration),
    same === undefined ? "" : same ? "same" : "DIFFERS",
  ]);
  const mean = (pick: (s: JobScore) => number) => times(geometricMean(scores.map(pick)));
  return table(columns, [
    ...lines,
    ["geometric mean", mean((s) => s.speed.cpu), mean((s) => s.speed.wall), "", "", ""],
  ]);
}
