/** How often the code of a region uses each integer register, as far as that can be told from how it looks. */
import type { NativeBlock, NativeOp } from "./blocks.ts";

/** A loop's body is executed more often than what is around it. */
const ROUNDS = 8;
const MOST_ROUNDS = 64;

/** By register. Code without a loop is executed once. */
export function usesOf(blocks: readonly NativeBlock[]): Float64Array {
  const uses = new Float64Array(32);
  const weights = weightsOf(blocks);
  for (let i = 0; i < blocks.length; i++) {
    const { operations, choice } = blocks[i];
    add(uses, operations, weights[i]);
    if (choice !== undefined) add(uses, choice.operations, weights[i]);
  }
  return uses;
}

/** The same, of a straight line. */
export function usesIn(operations: readonly NativeOp[]): Float64Array {
  const uses = new Float64Array(32);
  add(uses, operations, 1);
  return uses;
}

function add(uses: Float64Array, operations: readonly NativeOp[], weight: number): void {
  for (const { traits, rd, rs1, rs2 } of operations) {
    if (traits.readsX1) uses[rs1] += weight;
    if (traits.readsX2) uses[rs2] += weight;
    if (traits.writesX) uses[rd] += weight;
  }
}

/** Whatever stands between a jump back and where it goes is taken for a loop. */
function weightsOf(blocks: readonly NativeBlock[]): Float64Array {
  const weights = new Float64Array(blocks.length).fill(1);
  for (let i = 0; i < blocks.length; i++) {
    const { operations, at } = blocks[i];
    const last = operations[operations.length - 1];
    const { does } = last.instruction.semantics;
    const target = last.at + last.imm;
    if ((does !== "branch" && does !== "jump") || target > at) continue;
    const first = blocks.findIndex((other) => other.at === target);
    if (first < 0) continue;
    for (let n = first; n <= i; n++) weights[n] = Math.min(MOST_ROUNDS, weights[n] * ROUNDS);
  }
  return weights;
}
