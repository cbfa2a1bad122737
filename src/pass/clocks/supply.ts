/** How a device gets a clock: as a fixed rate that its guest is told, or from the controller, whose registers it then uses. */
import type { ClockController, ClockReference } from "./description.ts";
import { fieldsOf, isGuests, permissionsOf } from "./permissions.ts";
import type { ClockStates } from "./rates.ts";

export type Supply = "fixed" | "controller";

export function supplyOf(controllers: readonly ClockController[], { controller, output }: ClockReference): Supply {
  const { at, compatible, outputs } = controllers[controller]!;
  return at === undefined || compatible.length === 0 || outputs[output]!.fixed ? "fixed" : "controller";
}

/**
 * Why a device cannot have the clock, or `undefined`. A fixed one needs a rate: stated, from registers as at reset
 * (`states`), or from the host's when the machine starts. The controller's needs a gate that the guest may open.
 */
export function whyNotSupplied(
  controllers: readonly ClockController[],
  at: ClockReference,
  states: ClockStates,
): { readonly message: string; readonly hint: string } | undefined {
  const controller = controllers[at.controller]!;
  const output = controller.outputs[at.output]!;
  const name = shownClock(controllers, at);
  if (supplyOf(controllers, at) === "fixed") {
    const { rate, unknown = "" } = states[at.controller]![at.output]!;
    if (rate !== undefined || dependsOnHost(controllers, at)) return undefined;
    return {
      message: `${name} is fixed, but at which rate? ${unknown}`,
      hint: 'state its rate, such as rate = "24MHz"',
    };
  }
  const [blocked] = permissionsOf(controller, output).filter((field) =>
    field.role === "gate" ? !isGuests(field) : field.access === "hidden",
  );
  if (!blocked) return undefined;
  const what = blocked.role === "gate" ? "its gate" : "a field of it";
  const bad = blocked.access === "hidden" ? "is hidden from the guest" : "is not the guest's to change";
  return {
    message: `${name} is neither passed nor fixed: ${what}, ${blocked.field.name}, ${bad}`,
    hint: `pass or emulate ${blocked.field.name}, or say fixed = true of ${output.name}`,
  };
}

/** `ccu.mmc0`; an oscillator of its own is called by its one name. */
export function shownClock(controllers: readonly ClockController[], { controller, output }: ClockReference): string {
  const { name, outputs } = controllers[controller]!;
  return outputs[output]!.name === name ? name : `${name}.${outputs[output]!.name}`;
}

/** On registers that there is a host for, here or on the way up. */
export function dependsOnHost(
  controllers: readonly ClockController[],
  at: ClockReference,
  seen = new Set<string>(),
): boolean {
  const key = `${at.controller}.${at.output}`;
  if (seen.has(key)) return false;
  seen.add(key);
  const { host, outputs } = controllers[at.controller]!;
  const output = outputs[at.output]!;
  if (output.rate !== undefined) return false;
  if (host !== undefined && fieldsOf(output).length > 0) return true;
  return output.parents.some((parent) => dependsOnHost(controllers, parent, seen));
}
