/** Overlays that a command line names. */
import { type Applied, applyOverlays } from "../../fdt/overlay.ts";
import type { Fdt } from "../../fdt/tree.ts";
import { loadTree } from "../tree-argument.ts";

export async function applyFiles(base: Fdt, paths: readonly string[], rawArgs: readonly string[]): Promise<Applied> {
  const overlays = [];
  for (const path of paths) overlays.push(await loadTree(path, rawArgs));
  return overlays.length > 0 ? applyOverlays(base, overlays) : { fdt: base, names: [] };
}
