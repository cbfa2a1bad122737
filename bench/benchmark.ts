/** What a benchmark is: a name that can be asked for, and rows that compare vmrun, or a part of it, with a peer. */

/** One comparison. The ratio is the figure; what was measured stands beside it. */
export interface Row {
  readonly what: string;
  /** Subject's time over peer's: the median of the ratios of runs that followed each other. */
  readonly ratio: number;
  /** The smallest and the largest of those ratios. */
  readonly low: number;
  readonly high: number;
  /** Medians, ready to be read. */
  readonly subject: string;
  readonly peer: string;
  readonly rounds: number;
  /** The medians in seconds, for programs. */
  readonly seconds: { readonly subject: number; readonly peer: number };
}

export interface Report {
  readonly rows: readonly Row[];
  /** What was not measured, and what it takes. */
  readonly skipped?: readonly string[];
}

export interface Qemu {
  readonly path: string;
  readonly version: string;
}

export interface Context {
  /** A minute for everything: fewer rounds, shorter runs. */
  readonly quick: boolean;
  readonly qemu: Qemu | undefined;
  /** For files that last as long as the benchmark. */
  readonly folder: string;
  /** CPU time that one measurement of a part takes at least, ns. */
  readonly partTime: number;
  /** Says what goes on. */
  progress(text: string): void;
}

export interface Benchmark {
  readonly name: string;
  readonly summary: string;
  /** `whole`: processes beside QEMU's. `parts`: hot paths inside this process, beside something that everyone knows. */
  readonly kind: "whole" | "parts";
  run(context: Context): Promise<Report>;
}
