/**
 * Products of which a block asks for both halves (`mul` and `mulhu` of the same): the host multiplies once, with an instruction
 * of BMI2 that answers both.
 */
import { instructionNamed as named } from "../../isa/riscv/instructions/table.ts";
import { type Assembler, isRegister, Reg } from "./assembler.ts";
import type { NativeOp } from "./blocks.ts";
import { Fate } from "./liveness.ts";
import type { BlockPlan } from "./plans.ts";
import type { RegisterPlaces } from "./registers.ts";

const LOW = named("mul");
const HIGH = named("mulhu");
/** How far the other half is looked for. */
const FARTHEST = 6;

const isHalf = ({ instruction, rd }: NativeOp): boolean => rd !== 0 && (instruction === LOW || instruction === HIGH);

const writes = ({ traits, rd }: NativeOp, register: number): boolean => traits.writesX && rd === register;

const uses = (operation: NativeOp, register: number): boolean =>
  writes(operation, register) ||
  (operation.traits.readsX1 && operation.rs1 === register) ||
  (operation.traits.readsX2 && operation.rs2 === register);

/** Of the same product. */
function isOther(one: NativeOp, other: NativeOp): boolean {
  if (!isHalf(other) || other.instruction === one.instruction) return false;
  const { rs1, rs2 } = other;
  return (rs1 === one.rs1 && rs2 === one.rs2) || (rs1 === one.rs2 && rs2 === one.rs1);
}

/** Where the other half is asked for, if it may as well be there at once; -1: nowhere. */
function otherOf({ operations, liveness }: BlockPlan, index: number): number {
  const one = operations[index];
  const { rd, rs1, rs2 } = one;
  if (rd === rs1 || rd === rs2) return -1;
  const end = Math.min(operations.length, index + FARTHEST);
  for (let i = index + 1; i < end; i++) {
    const other = operations[i];
    if (isOther(one, other)) {
      if (other.rd === rd || (liveness !== undefined && liveness.fate[i] !== Fate.carriedOut)) return -1;
      const between = operations.slice(index + 1, i);
      return between.some((operation) => uses(operation, other.rd)) ? -1 : i;
    }
    // The interpreter would find it there too early.
    if (other.traits.leaves || writes(other, rs1) || writes(other, rs2)) return -1;
  }
  return -1;
}

export class ProductWriter {
  /** Positions of halves that are there already: pairs may stand inside one another. */
  readonly #done = new Set<number>();

  /** @param bitManipulation Whether the processor has BMI2. */
  constructor(
    readonly code: Assembler,
    readonly registers: RegisterPlaces,
    readonly bitManipulation: boolean,
  ) {}

  startBlock(): void {
    if (this.#done.size > 0) this.#done.clear();
  }

  /** An instruction of a block, at its position. Answers whether that is done. Takes rax and rdx. */
  write(plan: BlockPlan, index: number): boolean {
    if (this.#done.has(index)) return true;
    const one = plan.operations[index];
    if (!this.bitManipulation || !isHalf(one)) return false;
    const found = otherOf(plan, index);
    if (found < 0) return false;
    const { code, registers } = this;
    const other = plan.operations[found];
    const [low, high] = (one.instruction === LOW ? [one, other] : [other, one]).map(({ rd }) => registers.of(rd));
    const lowReg = isRegister(low) ? low : Reg.rax;
    const highReg = isRegister(high) ? high : Reg.rdx;
    code.move(Reg.rdx, registers.of(one.rs1));
    code.multiplyInto(highReg, lowReg, registers.of(one.rs2));
    if (lowReg !== low) code.move(low, lowReg);
    if (highReg !== high) code.move(high, highReg);
    this.#done.add(found);
    return true;
  }
}
