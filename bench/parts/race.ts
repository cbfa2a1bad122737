/** A hot path and its yardstick, measured by mitata in turns inside one process. */
import { do_not_optimize, measure } from "mitata";
import type { Context, Row } from "../benchmark.ts";
import { compare } from "../statistics.ts";

const ROUNDS = { full: 7, quick: 3 } as const;
const NS = 1e9;
/** Calls shorter than this, ns, are timed many at a time; longer ones one by one, or a round would take seconds. */
const BATCH_THRESHOLD = 2000;
const BATCH = 1024;

/** Something to be called over and over; what it answers keeps the work from being optimized away. */
export type Work = () => unknown;

/** @param what Names the path, and the yardstick after "beside". */
export async function race(context: Context, what: string, path: Work, yardstick: Work): Promise<Row> {
  context.progress(what);
  const paths: number[] = [];
  const yardsticks: number[] = [];
  // The first round warms the code up: it does not count.
  for (let round = 0; round <= (context.quick ? ROUNDS.quick : ROUNDS.full); round++) {
    const [a, b] = [await secondsPerCall(context, path), await secondsPerCall(context, yardstick)];
    if (round === 0) continue;
    paths.push(a);
    yardsticks.push(b);
  }
  return compare(what, paths, yardsticks);
}

async function secondsPerCall({ partTime }: Context, work: Work): Promise<number> {
  const { p50 } = await measure(() => do_not_optimize(work()), {
    min_cpu_time: partTime,
    batch_threshold: BATCH_THRESHOLD,
    batch_samples: BATCH,
  });
  return p50 / NS;
}
