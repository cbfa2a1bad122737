/** Which interrupts a node raises, and at whom: DTSpec v0.4 §2.4. */
import type { FdtNode } from "./tree.ts";
import { cellAt, cellOf, isPhandle, type TreeIndex } from "./tree-index.ts";

export interface Interrupt {
  /** The property that says so, and the cell in it where the specifier begins. */
  readonly property: "interrupts" | "interrupts-extended" | "interrupt-map";
  readonly cell: number;
  readonly controller: FdtNode;
  /** As many cells as the controller's `#interrupt-cells` says. */
  readonly specifier: readonly number[];
}

export interface InterruptParent {
  readonly parent?: FdtNode;
  /** Why there is none: a value that is no phandle, one that no node has, or no word about it up to the root. */
  readonly fault?: "bad" | "dangling" | "missing";
  /** The node whose interrupt-parent is at fault. */
  readonly at?: FdtNode;
}

export function isInterruptProvider({ properties }: FdtNode): boolean {
  return properties.has("interrupt-controller") || properties.has("interrupt-map");
}

/** Whom `interrupts` go to: the nearest interrupt-parent, or provider, from the node upwards. */
export function interruptParent(index: TreeIndex, node: FdtNode): InterruptParent {
  for (let at: FdtNode | undefined = node; at; at = index.parent(at)) {
    if (at !== node && isInterruptProvider(at)) return { parent: at };
    if (!at.properties.has("interrupt-parent")) continue;
    const phandle = cellOf(at, "interrupt-parent");
    if (phandle === undefined || !isPhandle(phandle)) return { at, fault: "bad" };
    const parent = index.byPhandle(phandle);
    return parent ? { parent } : { at, fault: "dangling" };
  }
  return { fault: "missing" };
}

/** Every interrupt that a node raises or, as a nexus, hands on. What cannot be made out is left out. */
export function interruptsOf(index: TreeIndex, node: FdtNode): Interrupt[] {
  const extended = node.properties.get("interrupts-extended");
  // It takes precedence over `interrupts` (DTSpec §2.4.1.3).
  if (extended) return extendedInterrupts(index, extended);
  const found: Interrupt[] = [];
  const map = node.properties.get("interrupt-map");
  if (map) found.push(...mapped(index, node, map));
  const value = node.properties.get("interrupts");
  const { parent } = value ? interruptParent(index, node) : {};
  const cells = parent && cellOf(parent, "#interrupt-cells");
  if (value && parent && cells) {
    for (let at = 0; at + 4 * cells <= value.length; at += 4 * cells) {
      found.push({
        property: "interrupts",
        cell: at / 4,
        controller: parent,
        specifier: specifier(value, at / 4, cells),
      });
    }
  }
  return found;
}

function extendedInterrupts(index: TreeIndex, value: Uint8Array): Interrupt[] {
  const found: Interrupt[] = [];
  for (let cell = 0; 4 * (cell + 1) <= value.length; ) {
    const controller = index.byPhandle(cellAt(value, 4 * cell));
    const cells = controller ? cellOf(controller, "#interrupt-cells") : 0;
    if (cells === undefined || 4 * (cell + 1 + cells) > value.length) break;
    if (controller) {
      found.push({
        property: "interrupts-extended",
        cell: cell + 1,
        controller,
        specifier: specifier(value, cell + 1, cells),
      });
    }
    cell += 1 + cells;
  }
  return found;
}

/** DTSpec §2.4.3.1: child address and interrupt, the parent, its address and interrupt. */
function mapped(index: TreeIndex, node: FdtNode, map: Uint8Array): Interrupt[] {
  const found: Interrupt[] = [];
  const own = (cellOf(node, "#address-cells") ?? 2) + (cellOf(node, "#interrupt-cells") ?? 1);
  for (let cell = own; 4 * (cell + 1) <= map.length; cell += own) {
    const controller = index.byPhandle(cellAt(map, 4 * cell));
    const cells = controller && cellOf(controller, "#interrupt-cells");
    if (controller === undefined || cells === undefined) break;
    const at = cell + 1 + (cellOf(controller, "#address-cells") ?? 0);
    if (4 * (at + cells) > map.length) break;
    found.push({ property: "interrupt-map", cell: at, controller, specifier: specifier(map, at, cells) });
    cell = at + cells;
  }
  return found;
}

function specifier(value: Uint8Array, cell: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => cellAt(value, 4 * (cell + i)));
}
