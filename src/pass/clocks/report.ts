/** The clocks of a board for people and programs: rates, who uses them, and what the guest may change. */
import type { ClockController, ClockReference } from "./description.ts";
import { type FieldPermission, isGuests, permissionsOf } from "./permissions.ts";
import type { ClockStates } from "./rates.ts";
import { type Supply, shownClock, supplyOf } from "./supply.ts";

export interface ClockLine {
  /** `ccu.mmc0`. */
  readonly clock: string;
  /** The one that it comes from now; `null` where that is none, or not known. */
  readonly from: string | null;
  /** Steps below one that comes from none. */
  readonly depth: number;
  /** Hertz. */
  readonly rate: number | null;
  /** Why the rate is not known. */
  readonly unknown?: string;
  /** Whether it is let through. */
  readonly on: boolean | null;
  readonly supply: Supply;
  /** Devices that name it. */
  readonly users: readonly string[];
  /** Fields of its own that the guest may change, or believes that it does. */
  readonly guest: readonly { readonly field: string; readonly role: string; readonly how: string }[];
}

/** @param users Of each clock, by {@link shownClock}. */
export function clockLines(
  controllers: readonly ClockController[],
  states: ClockStates,
  users: ReadonlyMap<string, readonly string[]>,
): ClockLine[] {
  const children = new Map<string, ClockReference[]>();
  const roots: ClockReference[] = [];
  const key = ({ controller, output }: ClockReference) => `${controller}.${output}`;
  for (const [controller, outputs] of states.entries()) {
    for (const [output, { parent }] of outputs.entries()) {
      const at = { controller, output };
      if (parent === undefined) roots.push(at);
      else children.set(key(parent), [...(children.get(key(parent)) ?? []), at]);
    }
  }
  const lines: ClockLine[] = [];
  const seen = new Set<string>();
  const visit = (at: ClockReference, depth: number): void => {
    if (seen.has(key(at))) return;
    seen.add(key(at));
    lines.push(lineOf(controllers, states, users, at, depth));
    for (const child of children.get(key(at)) ?? []) visit(child, depth + 1);
  };
  for (const root of roots) visit(root, 0);
  // Those that come from themselves have no root.
  for (const [controller, outputs] of states.entries())
    for (const output of outputs.keys()) visit({ controller, output }, 0);
  return lines;
}

function lineOf(
  controllers: readonly ClockController[],
  states: ClockStates,
  users: ReadonlyMap<string, readonly string[]>,
  at: ClockReference,
  depth: number,
): ClockLine {
  const controller = controllers[at.controller]!;
  const { rate, unknown, on, parent } = states[at.controller]![at.output]!;
  const clock = shownClock(controllers, at);
  const permissions = permissionsOf(controller, controller.outputs[at.output]!).filter(isGuests);
  return {
    clock,
    from: parent === undefined ? null : shownClock(controllers, parent),
    depth,
    rate: rate ?? null,
    ...(unknown !== undefined && { unknown }),
    on: on ?? null,
    supply: supplyOf(controllers, at),
    users: users.get(clock) ?? [],
    guest: permissions.map((permission) => ({
      field: permission.field.name,
      role: permission.role,
      how: shownAccess(permission),
    })),
  };
}

function shownAccess({ access, allow }: FieldPermission): string {
  switch (access) {
    case "pass-if":
      return allow.map(({ from, to }) => (from === to ? `${from}` : `${from}..${to}`)).join(", ");
    case "emulate":
      return "emulated";
    case "part":
      return "some bits";
    default:
      return "any";
  }
}

/** A table with the tree in its first column. */
export function renderClocks(lines: readonly ClockLine[]): string {
  const rows = lines.map(({ clock, depth, rate, unknown, on, supply, users, guest }) => [
    `${"  ".repeat(depth)}${clock}`,
    rate === null ? "?" : shownRate(rate),
    on === null ? "?" : on ? "on" : "off",
    supply === "fixed" ? "fixed" : "passed",
    guest.map(({ field, role, how }) => `${role} ${field}${how === "any" ? "" : ` (${how})`}`).join(", ") || "nothing",
    [users.join(", "), unknown === undefined ? "" : `rate unknown: ${unknown}`].filter(Boolean).join("; "),
  ]);
  const table = [["CLOCK", "RATE", "STATE", "GUEST GETS", "GUEST MAY CHANGE", "USED BY"], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table
    .map(
      (row) =>
        `${row
          .map((cell, i) => (i === 1 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

/** `594 MHz`, `32.768 kHz`: exact to the hertz, and rounded below it. */
export function shownRate(hertz: number): string {
  const whole = Math.round(hertz);
  const [unit, scale] =
    whole >= 1e6 ? (["MHz", 1e6] as const) : whole >= 1e3 ? (["kHz", 1e3] as const) : (["Hz", 1] as const);
  return `${whole / scale} ${unit}`;
}
