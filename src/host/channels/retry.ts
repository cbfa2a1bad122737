/** For what gives no sign of when it can be written again: tries anew, ever more rarely while nothing helps. */

/** ms */
const FIRST = 5;
const LAST = 200;

export class Retry {
  readonly #act: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wait = FIRST;

  constructor(act: () => void) {
    this.#act = act;
  }

  later(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#act();
    }, this.#wait);
    this.#wait = Math.min(2 * this.#wait, LAST);
  }

  /** Something went: the next time begins with the shortest wait again. */
  helped(): void {
    this.#wait = FIRST;
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
