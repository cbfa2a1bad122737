/** The `[[vdev]]` tables, and those that are devices by their keyword: each by its descriptor to options and regions that are still without addresses. */
import { DEVICE_TABLES } from "../pass/tables.ts";
import {
  type Assignment,
  type BoardFacts,
  type ControllerSpec,
  type InterruptSpec,
  interruptsOf,
  type RegionSpec,
} from "../vdev/descriptor.ts";
import { declaredAccess } from "../vdev/placement.ts";
import type { AnyVdev, VdevRegistry } from "../vdev/registry.ts";
import type { Findings } from "./findings.ts";
import type { HostNames } from "./host-references.ts";
import { lookup, type Plain, plain, type TableNode, textOf } from "./located.ts";
import { type ProfileVdev, vdevSchema } from "./schema.ts";
import { reportUnknownKeys, typed } from "./validate.ts";

const MAX_REGIONS = 64;
const PAGE = 4096;
/** Memory behind a region comes out of the same 4 GiB as RAM. */
const MAX_BACKED = 2 ** 30;
const COMMON = Object.keys(vdevSchema.entries);
/** The other tables say what they are by their keyword. */
const COMMON_WITHOUT_TYPE = COMMON.filter((key) => key !== "type");

export interface DraftVdev {
  /** The list that it is an element of: `vdev`, `pass`. */
  readonly table: string;
  readonly name: string;
  /** For messages: `vdev uart0`. */
  readonly label: string;
  readonly node: TableNode;
  readonly profile: ProfileVdev;
  readonly descriptor: AnyVdev;
  readonly options: Readonly<Record<string, unknown>>;
  readonly regions: readonly RegionSpec[];
  readonly interrupts: readonly InterruptSpec[];
  readonly controller: ControllerSpec | undefined;
  /** Where the profile wants it, or else the vdev itself. */
  readonly at: ProfileVdev["at"];
  readonly irq: ProfileVdev["irq"];
}

/** `undefined` after reporting what is wrong; errors in the common keys and in the type's own are reported together. */
export function draftVdev(
  table: string,
  node: TableNode,
  name: string,
  registry: VdevRegistry,
  facts: BoardFacts,
  names: HostNames,
  findings: Findings,
): DraftVdev | undefined {
  const path = [table, name];
  const values = plain(node) as Readonly<Record<string, Plain>>;
  const own = DEVICE_TABLES.get(table)?.();
  const profile = typed(vdevSchema, node, own ? { ...values, type: own.type } : values, path, findings);
  const descriptor = own ?? descriptorOf(node, name, registry, findings);
  if (!descriptor) return undefined;
  try {
    return draft(table, node, name, profile, descriptor, facts, names, findings);
  } catch (error) {
    // A user's vdev is code that is not ours: its mistakes are findings as well.
    const message = `${table} ${name}: the code of type "${descriptor.type}" failed: ${(error as Error).message}`;
    findings.error("profile/vdev-failed", node.place, message);
    return undefined;
  }
}

function draft(
  table: string,
  node: TableNode,
  name: string,
  profile: ProfileVdev | undefined,
  descriptor: AnyVdev,
  facts: BoardFacts,
  names: HostNames,
  findings: Findings,
): DraftVdev | undefined {
  const path = [table, name];
  const label = `${table} ${name}`;
  reportUnknownKeys(descriptor.options, node, path, findings, table === "vdev" ? COMMON : COMMON_WITHOUT_TYPE);
  const values = names.absolute(node, descriptor.options, path);
  for (const key of COMMON) delete values[key];
  const options = typed(descriptor.options, node, values, path, findings);
  if (!options) return undefined;
  names.claimStreams(descriptor.options, options, node, label);
  const regions = typeof descriptor.regions === "function" ? descriptor.regions(options, facts) : descriptor.regions;
  if (!areRegions(regions)) {
    const message = `${label}: type "${descriptor.type}" asks for impossible regions`;
    findings.error("profile/vdev-failed", node.place, message, {
      hint: `at most ${MAX_REGIONS}, with different names, each of 1 to 2^40 bytes; with memory behind it, of whole 4 KiB pages`,
    });
    return undefined;
  }
  if (!profile) return undefined;
  const chosen = descriptor.assign?.(options, facts) ?? {};
  return {
    table,
    name,
    label,
    node,
    profile,
    descriptor,
    options,
    regions,
    interrupts: interruptsOf(descriptor, options, wiredBy(profile.irq)),
    controller: descriptor.controller?.(options),
    at: profile.at ?? addressesOf(chosen.at),
    irq: profile.irq ?? (typeof chosen.irq === "object" ? { ...chosen.irq } : chosen.irq),
  };
}

/** How many interrupts an `irq` names. */
function wiredBy(irq: ProfileVdev["irq"]): number {
  if (irq === undefined) return 0;
  if (typeof irq === "string") return 1;
  return Array.isArray(irq) ? irq.length : Object.keys(irq).length;
}

function descriptorOf(node: TableNode, name: string, registry: VdevRegistry, findings: Findings): AnyVdev | undefined {
  const type = textOf(lookup(node, "type"));
  if (type === undefined) return undefined;
  const descriptor = registry.get(type);
  if (descriptor) return descriptor;
  const near = registry.nearest(type);
  const shown = type.length > 40 ? `${type.slice(0, 40)}...` : type;
  findings.error(
    "profile/unknown-type",
    lookup(node, "type")!.place,
    `vdev ${name}: there is no type ${JSON.stringify(shown)}`,
    {
      hint: near ? `did you mean "${near}"?` : `types: ${[...registry.types()].sort().join(", ")}`,
    },
  );
  return undefined;
}

function areRegions(regions: readonly RegionSpec[]): boolean {
  const isSize = (value: number) => Number.isSafeInteger(value) && value > 0 && value <= 2 ** 40;
  return (
    regions.length <= MAX_REGIONS &&
    new Set(regions.map(({ name }) => name)).size === regions.length &&
    regions.every(({ size, align = 1, access }) => {
      // A guest maps whole pages, and so does the machine.
      const whole = declaredAccess(access) === undefined || (size % PAGE === 0 && size <= MAX_BACKED);
      return isSize(size) && isSize(align) && whole;
    })
  );
}

/** A vdev's own choice has to be an address as a profile's has; the schema has not seen it. */
function addressesOf(at: Assignment["at"]): ProfileVdev["at"] {
  const addresses = at === undefined ? [] : typeof at === "number" ? [at] : Object.values(at);
  for (const address of addresses) {
    if (!Number.isSafeInteger(address) || address < 0) throw new Error(`assign chose ${address} for an address`);
  }
  return typeof at === "object" ? { ...at } : at;
}
