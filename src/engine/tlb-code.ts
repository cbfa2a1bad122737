/** Code that looks something up in the TLB. */
import {
  MEGAPAGE_TAG_FOLDS,
  MEGAPAGE_TAG_SHIFT,
  MEGAPAGE_TAGS,
  REMEMBERED_BITS,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
} from "../isa/riscv/hart.ts";
import type { FunctionWriter, Local } from "../wasm/function.ts";
import { at } from "./places.ts";

const PAGE_BITS = 12;
const ENTRY_BITS = Math.log2(TLB_ENTRY_SIZE);

/** Of an entry, behind its tag: what is to be added to addresses; and its {@link TlbFlag}s. */
export const ADDEND = 8;
export const FLAGS = 12;
/** Above the flags, 2 bytes: of the realm's epoch in which native code has come to remember it, if any. */
export const STAMP = 14;

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

/** Pushes the tag of an address among those of its megapage's mark, as `megapageTag` in hart.ts. */
export function pushMegapageTag(f: FunctionWriter, address: Local): void {
  const upper = f.local("i32");
  f.get(address).i64(BigInt(MEGAPAGE_TAG_SHIFT)).op("i64.shr_u", "i32.wrap_i64").tee(upper);
  for (const by of MEGAPAGE_TAG_FOLDS) f.get(upper).i32(by).op("i32.shr_u", "i32.xor");
  f.i32(MEGAPAGE_TAGS - 1)
    .op("i32.and")
    .i32(1)
    .op("i32.add");
}

/** Pushes which of a realm's bytes speaks for the page of an address, as `rememberedOf` in hart.ts. */
export function pushRemembered(f: FunctionWriter, address: Local): void {
  const page = f.local("i32");
  f.get(address).i64(BigInt(PAGE_BITS)).op("i64.shr_u", "i32.wrap_i64").tee(page);
  f.get(page)
    .i32(REMEMBERED_BITS)
    .op("i32.shr_u", "i32.xor")
    .i32(2 ** REMEMBERED_BITS - 1)
    .op("i32.and");
}

/** Pushes where one of the resident hart's tables begins. */
export function pushTable(f: FunctionWriter, table: number): void {
  f.i32(0).memory("i32.load", at(table));
}
