/**
 * The shape of a region's control flow: an order, dominators, loops and merges, from which structured code follows
 * (N. Ramsey, "Beyond Relooper", ICFP 2022); and the longest way through it.
 */
import { type Block, type Region, successors } from "./region.ts";

/** All indices are positions in reverse postorder, which {@link Block.order} tells. */
export interface Flow {
  readonly sequence: readonly Block[];
  /** Blocks that each block immediately dominates, by descending order. */
  readonly children: readonly (readonly Block[])[];
  /** 1: control flows back to it from blocks that it dominates. */
  readonly loops: Uint8Array;
  /** 1: more than one block flows forward to it. */
  readonly merges: Uint8Array;
  /** The most instructions executed from the block's start before a loop begins anew, or the region is left. */
  readonly longest: Int32Array;
  /** Whether the edge leads back to a block that does not dominate its source: a loop with two entrances. */
  isIrreducible(from: Block, to: Block): boolean;
}

export function analyse(region: Region): Flow {
  const sequence = reversePostorder(region.entry);
  const count = sequence.length;
  const after = sequence.map(successors);
  const before: number[][] = Array.from({ length: count }, () => []);
  for (let i = 0; i < count; i++) for (const target of after[i]) before[target.order].push(i);
  const parent = dominators(before);
  const dominates = (a: number, b: number): boolean => {
    let above = b;
    while (above > a) above = parent[above];
    return above === a;
  };

  const children: Block[][] = Array.from({ length: count }, () => []);
  for (let i = count - 1; i > 0; i--) children[parent[i]].push(sequence[i]);
  const loops = new Uint8Array(count);
  const merges = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    let forward = 0;
    for (const from of before[i]) {
      if (from < i) forward++;
      else if (dominates(i, from)) loops[i] = 1;
    }
    if (forward > 1) merges[i] = 1;
  }

  const longest = new Int32Array(count);
  for (let i = count - 1; i >= 0; i--) {
    let most = 0;
    for (const { order } of after[i]) if (order > i && loops[order] === 0) most = Math.max(most, longest[order]);
    longest[i] = sequence[i].operations.length + most;
  }

  return {
    sequence,
    children,
    loops,
    merges,
    longest,
    isIrreducible: (from, to) => to.order <= from.order && !dominates(to.order, from.order),
  };
}

/** Puts the blocks in order, and tells them their places. */
function reversePostorder(entry: Block): Block[] {
  const done: Block[] = [];
  const seen = new Set<Block>([entry]);
  const stack: { readonly block: Block; readonly rest: Block[] }[] = [{ block: entry, rest: successors(entry) }];
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const next = top.rest.pop();
    if (next === undefined) {
      done.push(top.block);
      stack.pop();
    } else if (!seen.has(next)) {
      seen.add(next);
      stack.push({ block: next, rest: successors(next) });
    }
  }
  done.reverse();
  done.forEach((block, i) => {
    block.order = i;
  });
  return done;
}

/** Immediate dominators (K. Cooper, T. Harvey, K. Kennedy, "A Simple, Fast Dominance Algorithm"). */
function dominators(before: readonly (readonly number[])[]): Int32Array {
  const parent = new Int32Array(before.length).fill(-1);
  parent[0] = 0;
  const meet = (a: number, b: number): number => {
    let x = a;
    let y = b;
    while (x !== y) {
      while (x > y) x = parent[x];
      while (y > x) y = parent[y];
    }
    return x;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 1; i < before.length; i++) {
      let above = -1;
      for (const from of before[i]) if (parent[from] >= 0) above = above < 0 ? from : meet(above, from);
      if (parent[i] === above) continue;
      parent[i] = above;
      changed = true;
    }
  }
  return parent;
}
