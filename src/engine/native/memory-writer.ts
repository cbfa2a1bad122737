/**
 * Writes what accesses memory: by ways, which are looked up once for all accesses of a block that share one. What the fast
 * way cannot do is left to the interpreter.
 */
import { Environment } from "../../isa/riscv/fields.ts";
import { CsrSlot, HartField, Privilege } from "../../isa/riscv/hart.ts";
import { type Expr, rs2, type Semantics, type Width } from "../../isa/riscv/semantics.ts";
import { Alu, type Assembler, Condition, isRegister, Label, type Operand, Reg } from "./assembler.ts";
import type { NativeOp } from "./blocks.ts";
import type { Expressions } from "./expressions.ts";
import type { FloatWriter } from "./floats.ts";
import { field, LINEAR, type RegisterPlaces } from "./registers.ts";
import { addAddend, lookUp } from "./tlb.ts";
import type { Accesses, PageWays, Ways } from "./ways.ts";

type Of<Does extends Semantics["does"]> = Extract<Semantics, { does: Does }>;
export type MemorySemantics = Of<"load" | "store" | "amo" | "loadReserved" | "storeConditional" | "zeroBlock">;

/** Where blocks go. */
export interface MemoryPlace {
  readonly ways: Ways;
  readonly page: PageWays;
  /** Where the interpreter carries an instruction out. */
  interpret(operation: NativeOp): Label;
  /** Has code written behind all else. */
  afterwards(write: () => void): Label;
}

export class MemoryWriter {
  /** Of the block: the ways that were looked up; and the accesses whose addend is in rcx. */
  #found = new Map<Accesses, Operand>();
  #held: Accesses | undefined;
  /** Ways of accesses that are written for the second time. */
  #known: ReadonlyMap<Accesses, Operand> | undefined;

  constructor(
    readonly code: Assembler,
    readonly registers: RegisterPlaces,
    readonly expressions: Expressions,
    readonly floats: FloatWriter,
    readonly place: MemoryPlace,
  ) {}

  /** A block begins. Answers the ways of its accesses, as they are found. */
  startBlock(): ReadonlyMap<Accesses, Operand> {
    this.#found = new Map();
    this.#known = undefined;
    this.#held = undefined;
    return this.#found;
  }

  /** It begins once more, with the same ways; those of some need not be looked up. */
  startAgain(ways: ReadonlyMap<Accesses, Operand>, found: readonly Accesses[]): void {
    this.#found = new Map(found.map((accesses) => [accesses, ways.get(accesses)!]));
    this.#known = ways;
    this.#held = undefined;
  }

  /** Something else took rcx. */
  release(): void {
    this.#held = undefined;
  }

  /** `accesses`: those that a load or a store belongs to. */
  write(operation: NativeOp, semantics: MemorySemantics, accesses: Accesses | undefined): void {
    switch (semantics.does) {
      case "load":
        return this.#load(operation, semantics, accesses!);
      case "store":
        return this.#store(operation, semantics, accesses!);
      case "amo":
        return this.#amo(operation, semantics);
      case "loadReserved":
        return this.#loadReserved(operation, semantics.width);
      case "storeConditional":
        return this.#storeConditional(operation, semantics.width);
      case "zeroBlock":
        return this.#zeroBlock(operation);
    }
  }

  #setX(rd: number, from: Reg): void {
    if (rd !== 0) this.code.move(this.registers.of(rd), from);
  }

  /**
   * Has where the memory of an atomic instruction lies in rax, as a linear-memory offset. They ask the TLB: ways were no
   * quicker for them, and would have to be found again in each address space.
   */
  #locate(operation: NativeOp, table: number, width: Width): void {
    const { code } = this;
    this.#held = undefined;
    this.expressions.into(Reg.rax, ADDRESS);
    lookUp(code, table, width);
    code.jumpIf(Condition.notEqual, this.place.interpret(operation));
    addAddend(code);
  }

  /** Has what is added to addresses in rcx, and answers the register with the base. Takes rax and rdx. */
  #reach(operation: NativeOp, accesses: Accesses): Reg {
    const { code } = this;
    const { ways, page } = this.place;
    const place = this.registers.of(operation.rs1);
    const base = isRegister(place) ? place : Reg.rax;
    if (base !== place) code.move(base, place);
    const known = this.#found.get(accesses);
    if (known === undefined) {
      const way = this.#known?.get(accesses) ?? ways.take(page, accesses);
      this.#found.set(accesses, way);
      if (accesses.least === 0) code.move(Reg.rdx, base);
      else code.lea(Reg.rdx, base, accesses.least);
      const { afterwards } = this.place;
      ways.writeLookUp(code, { way, store: accesses.store, interpret: this.place.interpret(operation), afterwards });
    } else if (this.#held !== accesses) ways.writeAgain(code, known);
    this.#held = accesses;
    return base;
  }

  #load(operation: NativeOp, { width, signed, to }: Of<"load">, accesses: Accesses): void {
    const { code } = this;
    const { rd, imm } = operation;
    const base = this.#reach(operation, accesses);
    if (to !== "x") return this.floats.load(rd, base, imm, to);
    const place = this.registers.of(rd);
    const inPlace = rd !== 0 && isRegister(place);
    code.loadSum(inPlace ? place : Reg.rax, base, imm, width, signed);
    if (!inPlace) this.#setX(rd, Reg.rax);
  }

  #store(operation: NativeOp, { width, value }: Of<"store">, accesses: Accesses): void {
    const { code } = this;
    const base = this.#reach(operation, accesses);
    if (value.kind === "f") return this.floats.store(operation.rs2, base, operation.imm, width);
    const place = this.expressions.operand(value)!;
    if (value.kind === "x" && operation.rs2 === 0) code.moveImmediate(Reg.rdx, 0);
    else if (!isRegister(place)) code.move(Reg.rdx, place);
    code.storeSum(base, operation.imm, isRegister(place) ? place : Reg.rdx, width);
  }

  #amo(operation: NativeOp, { width, old, combine }: Of<"amo">): void {
    const { code } = this;
    this.#locate(operation, HartField.tlbWrite, width);
    if (this.expressions.isPlain(combine)) {
      code.move(Reg.rcx, Reg.rax);
      code.loadIndexed(Reg.rdx, Reg.rcx, LINEAR, width, true);
      this.expressions.nameRegister(old, Reg.rdx);
      this.expressions.into(Reg.rax, combine);
      code.storeIndexed(Reg.rcx, LINEAR, Reg.rax, width);
      return this.#setX(operation.rd, Reg.rdx);
    }
    code.loadIndexed(Reg.rcx, Reg.rax, LINEAR, width, true);
    const found = this.expressions.name(old, Reg.rcx);
    code.push(Reg.rax);
    this.expressions.into(Reg.rax, combine);
    code.pop(Reg.rcx);
    code.storeIndexed(Reg.rcx, LINEAR, Reg.rax, width);
    code.move(Reg.rax, found);
    this.#setX(operation.rd, Reg.rax);
  }

  /** Where nothing forbids it; M-mode, which nobody can forbid it, is for the interpreter if it forbids the others. */
  #zeroBlock(operation: NativeOp): void {
    const { code } = this;
    const interpret = this.place.interpret(operation);
    const allowed = new Label();
    const require = (slot: number) => {
      code.move(Reg.rax, field(HartField.csr + slot * 8), false);
      code.aluImmediate(Alu.and, Reg.rax, Environment.CBZE, false);
      code.jumpIf(Condition.equal, interpret);
    };
    require(CsrSlot.menvcfg);
    code.aluImmediate(Alu.cmp, field(HartField.privilege), Privilege.user, false);
    code.jumpIf(Condition.notEqual, allowed);
    require(CsrSlot.senvcfg);
    code.bind(allowed);
    this.#held = undefined;
    this.expressions.into(Reg.rax, ADDRESS);
    code.aluImmediate(Alu.and, Reg.rax, -CACHE_BLOCK);
    lookUp(code, HartField.tlbWrite, 8);
    code.jumpIf(Condition.notEqual, interpret);
    addAddend(code);
    code.moveImmediate(Reg.rcx, 0);
    for (let at = 0; at < CACHE_BLOCK; at += 8) code.storeIndexed(Reg.rax, LINEAR + at, Reg.rcx, 8);
  }

  #loadReserved(operation: NativeOp, width: 4 | 8): void {
    const { code } = this;
    this.#locate(operation, HartField.tlbRead, width);
    code.move(field(HartField.reservation), Reg.rax, false);
    code.loadIndexed(Reg.rax, Reg.rax, LINEAR, width, true);
    this.#setX(operation.rd, Reg.rax);
  }

  #storeConditional(operation: NativeOp, width: 4 | 8): void {
    const { code } = this;
    this.#locate(operation, HartField.tlbWrite, width);
    const end = new Label();
    code.moveImmediate(Reg.rcx, 1);
    code.alu(Alu.cmp, Reg.rax, field(HartField.reservation), false);
    code.jumpIf(Condition.notEqual, end);
    code.move(Reg.rdx, this.expressions.operand(rs2)!);
    code.storeIndexed(Reg.rax, LINEAR, Reg.rdx, width);
    code.moveImmediate(Reg.rcx, 0);
    code.bind(end);
    code.storeWord(field(HartField.reservation), -1);
    this.#setX(operation.rd, Reg.rcx);
  }
}

/** What cbo.zero makes zero. */
const CACHE_BLOCK = 64;
/** Of atomic instructions, and of cache blocks. */
const ADDRESS: Expr = { kind: "x", field: "rs1", type: "i64" };
