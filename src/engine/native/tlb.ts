/** Native code that looks something up in the TLB. */
import { TLB_ENTRIES, TLB_ENTRY_SIZE } from "../../isa/riscv/hart.ts";
import type { Width } from "../../isa/riscv/semantics.ts";
import { ADDEND } from "../tlb-code.ts";
import { Alu, type Assembler, Reg, Shift } from "./assembler.ts";
import { field, LINEAR } from "./registers.ts";

const PAGE_BITS = 12;
const ENTRY_BITS = Math.log2(TLB_ENTRY_SIZE);

/** Has in `to` where a table's entry for an address lies, as a linear-memory offset. */
export function writeTlbEntry(code: Assembler, to: Reg, address: Reg, table: number): void {
  code.move(to, address, false);
  code.shift(Shift.shr, to, PAGE_BITS - ENTRY_BITS, false);
  code.aluImmediate(Alu.and, to, (TLB_ENTRIES - 1) << ENTRY_BITS, false);
  code.alu(Alu.add, to, field(table), false);
}

/**
 * For aligned accesses without a way: has the TLB's entry for the address in rax in rcx, and tells by `equal` whether it is
 * right.
 */
export function lookUp(code: Assembler, table: number, width: Width): void {
  writeTlbEntry(code, Reg.rcx, Reg.rax, table);
  code.move(Reg.rdx, Reg.rax);
  code.aluImmediate(Alu.and, Reg.rdx, -4096 | (width - 1));
  code.aluIndexed(Alu.cmp, Reg.rdx, Reg.rcx, LINEAR);
}

/** What {@link lookUp} found makes a linear-memory offset of the address in rax. */
export function addAddend(code: Assembler): void {
  code.aluIndexed(Alu.add, Reg.rax, Reg.rcx, LINEAR + ADDEND, false);
}
