/** What is decided about a block before it is written. */
import { accessesOf } from "./accesses.ts";
import type { Choice, NativeBlock, NativeOp } from "./blocks.ts";
import { fuse } from "./fusion.ts";
import { type Line, type Liveness, type LivenessOfRounds, livenessOf, livenessOfRounds } from "./liveness.ts";
import { type Rounds, roundsOf } from "./rounds.ts";
import { type Search, searchOf } from "./searches.ts";
import { isWord } from "./traits.ts";
import type { Accesses } from "./ways.ts";

export interface BlockPlan {
  readonly operations: readonly NativeOp[];
  /** By instruction, for loads and stores: those that it belongs to. */
  readonly accesses: readonly (Accesses | undefined)[];
  /** Absent where everything is carried out as it stands there. */
  readonly liveness?: Liveness;
  readonly rounds?: PlannedRounds | undefined;
  /** If the block is a search: it has no rounds otherwise. */
  readonly search?: Search | undefined;
  /** In the place of its branch. */
  readonly choice?: Choice | undefined;
}

export interface PlannedRounds extends Rounds {
  /** In them less is looked up, and less is wanted. */
  readonly liveness?: LivenessOfRounds;
}

/**
 * @param refined With what takes more effort.
 * @param apart Each access is to have a way of its own.
 * @param searches Whether the processor can search.
 */
export function planOf(
  { at, operations: original, choice }: NativeBlock,
  refined: boolean,
  apart: boolean,
  searches: boolean,
): BlockPlan {
  if (!refined) return { operations: original, accesses: accessesOf(original, apart) };
  const { operations, folded } = fuse(original);
  const accesses = accessesOf(operations, apart);
  const search = searches ? searchOf(at, original) : undefined;
  const rounds = search === undefined ? roundsOf(at, operations, accesses) : undefined;
  const plan = { operations, accesses, choice, search };
  if (operations === original && !operations.some(isWord)) {
    return { ...plan, rounds };
  }
  // The first of some accesses finds the way for all.
  const exits = operations.map(
    ({ traits }, i) => traits.leaves && (accesses[i] === undefined || accesses[i].first === i),
  );
  const line = { operations, folded };
  return { ...plan, liveness: livenessOf(line, exits), rounds: rounds && plannedRounds(rounds, line, accesses, exits) };
}

function plannedRounds(
  rounds: Rounds,
  line: Line,
  accesses: readonly (Accesses | undefined)[],
  exits: readonly boolean[],
): PlannedRounds {
  // Nothing is looked up for what moves.
  const moving = new Set<Accesses | undefined>(rounds.moving.map(({ accesses }) => accesses));
  return {
    ...rounds,
    liveness: livenessOfRounds(
      line,
      exits.map((exit, i) => exit && !moving.has(accesses[i])),
    ),
  };
}
