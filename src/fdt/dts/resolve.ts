/**
 * References become phandles and paths. The order of the steps and of the numbers given out is dtc's, so that the blobs
 * of both are the same.
 */
import { type Diagnostic, fail, VmrunError } from "../../diagnostics/diagnostic.ts";
import { MAX_SIZE } from "../format.ts";
import { baseName, quoted } from "../names.ts";
import { MAX_ERRORS } from "./limits.ts";
import {
  addProperty,
  cellOf,
  type LiveNode,
  type LiveProperty,
  type LiveTree,
  liveNodesOf,
  liveProperty,
  type Mark,
  pathOf,
  propertyOf,
} from "./livetree.ts";
import { placeOf, type Span } from "./source.ts";

/** Which properties carry a node's phandle: DTSpec v0.4 §2.3.3, and what kernels before 2010 read. */
export type PhandleFormat = "epapr" | "legacy" | "both";

const NO_PHANDLE = 0xffff_ffff;

export interface ResolveOptions {
  readonly plugin: boolean;
  /** Labels become symbols: labelled nodes stay even if nothing refers to them. */
  readonly symbols: boolean;
  readonly phandles: PhandleFormat;
  /** What is wrong with doubled names, phandles, labels and references becomes warnings; where a reference leads nowhere stays 0xffffffff. */
  readonly force: boolean;
}

/** Fills in every reference. What is wrong goes to the findings; throws where the rest would make no sense. */
export function resolveReferences(tree: LiveTree, options: ResolveOptions, findings: Diagnostic[]): Phandles {
  const nodes = liveNodesOf(tree.root);
  const report = new Report(findings, options.force ? "warning" : "error");
  for (const node of nodes) checkDuplicateNames(node, report);
  checkLabels(nodes, report);
  report.throwIfAny();
  for (const node of nodes) dropNameProperty(node, report);

  const phandles = new Phandles(options.phandles);
  for (const node of nodes) phandles.keepExplicit(node, tree, report);
  report.throwIfAny();
  for (const node of nodes) setPhandles(node, tree, phandles, options.plugin, report);
  const size = { paths: 0 };
  for (const node of nodes) setPaths(node, tree, size, report);
  report.throwIfAny();
  for (const node of nodes) {
    const kept = node.deleted || !node.omitIfUnused || node.referenced || (options.symbols && node.labels.length > 0);
    if (!kept) {
      for (const lost of liveNodesOf(node)) phandles.release(lost);
      tree.delete(node);
    }
  }
  return phandles;
}

/** Collects findings up to a bound. */
class Report {
  readonly #findings: Diagnostic[];
  readonly #severity: Diagnostic["severity"];

  constructor(findings: Diagnostic[], severity: Diagnostic["severity"]) {
    this.#findings = findings;
    this.#severity = severity;
  }

  add(
    code: string,
    message: string,
    span: Span | undefined,
    related?: { span: Span | undefined; message: string },
  ): void {
    if (this.#findings.length >= 2 * MAX_ERRORS) {
      if (this.#severity === "error") throw new VmrunError(this.#findings);
      return;
    }
    this.#findings.push({
      code,
      severity: this.#severity,
      message,
      place: span && placeOf(span),
      related: related?.span && [{ place: placeOf(related.span), message: related.message }],
    });
  }

  throwIfAny(): void {
    if (this.#findings.some(({ severity }) => severity === "error")) throw new VmrunError(this.#findings);
  }
}

function checkDuplicateNames(node: LiveNode, report: Report): void {
  const children = new Map<string, LiveNode>();
  for (const child of node.children) {
    if (child.deleted) continue;
    const first = children.get(child.name);
    if (first) {
      report.add("dts/duplicate-node", `two nodes are named ${quoted(child.name)}`, child.spans[0], {
        span: first.spans[0],
        message: "the first is here",
      });
    } else children.set(child.name, child);
  }
  const properties = new Map<string, LiveProperty>();
  for (const property of node.properties) {
    if (property.deleted) continue;
    const first = properties.get(property.name);
    if (first) {
      report.add("dts/duplicate-property", `property ${property.name} is set twice`, property.span, {
        span: first.span,
        message: "the first time is here",
      });
    } else properties.set(property.name, property);
  }
}

/** A label means one thing: a node, a property, or a position in a value. */
function checkLabels(nodes: readonly LiveNode[], report: Report): void {
  const owners = new Map<string, { owner: object; span: Span | undefined }>();
  const claim = (name: string, owner: object, span: Span | undefined): void => {
    const first = owners.get(name);
    if (!first) owners.set(name, { owner, span });
    else if (first.owner !== owner) {
      report.add("dts/duplicate-label", `label ${name} is used twice`, span, {
        span: first.span,
        message: "the first time is here",
      });
    }
  };
  for (const node of nodes) {
    for (const label of node.labels) if (!label.deleted) claim(label.name, node, node.spans[0]);
    for (const property of node.properties) {
      if (property.deleted) continue;
      for (const label of property.labels) if (!label.deleted) claim(label.name, property, property.span);
      for (const mark of property.marks) if (mark.kind === "label") claim(mark.name!, mark, mark.span);
    }
  }
}

/** A `name` property repeats the node's name, as Open Firmware has it; a blob does without. */
function dropNameProperty(node: LiveNode, report: Report): void {
  const property = propertyOf(node, "name");
  if (!property) return;
  const expected = baseName(node.name);
  if (Buffer.from(property.value).toString("latin1") === `${expected}\0`) property.deleted = true;
  else report.add("dts/name", `property name is not ${quoted(expected)}, its node's name`, property.span);
}

/** The phandles of a tree: those its source gives, and new ones in order. */
export class Phandles {
  readonly #format: PhandleFormat;
  readonly #ofNode = new Map<LiveNode, number>();
  readonly #owners = new Map<number, LiveNode>();
  #next = 1;

  constructor(format: PhandleFormat) {
    this.#format = format;
  }

  keepExplicit(node: LiveNode, tree: LiveTree, report: Report): void {
    const own = explicitPhandle(node, "phandle", tree, report);
    const legacy = explicitPhandle(node, "linux,phandle", tree, report);
    const phandle = own ?? legacy;
    if (phandle === undefined) return;
    const span = propertyOf(node, own === undefined ? "linux,phandle" : "phandle")!.span;
    if (own !== undefined && legacy !== undefined && own !== legacy) {
      report.add("dts/phandle", "phandle and linux,phandle differ", span);
    }
    const other = this.#owners.get(phandle);
    if (other) {
      report.add("dts/phandle", `phandle 0x${phandle.toString(16)} belongs to ${pathOf(other)} already`, span, {
        span: other.spans[0],
        message: "the other node is here",
      });
      return;
    }
    this.#ofNode.set(node, phandle);
    this.#owners.set(phandle, node);
  }

  /** The node's phandle, a new one if it has none yet. */
  of(node: LiveNode): number {
    const known = this.#ofNode.get(node);
    if (known !== undefined) return known;
    while (this.#owners.has(this.#next)) this.#next++;
    const phandle = this.#next;
    this.#ofNode.set(node, phandle);
    this.#owners.set(phandle, node);
    if (this.#format !== "epapr") setCell(node, "linux,phandle", phandle);
    if (this.#format !== "legacy") setCell(node, "phandle", phandle);
    return phandle;
  }

  /** The node goes; its number may be given again. */
  release(node: LiveNode): void {
    const phandle = this.#ofNode.get(node);
    if (phandle !== undefined) this.#owners.delete(phandle);
  }
}

function setCell(node: LiveNode, name: string, value: number): void {
  // A property that refers to its own node exists already; it is filled in like every other reference.
  if (propertyOf(node, name)) return;
  addProperty(node, liveProperty(name, cellBytes(value), node.spans[0], [{ offset: 0, kind: "u32" }]));
}

function explicitPhandle(node: LiveNode, name: string, tree: LiveTree, report: Report): number | undefined {
  const property = propertyOf(node, name);
  if (!property) return undefined;
  const phandle = cellOf(property);
  if (phandle === undefined) {
    report.add("dts/phandle", `${name} is not one cell`, property.span);
    return undefined;
  }
  const reference = property.marks.find(({ kind }) => kind === "phandle");
  if (reference) {
    if (tree.find(reference.name!) !== node) report.add("dts/phandle", `${name} refers to another node`, property.span);
    return undefined;
  }
  if (phandle === 0 || phandle === NO_PHANDLE) {
    report.add("dts/phandle", `0x${phandle.toString(16)} is not a phandle`, property.span);
    return undefined;
  }
  return phandle;
}

function setPhandles(node: LiveNode, tree: LiveTree, phandles: Phandles, plugin: boolean, report: Report): void {
  for (const property of node.properties) {
    if (property.deleted) continue;
    for (const mark of property.marks) {
      if (mark.kind !== "phandle") continue;
      const target = tree.find(mark.name!);
      if (target) {
        target.referenced = true;
        property.value.set(cellBytes(phandles.of(target)), mark.offset);
      } else if (!plugin) reportMissing(mark, report);
    }
  }
}

/** Puts the paths of nodes where references to them stand outside of cells. */
function setPaths(node: LiveNode, tree: LiveTree, size: { paths: number }, report: Report): void {
  for (const property of node.properties) {
    if (property.deleted || !property.marks.some(({ kind }) => kind === "path")) continue;
    const parts: Uint8Array[] = [];
    let copied = 0;
    let inserted = 0;
    for (const mark of property.marks) {
      const offset = mark.offset;
      mark.offset += inserted;
      if (mark.kind !== "path") continue;
      const target = tree.find(mark.name!);
      if (!target) {
        reportMissing(mark, report);
        continue;
      }
      target.referenced = true;
      const path = Buffer.from(`${pathOf(target)}\0`, "latin1");
      size.paths += path.length;
      if (size.paths > MAX_SIZE) {
        fail("dts/limit", `the paths of this tree take more than ${MAX_SIZE} bytes`, {
          place: mark.span && placeOf(mark.span),
        });
      }
      parts.push(property.value.subarray(copied, offset), path);
      copied = offset;
      inserted += path.length;
    }
    parts.push(property.value.subarray(copied));
    property.value = new Uint8Array(Buffer.concat(parts));
  }
}

function reportMissing({ name, span }: Mark, report: Report): void {
  const kind = name!.startsWith("/") ? "at" : "with label";
  report.add("dts/reference", `there is no node ${kind} ${name}`, span);
}

function cellBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
