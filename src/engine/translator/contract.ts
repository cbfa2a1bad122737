/** What translated regions and whoever calls them agree on. */

/** How a region was left, in `HartField.mail3`. */
export const Leaving = {
  /** Take up `pc` as ever. */
  moved: 0,
  /** The interpreter executes the instruction at `pc` itself, whatever is translated there. */
  interpret: 1,
  /** The same, because this slot's region had no instructions left to go on: that is where time is spent. */
  spent: (slot: number) => slot + 2,
  slotOf: (how: number) => how - 2,
} as const;

/** Signature of regions: instructions left and the address of the page executed, to instructions left. */
export const REGION_SIGNATURE = { params: ["i32", "i64"], results: ["i32"] } as const;

/**
 * Where the interpreter takes over, as regions have it: relative to the page that the region was entered on, with as many
 * instructions to give back in the lowest bits. No block has more.
 */
export const REFUND_BITS = 10;
export function exitTo(to: number, refund: number): number {
  return to * 2 ** REFUND_BITS + refund;
}
