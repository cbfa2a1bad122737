/** Overlays that a command line names. */
import type { Applied } from "../../fdt/overlay.ts";
import type { Fdt } from "../../fdt/tree.ts";

export async function applyFiles(base: Fdt, paths: readonly string[], rawArgs: readonly string[]): Promise<Applied> {
  if (paths.length === 0) return { fdt: base, names: [] };
  const { loadTree } = await import("../tree-argument.ts");
  const { applyOverlays } = await import("../../fdt/overlay.ts");
  const overlays = [];
  for (const path of paths) overlays.push(await loadTree(path, rawArgs));
  return applyOverlays(base, overlays);
}
