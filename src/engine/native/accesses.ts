/**
 * Which loads and stores of a block go to the same place: by the same base register, to which nothing is done in between but
 * to add a constant. Distances are from the base as it is at the first of them.
 */
import type { NativeOp } from "./blocks.ts";
import { type Accesses, FARTHEST_APART } from "./ways.ts";

type Group = { -readonly [Key in keyof Accesses]: Accesses[Key] } & {
  /** What has been added to the base since the first. */
  added: number;
};

/**
 * By instruction, for loads and stores: those that it belongs to.
 * @param apart Each is to be on its own.
 */
export function accessesOf(operations: readonly NativeOp[], apart: boolean): readonly (Accesses | undefined)[] {
  const all: (Group | undefined)[] = [];
  let known: Groups | undefined;
  for (let i = 0; i < operations.length; i++) {
    const { instruction, traits, rd, rs1, imm } = operations[i];
    const { access, width } = traits;
    let group: Group | undefined;
    if (access !== undefined) {
      known ??= new Groups();
      const store = access === "store";
      group = (apart ? undefined : known.join(rs1, store, imm, width)) ?? known.begin(rs1, store, imm, width, i);
    }
    all.push(group);
    if (known === undefined || !traits.writesX) continue;
    if (instruction.name === "addi" && rd === rs1) known.move(rd, imm);
    else known.end(rd);
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
      if (group.base !== base || !isNear(group, imm + group.added, width)) continue;
      if (found === undefined || group.store === store) found = group;
    }
    if (found === undefined) return undefined;
    const from = imm + found.added;
    const end = Math.max(found.least + found.bytes, from + width);
    found.least = Math.min(found.least, from);
    found.bytes = end - found.least;
    found.store ||= store;
    found.together = true;
    return found;
  }

  begin(base: number, store: boolean, least: number, bytes: number, first: number): Group {
    let ordinal = 0;
    for (const other of this.#all) if (other.base === base) ordinal++;
    const group = { base, store, least, bytes, first, ordinal, together: false, added: 0 };
    this.#all.push(group);
    const open = this.#open;
    for (let i = 0; i < open.length; i++) {
      if (open[i].base !== base || open[i].store !== store) continue;
      open[i] = group;
      return group;
    }
    open.push(group);
    return group;
  }

  /** Something is added to the register. */
  move(base: number, by: number): void {
    for (const group of this.#open) if (group.base === base) group.added += by;
  }

  /** The register is set: nothing that follows goes there. */
  end(base: number): void {
    for (let i = this.#open.length - 1; i >= 0; i--) if (this.#open[i].base === base) this.#open.splice(i, 1);
  }
}

function isNear({ least, bytes }: Group, from: number, width: number): boolean {
  return Math.max(least + bytes, from + width) - Math.min(least, from) <= FARTHEST_APART;
}
