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
      all[i] = (apart ? undefined : known.join(rs1, store, imm, width)) ?? known.begin(rs1, store, imm, width, i);
    }
    if (traits.writesX) known?.end(rd);
  }
  return all;
}

/** Those of a block so far: few, as a rule. */
class Groups {
  readonly #open: Group[] = [];
  readonly #all: Group[] = [];

  /**
   * Those that one more is near to; of its kind, if there are some. Where there are loads and stores, all are stores: a page
   * that can be stored to can be loaded from, and it will be stored to.
   */
  join(base: number, store: boolean, imm: number, width: number): Group | undefined {
    let found: Group | undefined;
    for (const group of this.#open) {
      if (group.base !== base || !isNear(group, imm, width)) continue;
      if (found === undefined || group.store === store) found = group;
    }
    if (found === undefined) return undefined;
    const end = Math.max(found.least + found.bytes, imm + width);
    found.least = Math.min(found.least, imm);
    found.bytes = end - found.least;
    found.store ||= store;
    found.together = true;
    return found;
  }

  begin(base: number, store: boolean, least: number, bytes: number, first: number): Group {
    const ordinal = this.#all.filter((group) => group.base === base).length;
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

function isNear({ least, bytes }: Group, imm: number, width: number): boolean {
  return Math.max(least + bytes, imm + width) - Math.min(least, imm) <= FARTHEST_APART;
}
