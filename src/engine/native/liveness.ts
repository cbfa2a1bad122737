/**
 * What of a block's results is needed. An instruction whose result nobody reads before it is overwritten is not carried out:
 * only where the interpreter takes over in between is that made up for. A word whose sign nobody asks for is not
 * sign-extended, in the same way.
 */
import type { Expr } from "../../isa/riscv/semantics.ts";
import { isCopy, isNarrow, NARROW_COMPARISONS } from "../translator/narrow.ts";
import { operandsOf } from "../translator/operands.ts";
import type { NativeOp } from "./blocks.ts";

/** By instruction. Sets of registers are bits. */
export interface Liveness {
  /** It is not carried out where it stands. */
  readonly dead: Uint8Array;
  /** The upper half of its result may be anything. */
  readonly loose: Uint8Array;
  /** Registers whose values are words, sign-extended, before it. */
  readonly narrow: Int32Array;
}

/**
 * @param exits By instruction: whether the interpreter may take over there.
 * @param folded Instructions that are not carried out in any case.
 */
export function livenessOf(
  operations: readonly NativeOp[],
  exits: readonly boolean[],
  folded: ReadonlySet<number>,
): Liveness {
  const count = operations.length;
  const dead = new Uint8Array(count);
  const loose = new Uint8Array(count);
  const narrow = narrowBefore(operations, folded);
  /** By instruction: the latest one at or before it where the interpreter may take over. */
  const lastExit = new Int32Array(count);
  for (let i = 0, last = -1; i < count; i++) {
    if (exits[i]) last = i;
    lastExit[i] = last;
  }
  /** By register: where it is set next. */
  const next = new Int32Array(32).fill(count);
  let live = -1;
  let wide = -1;
  for (let i = count - 1; i >= 0; i--) {
    const operation = operations[i];
    const { instruction, rd, rs1, rs2 } = operation;
    const { readsX1, readsX2, writesX } = operandsOf(instruction);
    if (folded.has(i)) {
      dead[i] = 1;
      continue;
    }
    const bit = writesX ? (1 << rd) & ~1 : 0;
    let asked = true;
    if (bit !== 0) {
      const { semantics } = instruction;
      const until = next[rd];
      next[rd] = i;
      if (semantics.does === "set" && (live & bit) === 0 && until < count) {
        const exit = lastExit[until];
        const remains = (register: number, reads: boolean) => !reads || register === 0 || next[register] >= exit;
        if (exit <= i) {
          dead[i] = 1;
          continue;
        }
        // What it is made from has to be there then.
        const isThere = (register: number, reads: boolean) =>
          register === rd ? until >= exit : remains(register, reads);
        if (isThere(rs1, readsX1) && isThere(rs2, readsX2)) {
          dead[i] = 1;
          const reads = ((readsX1 ? 1 << rs1 : 0) | (readsX2 ? 1 << rs2 : 0)) & ~1;
          live |= reads;
          wide |= reads;
          continue;
        }
      }
      asked = (wide & bit) !== 0;
      live &= ~bit;
      wide &= ~bit;
      if (!asked && semantics.does === "set" && isNarrow(semantics.value, operation, narrow[i])) loose[i] = 1;
      else asked = true;
    }
    live |= ((readsX1 ? 1 << rs1 : 0) | (readsX2 ? 1 << rs2 : 0)) & ~1;
    wide |= wideReads(operation, asked, narrow[i]);
  }
  return { dead, loose, narrow };
}

/** Before each instruction. */
function narrowBefore(operations: readonly NativeOp[], folded: ReadonlySet<number>): Int32Array {
  const all = new Int32Array(operations.length);
  let narrow = 1;
  operations.forEach((operation, i) => {
    all[i] = narrow;
    const { instruction, rd } = operation;
    const { semantics } = instruction;
    if (folded.has(i) || rd === 0 || !operandsOf(instruction).writesX) return;
    const is =
      (semantics.does === "set" && isNarrow(semantics.value, operation, narrow)) ||
      (semantics.does === "load" && (semantics.width < 4 || (semantics.width === 4 && semantics.signed)));
    if (is) narrow |= 1 << rd;
    else narrow &= ~(1 << rd);
  });
  return all;
}

/** The registers that an instruction reads all 64 bits of. */
function wideReads(operation: NativeOp, asked: boolean, narrow: number): number {
  const { instruction, rs1, rs2 } = operation;
  const { semantics } = instruction;
  const reader = new WideReader(operation, narrow);
  switch (semantics.does) {
    case "set":
      return reader.of(semantics.value, asked);
    case "branch":
      return reader.of(semantics.condition, true);
    case "store":
      return reader.of(semantics.address, true) | reader.of(semantics.value, semantics.width === 8);
    default: {
      const { readsX1, readsX2 } = operandsOf(instruction);
      return ((readsX1 ? 1 << rs1 : 0) | (readsX2 ? 1 << rs2 : 0)) & ~1;
    }
  }
}

class WideReader {
  constructor(
    readonly operation: NativeOp,
    readonly narrow: number,
  ) {}

  of(e: Expr, asked: boolean): number {
    switch (e.kind) {
      case "x":
        return asked ? (1 << this.operation[e.field]) & ~1 : 0;
      case "op":
        return this.#ofOperation(e, asked);
      case "mulHigh":
        return this.#ofAll(e.args, true);
      case "choose":
        return this.of(e.condition, true) | this.#ofAll([e.yes, e.no], true);
      case "let":
        return this.of(e.value, true) | this.of(e.body, true);
      default:
        return 0;
    }
  }

  #ofAll(args: readonly Expr[], asked: boolean): number {
    let all = 0;
    for (const arg of args) all |= this.of(arg, asked);
    return all;
  }

  #ofOperation({ op, args }: Extract<Expr, { kind: "op" }>, asked: boolean): number {
    switch (op) {
      case "i32.wrap_i64":
      case "i64.extend8_s":
      case "i64.extend16_s":
        return this.#ofAll(args, false);
      case "i64.extend_i32_s":
      case "i64.extend_i32_u":
        return this.#ofAll(args, asked);
      case "i64.and":
      case "i64.or":
      case "i64.xor":
        return this.#ofAll(args, asked);
      case "i64.add":
        return this.#ofAll(args, asked || !isCopy(args, this.operation));
      default:
        if (NARROW_COMPARISONS[op] !== undefined && areNarrow(args, this.operation, this.narrow)) return 0;
        return this.#ofAll(args, true);
    }
  }
}

/** Whether all of them are words, sign-extended, that are there already. */
export function areNarrow(args: readonly Expr[], operation: NativeOp, narrow: number): boolean {
  return args.every((arg) => (arg.kind === "x" || arg.kind === "imm") && isNarrow(arg, operation, narrow));
}
