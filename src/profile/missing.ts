/** The one way to say that a file is not there: which file, who named it, and what to do. */
import { basename, dirname } from "node:path";
import type { Place } from "../diagnostics/diagnostic.ts";
import { nearestName } from "../vdev/registry.ts";
import type { ProfileFiles } from "./files.ts";
import type { Findings } from "./findings.ts";

export interface Missing {
  readonly place: Place | undefined;
  /** The key that names the file, as a profile path; none for the profile itself. */
  readonly key: string | undefined;
  /** The path as a person would type it here. */
  readonly shown: string;
  readonly absolute: string;
  /** What the profile's author says to do about it. */
  readonly hint?: string;
}

export function missingFile(findings: Findings, files: ProfileFiles, missing: Missing): void {
  const { place, key, shown, absolute } = missing;
  const facts = files.facts(absolute);
  const state =
    facts === undefined ? "does not exist" : facts.kind === "folder" ? "is a folder" : "is not a regular file";
  const message = key === undefined ? `${shown} ${state}` : `${key} names ${shown}, which ${state}`;
  const hint = missing.hint ?? (facts === undefined ? neighbour(files, absolute, shown) : undefined);
  findings.error("profile/missing-file", place, message, { hint });
}

/** A misspelt name has a near one beside it; a wrong folder is the other usual cause. */
function neighbour(files: ProfileFiles, absolute: string, shown: string): string | undefined {
  const folder = dirname(absolute);
  if (files.facts(folder)?.kind !== "folder") return `the folder ${dirname(shown)} does not exist either`;
  const near = nearestName(basename(absolute), files.list(folder).slice(0, 1000));
  return near === undefined || near === basename(absolute) ? undefined : `did you mean "${near}"?`;
}
