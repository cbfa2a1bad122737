/** The FIFO behind a register: a ring of 32-bit values. */

export class Fifo {
  readonly depth: number;
  readonly #values: Uint32Array;
  #head = 0;
  #length = 0;
  #limit: number;

  constructor(depth: number) {
    this.depth = depth;
    this.#limit = depth;
    this.#values = new Uint32Array(depth);
  }

  get length(): number {
    return this.#length;
  }
  get isEmpty(): boolean {
    return this.#length === 0;
  }
  get isFull(): boolean {
    return this.#length >= this.#limit;
  }

  /** How many values it takes now, e.g. 1 while a guest has it switched off. What it holds beyond stays to be read. */
  get limit(): number {
    return this.#limit;
  }
  set limit(limit: number) {
    this.#limit = Math.max(1, Math.min(limit, this.depth));
  }

  /** `false`: it is full, and the value is lost. */
  push(value: number): boolean {
    if (this.isFull) return false;
    this.#values[(this.#head + this.#length++) % this.depth] = value;
    return true;
  }

  /** The oldest value, or -1. */
  pop(): number {
    if (this.#length === 0) return -1;
    const value = this.#values[this.#head]!;
    this.#head = (this.#head + 1) % this.depth;
    this.#length--;
    return value;
  }

  clear(): void {
    this.#head = 0;
    this.#length = 0;
  }

  /** From the oldest on. */
  get values(): number[] {
    return Array.from({ length: this.#length }, (_, i) => this.#values[(this.#head + i) % this.depth]!);
  }
  set values(values: readonly number[]) {
    this.clear();
    for (const value of values.slice(0, this.depth)) this.#values[this.#length++] = value;
  }
}
