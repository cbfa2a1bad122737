/** Phandles by a fixed rule: more harts or more vdevs at the end of a profile do not renumber the others. */
import { MAX_ELEMENTS, MAX_HARTS } from "./schema.ts";

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

/** Of devices with a table of their own, by position in it: above every {@link vdevPhandle} a profile can have. */
export function tablePhandle(table: number, index: number): number {
  return vdevPhandle(MAX_ELEMENTS * (1 + table) + index);
}

/** Of caches that harts share, by level and by position among those of the level. */
export function cachePhandle(level: number, index: number): number {
  return 0x8_0000 + level * MAX_HARTS + index;
}

/** Of reserved memory, by position in the profile. */
export function reservePhandle(index: number): number {
  return 0x9_0000 + index;
}

/** Of a fixed clock, by the positions of its table and in it. Above all others. */
export function clockPhandle(table: number, output: number): number {
  return 0x100_0000 + table * MAX_ELEMENTS + output;
}

/** Of a device's further nodes, by its own phandle and the label's position in its descriptor. Above all others. */
export function auxiliaryPhandle(phandle: number, label: number): number {
  return 0x10_0000 + (phandle - vdevPhandle(0)) * 64 + label;
}
