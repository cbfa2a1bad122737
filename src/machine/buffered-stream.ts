/** A byte stream as a vdev has it: input that waits to be read, output that is handed on in batches. */
import type { ByteStream } from "../vdev/host.ts";

const OUTPUT_BATCH = 16384;
/** Input that nobody reads is bounded: whatever feeds the stream is asked to hold back beyond this. */
const INPUT_LIMIT = 1 << 20;

export class BufferedStream implements ByteStream {
  onInput: () => void = () => {};
  #input: Uint8Array[] = [];
  #at = 0;
  #waiting = 0;
  #output = new Uint8Array(OUTPUT_BATCH);
  #length = 0;
  #pull: (() => Uint8Array | undefined) | undefined;

  /** @param sink Takes output; the bytes are its own. */
  constructor(readonly sink: (bytes: Uint8Array) => void) {}

  write(byte: number): void {
    this.#output[this.#length++] = byte;
    if (this.#length === OUTPUT_BATCH) this.flush();
  }

  read(): number {
    const chunk = this.#input[0];
    if (chunk === undefined) return -1;
    const byte = chunk[this.#at++];
    this.#waiting--;
    if (this.#at === chunk.length) {
      this.#input.shift();
      this.#at = 0;
      if (this.#waiting === 0) this.#refill();
    }
    return byte;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Whether a feeder should hold back for now. */
  get full(): boolean {
    return this.#waiting >= INPUT_LIMIT;
  }

  /** Input from the host. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#input.push(bytes.slice());
    this.#waiting += bytes.length;
    this.onInput();
  }

  /** Input that is fetched when what waits has been read, so that what a guest sees depends on nothing but its reading. */
  feed(pull: () => Uint8Array | undefined): void {
    this.#pull = pull;
    if (this.#waiting === 0) this.#refill();
  }

  /** Hands on what was written since the last time. */
  flush(): void {
    if (this.#length === 0) return;
    const bytes = this.#output.slice(0, this.#length);
    this.#length = 0;
    this.sink(bytes);
  }

  #refill(): void {
    const more = this.#pull?.();
    if (more === undefined) {
      this.#pull = undefined;
      return;
    }
    this.#input.push(more);
    this.#waiting += more.length;
  }
}
