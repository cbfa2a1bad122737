/** Which loads and stores of a block go to the same place: by the same base register, which is not written in between. */
import type { NativeOp } from "./blocks.ts";
import { type Accesses, FARTHEST_APART } from "./ways.ts";

type Group = { -readonly [Key in keyof Accesses]: Accesses[Key] };

/**
 * By instruction, for loads and stores: those that it belongs to.
 * @param apart Each is to be on its own.
 */
export function accessesOf(operations: readonly NativeOp[], apart: boolean): readonly (Accesses | undefined)[] {
  const all = new Array<Group | undefined>(operations.length).fill(undefined);
  let known: Groups | undefined;
  for (let i = 0; i < operations.length; i++) {
    const { traits, rd, rs1, imm } = operations[i];
    const { access, width } = traits;
    if (access !== undefined) {
      known ??= new Groups();
      const store = access === "store";
      const latest = known.latest(rs1, store);
      all[i] = (apart ? undefined : joined(latest, imm, width)) ?? known.begin(rs1, store, imm, width, i);
    }
    if (traits.writesX) known?.end(rd);
  }
  return all;
}

/** Those of a block so far: few, as a rule. */
class Groups {
  readonly #open: Group[] = [];
  readonly #all: Group[] = [];

  /** The one that may go on. */
  latest(base: number, store: boolean): Group | undefined {
    return this.#open.find((group) => group.base === base && group.store === store);
  }

  begin(base: number, store: boolean, least: number, bytes: number, first: number): Group {
    const ordinal = this.#all.filter((group) => group.base === base && group.store === store).length;
    const group = { base, store, least, bytes, first, ordinal, together: false };
    const before = this.#open.findIndex((other) => other.base === base && other.store === store);
    if (before >= 0) this.#open[before] = group;
    else this.#open.push(group);
    this.#all.push(group);
    return group;
  }

  /** The register is set: nothing that follows goes there. */
  end(base: number): void {
    for (let i = this.#open.length - 1; i >= 0; i--) if (this.#open[i].base === base) this.#open.splice(i, 1);
  }
}

/** The same accesses with one more, if it is near. */
function joined(group: Group | undefined, imm: number, width: number): Group | undefined {
  if (group === undefined) return undefined;
  const least = Math.min(group.least, imm);
  const bytes = Math.max(group.least + group.bytes, imm + width) - least;
  if (bytes > FARTHEST_APART) return undefined;
  group.least = least;
  group.bytes = bytes;
  group.together = true;
  return group;
}
