/**
 * What overlays need beside the tree (the devicetree overlay format of dtc's Documentation/dt-object-internal.txt):
 * `__symbols__` tells the paths of labels, `__fixups__` where labels of another tree are missing, `__local_fixups__`
 * where this tree's own phandles stand.
 */
import { type Diagnostic, fail } from "../../diagnostics/diagnostic.ts";
import { MAX_SIZE } from "../format.ts";
import {
  addChild,
  addProperty,
  type LiveNode,
  type LiveProperty,
  type LiveTree,
  liveNode,
  liveNodesOf,
  liveProperty,
  type Mark,
  pathOf,
  propertyOf,
} from "./livetree.ts";
import type { Phandles } from "./resolve.ts";
import { placeOf } from "./source.ts";

/** Labels that the source itself tells in a `__symbols__` node. */
export function adoptSymbols(tree: LiveTree): void {
  const symbols = tree.childOf(tree.root, "__symbols__");
  for (const property of symbols?.properties ?? []) {
    if (property.deleted) continue;
    const path = Buffer.from(property.value).toString("latin1").split("\0", 1)[0]!;
    const node = path.startsWith("/") ? tree.find(path) : undefined;
    // As for dtc, the root has no name to be found by.
    if (node && node !== tree.root) tree.label(node, property.name, property.span);
  }
}

/** Every label with its node's path; a node with a label gets a phandle, as overlays will want to refer to it. */
export function writeSymbols(tree: LiveTree, phandles: Phandles, findings: Diagnostic[]): void {
  for (const node of writePaths(tree, "__symbols__", findings)) phandles.of(node);
}

/** Every label as an alias. */
export function writeAliases(tree: LiveTree, findings: Diagnostic[]): void {
  writePaths(tree, "aliases", findings);
}

/** Makes a child of the root that tells the path of each label. Gives the nodes with labels. */
function writePaths(tree: LiveTree, name: string, findings: Diagnostic[]): LiveNode[] {
  const labelled = liveNodesOf(tree.root).filter(({ labels }) => labels.length > 0);
  if (labelled.length === 0) return [];
  const paths = childFor(tree, tree.root, name);
  const budget = { bytes: 0 };
  const known = new Map(
    paths.properties.filter(({ deleted }) => !deleted).map((property) => [property.name, property]),
  );
  for (const node of labelled) {
    for (const { name: label, deleted } of node.labels) {
      if (deleted) continue;
      const path = Buffer.from(`${pathOf(node)}\0`, "latin1");
      const existing = known.get(label);
      if (existing) {
        if (!path.equals(existing.value)) {
          const message = `label ${label} is not what ${name} says of it; that stays as it is`;
          findings.push({
            code: "dts/symbols",
            severity: "warning",
            message,
            place: existing.span && placeOf(existing.span),
          });
        }
        continue;
      }
      spend(budget, path.length);
      const property = liveProperty(label, new Uint8Array(path), node.spans[0], [{ offset: 0, kind: "string" }]);
      addProperty(paths, property);
      known.set(label, property);
    }
  }
  return labelled;
}

/** References that a `__fixups__` node in the source itself tells. What is wrong in it stays as it is. */
export function adoptFixups(tree: LiveTree): void {
  const fixups = tree.childOf(tree.root, "__fixups__");
  for (const fixup of fixups?.properties ?? []) {
    if (fixup.deleted) continue;
    for (const entry of Buffer.from(fixup.value).toString("latin1").split("\0")) {
      const match = /^(\/[^:]*):([^:]+):(\d{1,9})$/.exec(entry);
      const node = match && tree.find(match[1]!);
      const property = node ? propertyOf(node, match[2]!) : undefined;
      if (property) adoptReference(property, Number(match![3]), fixup.name);
    }
  }
}

/** Where other trees' labels and this tree's own phandles stand. */
export function writeFixups(tree: LiveTree): void {
  const open: { node: LiveNode; property: LiveProperty; mark: Mark }[] = [];
  const local: typeof open = [];
  for (const node of liveNodesOf(tree.root)) {
    for (const property of node.properties) {
      if (property.deleted) continue;
      for (const mark of property.marks) {
        if (mark.kind === "phandle") (tree.find(mark.name!) ? local : open).push({ node, property, mark });
      }
    }
  }
  if (open.length > 0) writeOpenFixups(tree, open);
  if (local.length > 0) writeLocalFixups(tree, local);
}

type Fixup = { readonly node: LiveNode; readonly property: LiveProperty; readonly mark: Mark };

function writeOpenFixups(tree: LiveTree, open: readonly Fixup[]): void {
  const fixups = childFor(tree, tree.root, "__fixups__");
  const entries = new Map<string, Set<string>>();
  const budget = { bytes: 0 };
  for (const { node, property, mark } of open) {
    const label = mark.name!;
    if (label.includes("/")) {
      fail("dts/reference", `a plugin cannot refer to &{${label}}, a path in another tree`, {
        place: mark.span && placeOf(mark.span),
        hint: "give the node a label there and refer to that",
      });
    }
    let known = entries.get(label);
    if (!known) {
      const existing = propertyOf(fixups, label);
      const text = Buffer.from(existing?.value ?? []).toString("latin1");
      // dtc leaves alone what is no list of strings.
      if (text !== "" && !text.endsWith("\0")) continue;
      known = new Set(text.split("\0").slice(0, -1));
      entries.set(label, known);
      if (!existing) addProperty(fixups, liveProperty(label, new Uint8Array(0), mark.span));
    }
    const entry = `${pathOf(node)}:${property.name}:${mark.offset}`;
    if (!known.has(entry)) spend(budget, entry.length + 1);
    known.add(entry);
  }
  for (const [label, known] of entries) {
    const property = propertyOf(fixups, label)!;
    property.value = new Uint8Array(Buffer.from([...known].map((entry) => `${entry}\0`).join(""), "latin1"));
    let offset = 0;
    property.marks = [...known].map((entry) => {
      const mark: Mark = { offset, kind: "string" };
      offset += entry.length + 1;
      return mark;
    });
  }
}

/** Nodes and properties of the same names as those that hold phandles; the values are the offsets. */
function writeLocalFixups(tree: LiveTree, local: readonly Fixup[]): void {
  const root = childFor(tree, tree.root, "__local_fixups__");
  const mirrors = new Map<LiveNode, LiveNode>([[tree.root, root]]);
  const mirrorOf = (node: LiveNode): LiveNode => {
    const known = mirrors.get(node);
    if (known) return known;
    const made = childFor(tree, mirrorOf(node.parent!), node.name);
    mirrors.set(node, made);
    return made;
  };
  const offsets = new Map<LiveProperty, Set<number>>();
  for (const { node, property, mark } of local) {
    const mirror = mirrorOf(node);
    let target = propertyOf(mirror, property.name);
    if (!target) {
      target = liveProperty(property.name, new Uint8Array(0), property.span);
      addProperty(mirror, target);
    }
    if (target.value.length % 4 !== 0) continue;
    let known = offsets.get(target);
    if (!known) {
      known = new Set(cellsOf(target.value));
      offsets.set(target, known);
    }
    known.add(mark.offset);
  }
  for (const [property, known] of offsets) {
    property.value = new Uint8Array(4 * known.size);
    const view = new DataView(property.value.buffer);
    let at = 0;
    for (const offset of known) {
      view.setUint32(at, offset);
      at += 4;
    }
    property.marks = [{ offset: 0, kind: "u32" }];
  }
}

function adoptReference(property: LiveProperty, offset: number, name: string): void {
  if (offset + 4 > property.value.length) return;
  if (property.marks.some((mark) => mark.kind === "phandle" && mark.offset === offset)) return;
  const behind = property.marks.findIndex((mark) => mark.offset > offset);
  const mark: Mark = { offset, kind: "phandle", name, span: property.span };
  if (behind < 0) property.marks.push(mark);
  else property.marks.splice(behind, 0, mark);
}

function childFor(tree: LiveTree, parent: LiveNode, name: string): LiveNode {
  const existing = tree.childOf(parent, name);
  if (existing) return existing;
  const made = liveNode(name);
  addChild(parent, made);
  return made;
}

function cellsOf(value: Uint8Array): number[] {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return Array.from({ length: Math.floor(value.length / 4) }, (_, i) => view.getUint32(4 * i));
}

/** Deep nodes with many references have long paths: the text about a tree may be much larger than the tree. */
function spend(budget: { bytes: number }, bytes: number): void {
  budget.bytes += bytes;
  if (budget.bytes > MAX_SIZE) fail("dts/limit", `symbols and fixups take more than ${MAX_SIZE} bytes`);
}
