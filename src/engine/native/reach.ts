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
/** Pages of which a byte each is looked at together, for code; and how often that is done each way. */
const AT_ONCE = 8;
const LOOKS = 4;

/** What {@link writeReach} takes. */
export const REACH_TAKES: readonly Reg[] = [Reg.rbx, Reg.rsi, Reg.rdi, Reg.r8];

/**
 * With a wide entry in rax and its page's address in rdx: has where the page lies in linear memory in r8, where all that is
 * alike begins there in rsi, and where it ends in rdi. Takes rbx.
 * @param codePages For stores: where a byte for each page tells of code.
 */
export function writeReach(code: Assembler, codePages?: number): void {
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
  if (codePages !== undefined) writeUntilCode(code, codePages);
}

/**
 * Not into pages with code, nor farther than they are looked for. What stands before and behind the table may be taken for
 * some: it speaks for pages outside of the window. Takes rbx.
 */
function writeUntilCode(code: Assembler, codePages: number): void {
  code.push(Reg.rcx);
  for (const upwards of [true, false]) {
    const found = new Label();
    const [at, bound] = upwards ? [1, Reg.rdi] : [-AT_ONCE, Reg.rsi];
    code.move(Reg.rbx, Reg.r8, false);
    code.shift(Shift.shr, Reg.rbx, PAGE_BITS, false);
    // They may lie beyond 2^31, where no distance reaches that stands in an instruction.
    code.aluImmediate(Alu.add, Reg.rbx, codePages, false);
    for (let look = 0; look < LOOKS; look++) {
      code.loadIndexed(Reg.rcx, Reg.rbx, LINEAR + at, 8, false);
      code.scan(upwards ? "forward" : "backward", Reg.rcx, Reg.rcx);
      code.jumpIf(Condition.notEqual, found);
      code.aluImmediate(upwards ? Alu.add : Alu.sub, Reg.rbx, AT_ONCE, false);
    }
    // Nothing is as far as it was looked for.
    code.moveImmediate(Reg.rcx, upwards ? 0 : 8 * AT_ONCE - 1);
    code.bind(found);
    code.shift(Shift.shr, Reg.rcx, 3, false);
    code.alu(Alu.add, Reg.rbx, Reg.rcx, false);
    // To the first page with code, from behind the last one.
    code.aluImmediate(Alu.sub, Reg.rbx, codePages - (upwards ? at : at + 1), false);
    code.shift(Shift.shl, Reg.rbx, PAGE_BITS);
    code.alu(Alu.cmp, bound, Reg.rbx);
    code.moveIf(upwards ? Condition.greater : Condition.less, bound, Reg.rbx);
  }
  code.pop(Reg.rcx);
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
