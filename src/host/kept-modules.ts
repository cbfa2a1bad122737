/**
 * Stands for modules.ts in a kept program. Modules of users share vmrun's own with it (`import "vmrun"`), and those they
 * find among the sources: where a profile brings modules, the sources do what was asked.
 */
import type { ModuleLoader } from "./modules.ts";

/** Thrown before anything has been done. */
export class SourcesWanted extends Error {}

function wantSources(): never {
  throw new SourcesWanted();
}

export const hostModules: ModuleLoader = { findPackage: wantSources, import: wantSources };
