/** How a run spent its time, in steps: few enough for a picture, however long it lasts. */
import type { Observer } from "../machine/observer.ts";
import { Layer } from "./layer.ts";
import type { Recorder } from "./recorder.ts";

/** The shortest step, ns of host time; */
const SHORTEST = 10e6;
/** ... and the share of the run so far that one takes at least. */
const SHARE = 1 / 150;

export interface Step {
  /** Since the first instruction, ns of host time. */
  readonly from: number;
  readonly to: number;
  /** Of that, in guest code and its exits, and in exits alone. */
  readonly running: number;
  readonly exits: number;
  /** By vdev, and by kind for what is no access. */
  readonly counts: ReadonlyMap<string, number>;
}

export class Timeline extends Layer {
  readonly steps: Step[] = [];
  readonly #recorder: Recorder;
  #began: number | undefined;
  #last = 0;
  #running = 0;
  #exits = 0;
  #counts: ReadonlyMap<string, number> = new Map();

  constructor(inner: Observer, recorder: Recorder) {
    super(inner);
    this.#recorder = recorder;
  }

  override enter(hart: number, ns: number): void {
    this.#began ??= ns;
    super.enter(hart, ns);
  }

  override leave(hart: number, ns: number, instructions: number, waits: boolean): void {
    super.leave(hart, ns, instructions, waits);
    const now = ns - this.#began!;
    if (now - this.#last >= Math.max(SHORTEST, now * SHARE)) this.#step(now);
  }

  /** All steps, with what has happened since the last one. */
  finished(): readonly Step[] {
    const { total } = this.#recorder.exits().time;
    if (total > this.#last) this.#step(total);
    return this.steps;
  }

  #step(now: number): void {
    const exits = this.#recorder.exits();
    const counts = new Map<string, number>();
    for (const { vdev, kind, count } of exits.records) {
      const name = kind === "read" || kind === "write" ? (vdev ?? "nothing there") : kind;
      counts.set(name, (counts.get(name) ?? 0) + count);
    }
    const { running, exits: ns = 0 } = exits.time;
    const since = [...counts].map(([name, count]) => [name, count - (this.#counts.get(name) ?? 0)] as const);
    this.steps.push({
      from: this.#last,
      to: now,
      running: running - this.#running,
      exits: Math.max(0, ns - this.#exits),
      counts: new Map(since.filter(([, count]) => count > 0)),
    });
    this.#last = now;
    this.#running = running;
    this.#exits = ns;
    this.#counts = counts;
  }
}
