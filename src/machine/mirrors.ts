/** The windows that native code has onto a machine's memory, and when there may be none. */
import type { Mirror } from "../host/mirror.ts";
import type { Board } from "../profile/board.ts";

export class Mirrors {
  readonly #open: Mirror[] = [];
  #isKept = false;

  /** Told of each that is opened; `undefined`: there are to be none. */
  readonly add: ((mirror: Mirror) => void) | undefined;

  constructor({ cpu, memory }: Board) {
    // Several harts would have to agree on what is shown, and what is the host's own lies where it does for a reason.
    if (cpu.harts > 1 || memory.some(({ backing }) => backing.kind !== "anonymous")) return;
    this.add = (mirror) => {
      this.#open.push(mirror);
      if (this.#isKept) mirror.keep();
    };
  }

  /** Hardware of the host may reach RAM by itself from now on, by the pages that the host has for it. */
  keep(): void {
    this.#isKept = true;
    for (const mirror of this.#open) mirror.keep();
  }

  /** The guest has ended. */
  release(): void {
    for (const mirror of this.#open.splice(0)) mirror.release();
  }
}
