/** Where native code has the guest's state: some integer registers in the host's, everything else in the resident hart's block. */
import { HartField, RESIDENT } from "../../isa/riscv/hart.ts";
import { memory, type Operand, Reg } from "./assembler.ts";

/** `rbp` leads to the middle of the integer registers in memory: all of them are within reach of a byte. */
const MIDDLE = 0x80;
/** Added to linear-memory offsets, gives distances from `rbp`. */
export const LINEAR = -(RESIDENT + MIDDLE);

/** Of a field of the resident hart. */
export const field = (offset: number): Operand => memory(offset - MIDDLE);

/** Instructions left. */
export const BUDGET = Reg.r15;

/** Those that compilers use most, and where they are kept. */
const KEPT: Readonly<Record<number, Reg>> = {
  ...{ 1: Reg.r14, 2: Reg.rbx, 8: Reg.rsi, 9: Reg.rdi },
  ...{ 10: Reg.r8, 11: Reg.r9, 12: Reg.r10, 13: Reg.r11, 14: Reg.r12, 15: Reg.r13 },
};

/** By number, each integer register; x0's memory is 0. */
const INTEGERS: readonly Operand[] = Array.from({ length: 32 }, (_, n) => KEPT[n] ?? field(HartField.x + n * 8));
const FLOATS: readonly Operand[] = Array.from({ length: 32 }, (_, n) => field(HartField.f + n * 8));

export const integer = (n: number): Operand => INTEGERS[n];
export const float = (n: number): Operand => FLOATS[n];

/** What is to be taken up from memory when native code is entered, and put back when it is left. */
export const kept: readonly { readonly reg: Reg; readonly home: Operand }[] = Object.entries(KEPT).map(([n, reg]) => ({
  reg,
  home: field(HartField.x + Number(n) * 8),
}));
