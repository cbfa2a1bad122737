/** Writes choices: both ways are computed, a comparison tells which of them it is, and conditional moves have it be so. */
import { type Assembler, type Condition, inverse, isRegister, type Operand, Reg } from "./assembler.ts";
import type { Choice, Computed, NativeOp } from "./blocks.ts";
import type { Expressions } from "./expressions.ts";
import { BUDGET, type RegisterPlaces } from "./registers.ts";

export class ChoiceWriter {
  constructor(
    readonly code: Assembler,
    readonly registers: RegisterPlaces,
    readonly expressions: Expressions,
  ) {}

  /**
   * In the place of a branch, behind which registers are as it chooses. Takes rax, rcx and rdx.
   * @param narrow Registers that hold words, sign-extended, as bits.
   */
  write({ moves, computed, counts }: Choice, branch: NativeOp, narrow: number): void {
    const { code, registers, expressions } = this;
    const { semantics } = branch.instruction;
    if (semantics.does !== "branch") throw new Error(`no choice for ${branch.instruction.name}`);
    let value = Reg.rax;
    if (computed !== undefined) {
      this.#compute(computed);
      // To compare two of memory takes it.
      if (!isRegister(registers.of(branch.rs1)) && !isRegister(registers.of(branch.rs2))) {
        value = Reg.rcx;
        code.move(value, Reg.rax);
      }
    }
    expressions.start(branch, narrow);
    const isTaken = expressions.condition(semantics.condition);
    const when = (taken: boolean) => (taken ? isTaken : inverse(isTaken));
    if (computed !== undefined) this.#setIf(when(computed.taken), computed.rd, value);
    for (const move of moves) {
      code.remark(move.at);
      if (move.value !== undefined) this.#number(move.value);
      this.#setIf(when(move.taken), move.rd, move.value === undefined ? registers.of(move.from) : Reg.rcx);
    }
    const [no, yes] = counts;
    if (no === yes) return;
    code.lea(Reg.rdx, BUDGET, Math.abs(no - yes), false);
    code.moveIf(when(yes < no), BUDGET, Reg.rdx, false);
  }

  /** In rax. */
  #compute({ rd, steps }: Computed): void {
    const { code, registers, expressions } = this;
    const held = registers.with(rd, Reg.rax);
    for (const [i, operation] of steps.entries()) {
      const { semantics } = operation.instruction;
      if (semantics.does !== "set") throw new Error(`${operation.instruction.name} computes nothing`);
      code.remark(operation.at);
      expressions.start(operation);
      const make = () => expressions.into(Reg.rax, semantics.value);
      if (i === 0) make();
      else registers.during(held, make);
    }
  }

  /** In rcx; flags stay. */
  #number(value: number): void {
    if (value === 0) this.code.moveImmediateKeepingFlags(Reg.rcx, value);
    else this.code.moveImmediate(Reg.rcx, value);
  }

  #setIf(condition: Condition, rd: number, from: Operand): void {
    const { code } = this;
    const home = this.registers.of(rd);
    const reg = isRegister(home) ? home : Reg.rdx;
    if (reg !== home) code.move(reg, home);
    code.moveIf(condition, reg, from);
    if (reg !== home) code.move(home, reg);
  }
}
