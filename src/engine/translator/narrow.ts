/**
 * Which values are 32-bit numbers, sign-extended: most of what C calls `int`. Those stay 32 bits wide in translated code,
 * and are extended only where something asks for all 64.
 */
import type { Expr } from "../../isa/riscv/semantics.ts";
import type { Opcode } from "../../wasm/opcodes.ts";
import { operandsOf } from "./operands.ts";
import type { Operation } from "./region.ts";

/** The same question, of narrow numbers: extending a sign keeps every order. */
export const NARROW_COMPARISONS: Partial<Readonly<Record<Opcode, Opcode>>> = {
  "i64.eqz": "i32.eqz",
  "i64.eq": "i32.eq",
  "i64.ne": "i32.ne",
  "i64.lt_s": "i32.lt_s",
  "i64.lt_u": "i32.lt_u",
  "i64.gt_s": "i32.gt_s",
  "i64.gt_u": "i32.gt_u",
  "i64.le_s": "i32.le_s",
  "i64.le_u": "i32.le_u",
  "i64.ge_s": "i32.ge_s",
  "i64.ge_u": "i32.ge_u",
};

/** Bit by bit, what is done to extended numbers is done to their low words. */
export const NARROW_BITWISE: Partial<Readonly<Record<Opcode, Opcode>>> = {
  "i64.and": "i32.and",
  "i64.or": "i32.or",
  "i64.xor": "i32.xor",
};

/** What of an operation tells about its values. */
type Fields = Pick<Operation, "rs1" | "rs2" | "imm">;

/** Whether an i64 expression of this operation is narrow, where `narrow` has a bit for each register that is. */
export function isNarrow(e: Expr, operation: Fields, narrow: number): boolean {
  switch (e.kind) {
    case "x": {
      const register = operation[e.field];
      return register === 0 || ((narrow >>> register) & 1) === 1;
    }
    case "imm":
      return true;
    case "constant":
      return BigInt.asIntN(32, e.value) === e.value;
    case "choose":
      return isNarrow(e.yes, operation, narrow) && isNarrow(e.no, operation, narrow);
    case "op":
      return isNarrowResult(e.op, e.args, operation, narrow);
    default:
      return false;
  }
}

function isNarrowResult(op: Opcode, args: readonly Expr[], operation: Fields, narrow: number): boolean {
  switch (op) {
    case "i64.extend_i32_s":
    case "i64.extend8_s":
    case "i64.extend16_s":
      return true;
    case "i64.extend_i32_u":
      return isSmall(args[0]);
    case "i64.and":
      return args.every((arg) => isNarrow(arg, operation, narrow)) || args.some((arg) => isNatural(arg, operation));
    case "i64.or":
    case "i64.xor":
      return args.every((arg) => isNarrow(arg, operation, narrow));
    case "i64.add":
      return isCopy(args, operation) && isNarrow(args[0], operation, narrow);
    case "i64.shr_s":
      return args[1].kind === "imm" && isNarrow(args[0], operation, narrow);
    default:
      return false;
  }
}

/** An i32 expression that is never negative: the answer to a question, or a count of bits. */
function isSmall(e: Expr): boolean {
  return e.kind === "op" && (/\.(eqz?|ne|[lg][te]_[su])$/.test(e.op) || /^i32\.(clz|ctz|popcnt)$/.test(e.op));
}

/** A constant from 0 to 2^31-1: whatever is masked by it is narrow. */
function isNatural(e: Expr, { imm }: Fields): boolean {
  if (e.kind === "imm") return imm >= 0;
  return e.kind === "constant" && e.value >= 0n && e.value < 0x8000_0000n;
}

/** `addi rd, rs1, 0`: the way to move a register. */
export function isCopy(args: readonly Expr[], { imm }: Fields): boolean {
  return args[1].kind === "imm" && imm === 0;
}

/**
 * The integer registers that an operation reads all 64 bits of, as bits. `asked`: something reads all of its result.
 * Comparisons do not count: what is narrow is compared with something that is, as a rule.
 */
export function wideReads(operation: Operation, asked: boolean): number {
  const { semantics } = operation.instruction;
  switch (semantics.does) {
    case "set":
      return wideReadsOf(semantics.value, operation, asked);
    case "branch":
      return wideReadsOf(semantics.condition, operation, true);
    case "store":
      return (
        wideReadsOf(semantics.address, operation, true) | wideReadsOf(semantics.value, operation, semantics.width === 8)
      );
    default: {
      const { readsX1, readsX2 } = operandsOf(operation.instruction);
      return ((readsX1 ? 1 << operation.rs1 : 0) | (readsX2 ? 1 << operation.rs2 : 0)) & ~1;
    }
  }
}

function wideReadsOf(e: Expr, operation: Operation, asked: boolean): number {
  const of = (args: readonly Expr[], wide: boolean): number => {
    let all = 0;
    for (const arg of args) all |= wideReadsOf(arg, operation, wide);
    return all;
  };
  switch (e.kind) {
    case "x":
      return asked ? (1 << operation[e.field]) & ~1 : 0;
    case "choose":
      return of([e.condition], true) | of([e.yes, e.no], asked);
    case "let":
      return of([e.value], true) | of([e.body], asked);
    case "mulHigh":
      return of(e.args, true);
    case "op":
      if (e.op === "i32.wrap_i64") return of(e.args, false);
      if (NARROW_COMPARISONS[e.op] !== undefined)
        return of(
          e.args.filter(({ kind }) => kind !== "x"),
          true,
        );
      if (e.op === "i64.and" && e.args.some((arg) => isNatural(arg, operation))) return of(e.args, false);
      if (NARROW_BITWISE[e.op] !== undefined || e.op === "i64.extend_i32_s" || e.op === "i64.extend_i32_u") {
        return of(e.args, asked);
      }
      if (e.op === "i64.add" && isCopy(e.args, operation)) return of(e.args, asked);
      if (e.op === "i64.shr_s" && e.args[1].kind === "imm") return of(e.args, asked);
      return of(e.args, true);
    default:
      return 0;
  }
}
