/**
 * Memory that vmruns of one user share by name: a memfd, so that the kernel frees it with the last process that has it,
 * however that ends. Who has it stands in a small file; a newcomer opens the memfd of any that lives, by /proc/PID/fd/FD.
 *
 * The file `NAME.share` in the runtime folder has a line `PID FD INODE` for each. A line is believed if that descriptor
 * still is that inode: what a killed process has left is skipped, and dropped by the next who comes.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fail, type Place } from "../diagnostics/diagnostic.ts";
import * as linux from "./linux.ts";
import { runtimeFolder } from "./runtime-folder.ts";

export interface SharedMemory {
  readonly fd: number;
  /** Somebody had it already, and its contents are what they have written; else it is new, all zeroes. */
  readonly joined: boolean;
  /** Leaves; the memory goes with the last. */
  close(): void;
}

interface Holder {
  readonly pid: number;
  readonly fd: number;
  readonly inode: number;
}

/** Somebody who holds the lock does so for microseconds; a stopped process would hold it for ever. */
const PATIENCE_MS = 2000;

/** Joins the memory of this name, or makes it. Throws a `VmrunError` where it has another size, or cannot be had. */
export function shareMemory(name: string, size: number, place?: Place): SharedMemory {
  const path = join(runtimeFolder(), `${name}.share`);
  return locked(path, place, (list) => {
    const holders = readHolders(list);
    const found = firstOpened(holders);
    const fd = found ?? create(name, size, place);
    const { size: actual, ino: inode } = fstatSync(fd);
    if (actual !== size) {
      closeSync(fd);
      const message = `the shared memory "${name}" has ${actual} bytes where it is in use; here it is to have ${size}`;
      fail("memory/share-size", message, { place, hint: "give it the same size in every profile" });
    }
    const own: Holder = { pid: process.pid, fd, inode };
    writeHolders(list, [...holders.filter(isAlive), own]);
    return { fd, joined: found !== undefined, close: () => leave(path, own) };
  });
}

/** A private memfd: nothing else of this host knows it, but whoever may look into this process. */
export function createMemfd(name: string, size: number, place?: Place): number {
  return create(name, size, place);
}

function create(name: string, size: number, place: Place | undefined): number {
  const fd = linux.memfdCreate(`vmrun:${name}`, linux.MemfdFlag.allowSealing);
  const { grow, seal, shrink } = linux.Seal;
  // Sealed: no process that has it can cut it short.
  const failed = linux.isError(fd) ? fd : linux.ftruncate(fd, size) || linux.addSeals(fd, shrink | grow | seal);
  if (!linux.isError(failed)) {
    fchmodSync(fd, 0o600);
    return fd;
  }
  if (!linux.isError(fd)) closeSync(fd);
  return fail("memory/memfd", `the host makes no memfd of ${size} bytes: ${linux.errnoName(failed)}`, { place });
}

function leave(path: string, own: Holder): void {
  closeSync(own.fd);
  locked(path, undefined, (list) => {
    const others = readHolders(list).filter((holder) => !isSame(holder, own) && isAlive(holder));
    writeHolders(list, others);
    if (others.length === 0) unlinkSync(path);
  });
}

/** Runs with the list of holders open and locked. */
function locked<Result>(path: string, place: Place | undefined, work: (list: number) => Result): Result {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const list = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      const refused = linux.isError(linux.flock(list, linux.Lock.exclusive | linux.Lock.nonBlocking));
      // The last to leave takes the file away: a lock on it is then a lock on nothing.
      if (!refused && isCurrent(path, list)) return work(list);
      if (refused && Date.now() > deadline) {
        fail("memory/share-locked", `${path} stays locked by another process`, {
          place,
          hint: `a stopped vmrun may hold it: fuser ${path}`,
        });
      }
    } finally {
      closeSync(list);
    }
    Bun.sleepSync(1);
  }
}

function isCurrent(path: string, list: number): boolean {
  try {
    return statSync(path).ino === fstatSync(list).ino;
  } catch {
    return false;
  }
}

function readHolders(list: number): Holder[] {
  const lines = readFileSync(list, "utf8").split("\n");
  return lines.flatMap((line) => {
    const [pid, fd, inode] = line.split(" ").map(Number);
    return Number.isSafeInteger(pid) && Number.isSafeInteger(fd) && inode > 0 ? [{ pid, fd, inode }] : [];
  });
}

function writeHolders(list: number, holders: readonly Holder[]): void {
  ftruncateSync(list, 0);
  writeSync(list, holders.map(({ pid, fd, inode }) => `${pid} ${fd} ${inode}\n`).join(""), 0);
}

const isSame = (a: Holder, b: Holder) => a.pid === b.pid && a.fd === b.fd && a.inode === b.inode;
const pathOf = ({ pid, fd }: Holder) => `/proc/${pid}/fd/${fd}`;

function isAlive(holder: Holder): boolean {
  try {
    return statSync(pathOf(holder)).ino === holder.inode;
  } catch {
    return false;
  }
}

/** A descriptor of the memory that somebody holds, with its inode checked once it is ours: process ids come again. */
function firstOpened(holders: readonly Holder[]): number | undefined {
  for (const holder of holders) {
    if (!isAlive(holder)) continue;
    const fd = linux.open(pathOf(holder), constants.O_RDWR);
    if (linux.isError(fd)) continue;
    if (fstatSync(fd).ino === holder.inode) return fd;
    closeSync(fd);
  }
  return undefined;
}
