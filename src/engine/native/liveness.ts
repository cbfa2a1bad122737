/**
 * What of a block's results is needed. An instruction whose result nobody reads before it is overwritten is not carried out:
 * only where the interpreter takes over in between is that made up for. A word whose sign nobody asks for is not
 * sign-extended, in the same way.
 */
import { instructionNamed } from "../../isa/riscv/instructions/table.ts";
import type { NativeOp } from "./blocks.ts";
import { isNarrowIn, narrowingOf, readsAllOf1, readsAllOf2 } from "./traits.ts";

/** By instruction. Sets of registers are bits. */
export interface Liveness {
  /** How it is carried out, if at all. */
  readonly fate: Uint8Array;
  /** The upper half of its result may be anything. */
  readonly loose: Uint8Array;
  /** Registers whose values are words, sign-extended, before it. */
  readonly narrow: Int32Array;
  /** No more are put off than may be: all that are so must be. */
  readonly isBounded: boolean;
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
  /** It changes nothing. */
  same: 4,
} as const;

const ADDIW = instructionNamed("addiw");

/** Of rounds: what has to be made up for behind the last one, at most. */
const MOST_PUT_OFF = 16;

/** The registers that an operation reads, as bits. */
function readsOf({ traits, rs1, rs2 }: NativeOp): number {
  return ((traits.readsX1 ? 1 << rs1 : 0) | (traits.readsX2 ? 1 << rs2 : 0)) & ~1;
}

/** For what is repeated: what holds at its end holds at its beginning, but for the first time. */
export interface LivenessOfRounds extends Liveness {
  /** Registers that have to be words, sign-extended, before the first round, as bits. */
  readonly words: number;
  /** Those whose upper halves may be anything between two rounds. */
  readonly carried: number;
}

/** Instructions that follow each other. */
export interface Line {
  readonly operations: readonly NativeOp[];
  /** Positions of those that are not carried out in any case. */
  readonly folded: ReadonlySet<number>;
}

/** What is asked for behind the last instruction, as bits. */
interface Wanted {
  readonly live: number;
  /** With their upper halves. */
  readonly wide: number;
}

/** @param exits By instruction: whether the interpreter may take over there. */
export function livenessOf(line: Line, exits: readonly boolean[]): Liveness {
  const { narrow } = wordsIn(line, 1);
  return { ...wantedIn(line, narrow, lastExits(exits), { live: -1, wide: -1 }, false), narrow, isBounded: false };
}

/**
 * Of instructions that are carried out again and again. Behind the last one all registers are made up for.
 * @param exits By instruction: whether the interpreter may take over there.
 */
export function livenessOfRounds(line: Line, exits: readonly boolean[]): LivenessOfRounds {
  const { operations } = line;
  const isLeft = exits.includes(true);
  const lastExit = lastExits(exits);
  if (!isLeft) lastExit[operations.length] = operations.length;
  // What is set to a word each time is one before, unless something else turns up.
  let words = 0;
  for (const { traits, rd } of operations) if (traits.writesX) words |= 1 << rd;
  let found = wordsIn(line, words | 1);
  while ((words & ~found.after) !== 0) {
    words &= found.after;
    found = wordsIn(line, words | 1);
  }
  const { narrow } = found;
  // Nobody wants anything, unless the next round does; or the interpreter, which has upper halves made up for.
  let wanted: Wanted = { live: isLeft ? -1 : 0, wide: 0 };
  for (;;) {
    const { fate, loose, live, wide } = wantedIn(line, narrow, lastExit, wanted, !isLeft);
    if (((live & ~wanted.live) | (wide & ~wanted.wide)) === 0) {
      const carried = looseBehind(operations, fate, loose);
      return { fate, loose, narrow, isBounded: !isLeft, words: words & (isLeft ? live | carried : live), carried };
    }
    wanted = { live: live | wanted.live, wide: wide | wanted.wide };
  }
}

/** Registers whose upper halves may be anything at the end. */
function looseBehind(operations: readonly NativeOp[], fate: Uint8Array, loose: Uint8Array): number {
  let registers = 0;
  operations.forEach(({ traits, rd }, i) => {
    if (fate[i] === Fate.same) return;
    if (loose[i] !== 0) registers |= 1 << rd;
    else if (traits.writesX) registers &= ~(1 << rd);
  });
  return registers;
}

/** By instruction, and behind them: the latest one at or before it where the interpreter may take over. */
function lastExits(exits: readonly boolean[]): Int32Array {
  const found = new Int32Array(exits.length + 1);
  let last = -1;
  for (let i = 0; i <= exits.length; i++) {
    if (exits[i]) last = i;
    found[i] = last;
  }
  return found;
}

/** Registers that hold words, sign-extended: by instruction, before it; and after all of them. */
function wordsIn({ operations, folded }: Line, before: number): { narrow: Int32Array; after: number } {
  const narrow = new Int32Array(operations.length);
  let words = before;
  for (let i = 0; i < operations.length; i++) {
    const operation = operations[i];
    const { traits, rd } = operation;
    narrow[i] = words;
    if (!traits.writesX || rd === 0 || folded.has(i)) continue;
    if (isNarrowIn(narrowingOf(operation, words, true))) words |= 1 << rd;
    else words &= ~(1 << rd);
  }
  return { narrow, after: words };
}

/** Whether it only extends the sign of a word that is extended. */
function isSame({ instruction, rd, rs1, imm }: NativeOp, narrow: number): boolean {
  return instruction === ADDIW && imm === 0 && rd === rs1 && ((narrow >>> rd) & 1) !== 0;
}

/** What becomes of instructions, and what is asked for before the first. */
function wantedIn(
  { operations, folded }: Line,
  narrow: Int32Array,
  lastExit: Int32Array,
  after: Wanted,
  isBounded: boolean,
): Pick<Liveness, "fate" | "loose"> & Wanted {
  const count = operations.length;
  const fate = new Uint8Array(count);
  const loose = new Uint8Array(count);
  /** By register: where it is set next. */
  const next = new Int32Array(32).fill(count);
  let { live, wide } = after;
  let putOff = 0;
  for (let i = count - 1; i >= 0; i--) {
    const operation = operations[i];
    if (folded.has(i)) {
      fate[i] = Fate.folded;
      // Where it is made up for, what it is made from has to be there.
      live |= readsOf(operation);
      continue;
    }
    const { traits, rd, rs1, rs2 } = operation;
    if (isSame(operation, narrow[i])) {
      fate[i] = Fate.same;
      continue;
    }
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
        const fits = !isBounded || putOff < MOST_PUT_OFF;
        const stays = (register: number) => register === 0 || register === rd || next[register] >= exit;
        if (fits && !traits.readsF && (!traits.readsX1 || stays(rs1)) && (!traits.readsX2 || stays(rs2))) {
          fate[i] = Fate.putOff;
          live |= readsOf(operation);
          putOff++;
          // Of those that follow each other some may be carried out after all.
          if (!isBounded) wide |= readsOf(operation);
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
  return { fate, loose, live, wide };
}
