/** What `vmrun bench` finds out: figures, each with a name that is the same in every run. */
import { deviation, median } from "./statistics.ts";

/** Who runs the guest; `host` where no guest runs. */
export const RUNNERS = ["interpreter", "translator", "qemu", "host"] as const;
export type RunnerName = (typeof RUNNERS)[number];

export interface FigureKey {
  /** `uart0.SCR`, `rng0`, `board`. */
  readonly subject: string;
  /** `read`, `write`, or in words. */
  readonly what: string;
  /** Bytes, of reads and writes. */
  readonly width?: number;
  readonly runner: RunnerName;
}

/** Host time in ns, unless the name says otherwise. */
export interface Figure extends FigureKey {
  readonly median: number;
  /** Median of the distances from the median; of several runs, within the run in the middle. */
  readonly deviation: number;
  readonly min: number;
  readonly max: number;
  readonly samples: number;
  /** The medians of runs in processes of their own. */
  readonly passes?: readonly number[];
}

export function figure(key: FigureKey, values: readonly number[]): Figure {
  const { subject, what, width, runner } = key;
  return {
    subject,
    what,
    ...(width === undefined ? {} : { width }),
    runner,
    median: median(values),
    deviation: deviation(values),
    min: Math.min(...values),
    max: Math.max(...values),
    samples: values.length,
  };
}

/** How far figures like this one move: within a run, or from run to run, whichever is more. */
export function spread({ deviation: within, passes }: Figure): number {
  return passes === undefined ? within : Math.max(within, deviation(passes));
}

/** Without the runner: the row that it stands in. */
export function rowName({ subject, what, width }: Omit<FigureKey, "runner">): string {
  return width === undefined ? `${subject} ${what}` : `${subject} ${what}/${width}`;
}

export function figureName(key: FigureKey): string {
  return `${rowName(key)} ${key.runner}`;
}

/** Everything of a run, as `--save` and `--json` write it. */
export interface BenchReport {
  readonly format: 1;
  readonly profile: string;
  /** Processor, system, versions: figures of different machines do not compare. */
  readonly machine: string;
  readonly quick: boolean;
  readonly figures: readonly Figure[];
  /** vmrun's time over QEMU's, of runs that took turns. */
  readonly ratios?: readonly Ratio[];
  /** What was not measured, and why. */
  readonly left: readonly { readonly subject: string; readonly reason: string }[];
}

export interface Ratio extends FigureKey {
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}
