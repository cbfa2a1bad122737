/**
 * vmrun as a library: boot a board inside a program or a test, and write vdevs.
 *
 *     using guest = boot("profiles/virt-rv64.toml");
 *     guest.type("poweroff\n");
 *     expect(guest.runUntil()).toBe("ended");
 *     expect(guest.console).toContain("monitor");
 */
import { ObservedGuest, type ObservedGuestOptions } from "./observe/observed-guest.ts";
import type { Board } from "./profile/board.ts";
import { loadProfile, loadProfileWithVdevs } from "./profile/load.ts";
import { withPlaces } from "./profile/provenance.ts";
import { type AnyVdev, createRegistry } from "./vdev/registry.ts";
import { catalogue } from "./vdevs/catalogue.ts";

export type { Diagnostic, Place } from "./diagnostics/diagnostic.ts";
export { render, VmrunError } from "./diagnostics/diagnostic.ts";
export { printDts } from "./fdt/printer.ts";
export { type Fdt, type FdtNode, node } from "./fdt/tree.ts";
export { writeDtb } from "./fdt/writer.ts";
export type { Guest, GuestOptions, LogEntry, RunOutcome, RunUntil } from "./machine/guest.ts";
export type { Ending, Machine } from "./machine/machine.ts";
export type { Cost, Exit, ExitColumn, ExitKey, ExitKind, ExitRow, RunTime } from "./observe/exits.ts";
export { Exits } from "./observe/exits.ts";
export type { ObservedGuest, ObservedGuestOptions } from "./observe/observed-guest.ts";
export type { Board } from "./profile/board.ts";
export { boardTree } from "./profile/devicetree.ts";
export { loadProfile, loadProfileWithVdevs } from "./profile/load.ts";
export { registerBank } from "./vdev/bank.ts";
export { bankInstance } from "./vdev/bank-instance.ts";
export type {
  FdtContext,
  FdtContribution,
  RegionSpec,
  VdevDescriptor,
  VdevInstance,
} from "./vdev/descriptor.ts";
export { defineVdev } from "./vdev/descriptor.ts";
export type { GuestTimer, InterruptLine, Json, VdevHost } from "./vdev/host.ts";
export { address, frequency, inputFile, integer, size, stream } from "./vdev/options.ts";
export type { RegionHandler } from "./vdev/region.ts";
export type { RegisterBank } from "./vdev/register-bank.ts";
export { fieldMasks, type RegisterMap, registerMap } from "./vdev/registers.ts";
export { type AnyVdev, createRegistry, type VdevRegistry } from "./vdev/registry.ts";
export { fromSnapshot, nested } from "./vdev/snapshot.ts";
export { builtins } from "./vdevs/index.ts";

export interface BootOptions extends ObservedGuestOptions {
  /** `path=value`, as after `--set`, for a profile. */
  readonly set?: readonly string[];
  /** Types of vdevs beside the built-in ones. */
  readonly vdevs?: readonly AnyVdev[];
}

/**
 * A machine at power-on, from a profile's path or a board. It runs when told to, see {@link Guest.runUntil}.
 * Throws a `VmrunError` with everything that is wrong with the profile or its files.
 */
export function boot(profile: string | Board, options: BootOptions = {}): ObservedGuest {
  const registry = createRegistry(options.vdevs ?? [], catalogue);
  if (typeof profile !== "string") return new ObservedGuest(profile, registry, options);
  const { board, provenance } = loadProfile(profile, { registry, set: options.set });
  return withPlaces(provenance, () => new ObservedGuest(board, registry, options));
}

/** As {@link boot}, for profiles that bring vdevs of their own: imports the modules that they `use`. */
export async function bootAsync(profile: string, options: BootOptions = {}): Promise<ObservedGuest> {
  const known = createRegistry(options.vdevs ?? [], catalogue);
  const { board, registry, provenance } = await loadProfileWithVdevs(profile, { registry: known, set: options.set });
  return withPlaces(provenance, () => new ObservedGuest(board, registry, options));
}
