/** Functions that the regions of a module share, each added when it is first asked for. */
import { HartField } from "../../isa/riscv/hart.ts";
import type { Callable } from "../../wasm/function.ts";
import type { ModuleWriter } from "../../wasm/module.ts";
import { COUNTER_SHIFT, OpField, Special } from "../interpreter/layout.ts";
import { at, PAGE_MASK } from "../places.ts";
import { ADDEND, pushTable, pushTlbEntry } from "../tlb-code.ts";
import { Leaving, REFUND_BITS, REGION_SIGNATURE } from "./contract.ts";

export interface SharedCode {
  /**
   * For accesses that reach into another page. Takes the address of the first byte, how far behind it the last one is, the
   * first one's entry in the TLB, and where the TLB begins. Answers 1 unless the pages of both are known and follow each
   * other where they lie.
   */
  readonly pagesPart: Callable;
  /**
   * In place of a region that is left, with all put back: takes the instructions left and where in the guest execution goes
   * on. Goes on in the region there, if the fetch TLB knows the page and one begins there.
   */
  readonly goOn: Callable;
  /**
   * The same, where the interpreter is to take over: takes the instructions left, the page that the region was entered on,
   * an {@link exitTo}, and one of `Leaving`.
   */
  readonly takeOver: Callable;
}

/** @param counters Offset of an op's counter less its own, shifted. */
export function sharedCode(module: ModuleWriter, counters: number): SharedCode {
  let part: Callable | undefined;
  let on: Callable | undefined;
  let over: Callable | undefined;
  return {
    get pagesPart() {
      part ??= definePagesPart(module);
      return part;
    },
    get goOn() {
      on ??= defineGoOn(module, counters);
      return on;
    },
    get takeOver() {
      over ??= defineTakeOver(module);
      return over;
    },
  };
}

function definePagesPart(module: ModuleWriter): Callable {
  const f = module.func({ params: ["i64", "i32", "i32", "i32"], results: ["i32"] });
  const [address, behind, first, table] = f.params;
  const last = f.local("i64");
  const entry = f.local("i32");
  f.get(address).get(behind).op("i64.extend_i32_u", "i64.add").set(last);
  pushTlbEntry(f, last, () => f.get(table));
  f.tee(entry).memory("i64.load").get(last).i64(PAGE_MASK).op("i64.and", "i64.ne");
  f.get(entry).memory("i32.load", ADDEND).get(first).memory("i32.load", ADDEND).op("i32.ne", "i32.or");
  return f;
}

function defineGoOn(module: ModuleWriter, counters: number): Callable {
  const f = module.func({ params: ["i32", "i64"], results: ["i32"] });
  const [budget, target] = f.params;
  const page = f.local("i64");
  const entry = f.local("i32");
  const op = f.local("i32");
  f.get(target).i64(PAGE_MASK).op("i64.and").set(page);
  pushTlbEntry(f, target, () => pushTable(f, HartField.tlbFetch));
  f.tee(entry).memory("i64.load").get(page).op("i64.eq").if();
  f.get(entry).memory("i32.load", ADDEND);
  f.get(target).op("i32.wrap_i64").i32(0xffe).op("i32.and").i32(3).op("i32.shl", "i32.add").tee(op);
  f.memory("i32.load16_u", OpField.handler).i32(Special.region).op("i32.eq").if();
  f.get(budget).get(page);
  f.get(op).i32(COUNTER_SHIFT).op("i32.shr_u").memory("i32.load16_u", counters);
  f.returnCallIndirect(module.signature(REGION_SIGNATURE));
  f.end().end();
  f.i32(0).i32(Leaving.moved).memory("i32.store", at(HartField.mail3));
  f.i32(0).get(target).memory("i64.store", at(HartField.pc));
  f.get(budget);
  return f;
}

function defineTakeOver(module: ModuleWriter): Callable {
  const f = module.func({ params: ["i32", "i64", "i64", "i32"], results: ["i32"] });
  const [budget, page, exit, how] = f.params;
  f.i32(0).get(how).memory("i32.store", at(HartField.mail3));
  f.i32(0).get(page).get(exit).i64(REFUND_BITS).op("i64.shr_s", "i64.add").memory("i64.store", at(HartField.pc));
  f.get(budget)
    .get(exit)
    .op("i32.wrap_i64")
    .i32(2 ** REFUND_BITS - 1)
    .op("i32.and", "i32.add");
  return f;
}
