/**
 * Where floating-point registers are within a block: in memory, always, and beside that in the host's registers where the
 * block uses them more than once. What is computed goes to both, so that a block may be left anywhere. A block that goes to
 * itself has registers that it reads there before a round begins.
 */
import { type Assembler, DOUBLE, type Operand, SINGLE, Sse, Xmm } from "./assembler.ts";
import type { NativeOp } from "./blocks.ts";
import { float } from "./registers.ts";

/** The first that a block may keep something in: two are for whatever it computes. */
const FIRST: Xmm = Xmm.xmm1 + 1;
const LAST: Xmm = 15;

interface Use {
  readonly register: number;
  readonly single: boolean;
  readonly writes: boolean;
}

/** The floating-point registers that an instruction uses as such; what is done to their bits is not among it. */
function usesOf({ instruction: { semantics }, rd, rs1, rs2, rs3 }: NativeOp): readonly Use[] {
  const use = (register: number, single: boolean, writes: boolean): Use => ({ register, single, writes });
  switch (semantics.does) {
    case "float": {
      const { from, to, operands } = semantics;
      const read = from === "x" ? [] : [rs1, rs2, rs3].slice(0, operands).map((one) => use(one, from === "s", false));
      return to === "x" ? read : [...read, use(rd, to === "s", true)];
    }
    case "load":
      return semantics.to === "x" ? [] : [use(rd, semantics.to === "s", true)];
    case "store":
      return semantics.value.kind === "f" ? [use(rs2, semantics.width === 4, false)] : [];
    case "setF":
      return [use(rd, semantics.to === "s", true)];
    default:
      return [];
  }
}

export class FloatPlaces {
  /** By register: the host's that may hold it; -1: none. */
  readonly #places = new Int8Array(32).fill(-1);
  /** Registers that it does hold at the moment, as bits. */
  #valid = 0;
  /** Those that are used as singles. */
  #singles = 0;
  /** Those that the block's rounds begin with. */
  #carried = 0;

  constructor(readonly code: Assembler) {}

  /** @param carries The block goes to itself, and some registers stay where they are. */
  startBlock(operations: readonly NativeOp[], carries: boolean): void {
    this.#places.fill(-1);
    this.#valid = 0;
    this.#singles = 0;
    this.#carried = 0;
    const counts = new Int32Array(32);
    let doubles = 0;
    let read = 0;
    let written = 0;
    for (const operation of operations)
      for (const { register, single, writes } of usesOf(operation)) {
        const bit = 1 << register;
        counts[register]++;
        if (single) this.#singles |= bit;
        else doubles |= bit;
        if (writes) written |= bit;
        else if ((written & bit) === 0) read |= bit;
      }
    // What is a single here and a double there is left in memory.
    const mixed = this.#singles & doubles;
    const least = carries ? 1 : 2;
    const wanted = [...counts.keys()].filter((n) => counts[n] >= least && ((mixed >>> n) & 1) === 0);
    wanted.sort((a, b) => counts[b] - counts[a]);
    for (const [i, register] of wanted.slice(0, LAST - FIRST + 1).entries()) {
      this.#places[register] = FIRST + i;
      if (carries) this.#carried |= read & (1 << register);
    }
  }

  /** The straight line begins, or begins once more. */
  startLine(): void {
    this.#valid = this.#carried;
  }

  /** Registers that a round begins with, and that have to be singles. */
  get carriedSingles(): number {
    return this.#carried & this.#singles;
  }

  /** Has what a round begins with where it is expected. */
  writeCarried(): void {
    for (let n = 0; n < 32; n++) if (((this.#carried >>> n) & 1) !== 0) this.#load(n);
  }

  #load(register: number): void {
    const single = ((this.#singles >>> register) & 1) !== 0;
    this.code.sse(single ? SINGLE : DOUBLE, Sse.load, this.#places[register], float(register));
  }

  /** Where a register can be read: one of the host's, or memory. */
  read(register: number): Operand | Xmm {
    const place = this.#places[register];
    if (place < 0) return float(register);
    if (((this.#valid >>> register) & 1) === 0) {
      this.#load(register);
      this.#valid |= 1 << register;
    }
    return place;
  }

  /** The host's register that a value for one is best made in. */
  placeFor(register: number): Xmm {
    const place = this.#places[register];
    return place < 0 ? Xmm.xmm0 : place;
  }

  /** The value of a register was made in one of the host's, and is in memory, too. */
  wrote(register: number, from: Xmm): void {
    const place = this.#places[register];
    if (place < 0) return;
    if (place !== from) move(this.code, place, from);
    this.#valid |= 1 << register;
  }
}

/** Moves all of a register. */
export function move(code: Assembler, to: Xmm, from: Xmm): void {
  code.sse(0, Sse.move, to, from);
}
