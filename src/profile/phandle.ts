/** Phandles by a fixed rule: more harts or more vdevs at the end of a profile do not renumber the others. */
import { MAX_HARTS } from "./schema.ts";

export function intcPhandle(hart: number): number {
  return 1 + hart;
}

export function cpuPhandle(hart: number): number {
  return 1 + MAX_HARTS + hart;
}

/** By position in the profile. */
export function vdevPhandle(index: number): number {
  return 1 + 2 * MAX_HARTS + index;
}

/** Of a vdev's further nodes, by the label's position in its descriptor. Above every {@link vdevPhandle} a profile can have. */
export function auxiliaryPhandle(index: number, label: number): number {
  return 0x10_0000 + index * 64 + label;
}
