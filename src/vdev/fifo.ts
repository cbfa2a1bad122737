/** The FIFO behind a register: a ring of 32-bit values, and the status bits that it keeps up to date. */
import type { ByteStream } from "./host.ts";

/**
 * What a status bit shows of a FIFO. Most follow its state: it holds something (`ready`), nothing (`empty`), all that it
 * can (`full`), more than its level (`above`), fewer (`below`). `reached` is set by a value that comes when there are
 * then `level` of them, and cleared when there are fewer; what clears it meanwhile is not undone. `overrun` is set when
 * a value is lost, and stays until somebody clears it.
 */
export type FifoState = "ready" | "empty" | "full" | "above" | "below" | "reached" | "overrun";

/** One status bit, or several: where they lie in the storage of their bank. */
export interface FifoFlag {
  readonly shows: FifoState;
  readonly word: number;
  readonly mask: number;
}

export class Fifo {
  readonly depth: number;
  readonly #values: Uint32Array;
  #words: Uint32Array = new Uint32Array();
  #flags: readonly FifoFlag[] = [];
  #head = 0;
  #length = 0;
  #on = true;
  #level = 1;

  constructor(depth: number) {
    this.depth = depth;
    this.#values = new Uint32Array(depth);
  }

  get length(): number {
    return this.#length;
  }
  get isEmpty(): boolean {
    return this.#length === 0;
  }
  get isFull(): boolean {
    return this.#length >= (this.#on ? this.depth : 1);
  }

  /** Switched off it takes a single value, and its level is 1. What it holds beyond stays to be read. */
  get on(): boolean {
    return this.#on;
  }
  /** The trigger level: how many values its users should hear of. */
  get level(): number {
    return this.#on ? this.#level : 1;
  }

  set(on: boolean, level: number): void {
    this.#on = on;
    this.#level = level;
    this.#show();
  }

  /** `false`: it is full, and the value is lost. */
  push(value: number): boolean {
    if (this.isFull) {
      for (const { shows, word, mask } of this.#flags) if (shows === "overrun") this.#words[word]! |= mask;
      return false;
    }
    this.#values[(this.#head + this.#length++) % this.depth] = value;
    for (const { shows, word, mask } of this.#flags) {
      if (shows === "reached" && this.#length >= this.level) this.#words[word]! |= mask;
    }
    this.#show();
    return true;
  }

  /** The oldest value, or -1. */
  pop(): number {
    if (this.#length === 0) return -1;
    const value = this.#values[this.#head]!;
    this.#head = (this.#head + 1) % this.depth;
    this.#length--;
    for (const { shows, word, mask } of this.#flags) {
      if (shows === "reached" && this.#length < this.level) this.#words[word]! &= ~mask;
    }
    this.#show();
    return value;
  }

  /** Takes from a stream what there is room for; what does not fit waits there. */
  fill(stream: Pick<ByteStream, "read">): void {
    while (!this.isFull) {
      const byte = stream.read();
      if (byte < 0) break;
      this.push(byte);
    }
  }

  /** Sends everything. */
  drain(stream: Pick<ByteStream, "write">): void {
    for (let value = this.pop(); value >= 0; value = this.pop()) stream.write(value & 0xff);
  }

  /** The newest value, e.g. to mark it after an overrun. Of an empty FIFO 0, and setting it does nothing. */
  get last(): number {
    return this.#length === 0 ? 0 : this.#values[(this.#head + this.#length - 1) % this.depth]!;
  }
  set last(value: number) {
    if (this.#length > 0) this.#values[(this.#head + this.#length - 1) % this.depth] = value;
  }

  clear(): void {
    this.#head = 0;
    this.#length = 0;
    for (const { shows, word, mask } of this.#flags) if (shows === "reached") this.#words[word]! &= ~mask;
    this.#show();
  }

  /** From the oldest on. */
  get values(): number[] {
    return Array.from({ length: this.#length }, (_, i) => this.#values[(this.#head + i) % this.depth]!);
  }

  /** @internal Takes the place of what it holds; bits that do not follow its state are left alone. */
  restore(values: readonly number[]): void {
    this.#head = 0;
    this.#length = Math.min(values.length, this.depth);
    this.#values.set(values.slice(0, this.depth));
    this.#show();
  }

  /** @internal The bits that it keeps up to date. */
  wire(words: Uint32Array, flags: readonly FifoFlag[]): void {
    this.#words = words;
    this.#flags = flags;
  }

  #show(): void {
    for (const { shows, word, mask } of this.#flags) {
      switch (shows) {
        case "ready":
          this.#put(word, mask, this.#length > 0);
          break;
        case "empty":
          this.#put(word, mask, this.#length === 0);
          break;
        case "full":
          this.#put(word, mask, this.isFull);
          break;
        case "above":
          this.#put(word, mask, this.#length > this.level);
          break;
        case "below":
          this.#put(word, mask, this.#length < this.level);
      }
    }
  }

  #put(word: number, mask: number, set: boolean): void {
    if (set) this.#words[word]! |= mask;
    else this.#words[word]! &= ~mask;
  }
}
