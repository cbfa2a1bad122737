// Where things lie in the memory of a differential program, and what its dump holds.

/** Start of RAM on QEMU's `virt`, and of the harness. */
export const HARNESS = 0x8000_0000;
/** Sequence `i` ends at `SLOTS + (i + 1) × SLOT`, so that it is the same in every program. */
export const SLOTS = 0x8000_1000;
export const SLOT = 1024;
/** As many as can jump back to the harness with one JAL. */
export const MAX_SEQUENCES = 768;

/** 128 bytes for loads, stores and atomics; they lie across the border of two pages. */
export const SCRATCH = 0x8020_0fc0;
export const SCRATCH_DWORDS = 16;
/** What the harness saves, logs and dumps. */
export const SAVE = 0x8021_0000;
/** Interesting values for sequences to load. */
export const CORNERS = 0x8022_0000;
export const CORNER_COUNT = 128;
/** What registers and scratch memory hold when a sequence begins. */
export const RECORDS = 0x8030_0000;

/** Doublewords of a record. */
export const Record = { entry: 0, fcsr: 1, scratch: 2, f: 2 + SCRATCH_DWORDS, x: 2 + SCRATCH_DWORDS + 32 } as const;
export const RECORD_DWORDS = Record.x + 32;

/** Doublewords of a dump. The place of x0 holds how many traps there were. */
export const Dump = { traps: 0, x: 0, f: 32, fcsr: 64, sscratch: 65, trapHash: 66, scratch: 67 } as const;
export const DUMP_DWORDS = Dump.scratch + SCRATCH_DWORDS;
/** Behind the dump, in doublewords from `SAVE`: the next record, and registers that the trap handler borrows. */
export const Private = { next: DUMP_DWORDS, first: DUMP_DWORDS + 1, second: DUMP_DWORDS + 2 } as const;

/** The devices of QEMU's `virt` that the harness uses. */
export const UART = 0x1000_0000;
export const TEST_FINISHER = 0x10_0000;
export const FINISHER_PASS = 0x5555;
