/** What a node alone does not know: its path, its parent, and which node a phandle names. Built in one walk. */
import { type Fdt, type FdtNode, type Visit, walk } from "./tree.ts";
import { decodeU32 } from "./values.ts";

/** A view of a tree that stays as it is: nodes that come later are not in it. */
export class TreeIndex {
  readonly fdt: Fdt;
  /** Parents before children, in the order of the blob. */
  readonly visits: readonly Visit[];
  readonly #byNode = new Map<FdtNode, Visit>();
  readonly #byPath = new Map<string, FdtNode>();
  readonly #byPhandle = new Map<number, FdtNode>();

  constructor(fdt: Fdt) {
    this.fdt = fdt;
    this.visits = [...walk(fdt.root)];
    for (const visit of this.visits) {
      const { node, path } = visit;
      this.#byNode.set(node, visit);
      this.#byPath.set(path, node);
      const phandle = phandleOf(node);
      // The first node of a number is the one that libfdt and Linux find.
      if (phandle !== undefined && !this.#byPhandle.has(phandle)) this.#byPhandle.set(phandle, node);
    }
  }

  parent(node: FdtNode): FdtNode | undefined {
    return this.#byNode.get(node)?.parent;
  }

  path(node: FdtNode): string {
    return this.#byNode.get(node)?.path ?? node.name;
  }

  /** By full names; `find` in tree.ts is for paths that people type. */
  at(path: string): FdtNode | undefined {
    return this.#byPath.get(path);
  }

  byPhandle(phandle: number): FdtNode | undefined {
    return this.#byPhandle.get(phandle);
  }

  /** The path of the node that a phandle names. */
  target(phandle: number): string | undefined {
    const node = this.#byPhandle.get(phandle);
    return node && this.path(node);
  }
}

/** DTSpec v0.4 §2.3.3 gives numbers to nodes; 0 and -1 are no numbers to Linux, libfdt and dtc. */
export function isPhandle(value: number): boolean {
  return value !== 0 && value !== 0xffff_ffff;
}

/** A node's own phandle, in its property of today or of old. */
export function phandleOf(node: FdtNode): number | undefined {
  const value = cellOf(node, "phandle") ?? cellOf(node, "linux,phandle");
  return value !== undefined && isPhandle(value) ? value : undefined;
}

/** A property that is one cell; undefined when it is absent or anything else. For trees that need not be right. */
export function cellOf(node: FdtNode, name: string): number | undefined {
  const value = node.properties.get(name);
  return value?.length === 4 ? decodeU32(value, name) : undefined;
}

/** The cell at a byte offset, which callers keep inside. */
export function cellAt(value: Uint8Array, offset: number): number {
  return ((value[offset]! << 24) | (value[offset + 1]! << 16) | (value[offset + 2]! << 8) | value[offset + 3]!) >>> 0;
}

export function setCellAt(value: Uint8Array, offset: number, cell: number): void {
  new DataView(value.buffer, value.byteOffset, value.byteLength).setUint32(offset, cell);
}
