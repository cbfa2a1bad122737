/**
 * What an instruction does, as data: small expression trees over its operands, typed as WebAssembly is. The interpreter,
 * the translator and tests each give them a meaning of their own; nothing says twice what an instruction computes.
 */
import type { Opcode, ValueType } from "../../wasm/opcodes.ts";
import type { FloatOp } from "./float/dispatch.ts";

export type Expr =
  /** An integer register, 64 bits; x0 reads as zero. */
  | { readonly kind: "x"; readonly field: "rs1" | "rs2"; readonly type: "i64" }
  /** All 64 bits of a floating-point register. */
  | { readonly kind: "f"; readonly field: FloatField; readonly type: "i64" }
  /** The immediate, sign-extended. */
  | { readonly kind: "imm"; readonly type: "i64" }
  /** The address of this instruction. */
  | { readonly kind: "pc"; readonly type: "i64" }
  | { readonly kind: "constant"; readonly value: bigint; readonly type: "i32" | "i64" }
  | { readonly kind: "op"; readonly op: Opcode; readonly args: readonly Expr[]; readonly type: ValueType }
  /** The high half of a 128-bit product. */
  | { readonly kind: "mulHigh"; readonly signed: boolean; readonly args: readonly Expr[]; readonly type: "i64" }
  /** Only the arm that `condition` (i32) chooses is evaluated. */
  | {
      readonly kind: "choose";
      readonly condition: Expr;
      readonly yes: Expr;
      readonly no: Expr;
      readonly type: ValueType;
    }
  /** Evaluates `value` once; `body` refers to it by a `shared` node that is the very object `variable`. */
  | {
      readonly kind: "let";
      readonly variable: Shared;
      readonly value: Expr;
      readonly body: Expr;
      readonly type: ValueType;
    }
  | Shared;

export interface Shared {
  readonly kind: "shared";
  readonly type: ValueType;
}

export type FloatField = "rs1" | "rs2" | "rs3";
export type FloatOperation = keyof typeof FloatOp;
/** Where a result goes. `s`: the low half of a floating-point register, NaN-boxed. RISC-V Unpriv §21.2 */
export type Destination = "x" | "s" | "d";

/** Which part of the environment an instruction calls upon; the operand details are in its bits. */
export type Service =
  | "illegal"
  | "csr"
  | "ecall"
  | "ebreak"
  | "sret"
  | "mret"
  | "wfi"
  | "sfence.vma"
  | "cbo.inval"
  | "cbo.clean"
  | "cbo.flush"
  | "fence.i";

export type Semantics =
  /** Computes a value into rd. */
  | { readonly does: "set"; readonly value: Expr }
  /** Puts raw bits into floating-point register rd. */
  | { readonly does: "setF"; readonly bits: Expr; readonly to: "s" | "d" }
  | {
      readonly does: "load";
      readonly width: Width;
      readonly signed: boolean;
      readonly address: Expr;
      readonly to: Destination;
    }
  | { readonly does: "store"; readonly width: Width; readonly address: Expr; readonly value: Expr }
  /** To pc + imm where `condition` (i32) is not 0. */
  | { readonly does: "branch"; readonly condition: Expr }
  /** rd = the next instruction's address, then to pc + imm. */
  | { readonly does: "jump" }
  /** rd = the next instruction's address, then to `target`. */
  | { readonly does: "jumpTo"; readonly target: Expr }
  /** rd = memory at rs1; memory = `combine` of that (as `old`, sign-extended) and rs2, in one step. */
  | { readonly does: "amo"; readonly width: 4 | 8; readonly old: Shared; readonly combine: Expr }
  | { readonly does: "loadReserved"; readonly width: 4 | 8 }
  | { readonly does: "storeConditional"; readonly width: 4 | 8 }
  /** Zeroes the 64-byte block that rs1 points into. */
  | { readonly does: "zeroBlock" }
  /** Floating-point arithmetic that rounds, or raises flags. Operands come from `fields` (or x[rs1]), `negate` flips signs. */
  | {
      readonly does: "float";
      readonly operation: FloatOperation;
      readonly from: "x" | "s" | "d";
      readonly operands: 1 | 2 | 3;
      readonly to: Destination;
      /** Has a rounding-mode field. */
      readonly rounds: boolean;
      /** Fused forms: flip the sign of the product, of the addend. */
      readonly negateProduct?: boolean;
      readonly negateAddend?: boolean;
    }
  | { readonly does: "service"; readonly service: Service }
  /** Orders accesses, or fetches behind stores. Harts that share one thread of execution are ordered already. */
  | { readonly does: "fence"; readonly orders: "accesses" | "fetches" };

export type Width = 1 | 2 | 4 | 8;

export const rs1: Expr = { kind: "x", field: "rs1", type: "i64" };
export const rs2: Expr = { kind: "x", field: "rs2", type: "i64" };
export const imm: Expr = { kind: "imm", type: "i64" };
export const pc: Expr = { kind: "pc", type: "i64" };
export const fs1: Expr = { kind: "f", field: "rs1", type: "i64" };
export const fs2: Expr = { kind: "f", field: "rs2", type: "i64" };

export const i64 = (value: bigint | number): Expr => ({ kind: "constant", value: BigInt(value), type: "i64" });
export const i32 = (value: number): Expr => ({ kind: "constant", value: BigInt(value), type: "i32" });

const COMPARISON = /\.(eqz?|ne|[lg][te](_[su])?)$/;

/** Applies a WebAssembly instruction. */
export function op(name: Opcode, ...args: readonly Expr[]): Expr {
  const type = COMPARISON.test(name) ? "i32" : (name.slice(0, 3) as ValueType);
  return { kind: "op", op: name, args, type };
}

export function mulHigh(signed: boolean, a: Expr, b: Expr): Expr {
  return { kind: "mulHigh", signed, args: [a, b], type: "i64" };
}

export function choose(condition: Expr, yes: Expr, no: Expr): Expr {
  return { kind: "choose", condition, yes, no, type: yes.type };
}

/** Evaluates `value` once and lets `body` use it many times. */
export function share(value: Expr, body: (shared: Expr) => Expr): Expr {
  const variable: Shared = { kind: "shared", type: value.type };
  const rest = body(variable);
  return { kind: "let", variable, value, body: rest, type: rest.type };
}

/** The low 32 bits. */
export const word = (value: Expr): Expr => op("i32.wrap_i64", value);
/** A 32-bit result as registers hold it: sign-extended. */
export const signExtend = (value: Expr): Expr => op("i64.extend_i32_s", value);
export const zeroExtend = (value: Expr): Expr => op("i64.extend_i32_u", value);
/** A comparison's result as a register value. */
export const flag = zeroExtend;

export const set = (value: Expr): Semantics => ({ does: "set", value });

/** Whether rd is an integer register that the instruction writes. */
export function writesX(semantics: Semantics): boolean {
  switch (semantics.does) {
    case "set":
    case "jump":
    case "jumpTo":
    case "amo":
    case "loadReserved":
    case "storeConditional":
      return true;
    case "load":
    case "float":
      return semantics.to === "x";
    default:
      return false;
  }
}

/** Whether rd is a floating-point register that the instruction writes. */
export function writesF(semantics: Semantics): boolean {
  switch (semantics.does) {
    case "setF":
      return true;
    case "load":
    case "float":
      return semantics.to !== "x";
    default:
      return false;
  }
}
