/** Two runs of `vmrun bench`: what changed beyond noise. */
import { type BenchReport, type Figure, figureName } from "./figures.ts";

/**
 * A change counts that is larger than so many deviations of the two, and than this share of what was; and where both were
 * run several times, only if no run of the one is among those of the other.
 */
const DEVIATIONS = 3;
const SHARE = 0.05;
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
  const noise = NORMAL * Math.hypot(before.deviation, after.deviation);
  const beyond =
    Math.abs(difference) > DEVIATIONS * noise &&
    Math.abs(difference) > SHARE * Math.abs(before.median) &&
    apart(before.passes, after.passes);
  const verdict = !beyond ? "same" : difference > 0 ? "slower" : "faster";
  return { name, before, after, ratio: after.median / before.median, verdict };
}

/** Whether every run of one is beyond every run of the other. */
function apart(before: readonly number[] = [], after: readonly number[] = []): boolean {
  if (before.length === 0 || after.length === 0) return true;
  return Math.min(...after) > Math.max(...before) || Math.max(...after) < Math.min(...before);
}
