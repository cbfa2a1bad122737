/**
 * Loads and stores of a block that go by the same base register: one look at the TLB serves them all. The first one asks
 * for the whole span; if that is not to be had, the interpreter takes over there, and does what comes one by one.
 */
import type { Block, Operation } from "./region.ts";

export interface AccessGroup {
  readonly base: number;
  /** The first access, which asks. */
  readonly leader: Operation;
  /** Bytes touched, relative to the base register: from `low`, to before `high`. */
  low: number;
  high: number;
  /** Whether a page must be writable. Writable pages are readable (see memory-access.ts). */
  store: boolean;
  accesses: number;
  /** Bytes of the widest access. */
  widest: number;
}

/** Beyond this, in bytes, a span would lie in two pages too often. */
const WIDEST = 512;

/**
 * The groups of a block's plain loads and stores, by operation; those `alone` have groups of their own. Atomic instructions
 * ask for themselves. (Another block may hold the same operations, where a call was followed twice.)
 */
export function groupAccesses(
  { operations }: Block,
  alone: (operation: Operation) => boolean = () => false,
): Map<Operation, AccessGroup> {
  const groups = new Map<Operation, AccessGroup>();
  const current: (AccessGroup | undefined)[] = [];
  for (const operation of operations) {
    const { semantics } = operation.instruction;
    const { does } = semantics;
    if (does === "load" || does === "store") {
      const { rs1: base, imm: low } = operation;
      const high = low + semantics.width;
      const store = does === "store";
      let group = current[base];
      if (alone(operation)) group = { base, leader: operation, low, high, store, accesses: 0, widest: 0 };
      else if (group === undefined || Math.max(group.high, high) - Math.min(group.low, low) > WIDEST) {
        group = { base, leader: operation, low, high, store, accesses: 0, widest: 0 };
        current[base] = group;
      }
      group.low = Math.min(group.low, low);
      group.high = Math.max(group.high, high);
      group.store ||= store;
      group.accesses++;
      group.widest = Math.max(group.widest, semantics.width);
      groups.set(operation, group);
    }
    // Another value in the register, another group.
    if (does !== "store" && does !== "branch") current[operation.rd] = undefined;
  }
  return groups;
}
