/**
 * Writes floating-point instructions as SSE2 and FMA3: rounded as IEEE 754 has it on either side, with tininess detected
 * after rounding, too. RISC-V Unpriv §21; Intel SDM volume 1 §11.5. Flags gather in the host's own (mxcsr) until native code
 * is left. What the two do not agree on (NaNs, whatever is out of range, other rounding than to nearest) is the interpreter's.
 */
import { HartField } from "../../isa/riscv/hart.ts";
import type { FloatOperation, Semantics } from "../../isa/riscv/semantics.ts";
import {
  Alu,
  type Assembler,
  Condition,
  isRegister,
  type Label,
  Label as NewLabel,
  type Operand,
  Reg,
  Shift,
  Xmm,
} from "./assembler.ts";
import type { NativeOp } from "./blocks.ts";
import { field, float, type RegisterPlaces } from "./registers.ts";

type FloatSemantics = Extract<Semantics, { does: "float" }>;

const { xmm0, xmm1 } = Xmm;
const SINGLE = 0xf3;
const DOUBLE = 0xf2;
/** Opcodes behind 0x0f. */
const Sse = {
  ...{
    load: 0x10,
    store: 0x11,
    sqrt: 0x51,
    and: 0x54,
    or: 0x56,
    xor: 0x57,
    add: 0x58,
    mul: 0x59,
    sub: 0x5c,
    min: 0x5d,
  },
  ...{ div: 0x5e, max: 0x5f, fromInteger: 0x2a, truncate: 0x2c, toInteger: 0x2d, compareQuietly: 0x2e, compare: 0x2f },
  convert: 0x5a,
} as const;
/** By `negateProduct + 2 * negateAddend`: VFMADD213, VFNMADD213, VFMSUB213, VFNMSUB213. */
const FUSED = [0xa9, 0xad, 0xab, 0xaf] as const;

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
export function isDynamic({ rounds }: FloatSemantics, rm: number): boolean {
  return rounds && rm === DYNAMIC;
}

/** Takes up the host's flags: from now on they are the guest's, since the last time. */
export function writeFloatStart(code: Assembler): void {
  code.storeWord(field(HartField.mail2), CONTROL);
  code.loadControl(field(HartField.mail2));
  code.storeWord(field(HartField.nativeFloat), 1);
}

/** Adds the host's flags to the guest's, if they were taken up. */
export function writeFloatEnd(code: Assembler): void {
  const end = new NewLabel();
  code.aluImmediate(Alu.cmp, field(HartField.nativeFloat), 0, false);
  code.jumpIf(Condition.equal, end);
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
  code.storeWord(field(HartField.nativeFloat), 0);
  code.bind(end);
}

export class FloatWriter {
  /** Registers that are known to hold singles: bit n for register n. */
  #singles = 0;

  constructor(
    readonly code: Assembler,
    readonly registers: RegisterPlaces,
  ) {}

  /** A block begins: nothing is known. */
  startBlock(): void {
    this.#singles = 0;
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
  }

  /** @param interpret Where the interpreter carries it out. */
  write(operation: NativeOp, semantics: FloatSemantics, interpret: Label): void {
    const { code } = this;
    const prefix = semantics.from === "s" ? SINGLE : DOUBLE;
    if (semantics.from === "s") this.#requireSingles(operation, semantics.operands, interpret);
    const a = float(operation.rs1);
    const b = float(operation.rs2);
    const stem = semantics.operation.slice(0, -1);
    switch (KINDS[semantics.operation]) {
      case "arithmetic":
        if (stem === "sqrt") code.sse(prefix, Sse.sqrt, xmm0, a);
        else {
          code.sse(prefix, Sse.load, xmm0, a);
          code.sse(prefix, Sse[stem as "add" | "sub" | "mul" | "div"], xmm0, b);
        }
        return this.#result(operation, semantics, interpret);
      case "fused":
        code.sse(prefix, Sse.load, xmm0, a);
        code.sse(prefix, Sse.load, xmm1, b);
        code.fused(fusedOf(semantics), xmm0, xmm1, float(operation.rs3), semantics.from === "d");
        return this.#result(operation, semantics, interpret);
      case "extreme":
        this.#extreme(prefix, stem === "min", a, b, interpret);
        return this.#result(operation, semantics, interpret);
      case "compare":
        return this.#compare(operation, semantics, stem, interpret);
      case "toInteger":
        return this.#toInteger(operation, semantics, interpret);
      case "fromInteger":
        this.#fromInteger(semantics, this.registers.of(operation.rs1));
        return this.#store(operation, semantics);
      case "narrow":
        code.sse(DOUBLE, Sse.convert, xmm0, a);
        return this.#result(operation, semantics, interpret);
      case "exact":
        if (semantics.from === "x") {
          this.#fromInteger(semantics, this.registers.of(operation.rs1));
          return this.#store(operation, semantics);
        }
        code.sse(SINGLE, Sse.convert, xmm0, a);
        return this.#result(operation, semantics, interpret);
    }
  }

  /** A single that is not NaN-boxed is the canonical NaN. */
  #requireSingles({ rs1, rs2, rs3 }: NativeOp, operands: number, interpret: Label): void {
    for (const register of [rs1, rs2, rs3].slice(0, operands)) {
      if (((this.#singles >>> register) & 1) !== 0) continue;
      this.code.aluImmediate(Alu.cmp, upper(float(register)), -1, false);
      this.code.jumpIf(Condition.notEqual, interpret);
      this.#note(register, true);
    }
  }

  /** Compares without a flag for quiet NaNs. */
  #compareQuietly(to: FloatSemantics["to"] | "s" | "d", a: Xmm, b: Xmm | Operand): void {
    this.code.sse(to === "s" ? 0 : 0x66, Sse.compareQuietly, a, b);
  }

  /** From xmm0. NaNs are made canonical by the interpreter. */
  #result(operation: NativeOp, semantics: FloatSemantics, interpret: Label): void {
    this.#compareQuietly(semantics.to, xmm0, xmm0);
    this.code.jumpIf(Condition.unordered, interpret);
    this.#store(operation, semantics);
  }

  #store({ rd }: NativeOp, { to }: FloatSemantics): void {
    const { code } = this;
    code.sse(to === "s" ? SINGLE : DOUBLE, Sse.store, xmm0, float(rd));
    if (to === "s") code.storeWord(upper(float(rd)), -1);
    this.#note(rd, to === "s");
  }

  /** Of two zeroes, the one with the sign that was asked for; NaNs are left to the interpreter. */
  #extreme(prefix: number, least: boolean, a: Operand, b: Operand, interpret: Label): void {
    const { code } = this;
    const different = new NewLabel();
    const end = new NewLabel();
    code.sse(prefix, Sse.load, xmm0, a);
    code.sse(prefix, Sse.load, xmm1, b);
    this.#compareQuietly(prefix === SINGLE ? "s" : "d", xmm0, xmm1);
    code.jumpIf(Condition.unordered, interpret);
    code.jumpIf(Condition.notEqual, different);
    code.sse(0, least ? Sse.or : Sse.and, xmm0, xmm1);
    code.jump(end);
    code.bind(different);
    code.sse(prefix, least ? Sse.min : Sse.max, xmm0, xmm1);
    code.bind(end);
  }

  #compare({ rd, rs1, rs2 }: NativeOp, { from }: FloatSemantics, stem: string, interpret: Label): void {
    const { code } = this;
    const [prefix, width] = from === "s" ? [SINGLE, 0] : [DOUBLE, 0x66];
    const quiet = stem === "eq";
    // Turned around: then `above` is what is not there with NaNs.
    code.sse(prefix, Sse.load, xmm0, float(rs2));
    code.sse(width, quiet ? Sse.compareQuietly : Sse.compare, xmm0, float(rs1));
    code.jumpIf(Condition.unordered, interpret);
    code.setIf(quiet ? Condition.equal : stem === "lt" ? Condition.above : Condition.notBelow, Reg.rax);
    if (rd !== 0) code.move(this.registers.of(rd), Reg.rax);
  }

  #toInteger({ rd, rs1, rm }: NativeOp, { operation, from }: FloatSemantics, interpret: Label): void {
    const { code } = this;
    const wide = operation.startsWith("cvtL");
    const opcode = rm === TOWARDS_ZERO ? Sse.truncate : Sse.toInteger;
    code.sse(from === "s" ? SINGLE : DOUBLE, opcode, Reg.rax, float(rs1), wide);
    // What does not fit gives the least number there is.
    code.move(Reg.rcx, Reg.rax, wide);
    code.unary(3, Reg.rcx, wide);
    code.jumpIf(Condition.overflow, interpret);
    if (!wide) code.moveExtended(Reg.rax, Reg.rax, 4, true);
    if (rd !== 0) code.move(this.registers.of(rd), Reg.rax);
  }

  /** Into xmm0. */
  #fromInteger({ operation, to }: FloatSemantics, from: Operand): void {
    const { code } = this;
    const prefix = to === "s" ? SINGLE : DOUBLE;
    code.sse(0, Sse.xor, xmm0, xmm0);
    if (operation.endsWith("WU")) {
      code.move(Reg.rax, from, false);
      code.sse(prefix, Sse.fromInteger, xmm0, Reg.rax, true);
    } else code.sse(prefix, Sse.fromInteger, xmm0, from, operation.endsWith("L"));
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
