/** A descriptor chain as a device sees it: the bytes the driver wrote, then room for the answer, each with a cursor. */
import type { DmaMemory } from "../memory/guest-memory.ts";

/** Pieces of guest memory that form one run of bytes. Every piece was checked to be RAM when it was added. */
export class Segments {
  /** Bytes in all pieces together. */
  length = 0;
  /** Bytes behind the cursor. */
  position = 0;
  readonly #addresses: number[] = [];
  readonly #lengths: number[] = [];
  #segment = 0;
  #offset = 0;

  get count(): number {
    return this.#addresses.length;
  }

  /** Bytes ahead of the cursor. */
  get left(): number {
    return this.length - this.position;
  }

  add(address: number, length: number): void {
    this.#addresses.push(address);
    this.#lengths.push(length);
    this.length += length;
  }

  clear(): void {
    this.#addresses.length = 0;
    this.#lengths.length = 0;
    this.length = this.position = this.#segment = this.#offset = 0;
  }

  /** The longest contiguous piece at the cursor, at most `limit` bytes, by `take`; moves past it. */
  next(limit: number, take: (at: number, length: number) => Uint8Array | undefined): Uint8Array | undefined {
    if (this.#segment === this.#addresses.length || limit <= 0) return undefined;
    const inSegment = this.#lengths[this.#segment] - this.#offset;
    const length = Math.min(limit, inSegment);
    const window = take(this.#addresses[this.#segment] + this.#offset, length);
    if (window === undefined) return undefined;
    this.position += length;
    if (length < inSegment) {
      this.#offset += length;
    } else {
      this.#segment++;
      this.#offset = 0;
    }
    return window;
  }
}

/** Made by a virtqueue and used again by it: a device lets go of a chain when it pushes it back. */
export class Chain {
  /** Index of the first descriptor: what the used ring calls `id`. */
  head = 0;
  /** Between pop and push. A queue that is reset takes its chains away from the device. */
  held = false;
  readonly readable = new Segments();
  readonly writable = new Segments();
  readonly #view: (at: number, length: number) => Uint8Array | undefined;
  readonly #mutable: (at: number, length: number) => Uint8Array | undefined;

  constructor(memory: DmaMemory) {
    this.#view = (at, length) => memory.view(at, length);
    this.#mutable = (at, length) => memory.mutable(at, length);
  }

  /** Bytes written so far: what the used ring calls `len`. */
  get written(): number {
    return this.writable.position;
  }

  clear(): void {
    this.readable.clear();
    this.writable.clear();
  }

  /** A window on the driver's next bytes, at most `limit` and contiguous; `undefined` at the end. Use it at once. */
  nextReadable(limit = Infinity): Uint8Array | undefined {
    return this.readable.next(limit, this.#view);
  }

  /** A window on the next room for the answer, at most `limit` and contiguous; `undefined` at the end. Fill it at once. */
  nextWritable(limit = Infinity): Uint8Array | undefined {
    return this.writable.next(limit, this.#mutable);
  }

  /** Fills `into` from the driver's bytes; answers how many there were. */
  copyOut(into: Uint8Array): number {
    let done = 0;
    while (done < into.length) {
      const window = this.nextReadable(into.length - done);
      if (window === undefined) break;
      into.set(window, done);
      done += window.length;
    }
    return done;
  }

  /** The driver's next `length` bytes, fewer where the chain ends. */
  read(length: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(length, this.readable.left));
    return bytes.subarray(0, this.copyOut(bytes));
  }

  /** Appends to the answer; answers how many bytes fitted. */
  write(bytes: Uint8Array): number {
    let done = 0;
    while (done < bytes.length) {
      const window = this.nextWritable(bytes.length - done);
      if (window === undefined) break;
      window.set(bytes.subarray(done, done + window.length));
      done += window.length;
    }
    return done;
  }

  /** Appends `length` bytes of `value` to the answer; answers how many fitted. */
  fill(value: number, length: number): number {
    let done = 0;
    while (done < length) {
      const window = this.nextWritable(length - done);
      if (window === undefined) break;
      window.fill(value);
      done += window.length;
    }
    return done;
  }
}
