/** A devicetree in memory: plain nodes with ordered properties, and the few verbs everyone needs on them. */
import { fail } from "../diagnostics/diagnostic.ts";
import { MAX_DEPTH } from "./format.ts";
import { baseName, nodeNameFault, propertyNameFault, quoted } from "./names.ts";
import { decodeCells, decodeStrings, decodeU32, decodeU64, encodeValue, type PropertyInput } from "./values.ts";

export type { PropertyInput } from "./values.ts";
export { cells64 } from "./values.ts";

/** Properties and children keep their order: it is the order of the blob and of the source text. */
export interface FdtNode {
  /** With the unit address: `serial@10000000`. Empty for the root and only there. */
  name: string;
  properties: Map<string, Uint8Array>;
  children: FdtNode[];
}

/** A whole tree: what one blob holds. */
export interface Fdt {
  root: FdtNode;
  /** Memory that the client program must leave alone (DTSpec v0.4 §5.3). */
  reservations: { address: bigint; size: bigint }[];
  /** Physical id of the CPU that boots; it matches that CPU's `reg` (DTSpec §5.2). */
  bootCpu: number;
}

export interface Visit {
  readonly node: FdtNode;
  /** Full path: `/`, `/soc`, `/soc/serial@10000000`. */
  readonly path: string;
  /** Undefined for the root. */
  readonly parent: FdtNode | undefined;
  /** 0 for the root. */
  readonly depth: number;
}

/** Makes a node. Properties that are `undefined` are left out, so that optional ones can be written in place. */
export function node(
  name: string,
  properties: Record<string, PropertyInput | undefined> = {},
  children: FdtNode[] = [],
): FdtNode {
  const fault = name === "" ? undefined : nodeNameFault(name);
  if (fault) fail("fdt/name", fault);
  const made: FdtNode = { name, properties: new Map(), children: [...children] };
  for (const [key, value] of Object.entries(properties)) if (value !== undefined) setProperty(made, key, value);
  return made;
}

/** Sets a property; one that exists keeps its position. */
export function setProperty(target: FdtNode, name: string, value: PropertyInput): void {
  const fault = propertyNameFault(name);
  if (fault) fail("fdt/name", fault, { place: { path: placeOf(target) } });
  target.properties.set(name, encodeValue(value, placeOf(target, name)));
}

export function getProperty(target: FdtNode, name: string): Uint8Array | undefined {
  return target.properties.get(name);
}

/** The typed readers give undefined for a property that is absent, and throw for one of the wrong shape. */
export function u32(target: FdtNode, name: string): number | undefined {
  const bytes = target.properties.get(name);
  return bytes && decodeU32(bytes, placeOf(target, name));
}

export function u64(target: FdtNode, name: string): bigint | undefined {
  const bytes = target.properties.get(name);
  return bytes && decodeU64(bytes, placeOf(target, name));
}

export function cells(target: FdtNode, name: string): number[] | undefined {
  const bytes = target.properties.get(name);
  return bytes && decodeCells(bytes, placeOf(target, name));
}

export function strings(target: FdtNode, name: string): string[] | undefined {
  const bytes = target.properties.get(name);
  return bytes && decodeStrings(bytes, placeOf(target, name));
}

/** The child of that name; without a unit address, the only child of that base name. */
export function child(parent: FdtNode, name: string): FdtNode | undefined {
  const exact = parent.children.find((candidate) => candidate.name === name);
  if (exact || name.includes("@")) return exact;
  const named = parent.children.filter((candidate) => baseName(candidate.name) === name);
  if (named.length > 1) {
    const names = named.slice(0, 8).map((candidate) => quoted(candidate.name));
    fail("fdt/ambiguous", `${quoted(name)} names ${named.length} nodes`, {
      place: { path: placeOf(parent) },
      hint: `add the unit address: ${names.join(", ")}${named.length > names.length ? ", ..." : ""}`,
    });
  }
  return named[0];
}

/** The node at an absolute path; a unit address may be left out where it is unambiguous. */
export function find(root: FdtNode, path: string): FdtNode | undefined {
  if (!path.startsWith("/")) {
    fail("fdt/path", `${quoted(path)} is not a path from the root`, { hint: `begin it with "/"` });
  }
  let at: FdtNode | undefined = root;
  for (const name of path.split("/")) if (name !== "" && at) at = child(at, name);
  return at;
}

/** Every node, parents before children, in the order of the blob. */
export function* walk(root: FdtNode): Generator<Visit, void, undefined> {
  const pending: Visit[] = [{ node: root, path: "/", parent: undefined, depth: 0 }];
  for (let visit = pending.pop(); visit; visit = pending.pop()) {
    // Also what ends the walk of a tree that someone tied into a cycle.
    if (visit.depth >= MAX_DEPTH) tooDeep(visit.path);
    yield visit;
    const { node: parent, path, depth } = visit;
    const prefix = depth === 0 ? "/" : `${path}/`;
    for (let i = parent.children.length - 1; i >= 0; i--) {
      const next = parent.children[i]!;
      pending.push({ node: next, path: prefix + next.name, parent, depth: depth + 1 });
    }
  }
}

function tooDeep(path: string): never {
  fail("fdt/too-deep", `nodes are nested more than ${MAX_DEPTH} levels deep`, { place: { path } });
}

/** A node does not know its parents, so an error can only name the node itself. */
function placeOf(target: FdtNode, property?: string): string {
  const name = target.name === "" ? "/" : target.name;
  return property === undefined ? name : `${name}:${property}`;
}
