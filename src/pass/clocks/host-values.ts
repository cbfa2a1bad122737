/** Registers of clock controllers as the host has them now. To look changes nothing, and takes them for no longer. */
import type { HostObject, HostObjectRequest } from "../../vdev/host-object.ts";
import { hostRequest } from "./clock.ts";
import type { ClockController } from "./description.ts";
import type { ClockTable } from "./outputs.ts";
import { type ClockStates, clockStates } from "./rates.ts";

/** Opens something of the host's hardware. */
export type Open = (spec: string, request: HostObjectRequest) => HostObject;

/** What the clocks run at by the host's registers, and by those at reset where a controller has no host. Throws what `open` does. */
export function hostStates(
  tables: readonly ClockTable[],
  controllers: readonly ClockController[],
  open: Open,
): ClockStates {
  const objects = new Map<ClockController, HostObject>();
  try {
    return clockStates(controllers, (controller, { offset, width, reset }) => {
      const { host, size } = controller;
      if (host === undefined) return reset;
      const { options } = tables[controllers.indexOf(controller)]!;
      // Somebody may own them.
      const object = objects.get(controller) ?? open(host, { ...hostRequest(options, size, false), override: true });
      objects.set(controller, object);
      return object.window.load(offset, width);
    });
  } finally {
    for (const object of objects.values()) object.close();
  }
}
