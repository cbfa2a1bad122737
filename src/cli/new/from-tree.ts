/** A profile's first text from a device tree: `vmrun new profile --from board.dtb`. */
import { basename } from "node:path";
import { draftFromTree } from "../../profile/draft.ts";
import { createRegistry } from "../../vdev/registry.ts";
import { builtins } from "../../vdevs/index.ts";
import { loadTree } from "../tree-argument.ts";

/** TOML. Throws a `VmrunError` where the file is no tree. */
export async function draftProfile(path: string): Promise<string> {
  const { fdt } = await loadTree(path, []);
  const source = path === "-" ? "standard input" : basename(path);
  const stem = source.replace(/\.[^.]*$/, "");
  const name = /^[A-Za-z][\w-]{0,47}$/.test(stem) ? stem : "board";
  return draftFromTree(fdt, { registry: createRegistry(builtins), name, source });
}
