/** Which vdev types there are: the built-in ones and those a profile brings are the same thing here. */
import { fail } from "../diagnostics/diagnostic.ts";
import { VDEV_ABI, type VdevDescriptor } from "./descriptor.ts";

/** A descriptor whose options' schema is known only at run time. */
export type AnyVdev = VdevDescriptor;

export interface VdevRegistry<Descriptor extends AnyVdev = AnyVdev> {
  /** The descriptor of that type, or `undefined`. */
  get(type: string): Descriptor | undefined;
  /** All type names, in order of registration. */
  types(): readonly string[];
  /** The known type nearest to a misspelt one, where any is near enough to be meant. */
  nearest(type: string): string | undefined;
  /** A registry with more descriptors; this one stays as it is. */
  with(more: readonly AnyVdev[]): VdevRegistry;
}

/** Vdevs by type that are loaded when somebody asks for one. */
export type VdevCatalogue = Readonly<Record<string, () => AnyVdev>>;

/** Refuses malformed and duplicate types and descriptors written for another ABI. */
export function createRegistry<const Descriptor extends AnyVdev>(
  descriptors: readonly Descriptor[],
): VdevRegistry<Descriptor>;
/** Those of a catalogue first. */
export function createRegistry(descriptors: readonly AnyVdev[], catalogue: VdevCatalogue): VdevRegistry;
export function createRegistry(descriptors: readonly AnyVdev[], catalogue: VdevCatalogue = {}): VdevRegistry {
  const byType = new Map<string, AnyVdev | undefined>(Object.keys(catalogue).map((type) => [type, undefined]));
  for (const descriptor of descriptors) {
    const { type, abi = VDEV_ABI } = descriptor;
    if (!/^[a-z][a-z0-9-]*$/.test(type)) {
      fail("vdev/type", `"${type}" cannot be the type of a vdev`, {
        hint: "lower-case letters, digits and hyphens, beginning with a letter",
      });
    }
    if (abi !== VDEV_ABI) {
      fail("vdev/abi", `vdev "${type}" is written for vdev ABI ${abi}; this vmrun has ABI ${VDEV_ABI}`);
    }
    if (byType.has(type)) {
      fail("vdev/duplicate-type", `two vdevs have the type "${type}"`, { hint: "give one of them another type" });
    }
    byType.set(type, descriptor);
  }
  return {
    get: (type) => byType.get(type) ?? (Object.hasOwn(catalogue, type) ? catalogue[type]!() : undefined),
    types: () => [...byType.keys()],
    nearest: (type) => nearestName(type, [...byType.keys()]),
    with: (more) => createRegistry([...descriptors, ...more], catalogue),
  };
}

/** The candidate with the fewest edits to `name`, if those are at most a third of it. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(Math.min(name.length, 64) / 3)) + 1;
  for (const candidate of candidates) {
    const edits = distance(name.slice(0, 64).toLowerCase(), candidate.slice(0, 64).toLowerCase());
    if (edits < least) {
      least = edits;
      best = candidate;
    }
  }
  return best;
}

/** Damerau-Levenshtein (optimal string alignment): swapped neighbours count once. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) edits = Math.min(edits, before[j - 2]! + 1);
      row.push(edits);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
