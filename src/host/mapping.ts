/**
 * Memory of the host laid into a WebAssembly.Memory, at a fixed place: files, shared memory, device pages. What is laid is
 * seen by compiled code as by typed arrays; a fault in the latter would end the process (see fault-guard.ts).
 */
import { ptr } from "bun:ffi";
import { Advice, isError, MapFlag, madvise, mmap, munmap, Protection } from "./linux.ts";
import { syscall } from "./syscall.ts";

/** Where in a WebAssembly.Memory: bytes, both multiples of the host's page size. */
export interface MappedRange {
  readonly buffer: ArrayBufferLike;
  readonly offset: number;
  readonly length: number;
}

export interface MappingSource {
  readonly fd: number;
  /** First byte of it that is laid, a multiple of the host's page size. */
  readonly at?: number;
  /** Stores reach the object and all who map it; else they stay here, in copies of its pages. */
  readonly shared: boolean;
  /** Without it a store is a fault. */
  readonly writable: boolean;
}

/**
 * Buffers with something laid into them. The collector must not return one to JavaScriptCore's pool of memories before it
 * is plain again, so they are held until all of it is lifted.
 */
const laid = new Map<ArrayBufferLike, Map<number, MappedRange>>();

/** As JavaScriptCore maps its memories. */
const PLAIN = MapFlag.private | MapFlag.anonymous | MapFlag.noReserve;

/** Whether memory can be mapped here. `VMRUN_PLAIN_MEMORY=1` says no, to try what becomes of a board without it. */
export function canMap(): boolean {
  return process.platform === "linux" && process.env.VMRUN_PLAIN_MEMORY !== "1" && syscall("getpid") > 0;
}

/** The host address of a byte in a buffer. */
export function addressOf(buffer: ArrayBufferLike, offset = 0): number {
  return ptr(new Uint8Array(buffer, offset, 1));
}

/** Lays an object of the host into the range. Answers 0, or `-errno` with the range as it was. The fd may be closed then. */
export function lay(range: MappedRange, { fd, at = 0, shared, writable }: MappingSource): number {
  requireInside(range);
  const prot = Protection.read | (writable ? Protection.write : 0);
  const flags = shared ? MapFlag.shared : MapFlag.private;
  const address = addressOf(range.buffer, range.offset);
  // A fixed mapping that fails may have unmapped what was there. So it is tried elsewhere first; that also holds whatever
  // pages the kernel reserves for the object.
  const trial = mmap(0, range.length, prot, flags, fd, at);
  if (isError(trial)) return trial;
  const result = mmap(address, range.length, prot, flags | MapFlag.fixed, fd, at);
  munmap(trial, range.length);
  if (isError(result)) {
    mmap(address, range.length, Protection.read | Protection.write, PLAIN | MapFlag.fixedNoReplace);
    return result;
  }
  const ranges = laid.get(range.buffer) ?? new Map<number, MappedRange>();
  laid.set(range.buffer, ranges.set(range.offset, range));
  return 0;
}

/** Makes the range plain memory again, all zeroes. Answers 0 or `-errno`. */
export function lift(range: MappedRange): number {
  requireInside(range);
  const prot = Protection.read | Protection.write;
  const result = mmap(addressOf(range.buffer, range.offset), range.length, prot, PLAIN | MapFlag.fixed);
  if (isError(result)) return result;
  const ranges = laid.get(range.buffer);
  ranges?.delete(range.offset);
  if (ranges?.size === 0) laid.delete(range.buffer);
  return 0;
}

/** Gives private pages back to the host: plain memory is zero then, a private file mapping is as the file. */
export function discard(range: MappedRange): number {
  requireInside(range);
  return madvise(addressOf(range.buffer, range.offset), range.length, Advice.dontNeed);
}

/** Outside of the buffer lies memory of somebody else: that is a bug of the caller's. */
function requireInside({ buffer, offset, length }: MappedRange): void {
  if (offset >= 0 && length > 0 && offset + length <= buffer.byteLength) return;
  throw new RangeError(`${length} bytes at ${offset} are not inside a memory of ${buffer.byteLength}`);
}
