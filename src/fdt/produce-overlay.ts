/** The overlay that turns one tree into another, as far as overlays can: they add and change, they cannot take away. */
import { type Difference, diffTrees, sameMeaning } from "./diff.ts";
import { applyOverlays } from "./overlay.ts";
import { referencesIn } from "./references.ts";
import { isNumbering } from "./render.ts";
import { type Fdt, type FdtNode, node, setProperty } from "./tree.ts";
import { cellAt, phandleOf, setCellAt, TreeIndex } from "./tree-index.ts";

export interface Produced {
  readonly overlay: Fdt;
  /**
   * What still differs from the target once the overlay is applied: nodes and properties that would have to go,
   * reservations, the boot CPU, and names that libfdt takes for another node's. Empty when the overlay does it all.
   */
  readonly remaining: readonly Difference[];
}

export function produceOverlay(base: Fdt, target: Fdt): Produced {
  const overlay = new Producer(base, target).run();
  return { overlay, remaining: diffTrees(applyOverlays(base, [{ fdt: overlay }]).fdt, target) };
}

const UNRESOLVED = 0xffff_ffff;

class Producer {
  readonly #base: TreeIndex;
  readonly #target: TreeIndex;
  /** Label by path: what `__symbols__` of the base offers. */
  readonly #labels = new Map<string, string>();
  readonly #fragments: FdtNode[] = [];
  readonly #fixups = new Map<string, string[]>();
  /** Offsets of references to the overlay's own numbers, by property, by path of the node in the overlay. */
  readonly #localReferences = new Map<string, Map<string, number[]>>();
  /** Numbers of the overlay's own, given to nodes of the target in the order of the first reference. */
  readonly #phandles = new Map<FdtNode, number>();
  /** Where a node of the target stands in the overlay. */
  readonly #overlayOf = new Map<FdtNode, FdtNode>();

  constructor(base: Fdt, target: Fdt) {
    this.#base = new TreeIndex(base);
    this.#target = new TreeIndex(target);
    for (const [label, value] of this.#base.at("/__symbols__")?.properties ?? []) {
      this.#labels.set(Buffer.from(value.subarray(0, -1)).toString("latin1"), label);
    }
  }

  run(): Fdt {
    this.#compare(this.#base.fdt.root, this.#target.fdt.root);
    for (const to of this.#phandles.keys()) {
      const old = this.#base.at(this.#target.path(to));
      if (old && !this.#overlayOf.has(to)) this.#fragment(old, new Map(), []);
    }
    for (const [to, phandle] of this.#phandles) setProperty(this.#overlayOf.get(to)!, "phandle", phandle);
    const special: FdtNode[] = [];
    if (this.#fixups.size > 0) special.push(node("__fixups__", Object.fromEntries(this.#fixups)));
    if (this.#localReferences.size > 0) special.push(this.#localFixups());
    return { root: node("", {}, [...this.#fragments, ...special]), reservations: [], bootCpu: 0 };
  }

  /** One fragment for each node with something new in itself or among its children. */
  #compare(before: FdtNode, after: FdtNode): void {
    const sides = { before: this.#base, after: this.#target };
    const news = new Map<string, Uint8Array>();
    for (const [name, value] of after.properties) {
      if (isNumbering(name)) continue;
      if (!before.properties.has(name) || !sameMeaning(sides, before, after, name)) news.set(name, value);
    }
    const old = new Map(before.children.map((child) => [child.name, child]));
    const added = after.children.filter((child) => !old.has(child.name));
    if (news.size > 0 || added.length > 0) this.#fragment(before, news, added, after);
    for (const child of after.children) {
      const counterpart = old.get(child.name);
      if (counterpart) this.#compare(counterpart, child);
    }
  }

  #fragment(at: FdtNode, news: Map<string, Uint8Array>, added: readonly FdtNode[], after?: FdtNode): void {
    const name = `fragment@${this.#fragments.length}`;
    const path = this.#base.path(at);
    const label = phandleOf(at) === undefined ? undefined : this.#labels.get(path);
    const fragment = node(name, label === undefined ? { "target-path": path } : { target: UNRESOLVED });
    if (label !== undefined) this.#addFixup(label, `/${name}:target:0`);
    const overlay = node("__overlay__");
    fragment.children.push(overlay);
    this.#fragments.push(fragment);
    const inside = [name, "__overlay__"];
    if (after) this.#copyProperties(after, news, overlay, inside);
    for (const child of added) overlay.children.push(this.#copy(child, inside));
    this.#overlayOf.set(this.#target.at(path) ?? at, overlay);
  }

  #copy(from: FdtNode, inside: readonly string[]): FdtNode {
    const made = node(from.name);
    const path = [...inside, from.name];
    this.#overlayOf.set(from, made);
    this.#copyProperties(from, from.properties, made, path);
    made.children = from.children.map((child) => this.#copy(child, path));
    return made;
  }

  #copyProperties(owner: FdtNode, from: Map<string, Uint8Array>, into: FdtNode, inside: readonly string[]): void {
    for (const [name, value] of from) {
      if (isNumbering(name)) continue;
      const copy = new Uint8Array(value);
      for (const at of referencesIn(this.#target, owner, name, value)) {
        setCellAt(copy, at, this.#reference(this.#target.byPhandle(cellAt(value, at))!, inside, name, at));
      }
      into.properties.set(name, copy);
    }
  }

  /** The number that stands for a node of the target at this place, with the fixup that makes it true. */
  #reference(to: FdtNode, inside: readonly string[], property: string, at: number): number {
    const path = this.#target.path(to);
    const old = this.#base.at(path);
    const known = old && phandleOf(old);
    if (known !== undefined) {
      const label = this.#labels.get(path);
      // Without a label the base's own number will do: only the overlay's numbers move.
      if (label === undefined) return known;
      this.#addFixup(label, `/${inside.join("/")}:${property}:${at}`);
      return UNRESOLVED;
    }
    let phandle = this.#phandles.get(to);
    if (phandle === undefined) {
      phandle = this.#phandles.size + 1;
      this.#phandles.set(to, phandle);
    }
    entryOf(entryOf(this.#localReferences, `/${inside.join("/")}`, newMap), property, newList).push(at);
    return phandle;
  }

  /** The same nodes once more, with offsets for values. */
  #localFixups(): FdtNode {
    const root = node("__local_fixups__");
    const mirrors = new Map([["", root]]);
    const mirror = (path: string): FdtNode => {
      const known = mirrors.get(path);
      if (known) return known;
      const slash = path.lastIndexOf("/");
      const made = node(path.slice(slash + 1));
      mirror(path.slice(0, slash)).children.push(made);
      mirrors.set(path, made);
      return made;
    };
    for (const [path, properties] of this.#localReferences) {
      for (const [name, offsets] of properties) setProperty(mirror(path), name, offsets);
    }
    return root;
  }

  #addFixup(label: string, place: string): void {
    entryOf(this.#fixups, label, newList<string>).push(place);
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

function newList<T>(): T[] {
  return [];
}

function newMap(): Map<string, number[]> {
  return new Map();
}
