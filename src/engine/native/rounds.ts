/**
 * Blocks that branch to themselves, and what they access in the same place in every round or a step further on: for as many
 * rounds as all of that stays on the pages where it is, nothing has to be looked up. Those rounds have code of their own.
 */
import { HartField } from "../../isa/riscv/hart.ts";
import type { Semantics } from "../../isa/riscv/semantics.ts";
import { Alu, type Assembler, Condition, isRegister, type Label, type Operand, Reg } from "./assembler.ts";
import { branchesTo, type NativeOp } from "./blocks.ts";
import { LoopNote } from "./loop-notes.ts";
import { BUDGET, field, type RegisterPlaces } from "./registers.ts";
import type { Accesses, WayPlace, Ways } from "./ways.ts";

/** Instructions of a loop that are worth being there twice. */
export const MOST_INSTRUCTIONS = 64;
/** Fewer rounds than that are not worth it to count them. */
const LEAST_ROUNDS = 4;
const MOST_ROUNDS = 4096;
/**
 * Rounds are counted where the lowest byte of the budget is less than this, or than a round takes: in one of 16 rounds, of
 * long ones more often; and hardly ever where loops were found to end too soon for that.
 */
const SELDOM = 16;
/** Where as many as these followed, they are counted before the first one the next time. */
const ENOUGH = 8;
/** Instructions left beside those of the rounds that were counted. */
const REST = field(HartField.nativeRest);

/** What accesses memory otherwise. */
const OTHERS: ReadonlySet<Semantics["does"]> = new Set(["amo", "loadReserved", "storeConditional", "zeroBlock"]);

interface Moving {
  readonly accesses: Accesses;
  /** From the base at the beginning of a round to the first byte. */
  readonly from: number;
  /** What a round adds to that. */
  readonly step: number;
}

export interface Rounds {
  readonly moving: readonly Moving[];
  /** Instructions of a round. */
  readonly count: number;
}

/** `undefined`: the block is none, or nothing of it would become better. */
export function roundsOf(
  at: number,
  operations: readonly NativeOp[],
  accesses: readonly (Accesses | undefined)[],
): Rounds | undefined {
  if (!branchesTo(operations, at)) return undefined;
  if (operations.length > MOST_INSTRUCTIONS) return undefined;
  if (operations.some(({ instruction }) => OTHERS.has(instruction.semantics.does))) return undefined;
  const moving = [...new Set(accesses)].flatMap((group) => {
    const step = group && stepOf(group.base, operations);
    if (step === undefined) return [];
    const from = group!.least + (group!.first > step.index ? step.by : 0);
    return [{ accesses: group!, from, step: step.by }];
  });
  return moving.length === 0 ? undefined : { moving, count: operations.length };
}

/** What a round adds to a register, and where; `undefined`: something else may happen to it. */
function stepOf(register: number, operations: readonly NativeOp[]): { by: number; index: number } | undefined {
  const indices = operations.flatMap(({ traits, rd }, i) => (traits.writesX && rd === register ? [i] : []));
  if (register === 0 || indices.length === 0) return { by: 0, index: operations.length };
  const [index] = indices;
  const { instruction, rs1, imm } = operations[index];
  const isStep = instruction.name === "addi" && rs1 === register && Number.isInteger(Math.log2(Math.abs(imm)));
  return isStep && indices.length === 1 ? { by: imm, index } : undefined;
}

export interface CountPlaces extends Pick<WayPlace, "afterwards"> {
  /** Registers that have to be words, sign-extended, as bits. */
  readonly words: number;
  readonly note: Operand;
  /** The block as it is written otherwise. */
  readonly usual: Label;
}

/** Of rounds, where the budget's lowest byte is less: they are counted. */
export function seldomOf({ count }: Rounds): number {
  return Math.max(SELDOM, count);
}

/** The same, where that was not worth it: the least that is met whatever else there is, as all may be multiples of it. */
function hardlyEverOf({ count }: Rounds): number {
  return count & -count;
}

export class RoundsWriter {
  constructor(
    readonly code: Assembler,
    readonly registers: RegisterPlaces,
    readonly ways: Ways,
  ) {}

  /** Before the first round, after its instructions were taken from the budget: goes to count how many may follow. */
  writeFirstChoice(note: Operand, counting: Label): void {
    this.code.compareByteImmediate(note + LoopNote.soon, 0);
    this.code.jumpIf(Condition.notEqual, counting);
  }

  /** Where a round is over: sometimes goes to count how many may follow. */
  writeChoice(note: Operand, counting: Label): void {
    this.code.compareByte(BUDGET, note + LoopNote.seldom);
    this.code.jumpIf(Condition.below, counting);
  }

  /** Where no more rounds follow: notes whether it was worth it to count them. Takes rax, rcx and rdx. */
  writeLearn(rounds: Rounds, note: Operand): void {
    const { code } = this;
    code.moveImmediate(Reg.rcx, hardlyEverOf(rounds));
    code.moveImmediate(Reg.rdx, seldomOf(rounds) | (1 << (8 * LoopNote.soon)));
    code.move(Reg.rax, note + LoopNote.planned, false);
    code.alu(Alu.sub, Reg.rax, BUDGET, false);
    code.aluImmediate(Alu.cmp, Reg.rax, ENOUGH * rounds.count, false);
    code.moveIf(Condition.notBelow, Reg.rcx, Reg.rdx, false);
    code.storeHalf(note, Reg.rcx);
  }

  /**
   * Has the budget be what the rounds that may follow take, and the rest put by. Goes to `usual` if that is not worth it,
   * or if something has to be found out. Takes rax, rcx and rdx.
   */
  writeCount({ moving, count }: Rounds, wayOf: (accesses: Accesses) => Operand, places: CountPlaces): void {
    const { code } = this;
    const { words, note, usual, afterwards } = places;
    for (let n = 1; n < 32; n++) {
      if (((words >>> n) & 1) === 0) continue;
      const place = this.registers.of(n);
      code.moveExtended(Reg.rax, place, 4, true);
      code.alu(Alu.cmp, Reg.rax, place);
      code.jumpIf(Condition.notEqual, usual);
    }
    code.moveImmediate(Reg.rcx, MOST_ROUNDS);
    for (const { accesses, from, step } of moving) {
      this.#address(accesses.base, from);
      const place = { way: wayOf(accesses), store: accesses.store, interpret: usual, afterwards };
      this.ways.writeSteps(code, place, step);
      if (step === 0) continue;
      code.alu(Alu.cmp, Reg.rax, Reg.rcx);
      code.moveIf(Condition.below, Reg.rcx, Reg.rax);
    }
    code.aluImmediate(Alu.cmp, Reg.rcx, LEAST_ROUNDS, false);
    code.jumpIf(Condition.below, usual);
    code.moveImmediate(Reg.rax, count);
    code.multiply(Reg.rcx, Reg.rax, false);
    code.move(Reg.rax, BUDGET, false);
    code.alu(Alu.sub, Reg.rax, Reg.rcx, false);
    code.jumpIf(Condition.notAbove, usual);
    code.move(REST, Reg.rax, false);
    code.move(BUDGET, Reg.rcx, false);
    code.move(note + LoopNote.planned, Reg.rcx, false);
  }

  /** Has the budget be what is left of all. */
  writeRest(): void {
    this.code.alu(Alu.add, BUDGET, REST, false);
  }

  /** In rdx. */
  #address(base: number, from: number): void {
    const { code } = this;
    const place = this.registers.of(base);
    if (isRegister(place) && from !== 0) return code.lea(Reg.rdx, place, from);
    code.move(Reg.rdx, place);
    if (from !== 0) code.aluImmediate(Alu.add, Reg.rdx, from);
  }
}
