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
import { field, float, LINEAR, type RegisterPlaces } from "./registers.ts";
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

  /** `accesses`: those that the instruction belongs to. */
  write(operation: NativeOp, semantics: MemorySemantics, accesses: Accesses | undefined): void {
    switch (semantics.does) {
      case "load":
        return this.#load(operation, semantics, accesses!);
      case "store":
        return this.#store(operation, semantics, accesses!);
      case "amo":
        return this.#amo(operation, semantics, accesses!);
      case "loadReserved":
        return this.#loadReserved(operation, semantics.width, accesses!);
      case "storeConditional":
        return this.#storeConditional(operation, semantics.width, accesses!);
      case "zeroBlock":
        return this.#zeroBlock(operation);
    }
  }

  #setX(rd: number, from: Reg): void {
    if (rd !== 0) this.code.move(this.registers.of(rd), from);
  }

  /** Has the host's address of an atomic instruction's memory in rcx. Takes rax and rdx. */
  #locate(operation: NativeOp, width: Width, accesses: Accesses): void {
    const { code } = this;
    const base = this.#reach(operation, accesses);
    code.testImmediate(base, width - 1);
    code.jumpIf(Condition.notEqual, this.place.interpret(operation));
    code.alu(Alu.add, Reg.rcx, base);
    this.#held = undefined;
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
    const base = this.#reach(operation, accesses);
    const place = to === "x" ? this.registers.of(operation.rd) : float(operation.rd);
    const inPlace = to === "x" && operation.rd !== 0 && isRegister(place);
    code.loadSum(inPlace ? place : Reg.rax, base, operation.imm, width, signed);
    if (to !== "x") this.floats.set(operation.rd, to);
    else if (!inPlace) this.#setX(operation.rd, Reg.rax);
  }

  #store(operation: NativeOp, { width, value }: Of<"store">, accesses: Accesses): void {
    const { code } = this;
    const base = this.#reach(operation, accesses);
    const place = this.expressions.operand(value)!;
    if (value.kind === "x" && operation.rs2 === 0) code.moveImmediate(Reg.rdx, 0);
    else if (!isRegister(place)) code.move(Reg.rdx, place);
    code.storeSum(base, operation.imm, isRegister(place) ? place : Reg.rdx, width);
  }

  #amo(operation: NativeOp, { width, old, combine }: Of<"amo">, accesses: Accesses): void {
    const { code } = this;
    this.#locate(operation, width, accesses);
    code.loadAt(Reg.rdx, Reg.rcx, width, true);
    if (this.expressions.isPlain(combine)) {
      this.expressions.nameRegister(old, Reg.rdx);
      this.expressions.into(Reg.rax, combine);
      code.storeAt(Reg.rcx, Reg.rax, width);
      return this.#setX(operation.rd, Reg.rdx);
    }
    const found = this.expressions.name(old, Reg.rdx);
    code.push(Reg.rcx);
    this.expressions.into(Reg.rax, combine);
    code.pop(Reg.rcx);
    code.storeAt(Reg.rcx, Reg.rax, width);
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

  #loadReserved(operation: NativeOp, width: 4 | 8, accesses: Accesses): void {
    const { code } = this;
    this.#locate(operation, width, accesses);
    this.#linearOffset();
    code.move(field(HartField.reservation), Reg.rax, false);
    code.loadAt(Reg.rax, Reg.rcx, width, true);
    this.#setX(operation.rd, Reg.rax);
  }

  #storeConditional(operation: NativeOp, width: 4 | 8, accesses: Accesses): void {
    const { code } = this;
    this.#locate(operation, width, accesses);
    const end = new Label();
    this.#linearOffset();
    code.alu(Alu.cmp, Reg.rax, field(HartField.reservation), false);
    code.moveImmediateKeepingFlags(Reg.rax, 1);
    code.jumpIf(Condition.notEqual, end);
    code.move(Reg.rdx, this.expressions.operand(rs2)!);
    code.storeAt(Reg.rcx, Reg.rdx, width);
    code.moveImmediate(Reg.rax, 0);
    code.bind(end);
    code.storeWord(field(HartField.reservation), -1);
    this.#setX(operation.rd, Reg.rax);
  }

  /** Has the linear-memory offset of the host's address in rcx in rax. */
  #linearOffset(): void {
    const { code } = this;
    code.lea(Reg.rax, Reg.rcx, -LINEAR);
    code.alu(Alu.sub, Reg.rax, Reg.rbp);
  }
}

/** What cbo.zero makes zero, and where. */
const CACHE_BLOCK = 64;
const ADDRESS: Expr = { kind: "x", field: "rs1", type: "i64" };
