/** Files as channels: one that is written from its beginning, one that is read to its end, or both. */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { fail } from "../../diagnostics/diagnostic.ts";
import { type Channel, type ChannelUser, reason } from "./channel.ts";
import { Retry } from "./retry.ts";

const PIECE = 65_536;
const { O_WRONLY, O_CREAT, O_TRUNC, O_RDONLY, O_NONBLOCK } = constants;

/** Makes or empties `output`, and opens `input`; either may be left out. */
export function openFiles(output: string | undefined, input: string | undefined, user: ChannelUser): Channel {
  const reader = input === undefined ? undefined : openInput(input);
  try {
    return new FileChannel(output, output === undefined ? undefined : openOutput(output), reader, user);
  } catch (error) {
    if (reader !== undefined) closeSync(reader);
    throw error;
  }
}

function openOutput(path: string): number {
  try {
    // A named pipe without a reader is an error, instead of a wait for one.
    return openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK);
  } catch (error) {
    return fail("host/file", `cannot write ${path}: ${reason(error)}`);
  }
}

function openInput(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NONBLOCK);
  } catch (error) {
    return fail("host/file", `cannot read ${path}: ${reason(error)}`);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  return fail("host/file", `cannot read ${path}: it is no file`, {
    hint: 'a terminal is "tty:PATH"; "process:cat PATH" reads whatever cat can',
  });
}

class FileChannel implements Channel {
  readonly connected = true;
  /** Nothing comes by itself. */
  readonly open = false;
  readonly #path: string | undefined;
  #output: number | undefined;
  #input: number | undefined;
  readonly #user: ChannelUser;
  readonly #retry: Retry;

  constructor(path: string | undefined, output: number | undefined, input: number | undefined, user: ChannelUser) {
    this.#path = path;
    this.#output = output;
    this.#input = input;
    this.#user = user;
    this.#retry = new Retry(() => user.ready());
  }

  /** What a full disk does not take is lost: the next may find room again. */
  write(bytes: Uint8Array): number {
    if (this.#output === undefined) return bytes.length;
    let at = 0;
    try {
      while (at < bytes.length) at += writeSync(this.#output, bytes, at);
      this.#retry.helped();
    } catch (error) {
      // A named pipe that is full.
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") {
        this.#retry.later();
        return at;
      }
      this.#user.tell("warn", `cannot write ${this.#path}: ${reason(error)}; what the guest sends there is lost`);
    }
    return bytes.length;
  }

  hold(): void {}

  pull(): Uint8Array | undefined {
    if (this.#input === undefined) return undefined;
    const piece = new Uint8Array(PIECE);
    try {
      const length = readSync(this.#input, piece, 0, PIECE, null);
      if (length > 0) return piece.subarray(0, length);
    } catch (error) {
      this.#user.tell("warn", `cannot read on: ${reason(error)}`);
    }
    closeSync(this.#input);
    this.#input = undefined;
    return undefined;
  }

  close(): void {
    this.#retry.cancel();
    for (const fd of [this.#output, this.#input]) if (fd !== undefined) closeSync(fd);
    this.#output = undefined;
    this.#input = undefined;
  }
}
