/** What every command that takes a profile shares: its arguments, and loading it. */
import type { Resolved } from "../profile/load.ts";
import { loadProfile } from "../profile/load.ts";
import { createRegistry, type VdevRegistry } from "../vdev/registry.ts";
import { builtins } from "../vdevs/index.ts";
import { occurrences } from "./arguments.ts";

export const profileArguments = {
  profile: { type: "positional", required: true, description: "board profile (TOML)", valueHint: "PROFILE" },
  set: {
    type: "string",
    valueHint: "PATH=VALUE",
    description: "override a value of the profile, e.g. cpu.harts=4 or vdev.uart0.host=null; may be repeated",
  },
} as const;

/** Loads the profile with the `--set` options of the command line. */
export function loadFromArguments(path: string, rawArgs: readonly string[]): Resolved & { registry: VdevRegistry } {
  const registry = createRegistry(builtins);
  const set = occurrences(rawArgs, ["set"]).map((o) => o.value);
  return { ...loadProfile(path, { registry, set }), registry };
}
