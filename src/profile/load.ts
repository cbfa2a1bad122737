/** The door of this room: a profile's path to a board, or every reason why not. */
import type { ModuleLoader } from "../host/modules.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import { boardTree, changesTree } from "./devicetree.ts";
import { hostFiles, type ProfileFiles } from "./files.ts";
import { Findings } from "./findings.ts";
import { dropRemoved, nameTheUnnamed, readProfile } from "./include.ts";
import type { TableNode } from "./located.ts";
import { applyOverrides } from "./override.ts";
import { type Resolved, resolveProfile } from "./resolve.ts";
import { type LoadedModule, loadVdevs, namedModules, usedModules } from "./use.ts";

export type { Profile, Resolved } from "./resolve.ts";
export type { LoadedModule } from "./use.ts";

export interface LoadOptions {
  readonly registry: VdevRegistry;
  /** `path=value`, as after `--set`; later ones win. */
  readonly set?: readonly string[];
  /** A file of budgets; they go over the profile's own. */
  readonly budgets?: string;
  /** Where files are read; the host's file system when omitted. */
  readonly files?: ProfileFiles;
}

export interface LoadWithVdevsOptions extends LoadOptions {
  /** How modules are imported. */
  readonly modules?: ModuleLoader;
}

/** What a profile comes to that may bring vdevs of its own. */
export interface ResolvedWithVdevs extends Resolved {
  /** The given one, with the profile's own vdevs. */
  readonly registry: VdevRegistry;
  /** The modules that the profile names, in the order of reading. */
  readonly modules: readonly LoadedModule[];
}

/** At once, so for profiles without `use` alone. Throws a `VmrunError` with everything that is wrong. */
export function loadProfile(path: string, options: LoadOptions): Resolved {
  const { registry, files = hostFiles } = options;
  const { tree, findings } = read(path, options, files);
  const [module] = namedModules(tree);
  if (module) {
    findings.error("profile/use", module.place, "this profile brings vdevs of its own, which take time to import", {
      hint: "load it by loadProfileWithVdevs, or boot it by bootAsync",
    });
    findings.raise();
  }
  return resolved(tree, path, registry, files, findings);
}

/** Imports the modules that the profile's `use` names, and loads it with their vdevs. Their code is run, and trusted. */
export async function loadProfileWithVdevs(path: string, options: LoadWithVdevsOptions): Promise<ResolvedWithVdevs> {
  const { files = hostFiles, modules: loader = hostModules } = options;
  const { tree, findings } = read(path, options, files);
  const used = usedModules(tree, files, loader, findings);
  const { registry, modules } = await loadVdevs(used, options.registry, loader, findings);
  // Without a vdev, all that refers to it would be wrong as well.
  findings.raise();
  return { ...resolved(tree, path, registry, files, findings), registry, modules };
}

/** The vdevs that a profile brings, and nothing about its board: for documentation. */
export async function loadVdevsOf(
  path: string,
  options: LoadWithVdevsOptions,
): Promise<Pick<ResolvedWithVdevs, "registry" | "modules">> {
  const { files = hostFiles, modules: loader = hostModules } = options;
  const { tree, findings } = read(path, options, files);
  const loaded = await loadVdevs(usedModules(tree, files, loader, findings), options.registry, loader, findings);
  findings.raise();
  return loaded;
}

/** Loaded for profiles that bring modules. */
const hostModules: ModuleLoader = {
  findPackage: (name, folder) => ownModules().findPackage(name, folder),
  import: (path) => ownModules().import(path),
};
const ownModules = () => (require("../host/modules.ts") as typeof import("../host/modules.ts")).hostModules;

function read(
  path: string,
  { set = [], budgets }: LoadOptions,
  files: ProfileFiles,
): { tree: TableNode; findings: Findings } {
  const findings = new Findings();
  const tree = readProfile(path, files, findings, budgets);
  if (!tree) return refused(findings);
  applyOverrides(tree, set, findings);
  nameTheUnnamed(tree);
  dropRemoved(tree, findings);
  return { tree, findings };
}

function resolved(
  tree: TableNode,
  path: string,
  registry: VdevRegistry,
  files: ProfileFiles,
  findings: Findings,
): Resolved {
  const result = resolveProfile(tree, path, registry, files, findings) ?? refused(findings);
  // What a person wrote into the tree is checked by making it.
  if (changesTree(result.board)) boardTree(result.board, registry);
  return result;
}

function refused(findings: Findings): never {
  findings.raise();
  throw new Error("a profile was refused without a reason");
}
