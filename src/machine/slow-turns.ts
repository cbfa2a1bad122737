/**
 * Finds the access that held a turn of the guest. Which one it was is not known any more, since looking at the clock for
 * each would slow down all of them; those that come after are timed for a while.
 */
import type { Bus } from "./bus.ts";
import { LONGEST_CALL } from "./tenant.ts";

/** Host time that an instruction and an exit take at the very most, ns: what exceeds it in a turn, a vdev took. */
const SLOWEST_INSTRUCTION = 500;
const SLOWEST_EXIT = 5000;
/** Turns for which every access is timed after one that took too long. */
const TIMED_TURNS = 1000;

export class SlowTurns {
  #timedTurns = 0;

  /** @param tell Told what took how long, ns; and whose it is, where only one vdev can be it. */
  constructor(
    readonly bus: Bus,
    readonly tell: (what: string, ns: number, owner: string | undefined) => void,
  ) {}

  /** A turn of so many instructions and accesses took `ns`. */
  judge(ns: number, instructions: number, exits: number): void {
    const { bus } = this;
    if (bus.timed) {
      bus.timed = --this.#timedTurns > 0;
      return;
    }
    const excess = ns - instructions * SLOWEST_INSTRUCTION - exits * SLOWEST_EXIT;
    if (excess <= LONGEST_CALL) return;
    const regions = bus.accessed;
    if (regions.length === 0) return;
    bus.timed = true;
    this.#timedTurns = TIMED_TURNS;
    const names = regions.map(({ owner, name }) => `${owner}.${name}`);
    const what = names.length === 1 ? `an access to ${names[0]}` : `an access to one of ${names.join(", ")}`;
    this.tell(what, excess, names.length === 1 ? regions[0].owner : undefined);
  }
}
