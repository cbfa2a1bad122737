/** Where a node's registers are for the CPUs: reg, translated by the ranges of the buses above (DTSpec v0.4 §2.3.6, §2.3.8). */
import type { FdtNode } from "./tree.ts";
import { cellAt, cellOf, type TreeIndex } from "./tree-index.ts";

/** DTSpec §2.3.5: what holds for a node that does not say. */
const DEFAULT_ADDRESS_CELLS = 2;
const DEFAULT_SIZE_CELLS = 1;

export interface RegisterRange {
  /** On the bus that the node is on; all its address cells as one number. */
  readonly address: bigint;
  readonly size: bigint;
  /** For the CPUs; undefined where no range leads there. */
  readonly cpuAddress: bigint | undefined;
  /** The bus at which the translation ended: it has no ranges, or none for this address. */
  readonly stoppedAt?: FdtNode;
}

export interface Window {
  readonly child: bigint;
  readonly parent: bigint;
  readonly size: bigint;
}

export class AddressMap {
  readonly #index: TreeIndex;
  readonly #windows = new Map<FdtNode, readonly Window[] | undefined>();

  constructor(index: TreeIndex) {
    this.#index = index;
  }

  /** The entries of a node's reg; those that cut short are left out. Empty for a node without addresses. */
  registers(node: FdtNode): RegisterRange[] {
    const bus = this.#index.parent(node);
    const reg = node.properties.get("reg");
    if (!bus || !reg) return [];
    const address = addressCells(bus);
    const size = sizeCells(bus);
    const found: RegisterRange[] = [];
    for (const [start, length] of entries(reg, [address, size])) {
      found.push({ address: start!, size: length!, ...this.translate(bus, start!, length!) });
    }
    return found;
  }

  /** From an address on a bus to the CPUs', step by step up to the root. */
  translate(bus: FdtNode, address: bigint, size: bigint): Pick<RegisterRange, "cpuAddress" | "stoppedAt"> {
    let at = address;
    for (let on = bus, above = this.#index.parent(on); above; on = above, above = this.#index.parent(on)) {
      const windows = this.windows(on);
      const ranges = on.properties.get("ranges");
      // Empty: the same addresses on both sides. Absent: no way through.
      if (ranges?.length === 0) continue;
      const window = windows && windowAt(windows, at);
      if (!window || at + size > window.child + window.size) return { cpuAddress: undefined, stoppedAt: on };
      at = at - window.child + window.parent;
    }
    return { cpuAddress: at };
  }

  /** A bus's ranges in the order of its own addresses; undefined where it has none. */
  windows(bus: FdtNode): readonly Window[] | undefined {
    if (!this.#windows.has(bus)) this.#windows.set(bus, this.#readWindows(bus));
    return this.#windows.get(bus);
  }

  #readWindows(bus: FdtNode): readonly Window[] | undefined {
    const ranges = bus.properties.get("ranges");
    const above = this.#index.parent(bus);
    if (!ranges || !above) return undefined;
    const cells = [addressCells(bus), addressCells(above), sizeCells(bus)];
    const windows = entries(ranges, cells).map(([child, parent, size]) => {
      return { child: child!, parent: parent!, size: size! };
    });
    return windows.sort((a, b) => (a.child < b.child ? -1 : a.child > b.child ? 1 : 0));
  }
}

export function addressCells(bus: FdtNode): number {
  return cellOf(bus, "#address-cells") ?? DEFAULT_ADDRESS_CELLS;
}

export function sizeCells(bus: FdtNode): number {
  return cellOf(bus, "#size-cells") ?? DEFAULT_SIZE_CELLS;
}

/** The last window that begins at or before an address: the one that holds it, unless windows overlap. */
function windowAt(windows: readonly Window[], address: bigint): Window | undefined {
  let [low, high] = [0, windows.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (windows[middle]!.child <= address) low = middle + 1;
    else high = middle;
  }
  return windows[low - 1];
}

/** A value cut into whole entries of numbers of so many cells each. */
function entries(value: Uint8Array, cells: readonly number[]): bigint[][] {
  const step = 4 * cells.reduce((sum, count) => sum + count, 0);
  const found: bigint[][] = [];
  if (step === 0) return found;
  for (let start = 0; start + step <= value.length; start += step) {
    let at = start;
    found.push(
      cells.map((count) => {
        let number = 0n;
        for (const end = at + 4 * count; at < end; at += 4) number = (number << 32n) | BigInt(cellAt(value, at));
        return number;
      }),
    );
  }
  return found;
}
