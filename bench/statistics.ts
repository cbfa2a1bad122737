/** Medians, and comparisons that a machine with other work to do does not spoil. */
import { median, threeDigits } from "../src/observe/bench/statistics.ts";
import type { Row } from "./benchmark.ts";

/**
 * Compares two series, in seconds, whose runs took turns. Each pair met the same state of the machine, so that the ratio
 * is taken pair by pair and only then the median.
 */
export function compare(
  what: string,
  subject: readonly number[],
  peer: readonly number[],
  show: (seconds: number) => string = duration,
): Row {
  const ratios = subject.map((value, i) => value / peer[i]);
  const seconds = { subject: median(subject), peer: median(peer) };
  return {
    what,
    ratio: median(ratios),
    low: Math.min(...ratios),
    high: Math.max(...ratios),
    subject: show(seconds.subject),
    peer: show(seconds.peer),
    rounds: ratios.length,
    seconds,
  };
}

const UNITS = [
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "us"],
  [1e-9, "ns"],
] as const;

/** Three digits and a unit. */
export function duration(seconds: number): string {
  const [scale, unit] = UNITS.find(([least]) => seconds >= least) ?? UNITS[3];
  return `${threeDigits(seconds / scale)} ${unit}`;
}

/** Seconds per instruction as a rate. */
export function mips(seconds: number): string {
  return `${threeDigits(1e-6 / seconds)} MIPS`;
}
