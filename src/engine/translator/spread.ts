/** How the goals of a computed jump are told apart: by some bits of their addresses, which lead into a table. */
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import type { Block } from "./region.ts";

export interface Spread {
  /** Bits to shift an address right by; the table's length is a power of two. */
  readonly shift: number;
  readonly slots: readonly (Block | undefined)[];
}

/** Fewer goals are as quickly asked for one by one. */
const FEWEST = 4;
const LARGEST = 128;

/** `undefined` where the goals are few, or no bits tell them apart. */
export function spreadOf(goals: readonly Block[]): Spread | undefined {
  if (goals.length < FEWEST) return undefined;
  for (let size = 8; size <= LARGEST; size *= 2) {
    if (size < goals.length) continue;
    // Bits within the page are the same wherever it is mapped.
    for (let shift = 1; size << shift <= PAGE_SIZE; shift++) {
      const slots: (Block | undefined)[] = new Array(size).fill(undefined);
      for (const goal of goals) slots[slotOf(goal, shift, size)] = goal;
      if (goals.every((goal) => slots[slotOf(goal, shift, size)] === goal)) return { shift, slots };
    }
  }
  return undefined;
}

function slotOf({ at }: Block, shift: number, size: number): number {
  return (at >>> shift) & (size - 1);
}
