/**
 * Divisions: the host's, which answers quotient and remainder at once. Where a block asks for both, it divides once. What traps
 * on the host is no division here. RISC-V Unpriv §13.2
 */
import { HartField } from "../../isa/riscv/hart.ts";
import type { Instruction } from "../../isa/riscv/instructions/encoding.ts";
import { Alu, type Assembler, Condition, isRegister, Label, Reg, Unary } from "./assembler.ts";
import type { NativeOp } from "./blocks.ts";
import { field, type RegisterPlaces } from "./registers.ts";

interface Division {
  readonly remainder: boolean;
  readonly signed: boolean;
  readonly wide: boolean;
}

const NAME = /^(div|rem)(u?)(w?)$/;
const OTHER = field(HartField.nativeDivision);
const known = new Map<Instruction, Division | undefined>();

function divisionOf(instruction: Instruction): Division | undefined {
  if (known.has(instruction)) return known.get(instruction);
  const [, part, unsigned, word] = NAME.exec(instruction.name) ?? [];
  const division = part === undefined ? undefined : { remainder: part === "rem", signed: !unsigned, wide: !word };
  known.set(instruction, division);
  return division;
}

export const isDivision = (instruction: Instruction): boolean => divisionOf(instruction) !== undefined;

/** Whether they divide the same by the same. */
function agree(one: NativeOp, other: NativeOp): boolean {
  const [a, b] = [divisionOf(one.instruction), divisionOf(other.instruction)];
  if (a === undefined || b === undefined) return false;
  return a.signed === b.signed && a.wide === b.wide && one.rs1 === other.rs1 && one.rs2 === other.rs2;
}

const changesOperands = ({ rs1, rs2 }: NativeOp, { traits, rd }: NativeOp): boolean =>
  traits.writesX && rd !== 0 && (rd === rs1 || rd === rs2);

/** Whether one that comes later asks for the other answer to the same division. */
function isAskedAgain(operations: readonly NativeOp[], index: number): boolean {
  const one = operations[index];
  for (let i = index; i < operations.length; i++) {
    const other = operations[i];
    if (i !== index && agree(one, other)) return other.instruction !== one.instruction;
    if (changesOperands(one, other)) return false;
  }
  return false;
}

export class DivisionWriter {
  /** Whose other answer is known. */
  #latest: NativeOp | undefined;

  constructor(
    readonly code: Assembler,
    readonly registers: RegisterPlaces,
  ) {}

  startBlock(): void {
    this.#latest = undefined;
  }

  /** The instruction has been written, or left out. */
  note(operation: NativeOp): void {
    if (this.#latest !== undefined && changesOperands(this.#latest, operation)) this.#latest = undefined;
  }

  /** An instruction of a block, at its position. Takes rax and rdx. */
  write(operations: readonly NativeOp[], index: number, loose: boolean): void {
    const operation = operations[index];
    const latest = this.#latest;
    if (latest !== undefined && agree(latest, operation) && latest.instruction !== operation.instruction) {
      return this.#again(operation, loose);
    }
    const found = this.#divide(operation);
    if (isAskedAgain(operations, index)) {
      this.code.move(OTHER, found === Reg.rax ? Reg.rdx : Reg.rax);
      this.#latest = operation;
    }
    this.#set(operation, found, loose);
  }

  /** An instruction by itself. */
  writeAlone(operation: NativeOp): void {
    this.#set(operation, this.#divide(operation), false);
  }

  #again(operation: NativeOp, loose: boolean): void {
    this.code.move(Reg.rax, OTHER);
    this.#set(operation, Reg.rax, loose);
  }

  #set({ instruction, rd }: NativeOp, from: Reg, loose: boolean): void {
    const { code } = this;
    if (rd === 0) return;
    const place = this.registers.of(rd);
    if (divisionOf(instruction)!.wide || loose) return code.move(place, from);
    const reg = isRegister(place) ? place : Reg.rax;
    code.moveExtended(reg, from, 4, true);
    if (reg !== place) code.move(place, reg);
  }

  /** Has the quotient in rax and the remainder in rdx. Answers which of them was asked for. */
  #divide({ instruction, rs1, rs2 }: NativeOp): Reg {
    const { code, registers } = this;
    const { remainder, signed, wide } = divisionOf(instruction)!;
    const by = registers.of(rs2);
    const usual = new Label();
    const end = new Label();
    code.move(Reg.rax, registers.of(rs1), wide);
    code.move(Reg.rdx, by, wide);
    if (signed) {
      // By 0 or by -1, the overflow's divisor.
      code.aluImmediate(Alu.add, Reg.rdx, 1, wide);
      code.aluImmediate(Alu.cmp, Reg.rdx, 1, wide);
      code.jumpIf(Condition.above, usual);
      const zero = new Label();
      code.jumpIf(Condition.equal, zero);
      // rdx is 0.
      code.unary(Unary.neg, Reg.rax, wide);
      code.jump(end);
      code.bind(zero);
    } else {
      code.test(Reg.rdx, Reg.rdx, wide);
      code.jumpIf(Condition.notEqual, usual);
    }
    code.move(Reg.rdx, Reg.rax);
    code.moveImmediate(Reg.rax, -1);
    code.jump(end);
    code.bind(usual);
    if (signed) code.signIntoRdx(wide);
    else code.moveImmediate(Reg.rdx, 0);
    code.unary(signed ? Unary.idiv : Unary.div, by, wide);
    code.bind(end);
    return remainder ? Reg.rdx : Reg.rax;
  }
}
