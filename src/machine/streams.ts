/** Byte streams between vdevs and the host: input that waits to be read, output that is handed on in batches. */
import { fail } from "../diagnostics/diagnostic.ts";
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

  /** Hands on what was written since the last time. */
  flush(): void {
    if (this.#length === 0) return;
    const bytes = this.#output.slice(0, this.#length);
    this.#length = 0;
    this.sink(bytes);
  }
}

/** What opens the streams that a profile names. */
export interface StreamHost {
  /** The stream that is the terminal or the pipes of this process. */
  readonly stdio: BufferedStream;
  /** A writer that appends to a file, made anew. */
  createFile(path: string): (bytes: Uint8Array) => void;
}

export class Streams {
  readonly #open: BufferedStream[];

  constructor(readonly host: StreamHost) {
    this.#open = [host.stdio];
  }

  /** Opens `stdio`, `null` or `file:PATH`. */
  open(spec: string): BufferedStream {
    if (spec === "stdio") return this.host.stdio;
    const stream = new BufferedStream(this.#sink(spec));
    this.#open.push(stream);
    return stream;
  }

  flush(): void {
    for (const stream of this.#open) stream.flush();
  }

  #sink(spec: string): (bytes: Uint8Array) => void {
    if (spec === "null") return () => {};
    if (spec.startsWith("file:")) return this.host.createFile(spec.slice("file:".length));
    return fail("machine/stream", `"${spec}" is no stream`, { hint: 'use "stdio", "null" or "file:PATH"' });
  }
}
