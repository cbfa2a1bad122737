/** Code that looks something up in the TLB. */
import { TLB_ENTRIES, TLB_ENTRY_SIZE } from "../isa/riscv/hart.ts";
import type { FunctionWriter, Local } from "../wasm/function.ts";
import { at } from "./places.ts";

const PAGE_BITS = 12;
const ENTRY_BITS = Math.log2(TLB_ENTRY_SIZE);

/** Of an entry, behind its tag: what is to be added to addresses. */
export const ADDEND = 8;

/** Pushes where the entry for an address lies. `table` pushes where its table begins. */
export function pushTlbEntry(f: FunctionWriter, address: Local, table: () => void): void {
  f.get(address)
    .op("i32.wrap_i64")
    .i32(PAGE_BITS - ENTRY_BITS)
    .op("i32.shr_u")
    .i32((TLB_ENTRIES - 1) << ENTRY_BITS)
    .op("i32.and");
  table();
  f.op("i32.add");
}

/** Pushes where one of the resident hart's tables begins. */
export function pushTable(f: FunctionWriter, table: number): void {
  f.i32(0).memory("i32.load", at(table));
}
