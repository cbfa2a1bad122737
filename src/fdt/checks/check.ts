/** What a check is, and what it sees of the tree. */
import type { Diagnostic, Place } from "../../diagnostics/diagnostic.ts";
import { AddressMap } from "../addresses.ts";
import type { Fdt, FdtNode, Visit } from "../tree.ts";
import { TreeIndex } from "../tree-index.ts";

export type Level = "off" | "warning" | "error";

export interface Check {
  /** dtc's name for it where dtc has it: what stands after -W and -E. */
  readonly name: string;
  /** When nobody asks for anything else. */
  readonly level: Level;
  readonly summary: string;
  /** Checks without whose success this one would make no sense. */
  readonly requires?: readonly string[];
  /** Codes of what readers of blobs and source find that means the same. */
  readonly readersSay?: readonly string[];
  /** Looks at one node. Undefined: only a reader can see it. */
  readonly run?: (context: CheckContext, visit: Visit, report: Report) => void;
}

export type Report = (message: string, at?: ReportPlace) => void;

export interface ReportPlace {
  readonly property?: string;
  /** Another node than the one looked at. */
  readonly node?: FdtNode;
}

export interface CheckSubject {
  readonly fdt: Fdt;
  /** Where the tree came from. */
  readonly file?: string;
  /** An overlay: what it refers to may be elsewhere. */
  readonly plugin?: boolean;
  /** What whoever read the tree found wrong with it, and tolerated. */
  readonly findings?: readonly Diagnostic[];
  /** The place in the source text of a node or a property, when the tree came from one. */
  readonly place?: (node: FdtNode, property?: string) => Place | undefined;
  /** Byte offsets of the references that a property was written with; undefined when nobody knows. */
  readonly references?: (node: FdtNode, property: string) => ReadonlySet<number> | undefined;
}

export class CheckContext {
  readonly index: TreeIndex;
  readonly addresses: AddressMap;
  readonly plugin: boolean;
  readonly references: NonNullable<CheckSubject["references"]>;
  readonly #facts = new Map<unknown, Map<FdtNode, unknown>>();

  constructor({ fdt, plugin = false, references = () => undefined }: CheckSubject) {
    this.index = new TreeIndex(fdt);
    this.addresses = new AddressMap(this.index);
    this.plugin = plugin;
    this.references = references;
  }

  /** What follows from a node and its children, found out once: asking for each child would take quadratic time. */
  fact<T>(find: (context: CheckContext, node: FdtNode) => T, node: FdtNode): T {
    let known = this.#facts.get(find) as Map<FdtNode, T> | undefined;
    if (!known) {
      known = new Map();
      this.#facts.set(find, known);
    }
    if (!known.has(node)) known.set(node, find(this, node));
    return known.get(node)!;
  }
}

const latin1 = new TextDecoder("latin1");

/** The text of a value up to its first NUL; "" when there is none. */
export function textOf(node: FdtNode, name: string): string | undefined {
  const value = node.properties.get(name);
  if (!value) return undefined;
  const end = value.indexOf(0);
  return latin1.decode(end < 0 ? value : value.subarray(0, end));
}

/** The texts of a string list, for trees that need not be right. */
export function textsOf(node: FdtNode, name: string): string[] {
  const value = node.properties.get(name);
  return value && value.length > 0 ? latin1.decode(value).replace(/\0$/, "").split("\0") : [];
}

export function isCompatible(node: FdtNode, name: string): boolean {
  return textsOf(node, "compatible").includes(name);
}

/** What stands behind the "@" of a name. */
export function unitAddress({ name }: FdtNode): string {
  const at = name.indexOf("@");
  return at < 0 ? "" : name.slice(at + 1);
}

/** Whether so many bytes are entries of so many cells; of none, when an entry has none. */
export function isMultiple(bytes: number, cells: number): boolean {
  return cells === 0 ? bytes === 0 : bytes % (4 * cells) === 0;
}
