/** A profile's own vdevs: the modules that its `use` names, and the descriptors that they export. */
import { dirname, join, relative, resolve } from "node:path";
import { type Place, VmrunError } from "../diagnostics/diagnostic.ts";
import type { ModuleLoader } from "../host/modules.ts";
import { VDEV_ABI } from "../vdev/descriptor.ts";
import { type AnyVdev, createRegistry, type VdevRegistry } from "../vdev/registry.ts";
import { type ProfileFiles, shownPath } from "./files.ts";
import type { Findings } from "./findings.ts";
import { type Located, lookup, type TableNode, textOf } from "./located.ts";

/** A module that a profile names. */
export interface UsedModule {
  /** Absolute. */
  readonly path: string;
  /** As a person would name it here. */
  readonly shown: string;
  /** The text in the profile. */
  readonly place: Place;
}

/** The same module imported. */
export interface LoadedModule extends UsedModule {
  /** Types of the vdevs that it exports. */
  readonly types: readonly string[];
  /** Absolute: the module and what it imports by relative paths. */
  readonly files: readonly string[];
}

export interface LoadedVdevs {
  readonly registry: VdevRegistry;
  readonly modules: readonly LoadedModule[];
}

/** Each once, in the order of reading. What is no text is left for the schema to refuse. */
export function usedModules(
  tree: TableNode,
  files: ProfileFiles,
  loader: ModuleLoader,
  findings: Findings,
): UsedModule[] {
  const found = new Map<string, UsedModule>();
  for (const item of namedModules(tree)) {
    const text = textOf(item);
    if (!text) continue;
    const module = isPath(text) ? fileModule(item, text, files, findings) : packageModule(item, text, loader, findings);
    if (module && !found.has(module.path)) found.set(module.path, module);
  }
  return [...found.values()];
}

/** The elements of `use`, which may be a single text. */
export function namedModules(tree: TableNode): readonly Located[] {
  const use = lookup(tree, "use");
  return use?.kind === "list" ? use.items : use ? [use] : [];
}

/** Imports the modules; the registry gets their vdevs. Everything that is wrong is a finding. */
export async function loadVdevs(
  modules: readonly UsedModule[],
  registry: VdevRegistry,
  loader: ModuleLoader,
  findings: Findings,
): Promise<LoadedVdevs> {
  const types = new Map<string, UsedModule>();
  const added = new Set<AnyVdev>();
  const loaded: LoadedModule[] = [];
  for (const module of modules) {
    try {
      const { exports, files } = await loader.import(module.path);
      const own = new Set(Object.values(exports).filter(looksLikeVdev));
      if (own.size === 0) {
        findings.error("vdev/module-empty", module.place, `use names ${module.shown}, which exports no vdev`, {
          hint: "export const NAME = defineVdev({ ... })",
        });
      }
      for (const descriptor of own) {
        if (added.has(descriptor) || !admit(descriptor, module, registry, types, findings)) continue;
        types.set(descriptor.type, module);
        added.add(descriptor);
      }
      loaded.push({ ...module, files, types: [...own].map(({ type }) => type) });
    } catch (error) {
      report(error, module, findings);
    }
  }
  return { registry: registry.with([...added]), modules: loaded };
}

function isPath(text: string): boolean {
  return /^\.{0,2}\//.test(text) || /\.[cm]?[jt]sx?$/.test(text);
}

function fileModule(item: Located, text: string, files: ProfileFiles, findings: Findings): UsedModule | undefined {
  const path = resolve(item.origin.folder, text);
  const shown = shownPath(item.origin.shownFolder, text);
  if (files.facts(path)?.kind === "file") return { path, shown, place: item.place };
  const { missingFile } = require("./missing.ts") as typeof import("./missing.ts");
  missingFile(findings, files, { place: item.place, key: "use", shown, absolute: path });
  return undefined;
}

function packageModule(item: Located, text: string, loader: ModuleLoader, findings: Findings): UsedModule | undefined {
  const path = loader.findPackage(text, item.origin.folder);
  if (path !== undefined) return { path, shown: text, place: item.place };
  findings.error("profile/missing-package", item.place, `use names the package "${text}", which is not installed`, {
    hint: `bun add ${text}; for a file, write "./${text}.ts"`,
  });
  return undefined;
}

function looksLikeVdev(value: unknown): value is AnyVdev {
  return typeof value === "object" && value !== null && "type" in value && "create" in value;
}

/** Authors may write JavaScript, or for another vmrun: what the types promise is checked. */
function admit(
  descriptor: AnyVdev,
  { shown, place }: UsedModule,
  registry: VdevRegistry,
  types: ReadonlyMap<string, UsedModule>,
  findings: Findings,
): boolean {
  const { type } = descriptor;
  const called = `the vdev ${JSON.stringify(type)} of ${shown}`;
  const { abi = VDEV_ABI } = descriptor;
  if (abi !== VDEV_ABI) {
    const message = `${called} is written for vdev ABI ${abi}; this vmrun has ABI ${VDEV_ABI}`;
    findings.error("vdev/abi", place, message, { hint: "bring the vdev up to date, or use the vmrun that it is for" });
    return false;
  }
  const other = typeof type === "string" ? types.get(type) : undefined;
  if (other || registry.get(type)) {
    const message = `${called} has a type that ${other ? `a vdev of ${other.shown}` : "vmrun's own vdev"} has already`;
    findings.error("vdev/duplicate-type", place, message, {
      related: other && [{ place: other.place, message: "the other one" }],
      hint: "give it another type",
    });
    return false;
  }
  const wrong = misshapen(descriptor);
  if (wrong) {
    findings.error("vdev/descriptor", place, `${called}: ${wrong.message}`, { hint: wrong.hint });
    return false;
  }
  try {
    createRegistry([descriptor]);
    return true;
  } catch (error) {
    report(error, { shown, place }, findings);
    return false;
  }
}

function misshapen(descriptor: AnyVdev): { message: string; hint: string } | undefined {
  const {
    type,
    summary,
    options,
    regions,
    interrupts = [],
    create,
  } = descriptor as { [Key in keyof AnyVdev]: unknown };
  if (typeof type !== "string") return { message: "its type is no text", hint: 'type: "my-vdev"' };
  if (typeof summary !== "string") return { message: "it has no summary", hint: 'summary: "What it is, in one line"' };
  const schema = options as { readonly kind?: unknown; readonly type?: unknown; readonly entries?: unknown } | null;
  if (schema?.kind !== "schema" || schema.type !== "object" || typeof schema.entries !== "object") {
    return { message: "its options are no valibot object", hint: "options: v.object({ ... }); v.object({}) for none" };
  }
  if (!Array.isArray(regions) && typeof regions !== "function") {
    return { message: "its regions are no list", hint: 'regions: [{ name: "regs", size: 0x1000 }]' };
  }
  if (!Array.isArray(interrupts)) {
    return { message: "its interrupts are no list", hint: 'interrupts: [{ name: "irq", trigger: "level" }]' };
  }
  if (typeof create !== "function") return { message: "create is no function", hint: "create(host, options) { ... }" };
  return undefined;
}

/** Places in the user's files are shown as the profile names those files; what has none is placed in the profile. */
function report(error: unknown, module: Pick<UsedModule, "shown" | "place"> & { path?: string }, findings: Findings) {
  if (!(error instanceof VmrunError)) throw error;
  for (const { code, message, place, hint } of error.diagnostics) {
    const { file } = place ?? {};
    if (file === undefined || module.path === undefined) {
      findings.error(code, module.place, message, { hint });
      continue;
    }
    const shown =
      file === module.path ? module.shown : join(dirname(module.shown), relative(dirname(module.path), file));
    const located = { ...place, file: shown };
    findings.error(code, located, message, { related: [{ place: module.place, message: "used here" }], hint });
  }
}
