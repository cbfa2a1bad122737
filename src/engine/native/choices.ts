/**
 * Branches that only choose which registers are set: what either way would set is computed, and conditional moves choose, so
 * that the processor has nothing to guess. Compilers do the same for processors that have such moves; RISC-V's base has none,
 * and what it branches on there is often as good as random: bits of a checksum, keys that are sorted, limits.
 */
import type { Expr } from "../../isa/riscv/semantics.ts";
import { branchesTo, type Choice, type Move, type NativeBlock, type NativeOp, successorsOf } from "./blocks.ts";
import { fuse } from "./fusion.ts";

/** Instructions of a way that set registers: more are worth a branch. */
const MOST = 3;

/** Straight from a branch to where it all goes on. */
interface Way {
  readonly at: number;
  /** Without a jump at its end. */
  readonly operations: readonly NativeOp[];
  readonly count: number;
  readonly to: number;
}

const nothing = (at: number): Way => ({ at, operations: [], count: 0, to: at });

/**
 * The same with choices in the place of branches and of what is between them; that is left out where nothing else leads there.
 * @param entry A block that has to remain.
 */
export function withChoices(blocks: readonly NativeBlock[], entry: number): readonly NativeBlock[] {
  const byStart = new Map(blocks.map((block) => [block.at, block]));
  const between = new Set<number>();
  const chosen = blocks.map((block) => {
    const found = find(block, byStart);
    if (found === undefined) return block;
    for (const way of found.ways) if (way.count > 0) between.add(way.at);
    return { ...block, end: found.end, choice: found.choice };
  });
  if (between.size === 0) return blocks;
  const wanted = new Set([entry, ...chosen.filter(({ at }) => !between.has(at)).flatMap(leadsTo)]);
  // Where these lead to themselves is where their branch does.
  return chosen.filter(({ at }) => !between.has(at) || wanted.has(at));
}

/** Where control goes from a block, as far as that can be told. */
function leadsTo({ operations, end, left, choice }: NativeBlock): readonly number[] {
  if (choice !== undefined) return [end];
  // The interpreter comes back behind an instruction of one length or the other.
  return left ? [end, end + 2, end + 4] : successorsOf(operations, end, left);
}

interface Found {
  readonly choice: Choice;
  readonly ways: readonly Way[];
  readonly end: number;
}

function find(
  { at, operations, end, left }: NativeBlock,
  byStart: ReadonlyMap<number, NativeBlock>,
): Found | undefined {
  const last = operations[operations.length - 1];
  if (left || last.instruction.semantics.does !== "branch" || branchesTo(operations, at)) return undefined;
  const target = last.at + last.imm;
  const no = wayAt(end, byStart);
  const yes = wayAt(target, byStart);
  let ways: [Way, Way];
  if (no?.to === target) ways = [no, nothing(target)];
  else if (yes?.to === end) ways = [nothing(end), yes];
  else if (no !== undefined && yes !== undefined && no.to === yes.to) ways = [no, yes];
  else return undefined;
  const choice = choiceOf(ways);
  return choice && { choice, ways, end: ways[0].to };
}

function wayAt(start: number, byStart: ReadonlyMap<number, NativeBlock>): Way | undefined {
  const block = byStart.get(start);
  if (block === undefined || block.left) return undefined;
  const { at, operations, end } = block;
  const last = operations[operations.length - 1];
  const jumps = last.instruction.semantics.does === "jump" && last.rd === 0;
  const before = jumps ? operations.slice(0, -1) : operations;
  if (before.length > MOST || !before.every(({ rd, traits }) => traits.sets && !traits.divides && rd !== 0))
    return undefined;
  return { at, operations: before, count: operations.length, to: jumps ? last.at + last.imm : end };
}

/** `undefined`: that is not so simple. */
function choiceOf(ways: readonly [Way, Way]): Choice | undefined {
  const moves: Move[] = [];
  const steps: { operation: NativeOp; taken: boolean }[] = [];
  for (const [way, { operations }] of ways.entries()) {
    const own = carriedOut(operations);
    for (const [i, operation] of own.entries()) {
      const taken = way === 1;
      const move = moveOf(operation, taken);
      // What something else is made of is its first step.
      const isMadeOf = own.slice(i + 1).some(({ rd }) => rd === operation.rd);
      if (move !== undefined && !isMadeOf) moves.push(move);
      else if (isCheap(operation.instruction.semantics)) steps.push({ operation, taken });
      else return undefined;
    }
  }
  if (moves.length + steps.length === 0) return undefined;
  const [first] = steps;
  const { rd } = first?.operation ?? { rd: 0 };
  if (steps.some(({ operation, taken }) => operation.rd !== rd || taken !== first.taken)) return undefined;
  // Where one reads what another one sets, it matters which comes first.
  const set = new Set([rd, ...moves.map((move) => move.rd)]);
  set.delete(0);
  if (moves.some((move) => set.has(move.from))) return undefined;
  const isOthers = (register: number) => register !== rd && set.has(register);
  for (const [i, { operation }] of steps.entries()) {
    const { traits, rs1, rs2 } = operation;
    if ((traits.readsX1 && isOthers(rs1)) || (traits.readsX2 && isOthers(rs2))) return undefined;
    // It is made where what it reads is.
    if (i > 0 && traits.readsX2 && rs2 === rd) return undefined;
  }
  const computed = first && { rd, steps: steps.map(({ operation }) => operation), taken: first.taken };
  return {
    counts: [ways[0].count, ways[1].count],
    operations: ways.flatMap(({ operations }) => operations),
    ...{ moves, computed },
  };
}

/** Of instructions that set registers: those that are not overwritten unread, fused. */
function carriedOut(all: readonly NativeOp[]): readonly NativeOp[] {
  const { operations, folded } = fuse(all);
  return operations.filter(({ rd }, i) => {
    if (folded.has(i)) return false;
    for (const { traits, rd: next, rs1, rs2 } of operations.slice(i + 1)) {
      if ((traits.readsX1 && rs1 === rd) || (traits.readsX2 && rs2 === rd)) return true;
      if (next === rd) return false;
    }
    return true;
  });
}

function moveOf({ at, instruction: { name }, rd, rs1, rs2, imm }: NativeOp, taken: boolean): Move | undefined {
  const copy = (from: number): Move => ({ at, rd, from, value: from === 0 ? 0 : undefined, taken });
  const number = (value: number): Move => ({ at, rd, from: 0, value, taken });
  if (name === "lui") return number(imm);
  if (name === "addi" && rs1 === 0) return number(imm);
  if (name === "addi" && imm === 0) return copy(rs1);
  if (name === "add" && rs1 === 0) return copy(rs2);
  return undefined;
}

/** Whether it takes an instruction or two, in one register. */
function isCheap(semantics: NativeOp["instruction"]["semantics"]): boolean {
  return semantics.does === "set" && isCheapValue(semantics.value);
}

function isCheapValue(e: Expr): boolean {
  if (e.kind !== "op") return isPlain(e);
  if (!CHEAP.test(e.op)) return false;
  const [a, b] = e.args;
  return isCheapValue(a) && (b === undefined || isPlain(b));
}

/** Whether it is there, or the lower half of what is. */
function isPlain(e: Expr): boolean {
  if (e.kind === "op") return e.op === "i32.wrap_i64" && isPlain(e.args[0]);
  return e.kind === "x" || e.kind === "imm" || e.kind === "constant" || e.kind === "pc";
}

const CHEAP = /^i(32|64)\.(add|sub|and|or|xor|shl|shr_[su]|lt_[su]|wrap_i64|extend\w*)$/;
