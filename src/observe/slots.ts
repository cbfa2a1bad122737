/**
 * Where exits are counted: a hash table of fixed size in one typed array, so that counting allocates nothing and takes a
 * few nanoseconds. A guest can make as many different exits as it likes: what does not fit its recorder folds.
 */

const BITS = 15;
export const CAPACITY = 1 << BITS;
/** Words of a slot, and what they are. */
export const SLOT_BITS = 3;
export const Word = { low: 0, high: 1, what: 2, upper: 3, kind: 4, count: 5 } as const;
const EMPTY = -1;
/** Of {@link Word.kind}: the slot needs a second look, and so the quick path is not to find it. */
const SPECIAL = 1 << 31;
const CARRY = 2 ** 31;

/** What makes an exit different from others. */
export interface SlotKey {
  /** The two halves of a pc. */
  readonly low: number;
  readonly high: number;
  /** The two halves of an address, or of what else it was. */
  readonly what: number;
  readonly upper: number;
  /** Kind, width and hart, see {@link kindWord}. */
  readonly kind: number;
}

export const KIND_SHIFT = 4;
export const HART_SHIFT = 8;
export const FIELD = 15;
/** Not negative. `width` and `hart` are below 16. */
export function kindWord(kind: number, width: number, hart: number): number {
  return width | (kind << KIND_SHIFT) | (hart << HART_SHIFT);
}

export class SlotTable {
  readonly words = new Int32Array(CAPACITY << SLOT_BITS).fill(EMPTY);
  /** Counts beyond 31 bits, and such as did not come one by one. */
  readonly #carried = new Map<number, number>();
  used = 0;

  /** The slot with that key, or the empty one where it belongs. */
  find(low: number, high: number, what: number, upper: number, kind: number): number {
    const { words } = this;
    let slot = firstPlace(low, what, kind);
    for (;;) {
      const at = slot << SLOT_BITS;
      const found = words[at + Word.kind];
      if (found === EMPTY) return slot;
      const same =
        words[at] === low &&
        words[at + Word.high] === high &&
        words[at + Word.what] === what &&
        words[at + Word.upper] === upper;
      if (same && (found & ~SPECIAL) === kind) return slot;
      slot = (slot + 1) & (CAPACITY - 1);
    }
  }

  isEmpty(slot: number): boolean {
    return this.words[(slot << SLOT_BITS) + Word.kind] === EMPTY;
  }

  /** `again`: what shows there may change. */
  claim(slot: number, { low, high, what, upper, kind }: SlotKey, again: boolean): void {
    const special = again || upper !== 0;
    this.words.set([low, high, what, upper, special ? kind | SPECIAL : kind, 0], slot << SLOT_BITS);
    this.used++;
  }

  increment(slot: number): void {
    const at = (slot << SLOT_BITS) + Word.count;
    if (++this.words[at] < 0) this.carry(slot);
  }

  add(slot: number, count: number): void {
    this.#carried.set(slot, (this.#carried.get(slot) ?? 0) + count);
  }

  /** The count has run over. */
  carry(slot: number): void {
    this.words[(slot << SLOT_BITS) + Word.count] = 0;
    this.#carried.set(slot, (this.#carried.get(slot) ?? 0) + CARRY);
  }

  count(slot: number): number {
    if (this.isEmpty(slot)) return 0;
    return this.words[(slot << SLOT_BITS) + Word.count] + (this.#carried.get(slot) ?? 0);
  }
}

/** Where a key is looked for first. Cheap before all: two exits that meet here are told apart a few nanoseconds later. */
export function firstPlace(low: number, what: number, kind: number): number {
  return ((low >>> 1) ^ (what << 3) ^ (what >>> 12) ^ (kind << 4)) & (CAPACITY - 1);
}

/**
 * Counts accesses at the pc of the running hart; answers a function that answers the slot. `slow` counts what is not found
 * at once. The function is on the way of every exit: it keeps to constants, one array, and nothing that allocates.
 */
export function quickCounter(
  table: SlotTable,
  pc: Int32Array,
  slow: (low: number, high: number, address: number, kind: number) => number,
): (address: number, kind: number) => number {
  const { words } = table;
  return (address, kind) => {
    const low = pc[0];
    const slot = firstPlace(low, address, kind);
    const at = slot << SLOT_BITS;
    // One branch for all four. Slots of what has an upper half are special, and differ.
    const differs =
      (words[at] ^ low) |
      (words[at + Word.high] ^ pc[1]) |
      (words[at + Word.what] ^ address) |
      (words[at + Word.kind] ^ kind);
    if (differs === 0 && address >>> 0 === address) {
      const count = (words[at + Word.count] + 1) | 0;
      words[at + Word.count] = count;
      if (count < 0) table.carry(slot);
      return slot;
    }
    return slow(low, pc[1], address, kind);
  };
}
