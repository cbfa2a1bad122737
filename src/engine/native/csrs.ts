/**
 * CSR instructions in their plain cases, which kernels execute all the time: CSRs that are mere storage, and what sstatus says
 * and whether it lets interrupts in. All else is the interpreter's. The rules are those of csr-table.ts. RISC-V Unpriv §6.1
 */
import { csrs, SD, SSTATUS, UXL } from "../../isa/riscv/csr-table.ts";
import { Status } from "../../isa/riscv/fields.ts";
import { CsrSlot, HartField } from "../../isa/riscv/hart.ts";
import { Alu, type Assembler, Condition, Label, type Operand, Reg } from "./assembler.ts";
import type { NativeOp } from "./blocks.ts";
import { field, type RegisterPlaces } from "./registers.ts";

/** funct3: what an instruction does, and whether its operand is an immediate. */
const Funct3 = { operation: 3, write: 1, set: 2, immediate: 4 } as const;
const SSTATUS_NUMBER = 0x100;
const ALL = (1n << 64n) - 1n;

const storages = new Map(csrs.flatMap(({ number, storage }) => (storage === undefined ? [] : [[number, storage]])));

const csr = (slot: number): Operand => field(HartField.csr + slot * 8);
const STATUS = csr(CsrSlot.mstatus);

/** Whether this is something for {@link CsrWriter}: what it says and what its operand field is. */
export function isKnownCsr(number: number, funct3: number, source: number): boolean {
  if (number !== SSTATUS_NUMBER) return storages.has(number);
  if ((funct3 & Funct3.operation) === Funct3.write) return false;
  return (funct3 & Funct3.immediate) === 0 || (source & ~Status.SIE) === 0;
}

export class CsrWriter {
  /** @param compressed Whether the hart has 16-bit instructions. */
  constructor(
    readonly code: Assembler,
    readonly registers: RegisterPlaces,
    readonly compressed: boolean,
  ) {}

  /** @param interpret Where the interpreter carries it out. Takes rax, rcx and rdx. */
  write(operation: NativeOp, interpret: Label): void {
    const { code } = this;
    const { imm: number, rd } = operation;
    const level = (number >> 8) & 3;
    if (level > 0) {
      code.aluImmediate(Alu.cmp, field(HartField.privilege), level, false);
      code.jumpIf(Condition.below, interpret);
    }
    const storage = storages.get(number);
    if (storage === undefined) this.#status(operation, interpret);
    else this.#stored(operation, csr(storage.slot), storage.writable(this.compressed));
    if (rd !== 0) code.move(this.registers.of(rd), Reg.rcx);
  }

  /** Has what was there in rcx. */
  #stored({ rm, rs1, rd }: NativeOp, place: Operand, mask: bigint): void {
    const { code } = this;
    if (rd !== 0) code.move(Reg.rcx, place);
    if (!isWritten(rm, rs1)) return;
    if ((rm & Funct3.immediate) !== 0) code.moveImmediate(Reg.rdx, rs1);
    else code.move(Reg.rdx, this.registers.of(rs1));
    const operation = rm & Funct3.operation;
    if (operation === Funct3.set) code.alu(Alu.or, Reg.rdx, place);
    else if (operation !== Funct3.write) {
      code.aluImmediate(Alu.xor, Reg.rdx, -1);
      code.alu(Alu.and, Reg.rdx, place);
    }
    if (mask !== ALL) {
      code.moveImmediate(Reg.rax, BigInt.asIntN(64, mask));
      code.alu(Alu.and, Reg.rdx, Reg.rax);
    }
    code.move(place, Reg.rdx);
  }

  /** Has what sstatus says in rcx, if anybody asks, and has interrupts let in or kept out. */
  #status({ rm, rs1, rd }: NativeOp, interpret: Label): void {
    const { code } = this;
    const isImmediate = (rm & Funct3.immediate) !== 0;
    const writes = isWritten(rm, rs1);
    if (writes && !isImmediate) {
      code.move(Reg.rdx, this.registers.of(rs1));
      code.move(Reg.rax, Reg.rdx);
      code.aluImmediate(Alu.and, Reg.rax, ~Status.SIE);
      code.jumpIf(Condition.notEqual, interpret);
    }
    if (rd !== 0) this.#read();
    if (!writes) return;
    const same = new Label();
    if (!isImmediate) {
      code.test(Reg.rdx, Reg.rdx, false);
      code.jumpIf(Condition.equal, same);
    }
    const sets = (rm & Funct3.operation) === Funct3.set;
    code.move(Reg.rax, STATUS, false);
    code.aluImmediate(Alu.and, Reg.rax, Status.SIE, false);
    code.jumpIf(sets ? Condition.notEqual : Condition.equal, same);
    // One that is pending may be taken now.
    code.move(Reg.rax, csr(CsrSlot.mip), false);
    code.alu(Alu.or, Reg.rax, field(HartField.csr + CsrSlot.mip * 8 + 4), false);
    code.alu(Alu.and, Reg.rax, csr(CsrSlot.mie), false);
    code.jumpIf(Condition.notEqual, interpret);
    code.aluImmediate(Alu.xor, STATUS, Status.SIE, false);
    code.bind(same);
  }

  #read(): void {
    const { code } = this;
    const clean = new Label();
    code.move(Reg.rcx, STATUS, false);
    code.aluImmediate(Alu.and, Reg.rcx, SSTATUS, false);
    code.move(Reg.rax, Reg.rcx, false);
    code.aluImmediate(Alu.and, Reg.rax, Status.FS, false);
    code.aluImmediate(Alu.cmp, Reg.rax, Status.FS, false);
    code.moveImmediateKeepingFlags(Reg.rax, 0);
    code.jumpIf(Condition.notEqual, clean);
    code.moveImmediate(Reg.rax, BigInt.asIntN(64, SD));
    code.bind(clean);
    code.alu(Alu.or, Reg.rcx, Reg.rax);
    code.moveImmediate(Reg.rax, UXL);
    code.alu(Alu.or, Reg.rcx, Reg.rax);
  }
}

/** CSRRS and CSRRC write nothing by x0, or by an immediate of 0. */
const isWritten = (funct3: number, source: number): boolean =>
  (funct3 & Funct3.operation) === Funct3.write || source !== 0;
