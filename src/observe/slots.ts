/**
 * Where exits are counted: a hash table of fixed size in typed arrays, so that counting allocates nothing and takes a few
 * nanoseconds. A guest can make as many different exits as it likes; what does not fit is told apart less and less.
 */

const BITS = 15;
export const CAPACITY = 1 << BITS;
/** Beyond this, pcs are not told apart any more, and beyond that, neither are registers without a name. */
const FULL = CAPACITY - (CAPACITY >> 2);
const EMPTY = -1;

export class SlotTable {
  /** By slot: pc low, pc high, what, kind. The kind of an empty slot is negative, and no other's. */
  readonly keys = new Int32Array(4 * CAPACITY).fill(EMPTY);
  used = 0;

  /** No new exits should be told apart by their pc. */
  get crowded(): boolean {
    return this.used >= FULL;
  }
  /** Only what must have a slot of its own should get one. */
  get full(): boolean {
    return this.used >= CAPACITY - (CAPACITY >> 4);
  }

  /** Where that key is or belongs: a slot that has it, or an empty one. Hot. */
  find(low: number, high: number, what: number, kind: number): number {
    const { keys } = this;
    let slot = hash(low, what, kind);
    for (;;) {
      const at = slot << 2;
      if (keys[at] === low && keys[at + 2] === what && keys[at + 3] === kind && keys[at + 1] === high) return slot;
      if (keys[at + 3] === EMPTY) return slot;
      slot = (slot + 1) & (CAPACITY - 1);
    }
  }

  isEmpty(slot: number): boolean {
    return this.keys[(slot << 2) + 3] === EMPTY;
  }

  claim(slot: number, low: number, high: number, what: number, kind: number): void {
    this.keys.set([low, high, what, kind], slot << 2);
    this.used++;
  }
}

function hash(low: number, what: number, kind: number): number {
  return Math.imul((low >>> 1) ^ Math.imul(what, 0x2c1b_3c6d) ^ (kind << 7), 0x9e37_79b1 | 0) >>> (32 - BITS);
}
