/** Reads the encodings of the WebAssembly binary format. What is malformed throws a {@link RangeError} that names the byte. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
    this.#end = end;
  }

  get at(): number {
    return this.#at;
  }
  get done(): boolean {
    return this.#at >= this.#end;
  }

  byte(): number {
    return this.#bytes[this.#take(1)];
  }

  /** Unsigned LEB128 of a 32-bit value. */
  unsigned(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (value > 0xffff_ffff || factor > 2 ** 28) this.fail("a number of more than 32 bits");
      if (byte < 128) return value;
    }
  }

  /** Signed LEB128 of a value of at most 64 bits. */
  signed(): bigint {
    let value = 0n;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      if (shift > 63) this.fail("a number of more than 64 bits");
      value |= BigInt(byte & 127) << BigInt(shift);
      if (byte < 128) return BigInt.asIntN(Math.min(shift + 7, 64), value);
    }
  }

  /** The bits of a float, little-endian. */
  bits32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  bits64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** A length-prefixed name. */
  name(): string {
    const length = this.unsigned();
    const start = this.#take(length);
    return new TextDecoder().decode(this.#bytes.subarray(start, start + length));
  }

  /** A reader of the next `length` bytes, which this one passes over. */
  part(length: number): ByteReader {
    const start = this.#take(length);
    return new ByteReader(this.#bytes, start, start + length);
  }

  /** The bytes not read yet. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at, this.#end);
  }

  fail(what: string): never {
    throw new RangeError(`WebAssembly, byte ${this.#at}: ${what}`);
  }

  #take(length: number): number {
    if (length > this.#end - this.#at) this.fail("more bytes are needed");
    const start = this.#at;
    this.#at += length;
    return start;
  }
}
