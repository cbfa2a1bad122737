/** What programs may be made from: all of vmrun's sources, and what says how to read them. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type FileFacts, factsOf } from "../../host/file-facts.ts";
import { ROOT } from "./door.ts";

/** With the slash at its end. */
export const SOURCE = join(ROOT, "src/");
export const SETTINGS: readonly string[] = ["package.json", "tsconfig.json"].map((name) => join(ROOT, name));

export function factsOfSources(): FileFacts {
  const names = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((name) => /\.\w+$/.test(name));
  return factsOf([...names.sort().map((name) => SOURCE + name), ...SETTINGS]);
}

/** Whoever makes this file first makes the programs of these sources. */
export const claimFile = (folder: string, fingerprint: bigint): string =>
  join(folder, `making-${fingerprint.toString(16)}`);
