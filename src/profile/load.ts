/** The door of this room: a profile's path to a board, or every reason why not. */
import type { VdevRegistry } from "../vdev/registry.ts";
import { boardTree, changesTree } from "./devicetree.ts";
import { hostFiles, type ProfileFiles } from "./files.ts";
import { Findings } from "./findings.ts";
import { dropRemoved, nameTheUnnamed, readProfile } from "./include.ts";
import { applyOverrides } from "./override.ts";
import { type Resolved, resolveProfile } from "./resolve.ts";

export type { Profile, Resolved } from "./resolve.ts";

export interface LoadOptions {
  readonly registry: VdevRegistry;
  /** `path=value`, as after `--set`; later ones win. */
  readonly set?: readonly string[];
  /** Where files are read; the host's file system when omitted. */
  readonly files?: ProfileFiles;
}

/** Throws a `VmrunError` with everything that is wrong. */
export function loadProfile(path: string, options: LoadOptions): Resolved {
  const { registry, set = [], files = hostFiles } = options;
  const findings = new Findings();
  const tree = readProfile(path, files, findings);
  if (tree) {
    applyOverrides(tree, set, findings);
    nameTheUnnamed(tree);
    dropRemoved(tree, findings);
    const resolved = resolveProfile(tree, path, registry, files, findings);
    if (resolved) {
      // What a person wrote into the tree is checked by making it.
      if (changesTree(resolved.board)) boardTree(resolved.board, registry);
      return resolved;
    }
  }
  findings.raise();
  throw new Error("a profile was refused without a reason");
}
