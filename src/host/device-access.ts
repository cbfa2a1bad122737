/** Mapped device registers, accessed one by one through compiled code (device-access.c): what the caller says is what the bus sees. */
import { cc, type Pointer, toArrayBuffer } from "bun:ffi";
import { resolve } from "node:path";
import { fail } from "../diagnostics/diagnostic.ts";
import source from "./device-access.c" with { type: "file" };
import { type FaultGuard, faultCount, guardFaults } from "./fault-guard.ts";
import { errnoName, isError, MapFlag, mmap, munmap, Protection } from "./linux.ts";

/** As in device-access.c. */
const WINDOWS = 1024;
const PAGE = 4096;
/** Offsets are 32-bit integers with a sign. */
const LARGEST = 2 ** 31 - PAGE;

export interface DeviceMapping {
  /** Widths 1, 2 and 4. Offsets are checked by the caller. */
  load(offset: number, width: number): number;
  store(offset: number, width: number, value: number): void;
  load64(offset: number): bigint;
  store64(offset: number, value: bigint): void;
  /** Whether the host took pages away: what was read since may be zeroes that nobody wrote. */
  readonly damaged: boolean;
  /** The bytes as they are, for memory that is no device's; a model's own side. */
  readonly buffer: ArrayBuffer;
  unmap(): void;
}

type Library = ReturnType<typeof compile>;
let library: Library | undefined;
const taken = new Set<number>();

/**
 * Maps `length` bytes of `fd` from `offset` on, shared; neither need be whole pages. Throws a `VmrunError` with the reason.
 * @param what For messages.
 */
export function mapDevice(fd: number, offset: number, length: number, writable: boolean, what: string): DeviceMapping {
  library ??= compile();
  const { symbols } = library;
  if (length > LARGEST) fail("host/map", `${what} has ${length} bytes; one window has at most ${LARGEST}`);
  const lead = offset % PAGE;
  const bytes = Math.ceil((lead + length) / PAGE) * PAGE;
  const prot = Protection.read | (writable ? Protection.write : 0);
  const address = mmap(0, bytes, prot, MapFlag.shared, fd, offset - lead);
  if (isError(address)) fail("host/map", `${what} cannot be mapped: ${errnoName(address)}`);
  const window = freeWindow();
  symbols.set_base(window, BigInt(address + lead));
  const buffer = toArrayBuffer(address as Pointer, 0, bytes);
  let guard: FaultGuard | undefined = guardFaults({ buffer, offset: 0, length: bytes }, PAGE);
  let seen = faultCount();
  let damaged = false;
  return {
    // `| 0`: bun:ffi takes the low half of a number that is represented as a double, whatever its value.
    load(at, width) {
      // `>>> 0`: bun:ffi makes a u32 of 2^31 a negative number.
      if (width === 4) return symbols.load32(window, at | 0) >>> 0;
      return width === 2 ? symbols.load16(window, at | 0) : symbols.load8(window, at | 0);
    },
    store(at, width, value) {
      if (width === 4) symbols.store32(window, at | 0, value | 0);
      else if (width === 2) symbols.store16(window, at | 0, value | 0);
      else symbols.store8(window, at | 0, value | 0);
    },
    load64: (at) => symbols.load64(window, at | 0),
    store64: (at, value) => symbols.store64(window, at | 0, value),
    get damaged() {
      const now = faultCount();
      if (now !== seen) {
        seen = now;
        damaged ||= guard?.lost()?.length !== 0;
      }
      return damaged;
    },
    buffer,
    unmap() {
      if (guard === undefined && !taken.has(window)) return;
      guard?.release();
      guard = undefined;
      taken.delete(window);
      munmap(address, bytes);
    },
  };
}

function freeWindow(): number {
  for (let window = 0; window < WINDOWS; window++) {
    if (taken.has(window)) continue;
    taken.add(window);
    return window;
  }
  return fail("host/map", `more than ${WINDOWS} windows on devices are open`);
}

function compile() {
  try {
    return cc({
      source: resolve(import.meta.dir, source),
      // It calls nobody, and only developers have the file that linking with the C library takes.
      flags: ["-nostdlib"],
      symbols: {
        set_base: { args: ["i32", "u64"], returns: "void" },
        load8: { args: ["i32", "i32"], returns: "u32" },
        load16: { args: ["i32", "i32"], returns: "u32" },
        load32: { args: ["i32", "i32"], returns: "u32" },
        load64: { args: ["i32", "i32"], returns: "u64" },
        store8: { args: ["i32", "i32", "i32"], returns: "void" },
        store16: { args: ["i32", "i32", "i32"], returns: "void" },
        store32: { args: ["i32", "i32", "i32"], returns: "void" },
        store64: { args: ["i32", "i32", "u64"], returns: "void" },
      },
    });
  } catch (error) {
    return fail("host/device-access", `device registers cannot be accessed on this host: ${(error as Error).message}`);
  }
}
