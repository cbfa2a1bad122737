/** Pages of devices that were accessed lately: what a TLB would hold, were they memory. */
import { PAGE_SIZE } from "../../memory/guest-memory.ts";

const SLOTS = 32;
const IN_PAGE = PAGE_SIZE - 1;
/** No page begins there. */
const NO_PAGE = 1;

export class DevicePages {
  readonly #low = new Int32Array(SLOTS).fill(NO_PAGE);
  readonly #high = new Int32Array(SLOTS);
  readonly #mode = new Int32Array(SLOTS);
  readonly #epoch = new Float64Array(SLOTS);
  readonly #physical = new Float64Array(SLOTS);

  /**
   * Physical address of an aligned access, if its page is known to be no memory; else -1. Virtual addresses come in halves.
   * `mode` is different for each hart, privilege and direction; `epoch` changes with everything that forgets translations.
   */
  find(low: number, high: number, width: number, mode: number, epoch: number): number {
    const slot = (low >>> 12) & (SLOTS - 1);
    return this.#low[slot] === (low & ~IN_PAGE) &&
      this.#high[slot] === high &&
      this.#mode[slot] === mode &&
      this.#epoch[slot] === epoch &&
      (low & (width - 1)) === 0
      ? this.#physical[slot] + (low & IN_PAGE)
      : -1;
  }

  /** The page is no memory; it lies at `physical`. */
  note(low: number, high: number, mode: number, epoch: number, physical: number): void {
    const slot = (low >>> 12) & (SLOTS - 1);
    this.#low[slot] = low & ~IN_PAGE;
    this.#high[slot] = high;
    this.#mode[slot] = mode;
    this.#epoch[slot] = epoch;
    this.#physical[slot] = physical;
  }
}
