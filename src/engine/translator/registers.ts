/**
 * What becomes of guest registers in a region: which have to be loaded, which memory has yet to learn of, and which values
 * stay 32 bits wide (narrow.ts).
 */
import type { Instruction } from "../../isa/riscv/instructions/encoding.ts";
import { isNarrow, wideReads } from "./narrow.ts";
import { operandsOf } from "./operands.ts";
import { type Block, type Operation, successors } from "./region.ts";

/** Registers as bit sets: bit n for register n. */
export interface Registers {
  x: number;
  f: number;
}

/** By block, in order; at its start, unless it says otherwise. */
export interface RegisterFlow {
  /** Registers whose old values the region needs, or may have to put back. */
  readonly loaded: Registers;
  /** Newer in their locals than in memory. */
  readonly dirty: readonly Registers[];
  /** Those that are newer anywhere where the interpreter may have to take over. */
  readonly handedOver: Registers;
  /** Integer registers in their narrow locals. */
  readonly narrow: Int32Array;
  /** For each operation of each block, whether its result stays narrow. */
  readonly narrowResults: readonly Uint8Array[];
}

export function followRegisters(sequence: readonly Block[]): RegisterFlow {
  const after = sequence.map((block) => successors(block).map(({ order }) => order));
  const uses = sequence.map(usesOf);
  const dirty = flowForward(after, uses, false);
  const assigned = flowForward(after, uses, true);
  const handedOver = { x: 0, f: 0 };
  /** Assigned wherever the interpreter may have to take over. */
  const certain = { x: -1, f: -1 };
  for (let i = 0; i < after.length; i++) {
    // It may at the start of any block, and before anything that it shares with the block.
    handedOver.x |= dirty[i].x;
    handedOver.f |= dirty[i].f;
    certain.x &= assigned[i].x;
    certain.f &= assigned[i].f;
    const inside = writtenBeforeExits(sequence[i]);
    handedOver.x |= inside.x;
    handedOver.f |= inside.f;
  }
  const loaded = { ...liveAtEntry(after, uses) };
  loaded.x |= handedOver.x & ~certain.x;
  loaded.f |= handedOver.f & ~certain.f;
  return { loaded, dirty, handedOver, ...narrowness(sequence, after, wideness(sequence, after)) };
}

/** Whether the interpreter carries it out, in the midst of a block. */
function isLeft({ semantics }: Instruction): boolean {
  return semantics.does === "zeroBlock" || (semantics.does === "fence" && semantics.orders === "fetches");
}

/** Registers that a block writes before the last place where it may be left to the interpreter. */
function writtenBeforeExits({ operations, stop }: Block): Registers {
  const written = { x: 0, f: 0 };
  let before = { x: 0, f: 0 };
  for (const { instruction, rd } of operations) {
    const { writesX, writesF, memory, float } = operandsOf(instruction);
    if (memory !== undefined || float || isLeft(instruction)) before = { ...written };
    if (writesX) written.x |= (1 << rd) & ~1;
    if (writesF) written.f |= 1 << rd;
  }
  return stop === undefined ? before : written;
}

interface Uses {
  /** Read before anything is written to them. */
  readonly reads: Registers;
  readonly writes: Registers;
}

function usesOf({ operations }: Block): Uses {
  const reads = { x: 0, f: 0 };
  const writes = { x: 0, f: 0 };
  for (const { instruction, rd, rs1, rs2, rs3 } of operations) {
    const { readsX1, readsX2, readsF1, readsF2, readsF3, writesX, writesF } = operandsOf(instruction);
    reads.x |= ((readsX1 ? 1 << rs1 : 0) | (readsX2 ? 1 << rs2 : 0)) & ~writes.x & ~1;
    reads.f |= ((readsF1 ? 1 << rs1 : 0) | (readsF2 ? 1 << rs2 : 0) | (readsF3 ? 1 << rs3 : 0)) & ~writes.f;
    if (writesX) writes.x |= (1 << rd) & ~1;
    if (writesF) writes.f |= 1 << rd;
  }
  return { reads, writes };
}

/** Registers written before each block: on some way to it, or on `every` one. */
function flowForward(after: readonly (readonly number[])[], uses: readonly Uses[], every: boolean): Registers[] {
  const before = uses.map((_, i) => (every && i > 0 ? { x: -1, f: -1 } : { x: 0, f: 0 }));
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 0; i < after.length; i++) {
      const x = before[i].x | uses[i].writes.x;
      const f = before[i].f | uses[i].writes.f;
      for (const order of after[i]) {
        const known = before[order];
        const next = every ? { x: known.x & x, f: known.f & f } : { x: known.x | x, f: known.f | f };
        // The region is entered at its first block, where nothing was written yet.
        if (every && order === 0) continue;
        if (next.x === known.x && next.f === known.f) continue;
        before[order] = next;
        // What lies further on is visited in this round still.
        if (order <= i) changed = true;
      }
    }
  }
  return before;
}

function liveAtEntry(after: readonly (readonly number[])[], uses: readonly Uses[]): Registers {
  const live = uses.map(({ reads }) => ({ ...reads }));
  backward(after, (i, behind) => {
    const x = live[i].x | (anyOf(behind, (order) => live[order].x) & ~uses[i].writes.x);
    const f = live[i].f | (anyOf(behind, (order) => live[order].f) & ~uses[i].writes.f);
    const changed = x !== live[i].x || f !== live[i].f;
    live[i] = { x, f };
    return changed;
  });
  return live[0];
}

/** By block, in order: integer registers that something reads all 64 bits of, from the block's end on. */
function wideness(sequence: readonly Block[], after: readonly (readonly number[])[]): Int32Array {
  const atStart = new Int32Array(sequence.length);
  const atEnd = new Int32Array(sequence.length);
  backward(after, (i, behind) => {
    atEnd[i] = anyOf(behind, (order) => atStart[order]);
    let wide = atEnd[i];
    for (const operation of sequence[i].operations.toReversed()) wide = wideBefore(operation, wide);
    const changed = wide !== atStart[i];
    atStart[i] = wide;
    return changed;
  });
  return atEnd;
}

/** Registers that something reads all of from this operation on, if `wide` are those behind it. */
function wideBefore(operation: Operation, wide: number): number {
  const writes = operandsOf(operation.instruction).writesX;
  const asked = writes && ((wide >>> operation.rd) & 1) === 1;
  return (writes ? wide & ~(1 << operation.rd) : wide) | wideReads(operation, asked);
}

/** Every register is wide where the region is entered, and wherever it comes wide from one side. */
function narrowness(
  sequence: readonly Block[],
  after: readonly (readonly number[])[],
  wideAtEnd: Int32Array,
): Pick<RegisterFlow, "narrow" | "narrowResults"> {
  const asked = sequence.map(({ operations }, i) => {
    const flags = new Uint8Array(operations.length);
    let wide = wideAtEnd[i];
    for (let n = operations.length - 1; n >= 0; n--) {
      flags[n] = (wide >>> operations[n].rd) & 1;
      wide = wideBefore(operations[n], wide);
    }
    return flags;
  });
  const narrowResults = asked.map((flags) => new Uint8Array(flags.length));
  const narrow = new Int32Array(sequence.length).fill(-1);
  narrow[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 0; i < sequence.length; i++) {
      let bits = narrow[i];
      const { operations } = sequence[i];
      for (let n = 0; n < operations.length; n++) {
        const { rd, instruction } = operations[n];
        if (rd === 0 || !operandsOf(instruction).writesX) continue;
        const stays = asked[i][n] === 0 && givesNarrow(operations[n], bits);
        narrowResults[i][n] = Number(stays);
        bits = stays ? bits | (1 << rd) : bits & ~(1 << rd);
      }
      for (const order of after[i]) {
        if ((narrow[order] & bits) === narrow[order]) continue;
        narrow[order] &= bits;
        if (order <= i) changed = true;
      }
    }
  }
  return { narrow, narrowResults };
}

function givesNarrow(operation: Operation, narrow: number): boolean {
  const { semantics } = operation.instruction;
  if (semantics.does === "set") return isNarrow(semantics.value, operation, narrow);
  if (semantics.does === "load") return semantics.width < 4 || (semantics.width === 4 && semantics.signed);
  return false;
}

/** Visits blocks from the last to the first, until nothing changes any more. */
function backward(
  after: readonly (readonly number[])[],
  visit: (order: number, behind: readonly number[]) => boolean,
): void {
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = after.length - 1; i >= 0; i--) if (visit(i, after[i])) changed = true;
  }
}

function anyOf(orders: readonly number[], bits: (order: number) => number): number {
  let all = 0;
  for (const order of orders) all |= bits(order);
  return all;
}
