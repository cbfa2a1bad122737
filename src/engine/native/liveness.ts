/**
 * What of a block's results is needed. An instruction whose result nobody reads before it is overwritten is not carried out:
 * only where the interpreter takes over in between is that made up for. A word whose sign nobody asks for is not
 * sign-extended, in the same way.
 */
import type { NativeOp } from "./blocks.ts";
import { caseOf, isNarrowIn, readsAllOf1, readsAllOf2 } from "./traits.ts";

/** By instruction. Sets of registers are bits. */
export interface Liveness {
  /** How it is carried out, if at all. */
  readonly fate: Uint8Array;
  /** The upper half of its result may be anything. */
  readonly loose: Uint8Array;
  /** Registers whose values are words, sign-extended, before it. */
  readonly narrow: Int32Array;
}

/** What becomes of an instruction. */
export const Fate = {
  carriedOut: 0,
  /** Nobody can tell that it is left out. */
  leftOut: 1,
  /** Only the interpreter may want its result, if it takes over before that is overwritten. Carrying it out does no harm. */
  putOff: 2,
  /** The same, but it must not be carried out. */
  folded: 3,
} as const;

/** The registers that an operation reads, as bits. */
function readsOf({ traits, rs1, rs2 }: NativeOp): number {
  return ((traits.readsX1 ? 1 << rs1 : 0) | (traits.readsX2 ? 1 << rs2 : 0)) & ~1;
}

function narrowingOf({ traits, rs1, rs2, imm }: NativeOp, narrow: number, asked: boolean): number {
  return traits.narrowing[caseOf(imm, ((narrow >>> rs1) & 1) !== 0, ((narrow >>> rs2) & 1) !== 0, asked)];
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
  const fate = new Uint8Array(count);
  const loose = new Uint8Array(count);
  const narrow = new Int32Array(count);
  /** By instruction: the latest one at or before it where the interpreter may take over. */
  const lastExit = new Int32Array(count);
  let words = 1;
  let last = -1;
  for (let i = 0; i < count; i++) {
    const operation = operations[i];
    const { traits, rd } = operation;
    if (exits[i]) last = i;
    lastExit[i] = last;
    narrow[i] = words;
    if (!traits.writesX || rd === 0 || folded.has(i)) continue;
    if (isNarrowIn(narrowingOf(operation, words, true))) words |= 1 << rd;
    else words &= ~(1 << rd);
  }
  /** By register: where it is set next. */
  const next = new Int32Array(32).fill(count);
  let live = -1;
  let wide = -1;
  for (let i = count - 1; i >= 0; i--) {
    const operation = operations[i];
    if (folded.has(i)) {
      fate[i] = Fate.folded;
      // Where it is made up for, what it is made from has to be there.
      live |= readsOf(operation);
      continue;
    }
    const { traits, rd, rs1, rs2 } = operation;
    let asked = true;
    if (traits.writesX && rd !== 0) {
      const bit = 1 << rd;
      const until = next[rd];
      next[rd] = i;
      if (traits.sets && (live & bit) === 0) {
        const exit = lastExit[until];
        if (exit <= i) {
          fate[i] = Fate.leftOut;
          continue;
        }
        // What it is made from has to be there still. (What it overwrites itself is.)
        const stays = (register: number) => register === 0 || register === rd || next[register] >= exit;
        if (!traits.readsF && (!traits.readsX1 || stays(rs1)) && (!traits.readsX2 || stays(rs2))) {
          fate[i] = Fate.putOff;
          live |= readsOf(operation);
          wide |= readsOf(operation);
          continue;
        }
      }
      asked = (wide & bit) !== 0;
      live &= ~bit;
      wide &= ~bit;
      if (!asked && traits.sets && isNarrowIn(narrowingOf(operation, narrow[i], false))) loose[i] = 1;
    }
    live |= readsOf(operation);
    const found = narrowingOf(operation, narrow[i], asked);
    if (traits.readsX1 && readsAllOf1(found)) wide |= (1 << rs1) & ~1;
    if (traits.readsX2 && readsAllOf2(found)) wide |= (1 << rs2) & ~1;
  }
  return { fate, loose, narrow };
}
