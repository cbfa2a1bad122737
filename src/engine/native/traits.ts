/**
 * What the passes over a block want to know of an instruction again and again, found out once for each in the table. What
 * `narrow.ts` says of an operation depends on its immediate's sign and on which operands are narrow: few cases, kept in tables.
 */
import type { Instruction } from "../../isa/riscv/instructions/encoding.ts";
import type { Expr, Semantics } from "../../isa/riscv/semantics.ts";
import { isCopy, isNarrow, NARROW_COMPARISONS } from "../translator/narrow.ts";
import { operandsOf } from "../translator/operands.ts";
import { isDivision } from "./divisions.ts";

export interface Traits {
  readonly readsX1: boolean;
  readonly readsX2: boolean;
  readonly writesX: boolean;
  /** Reads floating-point registers. */
  readonly readsF: boolean;
  /** Computes rd, and does nothing else. */
  readonly sets: boolean;
  /** Divides. */
  readonly divides: boolean;
  /** The interpreter may take over there; of loads and stores, only at the first that goes to a place. */
  readonly leaves: boolean;
  readonly access: "load" | "store" | undefined;
  /** Bytes of the access. */
  readonly width: number;
  /** By case, as they are wanted: see {@link narrowingOf}. */
  readonly narrowing: Uint8Array;
  /** See {@link isWord}; `undefined`: nobody has asked. */
  word: boolean | undefined;
}

/** An instruction where it stands. */
interface Placed {
  readonly instruction: Instruction;
  readonly traits: Traits;
  readonly rs1: number;
  readonly rs2: number;
  readonly imm: number;
}

const RS1 = 1;
const RS2 = 2;
const NARROW = 4;
/** The signs of an immediate: none of it is 0. */
const IMMEDIATES = [0, 1, -1];

/** A case is a position in {@link IMMEDIATES}, and in the bits below it {@link RS1}, {@link RS2} and {@link NARROW} (asked). */
const SIGN_SHIFT = 3;
const UNKNOWN = 0xff;

/**
 * Whether the result is narrow (4), and whether all 64 bits of rs1 (1) and rs2 (2) are read.
 * @param narrow Registers that are narrow, as bits.
 * @param asked Something reads all 64 bits of the result.
 */
export function narrowingOf({ instruction, traits, rs1, rs2, imm }: Placed, narrow: number, asked: boolean): number {
  const sign = imm === 0 ? 0 : imm > 0 ? 1 : 2;
  const registers = (((narrow >>> rs1) & 1) * RS1) | (((narrow >>> rs2) & 1) * RS2);
  return caseOf(instruction, traits, (sign << SIGN_SHIFT) | registers | (asked ? NARROW : 0));
}

/** Whether what it computes is a word, sign-extended, whatever it is computed from. */
export function isWord({ instruction, traits }: Placed): boolean {
  traits.word ??= traits.sets && traits.narrowing.every((_, i) => isNarrowIn(caseOf(instruction, traits, i)));
  return traits.word;
}

function caseOf({ semantics }: Instruction, { narrowing }: Traits, at: number): number {
  if (narrowing[at] === UNKNOWN)
    narrowing[at] = new Reader(IMMEDIATES[at >>> SIGN_SHIFT], at & (RS1 | RS2)).find(semantics, (at & NARROW) !== 0);
  return narrowing[at];
}

export const isNarrowIn = (found: number): boolean => (found & NARROW) !== 0;
export const readsAllOf1 = (found: number): boolean => (found & RS1) !== 0;
export const readsAllOf2 = (found: number): boolean => (found & RS2) !== 0;

/** What the interpreter may take over, loads and stores aside. */
const LEAVES = new Set<Semantics["does"]>(["amo", "loadReserved", "storeConditional", "zeroBlock", "float", "service"]);

const known = new Map<Instruction, Traits>();

export function traitsOf(instruction: Instruction): Traits {
  let traits = known.get(instruction);
  if (traits === undefined) {
    traits = find(instruction);
    known.set(instruction, traits);
  }
  return traits;
}

function find(instruction: Instruction): Traits {
  const { semantics, syntax } = instruction;
  const { readsX2, readsF1, readsF2, readsF3, ...operands } = operandsOf(instruction);
  const { does } = semantics;
  // Of services only CSR instructions get here, and the translator of regions has none.
  const readsX1 = operands.readsX1 || (does === "service" && syntax.split(",").includes("rs1"));
  const writesX = operands.writesX || does === "service";
  const access = does === "load" || does === "store" ? does : undefined;
  return {
    ...{ readsX1, readsX2, writesX, readsF: readsF1 || readsF2 || readsF3 },
    ...{
      sets: does === "set",
      divides: isDivision(instruction),
      leaves: access !== undefined || LEAVES.has(does),
      access,
    },
    width: semantics.does === "load" || semantics.does === "store" ? semantics.width : 0,
    narrowing: new Uint8Array(IMMEDIATES.length << SIGN_SHIFT).fill(UNKNOWN),
    word: undefined,
  };
}

/** Operand registers of the cases: their bits are those of a case. */
const FIELDS = { rs1: 1, rs2: 2 } as const;

class Reader {
  readonly #operation: { readonly rs1: number; readonly rs2: number; readonly imm: number };
  readonly #narrow: number;

  constructor(imm: number, narrow: number) {
    this.#operation = { ...FIELDS, imm };
    // Register 0 is narrow.
    this.#narrow = 1 | (narrow & RS1 ? 1 << FIELDS.rs1 : 0) | (narrow & RS2 ? 1 << FIELDS.rs2 : 0);
  }

  find(semantics: Semantics, asked: boolean): number {
    switch (semantics.does) {
      case "set": {
        const narrow = isNarrow(semantics.value, this.#operation, this.#narrow);
        // What is no word cannot be made up for: it has to be whole.
        return (narrow ? NARROW : 0) | this.#reads(semantics.value, asked || !narrow);
      }
      case "load": {
        const { width, signed, to } = semantics;
        return (to === "x" && (width < 4 || (width === 4 && signed)) ? NARROW : 0) | RS1;
      }
      case "store":
        return RS1 | this.#reads(semantics.value, semantics.width === 8);
      case "branch":
        return this.#reads(semantics.condition, true);
      default:
        return RS1 | RS2;
    }
  }

  #reads(e: Expr, asked: boolean): number {
    switch (e.kind) {
      case "x":
        return asked ? (e.field === "rs1" ? RS1 : RS2) : 0;
      case "op":
        return this.#ofOperation(e, asked);
      case "mulHigh":
        return this.#ofAll(e.args, true);
      case "choose":
        return this.#ofAll([e.condition, e.yes, e.no], true);
      case "let":
        return this.#ofAll([e.value, e.body], true);
      default:
        return 0;
    }
  }

  #ofAll(args: readonly Expr[], asked: boolean): number {
    let all = 0;
    for (const arg of args) all |= this.#reads(arg, asked);
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
      case "i64.and":
      case "i64.or":
      case "i64.xor":
        return this.#ofAll(args, asked);
      case "i64.add":
        return this.#ofAll(args, asked || !isCopy(args, this.#operation));
      default:
        if (NARROW_COMPARISONS[op] !== undefined && areNarrow(args, this.#operation, this.#narrow)) return 0;
        return this.#ofAll(args, true);
    }
  }
}

/**
 * Whether all of them are words, sign-extended, and where they are: then low words say how they compare. `narrow` has a bit
 * for each register that is.
 */
export function areNarrow(
  args: readonly Expr[],
  operation: { readonly rs1: number; readonly rs2: number; readonly imm: number },
  narrow: number,
): boolean {
  return args.every((arg) => (arg.kind === "x" || arg.kind === "imm") && isNarrow(arg, operation, narrow));
}
