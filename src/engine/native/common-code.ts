/** Code that all native code shares: how it is entered and left, and how it gets from one page to another. */
import { HartField } from "../../isa/riscv/hart.ts";
import { COUNTER_SHIFT, OpField, Special } from "../interpreter/layout.ts";
import { ADDEND } from "../tlb-code.ts";
import { Leaving, REFUND_BITS } from "../translator/contract.ts";
import { Alu, type Assembler, Condition, data, Label, Reg, Shift } from "./assembler.ts";
import { FloatState, writeFloatEnd, writeFloatStart } from "./floats.ts";
import { LoopNotes } from "./loop-notes.ts";
import { BUDGET, field, kept, LINEAR } from "./registers.ts";
import { Returns } from "./returns.ts";
import { writeTlbEntry } from "./tlb.ts";
import { Ways } from "./ways.ts";

/** Callee-saved registers of the System V ABI. */
const SAVED = [Reg.rbx, Reg.rbp, Reg.r12, Reg.r13, Reg.r14, Reg.r15] as const;

export interface Surroundings {
  /** The host's address of linear memory, and of the code's own first byte. */
  readonly memory: number;
  readonly code: number;
  /** Where there is room for data, from the code's first byte on; and the same for us. */
  readonly data: number;
  readonly memoryOfData: Uint8Array;
  /** Linear-memory offsets: of an op's counter less its own, shifted; and of where native code begins, by slot. */
  readonly counters: number;
  readonly entries: number;
  /** Where a byte for each page tells whether stores into it have to be noticed. */
  readonly codePages: number;
}

/** Where to jump, from native code. */
export interface CommonCode {
  /** A function of where to begin, from the code's first byte on; answers the instructions left. */
  readonly enter: number;
  /** With an `exitTo` in eax: the interpreter executes that instruction itself. */
  readonly interpret: Label;
  /** The same for want of instructions to go on, with what to say about it in ecx (`Leaving.spent`). */
  readonly spent: Label;
  /** Goes on at the address in rax. */
  readonly goOn: Label;
  /** The same, relative to the page, with the distance in eax. */
  readonly goOnRelative: Label;
  /** The same, with the jump's site in rcx: the next time, that tells. */
  readonly goOnFrom: Label;
  /** To be called: has `HartField.nativeFloat` tell what there is to know. Takes rax. */
  readonly startFloat: Label;
  readonly ways: Ways;
  readonly returns: Returns;
  readonly loops: LoopNotes;
}

/** Bytes of data that native code wants behind it. */
export const DATA_SIZE = Ways.size + Returns.size + LoopNotes.size;

export function writeCommonCode(code: Assembler, surroundings: Surroundings): CommonCode {
  const enter = code.length;
  const ways = new Ways(surroundings.data, surroundings.memoryOfData, surroundings.codePages);
  const returns = new Returns(data(surroundings.data + Ways.size));
  const behind = Ways.size + Returns.size;
  const loops = new LoopNotes(surroundings.data + behind, surroundings.memoryOfData.subarray(behind));
  writeEntry(code, surroundings, ways, returns);
  const out = new Label();
  const moved = new Label();
  const common = {
    enter,
    interpret: new Label(),
    spent: new Label(),
    goOn: new Label(),
    goOnRelative: new Label(),
    goOnFrom: new Label(),
    startFloat: new Label(),
    ...{ ways, returns, loops },
  };
  code.bind(common.interpret);
  code.moveImmediate(Reg.rcx, Leaving.interpret);
  code.bind(common.spent);
  code.move(field(HartField.mail3), Reg.rcx, false);
  code.move(Reg.rcx, Reg.rax, false);
  code.aluImmediate(Alu.and, Reg.rcx, 2 ** REFUND_BITS - 1, false);
  code.alu(Alu.add, BUDGET, Reg.rcx, false);
  code.shift(Shift.sar, Reg.rax, REFUND_BITS, false);
  code.moveExtended(Reg.rax, Reg.rax, 4, true);
  code.alu(Alu.add, Reg.rax, field(HartField.nativePage));
  code.move(field(HartField.pc), Reg.rax);
  code.jump(out);

  code.bind(moved);
  code.move(field(HartField.pc), Reg.rax);
  code.storeWord(field(HartField.mail3), Leaving.moved);
  code.bind(out);
  writeFloatEnd(code);
  for (const { reg, home } of kept) code.move(home, reg);
  code.move(Reg.rax, BUDGET, false);
  returns.writeLeave(code);
  for (const reg of SAVED.toReversed()) code.pop(reg);
  code.return();

  code.bind(common.goOnFrom);
  code.moveExtended(Reg.rax, Reg.rax, 4, true);
  code.alu(Alu.add, Reg.rax, field(HartField.nativePage));
  ways.writeSiteNote(code);
  code.jump(common.goOn);
  code.bind(common.goOnRelative);
  code.moveExtended(Reg.rax, Reg.rax, 4, true);
  code.alu(Alu.add, Reg.rax, field(HartField.nativePage));
  code.bind(common.goOn);
  writeGoOn(code, surroundings, ways, moved);
  code.bind(common.startFloat);
  writeFloatStart(code);
  returns.writeCommon(code, common.goOn);
  ways.writeCommon(code);
  return common;
}

function writeEntry(code: Assembler, { memory, code: base }: Surroundings, ways: Ways, returns: Returns): void {
  for (const reg of SAVED) code.push(reg);
  returns.writeEntry(code);
  code.moveImmediate(Reg.rbp, BigInt(memory - LINEAR));
  code.move(BUDGET, field(HartField.budget), false);
  code.storeWord(field(HartField.nativeFloat), FloatState.unknown);
  ways.writeEntry(code);
  code.moveImmediate(Reg.rax, BigInt(base));
  code.move(Reg.rcx, Reg.rdi, false);
  code.alu(Alu.add, Reg.rax, Reg.rcx);
  for (const { reg, home } of kept) code.move(reg, home);
  code.jumpTo(Reg.rax);
}

/** To the code for the op at the address in rax, if there is any and the fetch TLB knows the page; else out. */
function writeGoOn(code: Assembler, surroundings: Surroundings, ways: Ways, moved: Label): void {
  const { code: base, counters, entries } = surroundings;
  ways.writeJump(code);
  // Another register is needed, and none is free.
  code.push(Reg.rsi);
  const out = new Label();
  code.move(Reg.rsi, Reg.rax);
  code.aluImmediate(Alu.and, Reg.rsi, -4096);
  writeTlbEntry(code, Reg.rdx, Reg.rax, HartField.tlbFetch);
  code.aluIndexed(Alu.cmp, Reg.rsi, Reg.rdx, LINEAR);
  code.jumpIf(Condition.notEqual, out);
  code.move(field(HartField.nativePage), Reg.rsi);
  code.loadIndexed(Reg.rdx, Reg.rdx, LINEAR + ADDEND, 4, false);
  code.move(Reg.rsi, Reg.rax, false);
  code.aluImmediate(Alu.and, Reg.rsi, 0xffe, false);
  code.leaSum(Reg.rdx, Reg.rdx, Reg.rsi, 3, false);
  code.compareHalf(Reg.rdx, LINEAR + OpField.handler, Special.native);
  code.jumpIf(Condition.notEqual, out);
  code.shift(Shift.shr, Reg.rdx, COUNTER_SHIFT, false);
  code.moveImmediate(Reg.rsi, counters);
  code.alu(Alu.add, Reg.rdx, Reg.rsi, false);
  code.loadIndexed(Reg.rdx, Reg.rdx, LINEAR, 2, false);
  code.shift(Shift.shl, Reg.rdx, 2, false);
  code.moveImmediate(Reg.rsi, entries);
  code.alu(Alu.add, Reg.rdx, Reg.rsi, false);
  code.loadIndexed(Reg.rdx, Reg.rdx, LINEAR, 4, false);
  code.moveImmediate(Reg.rsi, BigInt(base));
  code.alu(Alu.add, Reg.rdx, Reg.rsi);
  ways.writeNote(code);
  code.pop(Reg.rsi);
  code.jumpTo(Reg.rdx);

  code.bind(out);
  code.pop(Reg.rsi);
  code.jump(moved);
}
