/**
 * The tree while its source is read. Later parts of a source merge into earlier ones, delete from them and bring things
 * back; as in dtc, what is deleted keeps its position in case it returns, so that both write the same bytes.
 */
import { fail } from "../../diagnostics/diagnostic.ts";
import { type Comments, mergeComments, type NodeComments } from "../comments.ts";
import { MAX_LABELS, MAX_SEARCH } from "./limits.ts";
import { placeOf, type Span } from "./source.ts";

/** What is known about a position in a value, beyond its bytes. */
export interface Mark {
  offset: number;
  /** The type of what begins here; or what stands here: a reference, a label, an included file. */
  readonly kind: "u8" | "u16" | "u32" | "u64" | "string" | "phandle" | "path" | "label" | "file";
  /** What a reference refers to, as written; the name of a label. */
  readonly name?: string;
  readonly span?: Span;
}

export interface Label {
  readonly name: string;
  deleted: boolean;
}

export interface LiveProperty {
  readonly name: string;
  value: Uint8Array;
  marks: Mark[];
  /** The latest first, as dtc keeps them. */
  labels: Label[];
  deleted: boolean;
  span: Span | undefined;
  comments: Comments | undefined;
}

export interface LiveNode {
  readonly name: string;
  parent: LiveNode | undefined;
  /** In the order of the tree; deleted ones and, in a body, deletions among them. */
  properties: LiveProperty[];
  children: LiveNode[];
  /** The latest first, as dtc keeps them: the order shows in `__symbols__`. */
  labels: Label[];
  deleted: boolean;
  omitIfUnused: boolean;
  referenced: boolean;
  /** Where it is defined, and where it is extended. */
  spans: Span[];
  comments: NodeComments | undefined;
  /** The child and the property of each name, a live one before a deleted one, once somebody needs to find them. */
  childIndex: Map<string, LiveNode> | undefined;
  propertyIndex: Map<string, LiveProperty> | undefined;
}

export function liveNode(name: string, span?: Span): LiveNode {
  return {
    name,
    parent: undefined,
    properties: [],
    children: [],
    labels: [],
    deleted: false,
    omitIfUnused: false,
    referenced: false,
    spans: span ? [span] : [],
    comments: undefined,
    childIndex: undefined,
    propertyIndex: undefined,
  };
}

export function liveProperty(name: string, value: Uint8Array, span?: Span, marks: Mark[] = []): LiveProperty {
  return { name, value, marks, labels: [], deleted: false, span, comments: undefined };
}

/** A new label comes first in the list; one that was deleted returns to its place. */
export function addLabel(labels: Label[], name: string, span?: Span): void {
  const known = labels.find((label) => label.name === name);
  if (known) known.deleted = false;
  else if (labels.length < MAX_LABELS) labels.unshift({ name, deleted: false });
  else fail("dts/limit", `more than ${MAX_LABELS} labels at one place`, { place: span && placeOf(span) });
}

export function addChild(parent: LiveNode, child: LiveNode): void {
  child.parent = parent;
  parent.children.push(child);
  if (parent.childIndex) enter(parent.childIndex, child);
}

export function addProperty(node: LiveNode, property: LiveProperty): void {
  node.properties.push(property);
  if (node.propertyIndex) enter(node.propertyIndex, property);
}

/** Up to here a search is cheaper than an index. */
const FEW = 12;

/** The live property of that name. */
export function propertyOf(node: LiveNode, name: string): LiveProperty | undefined {
  if (node.properties.length > FEW) {
    const property = propertyIndexOf(node).get(name);
    return property?.deleted ? undefined : property;
  }
  return node.properties.find((property) => property.name === name && !property.deleted);
}

/** The value of a property that is one cell. */
export function cellOf(property: LiveProperty | undefined): number | undefined {
  if (property?.value.length !== 4) return undefined;
  return new DataView(property.value.buffer, property.value.byteOffset, 4).getUint32(0);
}

/** `/`, `/soc`, `/soc/serial@10000000`. */
export function pathOf(node: LiveNode): string {
  let path = "";
  for (let at = node; at.parent; at = at.parent) path = `/${at.name}${path}`;
  return path || "/";
}

/** Live nodes, parents before children, in the order of the tree. */
export function liveNodesOf(root: LiveNode): LiveNode[] {
  const found: LiveNode[] = [];
  const visit = (node: LiveNode): void => {
    found.push(node);
    for (const child of node.children) if (!child.deleted) visit(child);
  };
  visit(root);
  return found;
}

/** A root and the verbs of the language on it. */
export class LiveTree {
  readonly root: LiveNode;
  /** The nodes that were given a label; some may have lost it since. */
  readonly #labelled: Map<string, Set<LiveNode>>;
  #steps = 0;

  constructor(root: LiveNode, labelled: Map<string, Set<LiveNode>>) {
    this.root = root;
    this.#labelled = labelled;
  }

  /** The node behind `label`, `/path`, `label/path` or `/`. */
  find(reference: string): LiveNode | undefined {
    if (reference.startsWith("/")) return this.#atPath(this.root, reference);
    const slash = reference.indexOf("/");
    const node = this.#byLabel(slash < 0 ? reference : reference.slice(0, slash));
    return node && slash >= 0 ? this.#atPath(node, reference.slice(slash + 1)) : node;
  }

  label(node: LiveNode, name: string, span?: Span): void {
    addLabel(node.labels, name, span);
    rememberLabel(this.#labelled, name, node);
  }

  /** The live child of that name. */
  childOf(node: LiveNode, name: string): LiveNode | undefined {
    const child = childIndexOf(node).get(name);
    return child?.deleted ? undefined : child;
  }

  /** Moves everything of `extension` into `target`; values and deletions of the extension win. */
  merge(target: LiveNode, extension: LiveNode): void {
    target.deleted = false;
    for (const { name } of extension.labels) this.label(target, name, extension.spans[0]);
    for (const property of extension.properties) mergeProperty(target, property);
    for (const child of extension.children) {
      const existing = childIndexOf(target).get(child.name);
      if (child.deleted) {
        if (existing) this.delete(existing);
      } else if (existing) this.merge(existing, child);
      else addChild(target, child);
    }
    target.spans.push(...extension.spans);
    target.comments = mergeComments(target.comments, extension.comments);
    // Nothing may find the extension any more.
    extension.deleted = true;
    extension.labels = [];
  }

  delete(node: LiveNode): void {
    if (node.deleted) return;
    node.deleted = true;
    node.comments = undefined;
    this.#spend(node.children.length + node.properties.length);
    for (const child of node.children) this.delete(child);
    for (const property of node.properties) deleteProperty(property);
    for (const label of node.labels) label.deleted = true;
  }

  #atPath(from: LiveNode, path: string): LiveNode | undefined {
    let at: LiveNode | undefined = from.deleted ? undefined : from;
    for (const step of path.split("/")) if (step !== "" && at) at = this.childOf(at, step);
    return at;
  }

  #byLabel(name: string): LiveNode | undefined {
    const nodes = this.#labelled.get(name);
    if (!nodes) return undefined;
    for (const node of nodes) if (!carries(node, name)) nodes.delete(node);
    if (nodes.size <= 1) return nodes.values().next().value;
    // An error, which is told later; until then the first in the tree is meant, as for dtc.
    const all = liveNodesOf(this.root);
    this.#spend(all.length);
    return all.find((node) => carries(node, name));
  }

  /** Deleting and reviving in turns, or references to doubtful names, could cost the square of the source's length. */
  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_SEARCH)
      fail("dts/limit", `reading this source takes more than ${MAX_SEARCH} steps of search`);
  }
}

export function rememberLabel(labelled: Map<string, Set<LiveNode>>, name: string, node: LiveNode): void {
  const known = labelled.get(name);
  if (known) known.add(node);
  else labelled.set(name, new Set([node]));
}

function carries(node: LiveNode, name: string): boolean {
  return !node.deleted && node.labels.some((label) => label.name === name && !label.deleted);
}

function mergeProperty(target: LiveNode, property: LiveProperty): void {
  const existing = propertyIndexOf(target).get(property.name);
  if (property.deleted) {
    if (existing) deleteProperty(existing);
  } else if (existing) {
    for (const { name } of property.labels) addLabel(existing.labels, name, property.span);
    existing.value = property.value;
    existing.marks = property.marks;
    existing.span = property.span;
    // A comment about the old value would be a lie about the new one.
    existing.comments = property.comments;
    existing.deleted = false;
  } else addProperty(target, property);
}

function deleteProperty(property: LiveProperty): void {
  property.deleted = true;
  property.comments = undefined;
  for (const label of property.labels) label.deleted = true;
}

function childIndexOf(node: LiveNode): Map<string, LiveNode> {
  node.childIndex ??= indexOf(node.children);
  return node.childIndex;
}

function propertyIndexOf(node: LiveNode): Map<string, LiveProperty> {
  node.propertyIndex ??= indexOf(node.properties);
  return node.propertyIndex;
}

interface Entry {
  readonly name: string;
  readonly deleted: boolean;
}

function indexOf<T extends Entry>(items: readonly T[]): Map<string, T> {
  const index = new Map<string, T>();
  for (const item of items) enter(index, item);
  return index;
}

function enter<T extends Entry>(index: Map<string, T>, item: T): void {
  const known = index.get(item.name);
  if (!known || (known.deleted && !item.deleted)) index.set(item.name, item);
}
