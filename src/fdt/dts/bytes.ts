/** Bytes that grow at their end: the values of properties while they are read. */
import { MAX_SIZE } from "../format.ts";

export class ByteBuffer {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  /** False if the value would be larger than a whole blob may be. */
  reserve(size: number): boolean {
    const needed = this.length + size;
    if (needed > MAX_SIZE) return false;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.length));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return true;
  }

  /** The callers of the put functions have reserved the room. */
  put8(value: number): void {
    this.#bytes[this.length++] = value;
  }

  put16(value: number): void {
    this.#view.setUint16(this.length, value);
    this.length += 2;
  }

  put32(value: number): void {
    this.#view.setUint32(this.length, value);
    this.length += 4;
  }

  put64(value: bigint): void {
    this.#view.setBigUint64(this.length, value);
    this.length += 8;
  }

  put(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** What was put, as an array of its own; the buffer begins anew. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.length);
    this.length = 0;
    return taken;
  }
}
