/**
 * The shape of a region's control flow: an order, dominators, loops and merges. From these, structured code follows
 * (N. Ramsey, "Beyond Relooper", ICFP 2022).
 */
import { type Block, isBlock, type Region } from "./region.ts";

export interface Flow {
  /** Position in reverse postorder. */
  readonly order: ReadonlyMap<Block, number>;
  /** Blocks that each block immediately dominates, by descending order. */
  readonly children: ReadonlyMap<Block, readonly Block[]>;
  /** Blocks that control flows back to, from blocks they dominate. */
  readonly loops: ReadonlySet<Block>;
  /** Blocks that more than one block flows forward to. */
  readonly merges: ReadonlySet<Block>;
  dominates(a: Block, b: Block): boolean;
}

/** One for each edge: a block that is both taken and next is there twice, and so a merge. */
function successors(block: Block): Block[] {
  const targets: Block[] = [];
  if (block.taken && isBlock(block.taken)) targets.push(block.taken);
  if (block.next && isBlock(block.next)) targets.push(block.next);
  return targets;
}

export function analyse(region: Region): Flow {
  const sequence = reversePostorder(region.entry);
  const order = new Map(sequence.map((block, i) => [block, i]));
  const predecessors = new Map<Block, Block[]>(sequence.map((block) => [block, []]));
  for (const block of sequence) for (const target of successors(block)) predecessors.get(target)!.push(block);
  const parent = dominators(sequence, order, predecessors);
  const dominates = (a: Block, b: Block): boolean => {
    for (let block: Block | undefined = b; block !== undefined; block = parent.get(block)) if (block === a) return true;
    return false;
  };

  const children = new Map<Block, Block[]>(sequence.map((block) => [block, []]));
  // In reverse, so that later blocks come first.
  for (const block of [...sequence].reverse()) {
    const above = parent.get(block);
    if (above) children.get(above)!.push(block);
  }
  const loops = new Set<Block>();
  const merges = new Set<Block>();
  for (const block of sequence) {
    let forward = 0;
    for (const from of predecessors.get(block)!) {
      if (order.get(from)! < order.get(block)!) forward++;
      else if (dominates(block, from)) loops.add(block);
    }
    if (forward > 1) merges.add(block);
  }
  return { order, children, loops, merges, dominates };
}

function reversePostorder(entry: Block): Block[] {
  const done: Block[] = [];
  const seen = new Set<Block>([entry]);
  const stack: { block: Block; rest: Block[] }[] = [{ block: entry, rest: successors(entry) }];
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const next = top.rest.shift();
    if (next === undefined) {
      done.push(top.block);
      stack.pop();
    } else if (!seen.has(next)) {
      seen.add(next);
      stack.push({ block: next, rest: successors(next) });
    }
  }
  return done.reverse();
}

/** Immediate dominators (K. Cooper, T. Harvey, K. Kennedy, "A Simple, Fast Dominance Algorithm"). */
function dominators(
  sequence: readonly Block[],
  order: ReadonlyMap<Block, number>,
  predecessors: ReadonlyMap<Block, readonly Block[]>,
): Map<Block, Block | undefined> {
  const parent = new Map<Block, Block | undefined>();
  const entry = sequence[0];
  const meet = (a: Block, b: Block): Block => {
    let x = a;
    let y = b;
    while (x !== y) {
      while (order.get(x)! > order.get(y)!) x = parent.get(x)!;
      while (order.get(y)! > order.get(x)!) y = parent.get(y)!;
    }
    return x;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of sequence) {
      if (block === entry) continue;
      let above: Block | undefined;
      for (const from of predecessors.get(block)!) {
        if (from !== entry && !parent.has(from)) continue;
        above = above === undefined ? from : meet(above, from);
      }
      if (parent.get(block) !== above) {
        parent.set(block, above);
        changed = true;
      }
    }
  }
  parent.set(entry, undefined);
  return parent;
}
