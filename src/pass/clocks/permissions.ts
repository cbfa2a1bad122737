/** What a guest may do to a clock: which of the fields that it depends on are its to change. */
import {
  bitsOf,
  type ClockController,
  type ClockOutput,
  type ClockRegister,
  type Factor,
  type FieldAccess,
  type FieldReference,
  type ValueRange,
} from "./description.ts";

/** What a field does for a clock. */
export type FieldRole = "gate" | "parent" | "rate";

export interface FieldPermission {
  readonly role: FieldRole;
  readonly field: FieldReference;
  /** `part`: some of its bits pass, or are emulated. `hidden`: the guest cannot even read it. */
  readonly access: FieldAccess | "part" | "hidden";
  /** Of `pass-if`. */
  readonly allow: readonly ValueRange[];
}

/** Of all fields that the clock itself depends on; its parents have their own. */
export function permissionsOf(controller: ClockController, output: ClockOutput): FieldPermission[] {
  return fieldsOf(output).map(({ role, field }) => ({ role, field, ...accessOf(controller, field) }));
}

/** Whether a guest may change the field, or believes that it does. */
export function isGuests({ access }: FieldPermission): boolean {
  return access === "pass" || access === "pass-if" || access === "emulate" || access === "part";
}

export function fieldsOf(output: ClockOutput): { readonly role: FieldRole; readonly field: FieldReference }[] {
  const { gate, mux, multiply, divide, pll } = output;
  const factors = [...multiply, ...(pll?.feedback ?? []), ...(pll?.reference ?? []), ...(pll?.post ?? []), ...divide];
  const rates = [...factors.flatMap(fieldOf), ...(pll?.fraction ? [pll.fraction.field] : [])];
  return [
    ...(gate ? [{ role: "gate" as const, field: gate.field }] : []),
    ...(mux ? [{ role: "parent" as const, field: mux.field }] : []),
    ...rates.map((field) => ({ role: "rate" as const, field })),
    ...(pll?.bypass ? [{ role: "rate" as const, field: pll.bypass }] : []),
  ];
}

function fieldOf(factor: Factor): FieldReference[] {
  return factor.kind === "fixed" ? [] : [factor.field];
}

function accessOf(
  controller: ClockController,
  { register, high, low }: FieldReference,
): Pick<FieldPermission, "access" | "allow"> {
  const { at } = controller;
  const owner = controller.registers[register]!;
  const block = controller.blocks.some(
    ({ offset, size }) => owner.offset >= offset && owner.offset + owner.width <= offset + size,
  );
  if (block) return { access: "pass", allow: [] };
  if (at === undefined || owner.hidden) return { access: "hidden", allow: [] };
  return accessOfBits(owner, bitsOf({ high, low }));
}

function accessOfBits(register: ClockRegister, bits: number): Pick<FieldPermission, "access" | "allow"> {
  const whole = register.fields.find((field) => field.access !== undefined && bitsOf(field) === bits);
  if (whole?.access) return { access: whole.access, allow: whole.allow };
  const kinds = new Set<FieldAccess>();
  for (let bit = 0; bit < 8 * register.width; bit++) {
    if (((bits >>> bit) & 1) === 0) continue;
    const own = register.fields.find(({ access, high, low }) => access !== undefined && bit <= high && bit >= low);
    kinds.add(own?.access ?? (((register.pass >>> bit) & 1) === 1 ? "pass" : register.rest));
  }
  const [only] = kinds;
  return { access: kinds.size === 1 ? only! : "part", allow: [] };
}
