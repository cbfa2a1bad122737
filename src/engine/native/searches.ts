/**
 * Loops that look for something: each round loads what lies next, and goes on as long as that compares with a key as it should.
 * How many rounds there are is often as good as random, and each of them is short: sixteen bytes are compared at once, which
 * tells how many rounds it takes without a branch for each.
 */
import { branchesTo, type NativeOp } from "./blocks.ts";

export interface Search {
  readonly base: number;
  /** What a round adds to the base: as much as is loaded, forwards or backwards. */
  readonly step: number;
  /** From the base at the beginning of a round to what it loads. */
  readonly from: number;
  /** What is loaded, and where to. */
  readonly width: 1 | 2 | 4;
  readonly signed: boolean;
  readonly rd: number;
  /** The register that it is compared with. */
  readonly key: number;
  readonly goesOn: Comparison;
  /** As numbers with signs, of the width that is loaded. */
  readonly comparesSigned: boolean;
  /** Registers that are set to the base as it is behind the round, and something added. */
  readonly copies: readonly { readonly rd: number; readonly added: number }[];
  /** Instructions of a round. */
  readonly count: number;
}

/** How what is loaded compares with the key. */
export type Comparison = "equal" | "notEqual" | "less" | "notLess" | "greater" | "notGreater";

/** Rounds with more in them have something else to do. */
const MOST_INSTRUCTIONS = 6;

/** By a branch's name: as it compares its first operand with its second, and the other way round. */
const COMPARISONS: Readonly<Record<string, readonly [Comparison, Comparison]>> = {
  beq: ["equal", "equal"],
  bne: ["notEqual", "notEqual"],
  blt: ["less", "greater"],
  bge: ["notLess", "notGreater"],
  bltu: ["less", "greater"],
  bgeu: ["notLess", "notGreater"],
};

/** `undefined`: the block is none. */
export function searchOf(at: number, operations: readonly NativeOp[]): Search | undefined {
  const count = operations.length;
  if (count > MOST_INSTRUCTIONS || !branchesTo(operations, at)) return undefined;
  const branch = operations[count - 1];
  const loads = operations.filter(({ instruction }) => instruction.semantics.does === "load");
  const { semantics } = (loads[0] ?? branch).instruction;
  if (loads.length !== 1 || semantics.does !== "load" || semantics.to !== "x" || semantics.width === 8)
    return undefined;
  const [load] = loads;
  const { rd, rs1: base } = load;
  const { width, signed } = semantics;
  const steps = operations.filter(
    ({ instruction, rd, rs1 }) => instruction.name === "addi" && rd === base && rs1 === base,
  );
  const step = steps[0]?.imm;
  if (steps.length !== 1 || Math.abs(step) !== width || rd === 0 || rd === base) return undefined;
  const stepped = operations.indexOf(steps[0]);
  const isBehind = (operation: NativeOp) => operations.indexOf(operation) > stepped;

  const copies: { rd: number; added: number }[] = [];
  for (const operation of operations.slice(0, -1)) {
    if (operation === load || operation === steps[0]) continue;
    const added = addedOf(operation, base);
    if (added === undefined || operation.rd === base || operation.rd === 0) return undefined;
    copies.push({ rd: operation.rd, added: isBehind(operation) ? added : added - step });
  }

  const isFirst = branch.rs1 === rd;
  const key = isFirst ? branch.rs2 : branch.rs1;
  const written = [rd, base, ...copies.map((copy) => copy.rd)];
  if ((!isFirst && branch.rs2 !== rd) || new Set([...written, key]).size !== written.length + 1) return undefined;
  const name = branch.instruction.name;
  return {
    ...{ base, step, rd, key, width, copies, count },
    from: load.imm + (isBehind(load) ? step : 0),
    signed,
    goesOn: COMPARISONS[name][isFirst ? 0 : 1],
    // What is extended by zeroes is not negative. What is extended by its sign is in the same order as before without one, too.
    comparesSigned: signed && (name === "blt" || name === "bge"),
  };
}

/** What is added to the base, if nothing else is done. */
function addedOf({ instruction: { name }, rs1, rs2, imm }: NativeOp, base: number): number | undefined {
  if (name === "addi" && rs1 === base) return imm;
  if (name === "add" && rs1 === 0 && rs2 === base) return 0;
  return undefined;
}
