/**
 * Overlays applied to a base tree with libfdt's meaning and order: what `fdtoverlay` writes for the same blobs, byte for
 * byte. The form of an overlay: Documentation/devicetree/overlay-notes and dynamic-resolution-notes in Linux.
 */
import { fail } from "../diagnostics/diagnostic.ts";
import { MAX_DEPTH } from "./format.ts";
import { baseName, quoted } from "./names.ts";
import { type Fdt, type FdtNode, walk } from "./tree.ts";
import { cellAt, cellOf, isPhandle, phandleOf, setCellAt } from "./tree-index.ts";
import { decodeStrings } from "./values.ts";

export interface Overlay {
  readonly fdt: Fdt;
  /** Where it came from, for errors. */
  readonly file?: string;
}

export interface Applied {
  readonly fdt: Fdt;
  /** Property names in the order in which libfdt comes upon them: with it, writeDtb gives fdtoverlay's bytes. */
  readonly names: readonly string[];
}

/** Applies overlays one after the other; the arguments stay as they are. Throws on the first that does not fit. */
export function applyOverlays(base: Fdt, overlays: readonly Overlay[]): Applied {
  const tree = new GrowingTree(base);
  for (const overlay of overlays) new Application(tree, overlay).run();
  return { fdt: tree.finish(), names: [...tree.names] };
}

/**
 * Children by name as libfdt looks them up: the first that bears the name, or, when the name has no unit address, the
 * first whose base name it is. Built where it is asked for, so that wide nodes cost no search per child.
 */
class ChildIndex {
  readonly #indexes = new Map<FdtNode, Map<string, FdtNode>>();

  get(parent: FdtNode, name: string): FdtNode | undefined {
    return this.#of(parent).get(name);
  }

  /** From now on, `child` comes before its siblings. */
  addFirst(parent: FdtNode, child: FdtNode): void {
    const index = this.#of(parent);
    index.set(child.name, child);
    index.set(baseName(child.name), child);
  }

  find(root: FdtNode, path: string): FdtNode | undefined {
    let at: FdtNode | undefined = root;
    for (const name of path.split("/")) if (name !== "" && at) at = this.get(at, name);
    return at;
  }

  #of(parent: FdtNode): Map<string, FdtNode> {
    let index = this.#indexes.get(parent);
    if (index === undefined) {
      index = new Map();
      for (let i = parent.children.length - 1; i >= 0; i--) {
        const child = parent.children[i]!;
        index.set(child.name, child);
        index.set(baseName(child.name), child);
      }
      this.#indexes.set(parent, index);
    }
    return index;
  }
}

/** A copy of the base that grows as libfdt's would: whatever is new in a node comes before what was there. */
class GrowingTree {
  readonly root: FdtNode;
  readonly names = new Set<string>();
  readonly #base: Fdt;
  readonly #children = new ChildIndex();
  readonly #parents = new Map<FdtNode, FdtNode | undefined>();
  readonly #byPhandle = new Map<number, FdtNode>();
  /** What was added to a node, oldest first. */
  readonly #newChildren = new Map<FdtNode, FdtNode[]>();
  readonly #newProperties = new Map<FdtNode, string[]>();

  constructor(base: Fdt) {
    this.#base = base;
    this.root = copyOf(base.root);
    for (const { node, parent } of walk(this.root)) {
      this.#parents.set(node, parent);
      for (const name of node.properties.keys()) this.names.add(name);
      this.#enter(node);
    }
  }

  /** By path from the root, or from an alias. */
  find(path: string): FdtNode | undefined {
    if (path.startsWith("/")) return this.#children.find(this.root, path);
    const [alias, ...rest] = path.split("/");
    const value = this.#children.get(this.root, "aliases")?.properties.get(alias!);
    const target = value && (decodeStrings(value, alias!)[0] ?? "");
    // An alias of an alias would be the first step of a circle.
    return target?.startsWith("/") ? this.#children.find(this.root, [target, ...rest].join("/")) : undefined;
  }

  child(parent: FdtNode, name: string): FdtNode | undefined {
    return this.#children.get(parent, name);
  }

  byPhandle(phandle: number): FdtNode | undefined {
    return this.#byPhandle.get(phandle);
  }

  path(node: FdtNode): string {
    const names: string[] = [];
    for (let at: FdtNode | undefined = node; at && at !== this.root; at = this.#parents.get(at)) names.push(at.name);
    return `/${names.reverse().join("/")}`;
  }

  depth(node: FdtNode): number {
    let depth = 0;
    for (let at = this.#parents.get(node); at; at = this.#parents.get(at)) depth++;
    return depth;
  }

  largestPhandle(): number {
    let largest = 0;
    for (const node of this.#parents.keys()) {
      // libfdt counts -1 as well, and then has no number left to give.
      const phandle = cellOf(node, "phandle") ?? cellOf(node, "linux,phandle") ?? 0;
      if (phandle > largest) largest = phandle;
    }
    return largest;
  }

  addChild(parent: FdtNode, name: string): FdtNode {
    const made: FdtNode = { name, properties: new Map(), children: [] };
    this.#parents.set(made, parent);
    this.#children.addFirst(parent, made);
    listIn(this.#newChildren, parent).push(made);
    return made;
  }

  setProperty(node: FdtNode, name: string, value: Uint8Array): void {
    if (!node.properties.has(name)) {
      this.names.add(name);
      listIn(this.#newProperties, node).push(name);
    }
    const holdsPhandle = name === "phandle" || name === "linux,phandle";
    if (holdsPhandle) this.#forget(node);
    node.properties.set(name, value);
    if (holdsPhandle) this.#enter(node);
  }

  finish(): Fdt {
    for (const [node, added] of this.#newChildren) node.children = [...added.reverse(), ...node.children];
    for (const [node, added] of this.#newProperties) {
      const before = [...node.properties];
      const old = before.slice(0, before.length - added.length);
      node.properties = new Map([...before.slice(old.length).reverse(), ...old]);
    }
    const { reservations, bootCpu } = this.#base;
    return { root: this.root, reservations: reservations.map((each) => ({ ...each })), bootCpu };
  }

  #enter(node: FdtNode): void {
    const phandle = phandleOf(node);
    if (phandle !== undefined && !this.#byPhandle.has(phandle)) this.#byPhandle.set(phandle, node);
  }

  #forget(node: FdtNode): void {
    const phandle = phandleOf(node);
    if (phandle !== undefined && this.#byPhandle.get(phandle) === node) this.#byPhandle.delete(phandle);
  }
}

/** One overlay on its way into the tree: a copy of it is renumbered, resolved and merged, in libfdt's order. */
class Application {
  readonly #tree: GrowingTree;
  readonly #root: FdtNode;
  readonly #file: string | undefined;
  readonly #children = new ChildIndex();

  constructor(tree: GrowingTree, { fdt, file }: Overlay) {
    this.#tree = tree;
    this.#root = copyOf(fdt.root);
    this.#file = file;
  }

  run(): void {
    const fragments = this.#root.children.filter((fragment) => this.#children.get(fragment, "__overlay__"));
    // libfdt would drop such a tree in silence: most often one compiled without /plugin/, or no overlay at all.
    if (fragments.length === 0 && this.#root.children.some(({ name }) => !name.startsWith("__"))) {
      this.#refuse("overlay/empty", "it holds no fragment: no node with a child __overlay__", "/", {
        hint: "an overlay's source begins with /dts-v1/; /plugin/;",
      });
    }
    const delta = this.#tree.largestPhandle();
    this.#renumber(delta);
    this.#eachLocalReference((value, at) => setCellAt(value, at, (cellAt(value, at) + delta) >>> 0));
    this.#resolveFixups();
    this.#keepBasePhandles(fragments);
    for (const fragment of fragments) {
      const target = this.#target(fragment);
      this.#merge(target, this.#overlayOf(fragment), this.#tree.depth(target));
    }
    this.#mergeSymbols();
  }

  /** The overlay's own numbers move behind the base's. */
  #renumber(delta: number): void {
    for (const { node, path } of walk(this.#root)) {
      for (const name of ["phandle", "linux,phandle"]) {
        const value = node.properties.get(name);
        if (value === undefined) continue;
        if (value.length !== 4) this.#refuse("overlay/phandle", "a phandle is one cell", `${path}:${name}`);
        const phandle = cellAt(value, 0) + delta;
        if (phandle >= 0xffff_ffff) this.#refuse("overlay/phandle", "no phandle number is left", `${path}:${name}`);
        setCellAt(value, 0, phandle);
      }
    }
  }

  /** `__local_fixups__` mirrors the overlay's nodes; its cells are offsets of references into properties. */
  #eachLocalReference(visit: (value: Uint8Array, at: number) => void): void {
    const fixups = this.#special("__local_fixups__");
    if (fixups) this.#localReferences(this.#root, fixups, "/__local_fixups__", visit);
  }

  #localReferences(
    owner: FdtNode,
    fixups: FdtNode,
    path: string,
    visit: (value: Uint8Array, at: number) => void,
  ): void {
    for (const [name, offsets] of fixups.properties) {
      const place = `${path}:${name}`;
      if (offsets.length % 4 !== 0) this.#refuse("overlay/local-fixup", "offsets must be whole cells", place);
      const value = owner.properties.get(name);
      if (!value) this.#refuse("overlay/local-fixup", `the overlay has no property ${quoted(name)} there`, place);
      for (let i = 0; i < offsets.length; i += 4) {
        const at = cellAt(offsets, i);
        if (at + 4 > value.length) this.#beyond("overlay/local-fixup", at, value, place);
        visit(value, at);
      }
    }
    for (const child of fixups.children) {
      const inner = this.#children.get(owner, child.name);
      const place = `${path}/${child.name}`;
      if (!inner) this.#refuse("overlay/local-fixup", `the overlay has no node ${quoted(child.name)} there`, place);
      this.#localReferences(inner, child, place, visit);
    }
  }

  /** `__fixups__`: for each label of the base, the places that refer to it, as `path:property:offset`. */
  #resolveFixups(): void {
    const fixups = this.#special("__fixups__");
    if (!fixups) return;
    const symbols = this.#tree.find("/__symbols__");
    for (const [label, value] of fixups.properties) {
      const place = `/__fixups__:${label}`;
      const phandle = this.#symbolPhandle(symbols, label, place);
      if (value[value.length - 1] !== 0) this.#refuse("overlay/fixup", "it is not a list of strings", place);
      for (const entry of decodeStrings(value, place)) this.#resolveFixup(entry, phandle, place);
    }
  }

  #symbolPhandle(symbols: FdtNode | undefined, label: string, place: string): number {
    const unresolved = (message: string, hint?: string): never =>
      this.#refuse("overlay/unresolved-symbol", message, place, { hint });
    if (!symbols) {
      unresolved(
        `the base has no /__symbols__ to find ${quoted(label)} in`,
        "compile the base with its labels: dtc -@, or vmrun fdt convert --symbols",
      );
    }
    const path = symbols!.properties.get(label);
    if (!path) unresolved(`the base has no symbol ${quoted(label)}`);
    const text = decodeStrings(path!, label)[0] ?? "";
    const target = this.#tree.find(text);
    if (!target) {
      unresolved(`the base's symbol ${quoted(label)} names ${quoted(text)}, which is not there`);
    }
    return phandleOf(target!) ?? unresolved(`${quoted(text)}, which ${quoted(label)} names, has no phandle`);
  }

  #resolveFixup(entry: string, phandle: number, place: string): void {
    const match = /^(\/[^:]*):([^:]+):(\d+)$/.exec(entry);
    if (!match) this.#refuse("overlay/fixup", `${quoted(entry)} is not path:property:offset`, place);
    const [, path, name, offset] = match as unknown as [string, string, string, string];
    const value = this.#children.find(this.#root, path)?.properties.get(name);
    if (!value) this.#refuse("overlay/fixup", `${quoted(entry)}: the overlay has no such property`, place);
    const at = Number(offset);
    if (at + 4 > value.length) this.#beyond("overlay/fixup", at, value, place);
    setCellAt(value, at, phandle);
  }

  /** A node that has a phandle in the base keeps it, for the base's references; the overlay's references follow. */
  #keepBasePhandles(fragments: readonly FdtNode[]): void {
    const replaced = new Map<number, number>();
    const compare = (kept: FdtNode, merged: FdtNode): void => {
      const wanted = phandleOf(kept);
      const own = phandleOf(merged);
      if (wanted !== undefined && own !== undefined) {
        for (const name of ["phandle", "linux,phandle"]) {
          const value = merged.properties.get(name);
          if (value) setCellAt(value, 0, wanted);
        }
        if (!replaced.has(own)) replaced.set(own, wanted);
      }
      for (const child of merged.children) {
        const counterpart = this.#tree.child(kept, child.name);
        if (counterpart) compare(counterpart, child);
      }
    };
    for (const fragment of fragments) {
      const target = this.#findTarget(fragment);
      if (target) compare(target, this.#overlayOf(fragment));
    }
    if (replaced.size === 0) return;
    // The overlay's numbers are all larger than the base's by now: no replacement can meet another.
    this.#eachLocalReference((value, at) => {
      const wanted = replaced.get(cellAt(value, at));
      if (wanted !== undefined) setCellAt(value, at, wanted);
    });
  }

  #merge(target: FdtNode, from: FdtNode, depth: number): void {
    if (depth >= MAX_DEPTH) {
      this.#refuse("fdt/too-deep", `nodes are nested more than ${MAX_DEPTH} levels deep`, this.#tree.path(target));
    }
    for (const [name, value] of from.properties) this.#tree.setProperty(target, name, value);
    for (const child of from.children) {
      const into = this.#tree.child(target, child.name) ?? this.#tree.addChild(target, child.name);
      this.#merge(into, child, depth + 1);
    }
  }

  /** The overlay's labels join the base's, so that the next overlay can refer to them. */
  #mergeSymbols(): void {
    const own = this.#special("__symbols__");
    if (!own) return;
    const symbols =
      this.#tree.child(this.#tree.root, "__symbols__") ?? this.#tree.addChild(this.#tree.root, "__symbols__");
    for (const [label, value] of own.properties) {
      const place = `/__symbols__:${label}`;
      if (value[0] !== 0x2f || value.indexOf(0) !== value.length - 1) {
        this.#refuse("overlay/symbol", "a symbol is one absolute path", place);
      }
      // A label on anything but a fragment's content has no place in the result.
      const match = /^\/([^/]+)\/__overlay__(?:\/(.*))?$/.exec(decodeStrings(value, place)[0]!);
      if (!match) continue;
      const [, name, inside = ""] = match as unknown as [string, string, string | undefined];
      const fragment = this.#children.get(this.#root, name);
      if (!fragment || !this.#children.get(fragment, "__overlay__")) {
        this.#refuse("overlay/symbol", `it names fragment ${quoted(name)}, which is not there`, place);
      }
      const target = this.#targetPath(fragment) ?? this.#tree.path(this.#target(fragment));
      const path = `${target === "/" ? "" : target}/${inside}`;
      this.#tree.setProperty(symbols, label, new TextEncoder().encode(`${path}\0`));
    }
  }

  #target(fragment: FdtNode): FdtNode {
    const target = this.#findTarget(fragment);
    if (target) return target;
    const path = this.#targetPath(fragment);
    const what = path === undefined ? `with phandle ${cellOf(fragment, "target")}` : quoted(path);
    this.#refuse("overlay/target", `the base has no node ${what}`, `/${fragment.name}`);
  }

  #findTarget(fragment: FdtNode): FdtNode | undefined {
    const target = fragment.properties.get("target");
    if (target && !(target.length === 4 && cellAt(target, 0) === 0)) {
      if (target.length !== 4 || !isPhandle(cellAt(target, 0))) {
        this.#refuse("overlay/target", "target is not a phandle", `/${fragment.name}:target`, {
          hint: "a label that nothing resolved, for want of an entry in /__fixups__?",
        });
      }
      return this.#tree.byPhandle(cellAt(target, 0));
    }
    const path = this.#targetPath(fragment);
    if (path === undefined) {
      this.#refuse("overlay/target", "a fragment needs target or target-path", `/${fragment.name}`);
    }
    return this.#tree.find(path);
  }

  /** Undefined where the fragment has a phandle instead. */
  #targetPath(fragment: FdtNode): string | undefined {
    if ((cellOf(fragment, "target") ?? 0) !== 0) return undefined;
    const value = fragment.properties.get("target-path");
    if (value === undefined) return undefined;
    const place = `/${fragment.name}:target-path`;
    if (value.indexOf(0) !== value.length - 1) this.#refuse("overlay/target", "it is not a string", place);
    return decodeStrings(value, place)[0] ?? "";
  }

  #overlayOf(fragment: FdtNode): FdtNode {
    return this.#children.get(fragment, "__overlay__")!;
  }

  #special(name: string): FdtNode | undefined {
    return this.#children.get(this.#root, name);
  }

  #beyond(code: string, at: number, value: Uint8Array, place: string): never {
    this.#refuse(code, `offset ${at} is beyond the ${value.length} bytes of the property`, place);
  }

  #refuse(code: string, message: string, path: string, more: { readonly hint?: string } = {}): never {
    fail(code, message, { place: { file: this.#file, path }, ...more });
  }
}

/** A copy down to the bytes. Walked first, because it recurses: the walk refuses what is too deep. */
function copyOf(root: FdtNode): FdtNode {
  for (const _ of walk(root));
  return copyNode(root);
}

function copyNode({ name, properties, children }: FdtNode): FdtNode {
  const copies = new Map<string, Uint8Array>();
  for (const [key, value] of properties) copies.set(key, new Uint8Array(value));
  return { name, properties: copies, children: children.map(copyNode) };
}

function listIn<K, V>(lists: Map<K, V[]>, key: K): V[] {
  let list = lists.get(key);
  if (list === undefined) {
    list = [];
    lists.set(key, list);
  }
  return list;
}
