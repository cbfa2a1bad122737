/** Linux's calls by their own names, with the constants that go with them. All answer `-errno`; `isError` and `errnoName` tell. */
import { constants as nodeConstants } from "node:os";
import { type SyscallArgument, syscall } from "./syscall.ts";

/** mmap(2). */
export const Protection = { none: 0, read: 1, write: 2, execute: 4 } as const;
export const MapFlag = {
  shared: 0x01,
  private: 0x02,
  fixed: 0x10,
  anonymous: 0x20,
  noReserve: 0x4000,
  populate: 0x8000,
  /** Fixed, but only where nothing is mapped yet. */
  fixedNoReplace: 0x100000,
} as const;
/** madvise(2). */
export const Advice = { dontNeed: 4, hugePage: 14, populateWrite: 23, collapse: 25 } as const;
/** memfd_create(2). */
export const MemfdFlag = { closeOnExec: 1, allowSealing: 2, hugePages: 4 } as const;
/** fcntl(2): file sealing. */
export const Seal = { seal: 1, shrink: 2, grow: 4 } as const;
const F_ADD_SEALS = 1033;
/** flock(2). */
export const Lock = { shared: 1, exclusive: 2, nonBlocking: 4, unlock: 8 } as const;
/** fallocate(2). */
export const Allocation = { keepSize: 1, punchHole: 2 } as const;
/** eventfd(2). */
export const EventfdFlag = { semaphore: 1, nonBlocking: 0o4000, closeOnExec: 0o2000000 } as const;
/** poll(2). */
export const PollEvent = { in: 1, priority: 2, out: 4, error: 8, hangUp: 16, invalid: 32 } as const;
/** open(2): the rest is in node:fs's `constants`. */
export const O_CLOEXEC = 0o2000000;

const AT_FDCWD = -100;

/** Whether a call's answer is an error. */
export function isError(result: number): boolean {
  return result < 0;
}

/** Two numbers have two names each. */
const ALIASES = new Set(["EWOULDBLOCK", "EOPNOTSUPP"]);
const NAMES = new Map(
  Object.entries(nodeConstants.errno).flatMap(([name, number]) => (ALIASES.has(name) ? [] : [[number, name]])),
);

/** `EACCES`, from a call's answer or from a positive errno. */
export function errnoName(result: number): string {
  const number = Math.abs(result);
  return NAMES.get(number) ?? `errno ${number}`;
}

/** @param flags Of `constants` in node:fs and of this module; `O_CLOEXEC` is added. */
export function open(path: string, flags: number, mode = 0): number {
  // What C would read as a shorter name is none.
  if (path.includes("\0")) return -nodeConstants.errno.ENOENT;
  return syscall("openat", AT_FDCWD, text(path), flags | O_CLOEXEC, mode);
}

const CLOCK_MONOTONIC = 1;

/** The host's monotonic clock, ns: the same on every thread, which a thread's own clocks are not. */
export function monotonicNanoseconds(): number {
  const time = new BigInt64Array(2);
  syscall("clock_gettime", CLOCK_MONOTONIC, time);
  return Number(time[0]) * 1e9 + Number(time[1]);
}

/** Looks at two clocks, of which the closest counts: the first may take a thread a millisecond, and so does being put off. */
const LOOKS = 8;

/** By how much the monotonic clock is ahead of another one, ns: read between two looks at that. */
export function monotonicAhead(of: () => number, monotonic: () => number = monotonicNanoseconds): number {
  let closest = Number.POSITIVE_INFINITY;
  let ahead = 0;
  for (let i = 0; i < LOOKS; i++) {
    const before = of();
    const there = monotonic();
    const took = of() - before;
    if (took >= closest) continue;
    closest = took;
    ahead = there - Math.round(before + took / 2);
  }
  return ahead;
}

export function close(fd: number): number {
  return syscall("close", fd);
}

/** Maps at `address`, or where the kernel likes with 0; answers the address. `length` and `offset` in bytes. */
export function mmap(address: number, length: number, prot: number, flags: number, fd = -1, offset = 0): number {
  return syscall("mmap", address, length, prot, flags, fd, offset);
}

export function munmap(address: number, length: number): number {
  return syscall("munmap", address, length);
}

export function mprotect(address: number, length: number, prot: number): number {
  return syscall("mprotect", address, length, prot);
}

export function madvise(address: number, length: number, advice: number): number {
  return syscall("madvise", address, length, advice);
}

/** @param flags Of {@link MemfdFlag}; closing on exec is added. */
export function memfdCreate(name: string, flags = 0): number {
  return syscall("memfd_create", text(name), flags | MemfdFlag.closeOnExec);
}

export function ftruncate(fd: number, size: number): number {
  return syscall("ftruncate", fd, size);
}

export function fallocate(fd: number, mode: number, offset: number, length: number): number {
  return syscall("fallocate", fd, mode, offset, length);
}

export function addSeals(fd: number, seals: number): number {
  return syscall("fcntl", fd, F_ADD_SEALS, seals);
}

export function flock(fd: number, operation: number): number {
  return syscall("flock", fd, operation);
}

/** @param flags Of {@link EventfdFlag}; closing on exec is added. */
export function eventfd(initial = 0, flags = 0): number {
  return syscall("eventfd2", initial, flags | EventfdFlag.closeOnExec);
}

/** @param argument A number, or memory that the request reads or writes. */
export function ioctl(fd: number, request: number, argument: SyscallArgument = 0): number {
  return syscall("ioctl", fd, request, argument);
}

/** Reads what is there into `into`; answers how many bytes. */
export function read(fd: number, into: NodeJS.TypedArray): number {
  return syscall("read", fd, into, into.byteLength);
}

export function write(fd: number, from: NodeJS.TypedArray): number {
  return syscall("write", fd, from, from.byteLength);
}

export interface PollEntry {
  readonly fd: number;
  /** Of {@link PollEvent}. */
  readonly events: number;
}

/** Waits up to `timeout` ms (0: not at all) and answers the events of each entry, or `-errno`. */
export function poll(entries: readonly PollEntry[], timeout = 0): number[] | number {
  // struct pollfd { int fd; short events; short revents; }
  const table = new DataView(new ArrayBuffer(8 * Math.max(1, entries.length)));
  for (const [i, { fd, events }] of entries.entries()) {
    table.setInt32(8 * i, fd, true);
    table.setInt16(8 * i + 4, events, true);
  }
  const seconds = Math.floor(timeout / 1000);
  const limit = BigInt64Array.of(BigInt(seconds), BigInt(Math.round((timeout - seconds * 1000) * 1e6)));
  const result = syscall("ppoll", table, entries.length, limit, 0, 8);
  return result < 0 ? result : entries.map((_, i) => table.getInt16(8 * i + 6, true));
}

function text(value: string): Uint8Array {
  return Buffer.from(`${value}\0`);
}
