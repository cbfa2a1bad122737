/** What every command that takes a profile shares: its arguments, and loading it. */
import { loadProfileWithVdevs, loadVdevsOf, type ResolvedWithVdevs } from "../profile/load.ts";
import { createRegistry, type VdevRegistry } from "../vdev/registry.ts";
import { catalogue } from "../vdevs/catalogue.ts";
import { occurrences } from "./arguments.ts";

export const profileArguments = {
  profile: { type: "positional", required: true, description: "board profile (TOML)", valueHint: "PROFILE" },
  set: {
    type: "string",
    valueHint: "PATH=VALUE",
    description: "override a value of the profile, e.g. cpu.harts=4 or vdev.uart0.host=null; may be repeated",
  },
} as const;

/** Loads the profile and its own vdevs, with the `--set` options of the command line. `budgets`: a file of them. */
export function loadFromArguments(
  path: string,
  rawArgs: readonly string[],
  budgets?: string,
): Promise<ResolvedWithVdevs> {
  const set = occurrences(rawArgs, ["set"]).map((o) => o.value);
  return loadProfileWithVdevs(path, { registry: createRegistry([], catalogue), set, budgets });
}

/** For commands about vdevs, not boards. */
export const inArgument = {
  in: { type: "string", valueHint: "PROFILE", description: "with the vdevs that this profile brings" },
} as const;

/** vmrun's own vdevs, and those of the profile where one is given. */
export async function vdevsOf(profile: string | undefined): Promise<VdevRegistry> {
  const registry = createRegistry([], catalogue);
  return profile === undefined ? registry : (await loadVdevsOf(profile, { registry })).registry;
}
