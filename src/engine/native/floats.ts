/**
 * Writes floating-point instructions as SSE2 and FMA3: rounded as IEEE 754 has it on either side, with tininess detected
 * after rounding, too. RISC-V Unpriv §21; Intel SDM volume 1 §11.5. Flags gather in the host's own (mxcsr) until native code
 * is left. What the two do not agree on (NaNs, whatever is out of range, other rounding than to nearest) is the interpreter's.
 */
import { HartField } from "../../isa/riscv/hart.ts";
import type { FloatOperation, Semantics, Width } from "../../isa/riscv/semantics.ts";
import { MSTATUS_FS } from "../places.ts";
import {
  Alu,
  type Assembler,
  Condition,
  DOUBLE,
  isRegister,
  type Label,
  Label as NewLabel,
  type Operand,
  Reg,
  Shift,
  SINGLE,
  Sse,
  Xmm,
} from "./assembler.ts";
import type { NativeOp } from "./blocks.ts";
import { FloatPlaces, move } from "./float-places.ts";
import { field, float, type RegisterPlaces } from "./registers.ts";

type FloatSemantics = Extract<Semantics, { does: "float" }>;

const { xmm0, xmm1 } = Xmm;
/** By `negateProduct + 2 * negateAddend`: VFMADD213, VFNMADD213, VFMSUB213, VFNMSUB213. */
const FUSED = [0xa9, 0xad, 0xab, 0xaf] as const;
/** What makes those to which the product is added of these: VFMADD231 and so on. */
const TO_ADDEND = 0x10;

/** Rounding modes in instructions. */
const NEAREST = 0;
const TOWARDS_ZERO = 1;
const DYNAMIC = 7;

/** Everything masked, rounding to nearest, no flags; and the flags. */
const CONTROL = 0x1f80;

type Kind = "arithmetic" | "fused" | "extreme" | "compare" | "toInteger" | "fromInteger" | "exact" | "narrow";

const KINDS: Readonly<Partial<Record<FloatOperation, Kind>>> = {
  ...{ addS: "arithmetic", addD: "arithmetic", subS: "arithmetic", subD: "arithmetic", mulS: "arithmetic" },
  ...{ mulD: "arithmetic", divS: "arithmetic", divD: "arithmetic", sqrtS: "arithmetic", sqrtD: "arithmetic" },
  ...{ fmaS: "fused", fmaD: "fused", minS: "extreme", minD: "extreme", maxS: "extreme", maxD: "extreme" },
  ...{ eqS: "compare", eqD: "compare", ltS: "compare", ltD: "compare", leS: "compare", leD: "compare" },
  ...{ cvtWS: "toInteger", cvtWD: "toInteger", cvtLS: "toInteger", cvtLD: "toInteger" },
  ...{ cvtSW: "fromInteger", cvtSWU: "fromInteger", cvtSL: "fromInteger", cvtDL: "fromInteger" },
  // Whatever the rounding mode is.
  ...{ cvtDW: "exact", cvtDWU: "exact", cvtDS: "exact", cvtSD: "narrow" },
};

/** Whether this is something for {@link FloatWriter}, with this rounding mode. */
export function isKnownFloat({ operation, rounds }: FloatSemantics, rm: number, fusedMultiplyAdd: boolean): boolean {
  const kind = KINDS[operation];
  if (kind === undefined || (kind === "fused" && !fusedMultiplyAdd)) return false;
  if (!rounds || kind === "exact") return true;
  return rm === NEAREST || rm === DYNAMIC || (rm === TOWARDS_ZERO && kind === "toInteger");
}

/** Whether the dynamic rounding mode has to be one, even where nothing is rounded. */
function isDynamic({ rounds }: FloatSemantics, rm: number): boolean {
  return rounds && rm === DYNAMIC;
}

/** What native code knows of floating point since it was entered (`HartField.nativeFloat`). */
export const FloatState = {
  unknown: 0,
  /** It is on, but nothing was written since its registers were saved last: they may be read. */
  clean: 1,
  /** It is on, and has been used; the host's flags are the guest's, since then. */
  on: 2,
  /** The same, and the dynamic rounding mode is to nearest. */
  nearest: 3,
} as const;

/** What instructions that need the unit want it to be. */
export function stateFor(operations: readonly NativeOp[]): number {
  let state: number = FloatState.unknown;
  for (const { float, rm, instruction } of operations) {
    if (!float) continue;
    const { semantics } = instruction;
    const reads = semantics.does === "store" || semantics.does === "set";
    const isNearest = semantics.does === "float" && isDynamic(semantics, rm);
    state = Math.max(state, reads ? FloatState.clean : isNearest ? FloatState.nearest : FloatState.on);
  }
  return state;
}

const MSTATUS = field(HartField.csr);
const STATE = field(HartField.nativeFloat);

/** A subroutine that finds out the state, if it is unknown. The first instruction to write a register is the interpreter's. */
export function writeFloatStart(code: Assembler): void {
  const end = new NewLabel();
  code.aluImmediate(Alu.cmp, STATE, FloatState.unknown, false);
  code.jumpIf(Condition.notEqual, end);
  code.move(Reg.rax, MSTATUS, false);
  code.aluImmediate(Alu.and, Reg.rax, MSTATUS_FS, false);
  code.jumpIf(Condition.equal, end);
  code.storeWord(STATE, FloatState.clean);
  code.aluImmediate(Alu.cmp, Reg.rax, MSTATUS_FS, false);
  code.jumpIf(Condition.notEqual, end);
  code.storeWord(field(HartField.mail2), CONTROL);
  code.loadControl(field(HartField.mail2));
  code.storeWord(STATE, FloatState.on);
  code.aluImmediate(Alu.cmp, field(HartField.frm), NEAREST, false);
  code.jumpIf(Condition.notEqual, end);
  code.storeWord(STATE, FloatState.nearest);
  code.bind(end);
  code.return();
}

/** Adds the host's flags to the guest's, if they were taken up. */
export function writeFloatEnd(code: Assembler): void {
  const end = new NewLabel();
  code.aluImmediate(Alu.cmp, STATE, FloatState.on, false);
  code.jumpIf(Condition.below, end);
  code.storeControl(field(HartField.mail2));
  for (const [shift, by, mask] of [
    // Inexact, underflow, overflow, division by zero, invalid: from bits 5, 4, 3, 2 and 0.
    [Shift.shr, 5, 1],
    [Shift.shr, 3, 2],
    [Shift.shr, 1, 4],
    [Shift.shl, 1, 8],
    [Shift.shl, 4, 16],
  ] as const) {
    code.move(Reg.rax, field(HartField.mail2), false);
    code.shift(shift, Reg.rax, by, false);
    code.aluImmediate(Alu.and, Reg.rax, mask, false);
    code.alu(Alu.or, field(HartField.fflags), Reg.rax, false);
  }
  code.bind(end);
}

export class FloatWriter {
  readonly #places: FloatPlaces;
  /** Registers that are known to hold singles: bit n for register n. */
  #singles = 0;

  constructor(
    readonly code: Assembler,
    readonly registers: RegisterPlaces,
  ) {
    this.#places = new FloatPlaces(code);
  }

  /** @param carries The block goes to itself, by way of what {@link writeCarried} has made ready. */
  startBlock(operations: readonly NativeOp[], carries: boolean): void {
    this.#places.startBlock(operations, carries);
  }

  /** The straight line begins, or begins once more. */
  startLine(): void {
    this.#places.startLine();
    this.#singles = this.#places.carriedSingles;
  }

  /** Has what rounds begin with where they expect it; else the interpreter takes over. */
  writeCarried(interpret: Label): void {
    this.#singles = 0;
    const singles = this.#places.carriedSingles;
    for (let n = 0; n < 32; n++) if (((singles >>> n) & 1) !== 0) this.#requireSingle(n, interpret);
    this.#places.writeCarried();
  }

  /** The register holds a single from now on, or may hold anything. */
  #note(register: number, single: boolean): void {
    if (single) this.#singles |= 1 << register;
    else this.#singles &= ~(1 << register);
  }

  /** Has the bits in rax in a register. Takes rdx. */
  set(register: number, to: "s" | "d"): void {
    const { code } = this;
    if (to === "s") {
      // NaN-boxed.
      code.moveImmediate(Reg.rdx, -(2 ** 32));
      code.alu(Alu.or, Reg.rax, Reg.rdx);
    }
    code.move(float(register), Reg.rax);
    this.#note(register, to === "s");
    const place = this.#places.placeFor(register);
    if (place === xmm0) return;
    code.sse(0x66, Sse.moveBits, place, Reg.rax, true);
    this.#places.wrote(register, place);
  }

  /** What is at a host's address, into a register: see {@link Assembler.loadSum}. */
  load(register: number, base: Reg, distance: number, to: "s" | "d"): void {
    const place = this.#places.placeFor(register);
    this.code.sseSum(to === "s" ? SINGLE : DOUBLE, Sse.load, place, base, distance);
    this.#store({ rd: register }, { to }, place);
  }

  /** A register to a host's address: see {@link Assembler.storeSum}. Takes rdx. */
  store(register: number, base: Reg, distance: number, width: Width): void {
    const { code } = this;
    const place = this.#places.read(register);
    if (isRegister(place)) return code.sseSum(width === 4 ? SINGLE : DOUBLE, Sse.store, place, base, distance);
    code.move(Reg.rdx, place, width === 8);
    code.storeSum(base, distance, Reg.rdx, width);
  }

  /** @param interpret Where the interpreter carries it out. */
  write(operation: NativeOp, semantics: FloatSemantics, interpret: Label): void {
    const { code } = this;
    const { rd, rs1 } = operation;
    const prefix = semantics.from === "s" ? SINGLE : DOUBLE;
    if (semantics.from === "s") this.#requireSingles(operation, semantics.operands, interpret);
    const stem = semantics.operation.slice(0, -1);
    const place = this.#places.placeFor(rd);
    switch (KINDS[semantics.operation]) {
      case "arithmetic": {
        const made = stem === "sqrt" ? this.#root(operation, prefix) : this.#arithmetic(operation, prefix, stem);
        return this.#result(operation, semantics, made, interpret);
      }
      case "fused":
        return this.#result(operation, semantics, this.#fused(operation, semantics, prefix), interpret);
      case "extreme":
        this.#extreme(operation, prefix, stem === "min", interpret);
        return this.#result(operation, semantics, xmm0, interpret);
      case "compare":
        return this.#compare(operation, semantics, stem, interpret);
      case "toInteger":
        return this.#toInteger(operation, semantics, interpret);
      case "fromInteger":
        this.#fromInteger(place, semantics, this.registers.of(rs1));
        return this.#store(operation, semantics, place);
      case "narrow":
        this.#into(place, this.#places.read(rs1), DOUBLE);
        code.sse(DOUBLE, Sse.convert, place, place);
        return this.#result(operation, semantics, place, interpret);
      case "exact":
        if (semantics.from === "x") {
          this.#fromInteger(place, semantics, this.registers.of(rs1));
          return this.#store(operation, semantics, place);
        }
        this.#into(place, this.#places.read(rs1), SINGLE);
        code.sse(SINGLE, Sse.convert, place, place);
        return this.#result(operation, semantics, place, interpret);
    }
  }

  #into(to: Xmm, from: Operand | Xmm, prefix: number): void {
    if (!isRegister(from)) this.code.sse(prefix, Sse.load, to, from);
    else if (from !== to) move(this.code, to, from);
  }

  /** One of the host's registers that holds what an operand does. */
  #inRegister(operand: Operand | Xmm, otherwise: Xmm, prefix: number): Xmm {
    if (isRegister(operand)) return operand;
    this.#into(otherwise, operand, prefix);
    return otherwise;
  }

  // What follows is made where it is to be, or in xmm0; what was there is in memory still.

  #root({ rd, rs1 }: NativeOp, prefix: number): Xmm {
    const to = this.#places.placeFor(rd);
    this.#into(to, this.#places.read(rs1), prefix);
    this.code.sse(prefix, Sse.sqrt, to, to);
    return to;
  }

  #arithmetic({ rd, rs1, rs2 }: NativeOp, prefix: number, stem: string): Xmm {
    const opcode = Sse[stem as "add" | "sub" | "mul" | "div"];
    const a = this.#places.read(rs1);
    const b = this.#places.read(rs2);
    const place = this.#places.placeFor(rd);
    const to = place === b && place !== a ? xmm0 : place;
    this.#into(to, a, prefix);
    this.code.sse(prefix, opcode, to, b);
    return to;
  }

  #fused({ rd, rs1, rs2, rs3 }: NativeOp, semantics: FloatSemantics, prefix: number): Xmm {
    const { code } = this;
    const double = prefix === DOUBLE;
    const a = this.#places.read(rs1);
    const b = this.#places.read(rs2);
    const c = this.#places.read(rs3);
    const to = this.#places.placeFor(rd);
    const opcode = fusedOf(semantics);
    if (to === c) {
      code.fused(opcode + TO_ADDEND, to, this.#inRegister(a, xmm0, prefix), b, double);
      return to;
    }
    const [product, by] = to === b ? [b, a] : [a, b];
    const factor = this.#inRegister(by, xmm1, prefix);
    this.#into(to, product, prefix);
    code.fused(opcode, to, factor, c, double);
    return to;
  }

  /** A single that is not NaN-boxed is the canonical NaN. */
  #requireSingles({ rs1, rs2, rs3 }: NativeOp, operands: number, interpret: Label): void {
    for (const register of [rs1, rs2, rs3].slice(0, operands)) this.#requireSingle(register, interpret);
  }

  #requireSingle(register: number, interpret: Label): void {
    if (((this.#singles >>> register) & 1) !== 0) return;
    this.code.aluImmediate(Alu.cmp, upper(float(register)), -1, false);
    this.code.jumpIf(Condition.notEqual, interpret);
    this.#note(register, true);
  }

  /** Compares without a flag for quiet NaNs. */
  #compareQuietly(to: FloatSemantics["to"] | "s" | "d", a: Xmm, b: Xmm | Operand): void {
    this.code.sse(to === "s" ? 0 : 0x66, Sse.compareQuietly, a, b);
  }

  /** NaNs are made canonical by the interpreter. */
  #result(operation: NativeOp, semantics: FloatSemantics, made: Xmm, interpret: Label): void {
    this.#compareQuietly(semantics.to, made, made);
    this.code.jumpIf(Condition.unordered, interpret);
    this.#store(operation, semantics, made);
  }

  #store({ rd }: Pick<NativeOp, "rd">, { to }: Pick<FloatSemantics, "to">, made: Xmm): void {
    const { code } = this;
    const single = to === "s";
    code.sse(single ? SINGLE : DOUBLE, Sse.store, made, float(rd));
    if (single && ((this.#singles >>> rd) & 1) === 0) code.storeWord(upper(float(rd)), -1);
    this.#note(rd, single);
    this.#places.wrote(rd, made);
  }

  /** In xmm0: of two zeroes, the one with the sign that was asked for; NaNs are left to the interpreter. */
  #extreme({ rs1, rs2 }: NativeOp, prefix: number, least: boolean, interpret: Label): void {
    const { code } = this;
    const different = new NewLabel();
    const end = new NewLabel();
    this.#into(xmm0, this.#places.read(rs1), prefix);
    const other = this.#inRegister(this.#places.read(rs2), xmm1, prefix);
    this.#compareQuietly(prefix === SINGLE ? "s" : "d", xmm0, other);
    code.jumpIf(Condition.unordered, interpret);
    code.jumpIf(Condition.notEqual, different);
    code.sse(0, least ? Sse.or : Sse.and, xmm0, other);
    code.jump(end);
    code.bind(different);
    code.sse(prefix, least ? Sse.min : Sse.max, xmm0, other);
    code.bind(end);
  }

  #compare({ rd, rs1, rs2 }: NativeOp, { from }: FloatSemantics, stem: string, interpret: Label): void {
    const { code } = this;
    const [prefix, width] = from === "s" ? [SINGLE, 0] : [DOUBLE, 0x66];
    const quiet = stem === "eq";
    const a = this.#places.read(rs1);
    // Turned around: then `above` is what is not there with NaNs.
    const b = this.#inRegister(this.#places.read(rs2), xmm0, prefix);
    code.sse(width, quiet ? Sse.compareQuietly : Sse.compare, b, a);
    code.jumpIf(Condition.unordered, interpret);
    code.setIf(quiet ? Condition.equal : stem === "lt" ? Condition.above : Condition.notBelow, Reg.rax);
    if (rd !== 0) code.move(this.registers.of(rd), Reg.rax);
  }

  #toInteger({ rd, rs1, rm }: NativeOp, { operation, from }: FloatSemantics, interpret: Label): void {
    const { code } = this;
    const wide = operation.startsWith("cvtL");
    const opcode = rm === TOWARDS_ZERO ? Sse.truncate : Sse.toInteger;
    code.sse(from === "s" ? SINGLE : DOUBLE, opcode, Reg.rax, this.#places.read(rs1), wide);
    // What does not fit gives the least number there is.
    code.move(Reg.rcx, Reg.rax, wide);
    code.unary(3, Reg.rcx, wide);
    code.jumpIf(Condition.overflow, interpret);
    if (!wide) code.moveExtended(Reg.rax, Reg.rax, 4, true);
    if (rd !== 0) code.move(this.registers.of(rd), Reg.rax);
  }

  #fromInteger(into: Xmm, { operation, to }: FloatSemantics, from: Operand): void {
    const { code } = this;
    const prefix = to === "s" ? SINGLE : DOUBLE;
    code.sse(0, Sse.xor, into, into);
    if (operation.endsWith("WU")) {
      code.move(Reg.rax, from, false);
      code.sse(prefix, Sse.fromInteger, into, Reg.rax, true);
    } else code.sse(prefix, Sse.fromInteger, into, from, operation.endsWith("L"));
  }
}

function fusedOf({ negateProduct = false, negateAddend = false }: FloatSemantics): number {
  return FUSED[Number(negateProduct) + 2 * Number(negateAddend)];
}

/** The upper half of a register in memory. */
function upper(register: Operand): Operand {
  if (isRegister(register)) throw new Error("floating-point registers are in memory");
  return register + 4;
}
