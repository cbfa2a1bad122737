/**
 * The tables of a profile that are devices with a keyword of their own, instead of `[[vdev]]` with a `type`. As built-in
 * vdevs, they are loaded when a board has one.
 */
import type { AnyVdev, VdevRegistry } from "../vdev/registry.ts";

/** By table: what its elements are. */
export const DEVICE_TABLES: ReadonlyMap<string, () => AnyVdev> = new Map([
  ["pass", () => (require("./pass.ts") as typeof import("./pass.ts")).pass as AnyVdev],
  ["clock", () => (require("./clocks/clock.ts") as typeof import("./clocks/clock.ts")).clock as AnyVdev],
]);

/** The descriptor of a board's device: of its type, or of the table that it stands in. */
export function descriptorOf(table: string, type: string, registry: VdevRegistry): AnyVdev | undefined {
  return table === "vdev" ? registry.get(type) : DEVICE_TABLES.get(table)?.();
}
