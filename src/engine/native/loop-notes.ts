/** What native code remembers of its loops: when to count the rounds that may follow. */
import { data, type Operand } from "./assembler.ts";

/**
 * `seldom` (a byte): they are counted at the end of a round where the lowest byte of the budget is less than this; `soon` (a
 * byte): not 0 if that is done before the first round, too; `planned` (4 bytes): instructions of those that were counted last.
 */
export const LoopNote = { seldom: 0, soon: 1, planned: 4 } as const;
const SIZE = 8;
const MOST = 1 << 12;

export class LoopNotes {
  #next = 0;

  /** Bytes that they take. */
  static readonly size = MOST * SIZE;

  /**
   * @param start Where they are, from the code's first byte on.
   * @param memory The same, for us.
   */
  constructor(
    readonly start: number,
    readonly memory: Uint8Array,
  ) {}

  /** For one more loop; `undefined`: there are no more. */
  take(seldom: number): Operand | undefined {
    if (this.#next === MOST) return undefined;
    const offset = this.#next++ * SIZE;
    this.memory[offset + LoopNote.seldom] = seldom;
    this.memory[offset + LoopNote.soon] = 0;
    return data(this.start + offset);
  }

  /** Whether this many more may be more than there are. */
  isFull(loops: number): boolean {
    return this.#next + loops > MOST;
  }

  /** All loops are let go. */
  clear(): void {
    this.#next = 0;
  }

  /** The same, but those that are taken are nobody's. */
  imagined(): LoopNotes {
    return new LoopNotes(this.start, new Uint8Array(LoopNotes.size));
  }
}
