/** Plain memory of a guest that uses nearly all of it. */
import { askForTransparent, HUGE_PAGE } from "../host/huge-pages.ts";
import { canMap } from "../host/mapping.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { BoardMemory } from "../profile/board.ts";

/** What of the engine's pool its tables leave: they are at its end. */
const POOL_SHARE = 3 / 4;

/**
 * Asks for huge pages for what of the board is plain memory, and for what is made of its code: the host has fewer faults then,
 * and looks up fewer addresses. Not for the ends, which may be all that is used of them. Where the host has no huge pages,
 * nothing changes.
 */
export function preferHuge(board: readonly BoardMemory[], memory: GuestMemory): void {
  if (!canMap()) return;
  const { buffer } = memory.memory;
  const prefer = (offset: number, length: number) => {
    if (length > 0) askForTransparent({ buffer, offset, length });
  };
  for (const { at, size, backing } of board)
    if (backing.kind === "anonymous") prefer(memory.blockAt(at)!.offset + HUGE_PAGE, size - 2 * HUGE_PAGE);
  prefer(memory.poolOffset + HUGE_PAGE, memory.poolSize * POOL_SHARE - HUGE_PAGE);
}
