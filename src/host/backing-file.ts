/** Files that are to be memory: opened, locked, and checked before a guest depends on them. */
import { closeSync, constants, fstatSync, openSync, statfsSync } from "node:fs";
import { fail, type Place } from "../diagnostics/diagnostic.ts";
import * as linux from "./linux.ts";

export interface BackingFileOptions {
  /** Bytes of it that are used: `[at, at + size)`. */
  readonly at: number;
  readonly size: number;
  /** The guest's stores go to the file. */
  readonly writable: boolean;
  /** Where the profile says so. */
  readonly place?: Place;
}

/** stat's unit, whatever the file system's own is. */
const BLOCK = 512;

/** An open, locked descriptor: one writer or many readers. Throws a `VmrunError` with what stands against it. */
export function openBackingFile(path: string, options: BackingFileOptions): number {
  const { writable, place } = options;
  const fd = open(path, writable, place);
  try {
    const lock = (writable ? linux.Lock.exclusive : linux.Lock.shared) | linux.Lock.nonBlocking;
    if (linux.errnoName(linux.flock(fd, lock)) === "EAGAIN") {
      fail("memory/in-use", `${path} is in use by another guest`, {
        place,
        hint: 'private = true gives each guest its own copy; backing = "memfd" with share is memory that guests share',
      });
    }
    checkSize(path, fd, options);
    if (writable) checkSpace(path, fd, options);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Bytes that a file has now. */
export function fileSize(fd: number): number {
  return fstatSync(fd).size;
}

function open(path: string, writable: boolean, place: Place | undefined): number {
  try {
    return openSync(path, (writable ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const denied = code === "EACCES" || code === "EPERM" || code === "EROFS";
    return fail("memory/file", `${path} cannot be opened for ${writable ? "writing" : "reading"}: ${code ?? error}`, {
      place,
      hint: denied && writable ? "private = true keeps the guest's stores out of the file" : undefined,
    });
  }
}

function checkSize(path: string, fd: number, { at, size, place }: BackingFileOptions): void {
  const found = fstatSync(fd);
  if (!found.isFile()) fail("memory/file", `${path} is ${found.isDirectory() ? "a folder" : "not a file"}`, { place });
  if (found.size >= at + size) return;
  fail("memory/file-size", `${path} has ${found.size} bytes; the memory needs ${at + size}`, {
    place,
    hint: `truncate -s ${at + size} ${path}`,
  });
}

/** Holes are filled as the guest writes: a disk that has no room for them would fail it later. */
function checkSpace(path: string, fd: number, { size, place }: BackingFileOptions): void {
  const holes = size - fstatSync(fd).blocks * BLOCK;
  const { bavail, bsize } = statfsSync(path);
  if (holes <= bavail * bsize) return;
  fail("memory/no-space", `${path} has ${holes} bytes in holes, and its file system has ${bavail * bsize} left`, {
    place,
    hint: "make room, or a smaller memory; private = true needs none",
  });
}
