/** What generated code of every kind agrees on: where the resident hart's state lies, and how memory is accessed. */
import { CsrSlot, HartField, RESIDENT } from "../isa/riscv/hart.ts";
import type { Width } from "../isa/riscv/semantics.ts";
import type { MemoryOpcode } from "../wasm/opcodes.ts";

/** Linear-memory offset of a field of the resident hart. */
export const at = (field: number): number => RESIDENT + field;

/** Where floating-point helpers and the exact library find flags and operands. */
export const FLOAT_PLACES = { flags: at(HartField.fflags), mail: at(HartField.mail0) } as const;

/** Of the storage of a CSR, by {@link CsrSlot}. */
export const csrAt = (slot: number): number => at(HartField.csr + slot * 8);

export const MSTATUS = csrAt(CsrSlot.mstatus);
/** mstatus.FS; all ones is Dirty. */
export const MSTATUS_FS = 0x6000;

/** What of an address says which page it is on. */
export const PAGE_MASK = -4096n;
/** The upper half of an f register that holds a single. */
export const NAN_BOX = 0xffffffff00000000n;

export const LOADS: Readonly<Record<"signed" | "unsigned", Readonly<Record<Width, MemoryOpcode>>>> = {
  signed: { 1: "i64.load8_s", 2: "i64.load16_s", 4: "i64.load32_s", 8: "i64.load" },
  unsigned: { 1: "i64.load8_u", 2: "i64.load16_u", 4: "i64.load32_u", 8: "i64.load" },
};
export const STORES: Readonly<Record<Width, MemoryOpcode>> = {
  1: "i64.store8",
  2: "i64.store16",
  4: "i64.store32",
  8: "i64.store",
};

/** The same on low words. */
export const LOW_LOADS: Readonly<Record<"signed" | "unsigned", Readonly<Record<1 | 2 | 4, MemoryOpcode>>>> = {
  signed: { 1: "i32.load8_s", 2: "i32.load16_s", 4: "i32.load" },
  unsigned: { 1: "i32.load8_u", 2: "i32.load16_u", 4: "i32.load" },
};
export const LOW_STORES: Readonly<Record<1 | 2 | 4, MemoryOpcode>> = {
  1: "i32.store8",
  2: "i32.store16",
  4: "i32.store",
};
