/** A distribution of durations in constant space: buckets that grow with what they hold, at most an eighth wide. */

/** Buckets of each power of two. */
const STEPS = 8;
const STEP_BITS = 3;
/** Up to 2^48 ns, which is three days. */
const OCTAVES = 48;

export class Histogram {
  readonly #weights = new Float64Array(STEPS * (OCTAVES - STEP_BITS + 1));
  min = Number.POSITIVE_INFINITY;
  max = 0;
  /** Values added, whatever their weight. */
  timed = 0;

  /** `weight`: how many exits the value stands for. */
  add(ns: number, weight: number): void {
    this.#weights[bucketOf(ns)] += weight;
    if (ns < this.min) this.min = ns;
    if (ns > this.max) this.max = ns;
    this.timed++;
  }

  /** Both together, as a new one. */
  with(other: Histogram): Histogram {
    const sum = new Histogram();
    for (let i = 0; i < this.#weights.length; i++) sum.#weights[i] = this.#weights[i] + other.#weights[i];
    sum.min = Math.min(this.min, other.min);
    sum.max = Math.max(this.max, other.max);
    sum.timed = this.timed + other.timed;
    return sum;
  }

  /** The value that this share of all is at most: the middle of its bucket. NaN where nothing was added. */
  quantile(share: number): number {
    if (this.timed === 0) return Number.NaN;
    const all = this.#weights.reduce((sum, weight) => sum + weight, 0);
    let below = 0;
    for (let i = 0; i < this.#weights.length; i++) {
      below += this.#weights[i];
      if (below >= all * share && below > 0) return Math.min(this.max, Math.max(this.min, middleOf(i)));
    }
    return this.max;
  }
}

function bucketOf(ns: number): number {
  if (ns < STEPS) return Math.max(0, Math.floor(ns));
  const octave = Math.min(OCTAVES - 1, ns < 2 ** 32 ? 31 - Math.clz32(ns) : Math.floor(Math.log2(ns)));
  const step = Math.min(STEPS - 1, Math.floor(ns / 2 ** (octave - STEP_BITS)) - STEPS);
  return (octave - STEP_BITS + 1) * STEPS + step;
}

function middleOf(bucket: number): number {
  const octave = Math.floor(bucket / STEPS) - 1 + STEP_BITS;
  const step = bucket % STEPS;
  if (octave < STEP_BITS) return step;
  const width = 2 ** (octave - STEP_BITS);
  return (STEPS + step) * width + (width - 1) / 2;
}
