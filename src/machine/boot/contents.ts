/**
 * Bytes that boot images are made of, had only when they are wanted: held in memory, or left in their file. They are
 * wanted when the machine is switched on and when it reboots; of a Linux guest, held ones would be a good part of the process.
 */
import { type BigIntStats, closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { fail } from "../../diagnostics/diagnostic.ts";

export interface Contents {
  readonly size: number;
  /** Puts what begins at `at` to `into`, which it fills; nothing beyond `size` is asked for. */
  read(at: number, into: Uint8Array): void;
}

/** What is in memory anyway. */
export class Held implements Contents {
  constructor(readonly bytes: Uint8Array) {}

  get size(): number {
    return this.bytes.length;
  }

  read(at: number, into: Uint8Array): void {
    into.set(this.bytes.subarray(at, at + into.length));
  }
}

/** `size` bytes of a whole, from `from` on. */
export class Part implements Contents {
  constructor(
    readonly whole: Contents,
    readonly from: number,
    readonly size: number,
  ) {}

  read(at: number, into: Uint8Array): void {
    this.whole.read(this.from + at, into);
  }
}

/** A copy of what lies in `[from, to)`, or of less where the contents end before. */
export function bytesOf(contents: Contents, from = 0, to: number = contents.size): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, Math.min(to, contents.size) - from));
  if (bytes.length > 0) contents.read(from, bytes);
  return bytes;
}

/** Files up to this size are held: they weigh little, and the host has only so many open files for a process. */
const HELD = 1 << 20;
/** The most that one call of the host reads. */
const LARGEST_READ = 1 << 30;

/** Files that stay open until {@link close}: one that is deleted or replaced meanwhile is still what it was. */
export class ImageFiles {
  readonly #open: number[] = [];

  /** Throws as `node:fs` does where the file cannot be read. */
  open(path: string): Contents {
    const fd = openSync(path, "r");
    let keep = false;
    try {
      const facts = fstatSync(fd, { bigint: true });
      // What is no plain file cannot be read twice.
      keep = facts.isFile() && facts.size > HELD;
      if (!keep) return new Held(readFileSync(fd));
      this.#open.push(fd);
      return new InFile(path, fd, facts);
    } finally {
      if (!keep) closeSync(fd);
    }
  }

  close(): void {
    for (const fd of this.#open.splice(0)) closeSync(fd);
  }
}

/** Reading throws a `VmrunError` where the file is not what it was when it was opened. */
class InFile implements Contents {
  readonly size: number;
  readonly #path: string;
  readonly #fd: number;
  readonly #facts: BigIntStats;

  constructor(path: string, fd: number, facts: BigIntStats) {
    this.size = Number(facts.size);
    this.#path = path;
    this.#fd = fd;
    this.#facts = facts;
  }

  read(at: number, into: Uint8Array): void {
    const { size, mtimeNs } = fstatSync(this.#fd, { bigint: true });
    if (size !== this.#facts.size || mtimeNs !== this.#facts.mtimeNs) this.#changed();
    for (let done = 0; done < into.length; ) {
      const length = Math.min(into.length - done, LARGEST_READ);
      const read = readSync(this.#fd, into, done, length, at + done);
      if (read === 0) this.#changed();
      done += read;
    }
  }

  #changed(): never {
    return fail("boot/changed", "the file was changed since the machine was switched on", {
      place: { file: this.#path },
      hint: "start vmrun again; a new file in its place, moved there, would not disturb a running guest",
    });
  }
}
