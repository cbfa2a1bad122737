/**
 * How far goes what the TLB says of a page. Where an entry comes from a leaf larger than a page, or where there are no page
 * tables, the same holds for as much of that as is in the hart's window (`TlbFlag.wide`), but for stores into pages with code.
 */
import { HartField, TlbFlag } from "../../isa/riscv/hart.ts";
import { ADDEND, FLAGS } from "../tlb-code.ts";
import { Alu, type Assembler, Condition, Label, Reg, Shift, Unary } from "./assembler.ts";
import { field, LINEAR } from "./registers.ts";

const PAGE_BITS = 12;
const MEGAPAGE = 2 ** 21;
const GIGAPAGE = 2 ** 30;
/** What stores reach is looked through for pages with code: as many as this, eight at a time. */
const LOOKED_THROUGH = 64;
const AT_ONCE = 8;

/** What {@link writeReach} takes. */
export const REACH_TAKES: readonly Reg[] = [Reg.rbx, Reg.rsi, Reg.rdi, Reg.r8];

/**
 * With a wide entry in rax and its page's address in rdx: has where the page lies in linear memory in r8, where all that is
 * alike begins there in rsi, and where it ends in rdi. Takes rbx.
 * @param stores Where a byte for each page tells of code; and where to go if there is some so near that only the page is certain.
 */
export function writeReach(code: Assembler, stores?: { readonly codePages: number; readonly near: Label }): void {
  const gigapage = new Label();
  const known = new Label();
  // Linear memory ends at 2^32 at most.
  code.loadIndexed(Reg.r8, Reg.rax, LINEAR + ADDEND, 4, false);
  code.alu(Alu.add, Reg.r8, Reg.rdx, false);
  code.move(Reg.rsi, field(HartField.windowStart), false);
  code.alu(Alu.add, Reg.rsi, field(HartField.windowOffset), false);
  code.move(Reg.rdi, field(HartField.windowSize));
  code.alu(Alu.add, Reg.rdi, Reg.rsi);
  code.testIndexed(Reg.rax, LINEAR + FLAGS, TlbFlag.gigapage);
  code.jumpIf(Condition.notEqual, gigapage);
  code.testIndexed(Reg.rax, LINEAR + FLAGS, TlbFlag.megapage);
  code.jumpIf(Condition.equal, known);
  writeLeaf(code, MEGAPAGE);
  code.jump(known);
  code.bind(gigapage);
  writeLeaf(code, GIGAPAGE);
  code.bind(known);
  if (stores === undefined) return;
  code.move(Reg.rbx, Reg.r8, false);
  code.shift(Shift.shr, Reg.rbx, PAGE_BITS, false);
  code.aluImmediate(Alu.and, Reg.rbx, -LOOKED_THROUGH, false);
  code.push(Reg.rcx);
  code.moveImmediate(Reg.rcx, 0);
  for (let page = 0; page < LOOKED_THROUGH; page += AT_ONCE) {
    code.aluIndexed(Alu.or, Reg.rcx, Reg.rbx, LINEAR + stores.codePages + page);
  }
  code.test(Reg.rcx, Reg.rcx);
  code.pop(Reg.rcx);
  code.jumpIf(Condition.notEqual, stores.near);
  code.shift(Shift.shl, Reg.rbx, PAGE_BITS, false);
  writeBounds(code, LOOKED_THROUGH << PAGE_BITS);
}

/** Not beyond a leaf of this size. */
function writeLeaf(code: Assembler, size: number): void {
  const { rbx, rdx, r8 } = Reg;
  code.move(rbx, rdx);
  code.aluImmediate(Alu.and, rbx, size - 1);
  code.alu(Alu.sub, rbx, r8);
  // What lies below linear memory has negative offsets.
  code.unary(Unary.neg, rbx);
  writeBounds(code, size);
}

/** Not beyond `size` bytes from rbx on. Takes rbx. */
function writeBounds(code: Assembler, size: number): void {
  code.alu(Alu.cmp, Reg.rsi, Reg.rbx);
  code.moveIf(Condition.less, Reg.rsi, Reg.rbx);
  code.aluImmediate(Alu.add, Reg.rbx, size);
  code.alu(Alu.cmp, Reg.rdi, Reg.rbx);
  code.moveIf(Condition.greater, Reg.rdi, Reg.rbx);
}
