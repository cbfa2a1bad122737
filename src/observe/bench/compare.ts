/** Two runs of `vmrun bench`: what changed beyond noise. */
import { type BenchReport, type Figure, figureName } from "./figures.ts";

/**
 * A change counts that is larger than this share of what was, and beyond noise. Of two single runs that is so many
 * deviations; where both were run several times, no run of the one may come near any of the other.
 */
const SHARE = 0.05;
const DEVIATIONS = 3;
const NEAR = 0.02;
/** A deviation as if it were a standard deviation: of normal noise, that is 1.4826 times the median distance. */
const NORMAL = 1.4826;

export type Verdict = "slower" | "faster" | "same";

export interface Change {
  readonly name: string;
  readonly before: Figure;
  readonly after: Figure;
  /** After over before; NaN where both are 0. */
  readonly ratio: number;
  readonly verdict: Verdict;
}

export interface Comparison {
  readonly changes: readonly Change[];
  /** Names of figures that only one of the two has. */
  readonly gone: readonly string[];
  readonly added: readonly string[];
  /** Why figures may differ although nothing of vmrun does. */
  readonly doubts: readonly string[];
}

export function compareReports(before: BenchReport, after: BenchReport): Comparison {
  const known = new Map(before.figures.map((figure) => [figureName(figure), figure]));
  const now = new Map(after.figures.map((figure) => [figureName(figure), figure]));
  const changes = [...now].flatMap(([name, figure]): Change[] => {
    const old = known.get(name);
    return old === undefined ? [] : [change(name, old, figure)];
  });
  const doubts: string[] = [];
  if (before.machine !== after.machine) doubts.push(`the saved run was made on: ${before.machine}`);
  if (before.profile !== after.profile) doubts.push(`the saved run was of ${before.profile}`);
  if (before.quick !== after.quick) doubts.push(`the saved run was ${before.quick ? "with" : "without"} --quick`);
  return {
    changes,
    gone: [...known.keys()].filter((name) => !now.has(name)),
    added: [...now.keys()].filter((name) => !known.has(name)),
    doubts,
  };
}

function change(name: string, before: Figure, after: Figure): Change {
  const difference = after.median - before.median;
  const large = Math.abs(difference) > SHARE * Math.abs(before.median);
  const beyond = large && (apart(before, after) ?? Math.abs(difference) > noise(before, after));
  const verdict = !beyond ? "same" : difference > 0 ? "slower" : "faster";
  return { name, before, after, ratio: after.median / before.median, verdict };
}

function noise(before: Figure, after: Figure): number {
  return DEVIATIONS * NORMAL * Math.hypot(before.deviation, after.deviation);
}

/** Whether all runs of one are well beyond all runs of the other; `undefined` where one was run once. */
function apart({ passes: before = [], median }: Figure, { passes: after = [] }: Figure): boolean | undefined {
  if (before.length < 2 || after.length < 2) return undefined;
  const gap = Math.max(Math.min(...after) - Math.max(...before), Math.min(...before) - Math.max(...after));
  return gap > NEAR * Math.abs(median);
}
