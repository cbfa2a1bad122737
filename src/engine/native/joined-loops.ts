/**
 * Loops that are entered in their middle: where the first block of one falls into the last, which is also where control comes
 * from elsewhere, they become one block that goes to itself. The last one remains what it was, too.
 */
import { branchesTo, type NativeBlock } from "./blocks.ts";
import { MOST_INSTRUCTIONS } from "./rounds.ts";

export function joinLoops(blocks: readonly NativeBlock[]): readonly NativeBlock[] {
  const byStart = new Map(blocks.map((block) => [block.at, block]));
  return blocks.map((block) => {
    const last = byStart.get(block.end);
    if (last === undefined || !fallsThrough(block) || !branchesTo(last.operations, block.at)) return block;
    const operations = [...block.operations, ...last.operations];
    return operations.length > MOST_INSTRUCTIONS ? block : { at: block.at, operations, end: last.end, left: last.left };
  });
}

function fallsThrough({ operations, left }: NativeBlock): boolean {
  const { does } = operations[operations.length - 1].instruction.semantics;
  return !left && does !== "branch" && does !== "jump" && does !== "jumpTo";
}
