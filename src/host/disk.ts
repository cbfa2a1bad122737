/** Raw disk images: files and block devices of the host. Structurally a `DiskImage` of the vdev room. */
import { closeSync, constants, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { fail } from "../diagnostics/diagnostic.ts";
import { libc, once } from "./libc.ts";

export interface Disk {
  readonly size: number;
  readonly readOnly: boolean;
  read(offset: number, into: Uint8Array): boolean;
  write(offset: number, from: Uint8Array): boolean;
  flush(): boolean;
  discard(offset: number, length: number): boolean;
  close(): void;
}

/** Linux, flock(2) and fallocate(2). */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01;
const SEEK_END = 2;

const ZEROES = new Uint8Array(65536);

/** Opens and locks an image: many readers or one writer, in this process as between processes. */
export function openDisk(path: string, { readOnly }: { readonly readOnly: boolean }): Disk {
  const fd = open(path, readOnly);
  try {
    const calls = system();
    if (calls !== undefined && calls.flock(fd, (readOnly ? LOCK_SH : LOCK_EX) | LOCK_NB) !== 0) {
      fail("disk/in-use", `${path} is in use as a disk already`, {
        hint: "a disk has one writer or many readers: give each guest a copy of its own, or open it read-only everywhere",
      });
    }
    return new RawDisk(fd, sizeOf(path, fd, calls), readOnly, calls);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

type Step = (fd: number, bytes: Uint8Array, from: number, length: number, position: number) => number;

class RawDisk implements Disk {
  readonly size: number;
  readonly readOnly: boolean;
  #fd: number;
  readonly #libc: Libc;
  #canPunch: boolean;

  constructor(fd: number, size: number, readOnly: boolean, calls: Libc) {
    this.size = size;
    this.readOnly = readOnly;
    this.#fd = fd;
    this.#libc = calls;
    this.#canPunch = calls !== undefined;
  }

  read(offset: number, into: Uint8Array): boolean {
    return this.#within(offset, into.length) && this.#transfer(readSync, offset, into);
  }

  write(offset: number, from: Uint8Array): boolean {
    return !this.readOnly && this.#within(offset, from.length) && this.#transfer(writeSync, offset, from);
  }

  flush(): boolean {
    if (this.#fd < 0) return false;
    if (this.readOnly) return true;
    try {
      fdatasyncSync(this.#fd);
      return true;
    } catch {
      return false;
    }
  }

  discard(offset: number, length: number): boolean {
    if (this.readOnly || !this.#within(offset, length)) return false;
    if (length === 0) return true;
    if (this.#canPunch) {
      const done = this.#libc!.fallocate(this.#fd, PUNCH_HOLE_KEEP_SIZE, BigInt(offset), BigInt(length)) === 0;
      if (done) return true;
      // A file system without holes: nothing to ask for again.
      this.#canPunch = false;
    }
    for (let at = 0; at < length; at += ZEROES.length) {
      if (!this.write(offset + at, ZEROES.subarray(0, Math.min(ZEROES.length, length - at)))) return false;
    }
    return true;
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #within(offset: number, length: number): boolean {
    return this.#fd >= 0 && offset >= 0 && length >= 0 && offset + length <= this.size;
  }

  /** The host may do less than it was asked to; nothing at all is an error: the file was cut short, or the disk is full. */
  #transfer(step: Step, offset: number, bytes: Uint8Array): boolean {
    try {
      for (let done = 0; done < bytes.length; ) {
        const count = step(this.#fd, bytes, done, bytes.length - done, offset + done);
        if (count === 0) return false;
        done += count;
      }
      return true;
    } catch {
      return false;
    }
  }
}

function open(path: string, readOnly: boolean): number {
  try {
    // NONBLOCK, so that a pipe without a writer does not hang the open; images ignore it.
    return openSync(path, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    switch (code) {
      case "ENOENT":
      case "ENOTDIR":
        return fail("disk/missing", `${path} does not exist`, { hint: "make it, e.g. with `truncate -s 1G FILE`" });
      case "EACCES":
      case "EPERM":
      case "EROFS":
        return fail("disk/permission", `${path} cannot be opened for ${readOnly ? "reading" : "writing"}`, {
          hint: readOnly ? undefined : "make the disk read-only if it is not to be written",
        });
      case "EISDIR":
        return notADisk(path, "a directory");
      default:
        return fail("disk/open", `${path} cannot be opened: ${code ?? String(error)}`);
    }
  }
}

function sizeOf(path: string, fd: number, calls: Libc): number {
  const found = fstatSync(fd);
  if (found.isFile()) return found.size;
  if (found.isBlockDevice()) {
    // A block device's own size field is 0.
    const end = calls === undefined ? -1n : calls.lseek(fd, 0n, SEEK_END);
    return Number(end) >= 0 ? Number(end) : fail("disk/size", `the size of ${path} cannot be told`);
  }
  return notADisk(path, found.isDirectory() ? "a directory" : "neither a file nor a block device");
}

function notADisk(path: string, what: string): never {
  fail("disk/kind", `${path} is ${what}`, { hint: "a disk is a raw image file or a block device" });
}

/** Where the C library does not have these, disks work without locks and holes. */
const system = once(() =>
  libc({
    flock: { args: ["i32", "i32"], returns: "i32" },
    fallocate: { args: ["i32", "i32", "i64", "i64"], returns: "i32" },
    lseek: { args: ["i32", "i64", "i32"], returns: "i64" },
  }),
);

type Libc = ReturnType<typeof system>;
