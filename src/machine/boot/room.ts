/** The board's memory while it is being filled: who has what, who clashes, where there is room. */
import { fail, type Place } from "../../diagnostics/diagnostic.ts";
import type { BoardMemory } from "../../profile/board.ts";
import { alignUp, hex, shownSpan } from "../../profile/place.ts";

export interface Span {
  readonly at: number;
  readonly size: number;
}

export interface Claim extends Span {
  /** For messages: `kernel`. */
  readonly name: string;
  readonly place: Place;
  /** The key that moves it, or `undefined` for what is linked to its addresses. */
  readonly mover?: string;
}

export class Room {
  readonly #claims: Claim[] = [];

  constructor(readonly memory: readonly BoardMemory[]) {}

  /** The block that `at` lies in. */
  blockAt(at: number): BoardMemory | undefined {
    return this.memory.find((block) => at >= block.at && at < block.at + block.size);
  }

  /** Takes the addresses for `claim`, which must lie in one block and clear of all that came before. */
  claim(claim: Claim): void {
    if (claim.size === 0) return;
    const block = this.blockAt(claim.at);
    if (!block || claim.at + claim.size > block.at + block.size) this.#refuseOutside(claim, block);
    const other = this.#claims.find((earlier) => overlap(claim, earlier));
    if (other) refuseOverlap(claim, other);
    this.#claims.push(claim);
  }

  /** The lowest free address from `from` in the block, outside of `avoid`; `undefined` where there is no room. */
  lowest(block: Span, size: number, align: number, from: number, avoid: readonly Span[]): number | undefined {
    let at = alignUp(Math.max(from, block.at), align);
    for (const taken of [...this.#claims, ...avoid].sort((a, b) => a.at - b.at)) {
      if (overlap({ at, size }, taken)) at = alignUp(taken.at + taken.size, align);
    }
    return at + size <= block.at + block.size ? at : undefined;
  }

  /** The highest free address that ends at or below `end`, as {@link lowest}. */
  highest(block: Span, size: number, align: number, end: number, avoid: readonly Span[]): number | undefined {
    let at = alignDown(Math.min(end, block.at + block.size) - size, align);
    for (const taken of [...this.#claims, ...avoid].sort((a, b) => b.at + b.size - (a.at + a.size))) {
      if (overlap({ at, size }, taken)) at = alignDown(taken.at - size, align);
    }
    return at >= block.at ? at : undefined;
  }

  /** Where the highest claim in the block ends. */
  endOfClaims(block: Span): number {
    return this.#claims.reduce(
      (end, claim) => (overlap(claim, block) ? Math.max(end, claim.at + claim.size) : end),
      block.at,
    );
  }

  /** For hints: every block with its addresses. */
  describe(): string {
    return this.memory.map((block) => `${block.kind} "${block.name}" ${shownSpan(block)}`).join(", ");
  }

  #refuseOutside(claim: Claim, block: BoardMemory | undefined): never {
    const { name, place, mover } = claim;
    const move = mover ? `${mover} moves it` : "it goes where it was linked to go";
    const size = shownSize(claim.size);
    if (block) {
      const message = `${name} takes ${size} at ${shownSpan(claim)}, but ${block.kind} "${block.name}" ends at ${hex(block.at + block.size - 1)}`;
      const needed = shownSize(alignUp(claim.at + claim.size - block.at, 2 ** 20));
      fail("boot/too-small", message, { place, hint: `"${block.name}" needs ${needed} or more for this; ${move}` });
    }
    fail("boot/outside-memory", `${name} goes to ${shownSpan(claim)} (${size}), where the board has no memory`, {
      place,
      hint: `${move}; the board's memory: ${this.describe()}`,
    });
  }
}

/** `5.2 MiB`: for reading, never less than it is. */
export function shownSize(bytes: number): string {
  const [unit, name] = bytes >= 2 ** 20 ? [2 ** 20, "MiB"] : bytes >= 1024 ? [1024, "KiB"] : [1, "bytes"];
  return `${Math.ceil((bytes / unit) * 10) / 10} ${name}`;
}

function overlap(a: Span, b: Span): boolean {
  return a.at < b.at + b.size && b.at < a.at + a.size;
}

function alignDown(value: number, align: number): number {
  return Math.floor(value / align) * align;
}

function refuseOverlap(claim: Claim, other: Claim): never {
  const movers = [claim, other].flatMap(({ name, mover }) => (mover ? [`${mover} moves ${name}`] : []));
  const hint = movers.length > 0 ? movers.join(", ") : "both are linked to these addresses: link one of them elsewhere";
  fail(
    "boot/overlap",
    `${claim.name} (${shownSpan(claim)}) and ${other.name} (${shownSpan(other)}) are to lie in the same memory`,
    { place: claim.place, related: [{ place: other.place, message: `${other.name} comes from here` }], hint },
  );
}
