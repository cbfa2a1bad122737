/** Which loads and stores of a block go to the same place: by the same base register, which is not written in between. */
import { operandsOf } from "../translator/operands.ts";
import type { NativeOp } from "./blocks.ts";
import { type Accesses, FARTHEST_APART } from "./ways.ts";

interface Group {
  base: number;
  store: boolean;
  least: number;
  bytes: number;
  ordinal: number;
  together: boolean;
}

/**
 * By instruction, for loads and stores: those that it belongs to.
 * @param apart Each is to be on its own.
 */
export function accessesOf(operations: readonly NativeOp[], apart: boolean): readonly (Accesses | undefined)[] {
  /** The latest ones, by base and direction; and how many there have been. */
  const latest = new Map<number, Group>();
  const counts = new Map<number, number>();
  return operations.map(({ instruction, rd, rs1, imm }) => {
    const { semantics } = instruction;
    const { writesX } = operandsOf(instruction);
    let group: Group | undefined;
    if (semantics.does === "load" || semantics.does === "store") {
      const store = semantics.does === "store";
      const key = rs1 * 2 + Number(store);
      group = apart ? undefined : joined(latest.get(key), imm, semantics.width);
      if (group === undefined) {
        const ordinal = counts.get(key) ?? 0;
        counts.set(key, ordinal + 1);
        group = { base: rs1, store, least: imm, bytes: semantics.width, ordinal, together: false };
        latest.set(key, group);
      }
    }
    if (writesX) {
      latest.delete(rd * 2);
      latest.delete(rd * 2 + 1);
    }
    return group;
  });
}

/** The same accesses with one more, if it is near. */
function joined(group: Group | undefined, imm: number, width: number): Group | undefined {
  if (group === undefined) return undefined;
  const least = Math.min(group.least, imm);
  const bytes = Math.max(group.least + group.bytes, imm + width) - least;
  if (bytes > FARTHEST_APART) return undefined;
  return Object.assign(group, { least, bytes, together: true });
}
