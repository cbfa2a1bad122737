/** What a tree says about its machine's addresses and interrupts: the data behind pictures and tables. */
import { AddressMap } from "./addresses.ts";
import { interruptsOf } from "./interrupt-tree.ts";
import type { Fdt, FdtNode } from "./tree.ts";
import { TreeIndex } from "./tree-index.ts";

export type BlockKind = "memory" | "reserved" | "device" | "window";

/** Addresses as the CPUs see them. */
export interface MemoryBlock {
  readonly start: bigint;
  readonly size: bigint;
  readonly kind: BlockKind;
  readonly path: string;
  /** From reg-names, or what a window of a bus leads to. */
  readonly part?: string;
  /** The first compatible. */
  readonly about?: string;
  readonly disabled: boolean;
}

export interface InterruptLine {
  /** The node that raises it; a nexus for those that it hands on. */
  readonly path: string;
  /** The specifier of the first, and of the last of several in a row. */
  readonly from: readonly number[];
  readonly to: readonly number[];
}

export interface InterruptController {
  readonly path: string;
  readonly about?: string;
  /** By number. */
  readonly lines: readonly InterruptLine[];
  /** Controllers that are among those who raise interrupts at this one. */
  readonly below: readonly InterruptController[];
}

export interface TreeMap {
  /** By address; larger blocks before those inside them. */
  readonly blocks: readonly MemoryBlock[];
  /** Those that raise interrupts at no other, each with what is below it. A controller appears once. */
  readonly controllers: readonly InterruptController[];
}

export function mapTree(fdt: Fdt): TreeMap {
  const index = new TreeIndex(fdt);
  return { blocks: memoryBlocks(index), controllers: interruptControllers(index) };
}

function memoryBlocks(index: TreeIndex): MemoryBlock[] {
  const addresses = new AddressMap(index);
  const blocks: MemoryBlock[] = [];
  for (const { node, path, parent } of index.visits) {
    const about = textsOf(node, "compatible")[0];
    const disabled = textsOf(node, "status")[0] === "disabled";
    const names = textsOf(node, "reg-names");
    addresses.registers(node).forEach(({ cpuAddress, size }, i) => {
      if (cpuAddress === undefined || size === 0n) return;
      blocks.push({ start: cpuAddress, size, kind: kindOf(node, parent), path, part: names[i], about, disabled });
    });
    // A bridge's own windows; those of a bus with one address space would only repeat what is on it.
    if (parent && textsOf(node, "device_type")[0] === "pci") {
      for (const window of addresses.windows(node) ?? []) {
        const { cpuAddress } = addresses.translate(parent, window.parent, window.size);
        if (cpuAddress === undefined) continue;
        const part = PCI_SPACES[Number((window.child >> 88n) & 3n)]!;
        blocks.push({ start: cpuAddress, size: window.size, kind: "window", path, part, about, disabled });
      }
    }
  }
  for (const { address, size } of index.fdt.reservations) {
    blocks.push({ start: address, size, kind: "reserved", path: "/memreserve/", disabled: false });
  }
  return blocks.sort((a, b) => compare(a.start, b.start) || compare(b.size, a.size));
}

/** IEEE 1275 PCI bus binding §2.2.1.1: the two bits ss of an address. */
const PCI_SPACES = ["configuration", "I/O", "32-bit memory", "64-bit memory"] as const;

function kindOf(node: FdtNode, parent: FdtNode | undefined): BlockKind {
  if (textsOf(node, "device_type")[0] === "memory") return "memory";
  return parent?.name === "reserved-memory" ? "reserved" : "device";
}

function interruptControllers(index: TreeIndex): InterruptController[] {
  const lines = new Map<FdtNode, Raised[]>();
  /** For a controller, those who are below it: each is put under the first that it raises interrupts at. */
  const below = new Map<FdtNode, FdtNode[]>();
  const placed = new Set<FdtNode>();
  const known = new Set<FdtNode>();
  for (const { node, path } of index.visits) {
    if (node.properties.has("interrupt-controller")) known.add(node);
    for (const { controller, specifier } of interruptsOf(index, node)) {
      known.add(controller);
      listIn(lines, controller).push({ path, specifier });
      if (!node.properties.has("interrupt-controller") || placed.has(node) || controller === node) continue;
      placed.add(node);
      listIn(below, controller).push(node);
    }
  }
  const shown = new Set<FdtNode>();
  const show = (controller: FdtNode): InterruptController => {
    shown.add(controller);
    return {
      path: index.path(controller),
      about: textsOf(controller, "compatible")[0],
      lines: inRows(lines.get(controller) ?? []),
      below: (below.get(controller) ?? []).filter((each) => !shown.has(each)).map(show),
    };
  };
  const tops = [...known].filter((each) => !placed.has(each)).map(show);
  // Controllers in a circle have no top: each that is left begins anew.
  for (const each of known) if (!shown.has(each)) tops.push(show(each));
  return tops;
}

interface Raised {
  readonly path: string;
  readonly specifier: readonly number[];
}

/** By number, each once, and those of one device in a row together. */
function inRows(raised: readonly Raised[]): InterruptLine[] {
  const sorted = [...raised].sort((a, b) => compareCells(a.specifier, b.specifier) || (a.path < b.path ? -1 : 1));
  const rows: { path: string; from: readonly number[]; to: readonly number[] }[] = [];
  for (const { path, specifier } of sorted) {
    const last = rows.at(-1);
    const next = last?.path === path ? specifier[0]! - last.to[0]! : undefined;
    const sameFlags = last && compareCells(last.to.slice(1), specifier.slice(1)) === 0;
    if (next === 0 && sameFlags) continue;
    if (next === 1 && sameFlags) last.to = specifier;
    else rows.push({ path, from: specifier, to: specifier });
  }
  return rows;
}

function compareCells(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((cell, i) => cell !== b[i]);
  return at < 0 ? a.length - b.length : a[at]! - (b[at] ?? -1);
}

function textsOf(node: FdtNode, name: string): string[] {
  const value = node.properties.get(name);
  return value && value.length > 1 ? Buffer.from(value).toString("latin1").replace(/\0$/, "").split("\0") : [];
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function listIn<K, V>(lists: Map<K, V[]>, key: K): V[] {
  let list = lists.get(key);
  if (!list) {
    list = [];
    lists.set(key, list);
  }
  return list;
}

/** A size as people say it: 256 MiB, 4 KiB, 100 B. */
export function sizeText(size: bigint): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [unit, left] = [0, size];
  while (unit < units.length - 1 && left >= 1024n && left % 1024n === 0n) {
    left /= 1024n;
    unit++;
  }
  // An odd size keeps its last digits; one far too large for them is rounded.
  return left < 1_000_000n ? `${left} ${units[unit]}` : `0x${size.toString(16)} B`;
}

/** A size that nobody needs to the byte: 15.9 MiB. */
export function roughSize(size: bigint): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let [unit, left] = [0, Number(size)];
  while (unit < units.length - 1 && left >= 1024) {
    left /= 1024;
    unit++;
  }
  return `${left >= 100 ? Math.round(left) : Math.round(left * 10) / 10} ${units[unit]}`;
}

/** The interrupts of a hart (RISC-V Priv 20240411 §3.1.9). */
const HART_INTERRUPTS = new Map([
  [1, "S software"],
  [3, "M software"],
  [5, "S timer"],
  [7, "M timer"],
  [9, "S external"],
  [11, "M external"],
]);

/** The numbers of a line, with their name where the controller is a hart's own. */
export function lineText({ from, to }: InterruptLine, { about }: InterruptController): string {
  const text = (specifier: readonly number[]) =>
    specifier.map((cell) => (cell === 0xffff_ffff ? "-" : String(cell))).join(" ");
  if (from !== to) return `${text(from)}..${text(to)}`;
  const name = about === "riscv,cpu-intc" ? HART_INTERRUPTS.get(from[0]!) : undefined;
  return name ? `${text(from)} ${name}` : text(from);
}

/** Hostile names never reach a terminal: the reader holds them to their alphabet, values it does not. */
export function visible(text: string): string {
  return text.replace(/[^\x20-\x7e…]/g, "?");
}
