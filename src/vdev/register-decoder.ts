/** Finds the register at an offset in constant time. */

const PAGE_BITS = 8;
const PAGE_BYTES = 1 << PAGE_BITS;

/** From an offset to the number of the register there, or -1: a directory of pages, of which all empty ones are the same. */
export class Decoder {
  readonly #directory: Uint32Array;
  readonly #end: number;
  #slots = new Int32Array(PAGE_BYTES).fill(-1);
  #used = PAGE_BYTES;

  constructor(end: number) {
    this.#end = end;
    this.#directory = new Uint32Array(Math.ceil(end / PAGE_BYTES));
  }

  /** The register in `slot` has `width` bytes there, aligned to its width. */
  set(offset: number, width: number, slot: number): void {
    const page = offset >>> PAGE_BITS;
    if (this.#directory[page] === 0) {
      if (this.#used === this.#slots.length) {
        const grown = new Int32Array(this.#slots.length * 2).fill(-1);
        grown.set(this.#slots);
        this.#slots = grown;
      }
      this.#directory[page] = this.#used;
      this.#used += PAGE_BYTES;
    }
    const first = this.#directory[page]! + (offset & (PAGE_BYTES - 1));
    this.#slots.fill(slot, first, first + width);
  }

  slot(offset: number): number {
    if (offset >= this.#end) return -1;
    return this.#slots[this.#directory[offset >>> PAGE_BITS]! + (offset & (PAGE_BYTES - 1))]!;
  }
}
