/** A seeded generator of bytes (sfc32): every source of chance in a deterministic machine draws on one of these. */
export class SeededRandom {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    this.#state.set([seed, Math.floor(seed / 2 ** 32), 0x9e3779b9, 1]);
    for (let i = 0; i < 16; i++) this.next();
  }

  /** The next 32 bits. */
  next(): number {
    const s = this.#state;
    const sum = (s[0] + s[1] + s[3]++) >>> 0;
    s[0] = s[1] ^ (s[1] >>> 9);
    s[1] = s[2] + (s[2] << 3);
    s[2] = ((s[2] << 21) | (s[2] >>> 11)) + sum;
    return sum;
  }

  fill(into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.next() >>> 24;
  }

  get state(): readonly number[] {
    return [...this.#state];
  }
  set state(value: readonly number[]) {
    this.#state.set(value);
  }
}
