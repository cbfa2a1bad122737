/**
 * A file in memory can be cut short by anybody who may write it, and a disk can be full: the kernel then answers a load or
 * store by SIGBUS. Checking sizes first only makes that rarer, locks bind nobody, and a fault in a typed array ends the
 * process. So faults are answered where they happen (fault-guard.c): the access goes on with a page of zeroes, and what was
 * lost is known between two slices of the guest, which then takes an access fault wherever it touches those pages again.
 */
import { cc, type Pointer, toArrayBuffer } from "bun:ffi";
import { resolve } from "node:path";
import source from "./fault-guard.c" with { type: "file" };
import { callAddress, libc } from "./libc.ts";
import { addressOf, type MappedRange } from "./mapping.ts";

/** As in fault-guard.c. */
const SLOTS = 64;
const NOTED = 60;
const WORD = 8;
const SLOT_WORDS = 4 + NOTED;

export interface FaultGuard {
  /** Pages that the host took away since the last `clear`, as offsets in the range; `undefined`: too many to say which. */
  lost(): readonly number[] | undefined;
  /** What is in the range now counts as whole. */
  clear(): void;
  release(): void;
}

type Library = ReturnType<typeof compile>;
let library: Library | undefined;
let refused = false;

/**
 * Guards a range until it is released. `undefined` where that is not possible: no compiler for the few lines of C, or too
 * many ranges under guard.
 * @param grain Bytes of a page of what is laid there.
 */
export function guardFaults(range: MappedRange, grain: number): FaultGuard | undefined {
  const { symbols, slots } = open() ?? {};
  if (symbols === undefined || slots === undefined) return undefined;
  const from = addressOf(range.buffer, range.offset);
  const slot = symbols.guard_add(BigInt(from), BigInt(range.length), BigInt(grain));
  if (slot < 0) return undefined;
  const at = 1 + slot * SLOT_WORDS;
  return {
    lost() {
      const count = Number(slots[at + 3]);
      if (count > NOTED) return undefined;
      return Array.from({ length: count }, (_, i) => Number(slots[at + 4 + i]) - from);
    },
    clear: () => symbols.guard_clear(slot),
    release: () => symbols.guard_remove(slot),
  };
}

/** Counts every page that was lost in this process: one look tells whether anything happened. */
export function faultCount(): number {
  return library === undefined ? 0 : library.count[0];
}

function open(): Library | undefined {
  if (refused) return undefined;
  try {
    library ??= compile();
  } catch {
    refused = true;
  }
  return library;
}

function compile() {
  const calls = libc({
    sigaction: { args: ["i32", "ptr", "ptr"], returns: "i32" },
    mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
  });
  if (calls === undefined) throw new Error("no C library");
  const { symbols } = cc({
    source: resolve(import.meta.dir, source),
    flags: ["-nostdlib"],
    symbols: {
      guard_calls: { args: ["u64", "u64"], returns: "void" },
      guard_add: { args: ["u64", "u64", "u64"], returns: "i32" },
      guard_remove: { args: ["i32"], returns: "void" },
      guard_clear: { args: ["i32"], returns: "void" },
      guard_record: { args: [], returns: "ptr" },
    },
  });
  symbols.guard_calls(callAddress(calls.sigaction), callAddress(calls.mmap));
  const record = toArrayBuffer(symbols.guard_record() as Pointer, 0, WORD * (1 + SLOTS * SLOT_WORDS));
  return { symbols, count: new Uint32Array(record, 0, 1), slots: new BigUint64Array(record) };
}
