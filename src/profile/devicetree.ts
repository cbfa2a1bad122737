/** A board's device tree: what its guest is told. Made from the board alone, byte for byte the same every time. */
import { fail } from "../diagnostics/diagnostic.ts";
import { cells64, type Fdt, type FdtNode, node, type PropertyInput, setProperty } from "../fdt/tree.ts";
import type { ClockStates } from "../pass/clocks/rates.ts";
import { descriptorOf } from "../pass/tables.ts";
import type { FdtContext, FdtContribution } from "../vdev/descriptor.ts";
import type { VdevPlacement } from "../vdev/placement.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import {
  type Board,
  type BoardBlob,
  type BoardMemory,
  type BoardVdev,
  type MemoryDescription,
  outlastsReset,
} from "./board.ts";
import type { ClockNodes } from "./clock-nodes.ts";
import { auxiliaryPhandle } from "./phandle.ts";
import { applyProperties, referencesOf } from "./properties.ts";
import type { Labels } from "./tree-changes.ts";
import { cpusNode } from "./tree-cpus.ts";

export interface BoardTreeOptions {
  /** Where the initial RAM disk was loaded: first byte and the byte behind the last. */
  readonly initrd?: { readonly start: number; readonly end: number };
  /** What the clocks run at; by registers as at reset where omitted. A rate that is not known is left out. */
  readonly clocks?: ClockStates;
}

const SOC = "soc";
const RESERVED = "reserved-memory";
/** Addresses below are those above. DTSpec v0.4 §2.3.8 */
const bus64 = (compatible: string | readonly string[]) => {
  return { "#address-cells": 2, "#size-cells": 2, compatible, ranges: true } as const;
};

export function boardTree(board: Board, registry: VdevRegistry, options: BoardTreeOptions = {}): Fdt {
  const clocks = clockNodes(board, options.clocks);
  const parts = board.vdevs.map((vdev) => contribute(board, vdev, registry, clocks));
  const bus = grouped(board, parts);
  const root = node("", { "#address-cells": 2, "#size-cells": 2, compatible: board.compatible, model: board.model }, [
    chosen(board, parts, options),
    ...aliases(board, parts),
    ...memory(board),
    ...reservedMemory(board),
    cpusNode(board),
    ...(clocks?.fixed() ?? []),
    ...parts.flatMap(({ root: nodes = [] }) => nodes),
    node(SOC, bus64("simple-bus"), bus),
  ]);
  const fdt = { root, reservations: reservations(board), bootCpu: 0 };
  if (!changesTree(board)) return fdt;
  // Most boards need no parser of source.
  const { changeTree } = require("./tree-changes.ts") as typeof import("./tree-changes.ts");
  return changeTree(fdt, board.fdt, labels(board, parts));
}

/** The nodes of the bus by address. Those of a group stand in its own, where its first would stand. */
function grouped({ groups, vdevs }: Board, parts: readonly FdtContribution[]): FdtNode[] {
  const byAddress = (nodes: FdtNode[]) => nodes.sort((a, b) => unitAddress(a) - unitAddress(b));
  const nodesOf = (isOne: (name: string) => boolean) =>
    byAddress(parts.flatMap(({ bus = [] }, i) => (isOne(vdevs[i]!.placement.name) ? bus : [])));
  const alone = nodesOf((name) => !groups.some(({ members }) => members.includes(name)));
  const holders = groups.map(({ name, members, compatible }) =>
    node(
      name.slice(0, 31),
      bus64(compatible),
      nodesOf((member) => members.includes(member)),
    ),
  );
  const first = (each: FdtNode) => (holders.includes(each) ? unitAddress(each.children[0] ?? each) : unitAddress(each));
  return [...alone, ...holders].sort((a, b) => first(a) - first(b));
}

/** Of boards whose devices name clocks: few do. */
function clockNodes(board: Board, states: ClockStates | undefined): ClockNodes | undefined {
  if (!board.vdevs.some(({ clocks }) => clocks)) return undefined;
  const { ClockNodes } = require("./clock-nodes.ts") as typeof import("./clock-nodes.ts");
  return new ClockNodes(board, states);
}

export function changesTree({ fdt: { symbols, overlays, dts } }: Board): boolean {
  return symbols || overlays.length > 0 || dts !== undefined;
}

/** How source text and overlays may call nodes: vdevs by their names, with _ for what a label cannot have. */
function labels(board: Board, parts: readonly FdtContribution[]): Labels {
  const { cpu, vdevs, reserve } = board;
  const found = new Map<string, string>();
  for (const [hart] of cpu.intcPhandles.entries()) {
    const path = `/cpus/cpu@${hart.toString(16)}`;
    found.set(`cpu${hart}`, path);
    found.set(`cpu${hart}_intc`, `${path}/interrupt-controller`);
  }
  for (const [i, { placement }] of vdevs.entries()) {
    const own = parts[i]!.bus?.[0];
    if (own) found.set(placement.name.replaceAll("-", "_"), pathOnBus(board, placement.name, own));
  }
  for (const { name, at, guest } of reserve) {
    if (guest?.as !== "node") continue;
    found.set(name.replaceAll("-", "_"), `/${RESERVED}/${name}@${at.toString(16)}`);
  }
  return found;
}

/** A vdev's own nodes, by its binding. Its first node on the bus is what others refer to. */
function contribute(board: Board, vdev: BoardVdev, registry: VdevRegistry, clocks?: ClockNodes): FdtContribution {
  const { placement, options, node: name, fdt = {} } = vdev;
  const descriptor = descriptorOf(vdev.table, placement.type, registry);
  const labels = descriptor?.auxiliaryPhandles ?? [];
  const context: FdtContext<Record<string, unknown>> = {
    placement,
    options,
    harts: board.cpu.intcPhandles.map((intcPhandle, hart) => ({ index: hart, intcPhandle })),
    timebaseFrequency: board.time.timebase,
    unit: (placement.regions[0]?.at ?? 0).toString(16),
    reg: placement.regions.flatMap(({ at, size }) => cells64(at, size)),
    phandles: (label) => {
      const known = labels.indexOf(label);
      if (known < 0) fail("vdev/phandle", `type "${placement.type}" has no auxiliary phandle "${label}"`);
      return auxiliaryPhandle(placement.phandle, known);
    },
    interrupts: interruptProperties(board, placement),
  };
  const contribution = descriptor?.fdt?.(context) ?? {};
  const own = contribution.bus?.[0];
  if (own && vdev.platform) takeOver(own, vdev.platform);
  const referred = isReferredTo(board, placement.name) || clocks?.refersTo(placement.name);
  if (own && referred) setProperty(own, "phandle", placement.phandle);
  if (own && vdev.clocks) clocks?.name(own, vdev.clocks);
  if (own && name !== undefined) own.name = own.name.replace(/^[^@]*/, name);
  if (own) applyProperties(own, fdt, (target) => phandleOf(board, target));
  return contribution;
}

/** What the platform says first, and over it what the board does. */
function takeOver(own: FdtNode, platform: FdtNode): void {
  const said = [...own.properties];
  own.properties.clear();
  for (const [name, value] of [...platform.properties, ...said]) own.properties.set(name, value);
  own.name = own.name.replace(/^[^@]*/, platform.name.split("@")[0]!);
  own.children.push(...platform.children);
}

/** By interrupts, by a property of the profile, or by whatever overlays may come. */
function isReferredTo({ vdevs, reserve, fdt }: Board, name: string): boolean {
  if (fdt.symbols) return true;
  const others = reserve.flatMap(({ guest }) => Object.values(guest?.fdt ?? {}));
  if (others.some((value) => referencesOf(value).includes(name))) return true;
  return vdevs.some(
    ({ placement, fdt: properties = {} }) =>
      placement.interrupts.some(({ controller }) => controller === name) ||
      Object.values(properties).some((value) => referencesOf(value).includes(name)),
  );
}

/** Of a vdev, or of reserved memory. */
function phandleOf({ vdevs, reserve }: Board, name: string): number {
  const vdev = vdevs.find(({ placement }) => placement.name === name);
  return vdev?.placement.phandle ?? reserve.find((range) => range.name === name)!.guest!.phandle;
}

/** DTSpec v0.4 §2.4.1. One parent needs no `interrupts-extended`. */
function interruptProperties(board: Board, { interrupts }: VdevPlacement): Record<string, PropertyInput> {
  if (interrupts.length === 0) return {};
  const phandles = interrupts.map((route) => phandleOf(board, route.controller));
  const lines = interrupts.map(({ line }) => line);
  if (new Set(phandles).size === 1) return { "interrupt-parent": phandles[0]!, interrupts: lines };
  return { "interrupts-extended": phandles.flatMap((phandle, i) => [phandle, lines[i]!]) };
}

function chosen(board: Board, parts: readonly FdtContribution[], { initrd }: BoardTreeOptions): FdtNode {
  const first = parts.findIndex(({ console }) => console);
  const stdout = parts[first]?.bus?.[0];
  return node("chosen", {
    bootargs: board.boot.cmdline,
    "stdout-path": stdout && pathOnBus(board, board.vdevs[first]!.placement.name, stdout),
    "linux,initrd-start": initrd && cells64(initrd.start),
    "linux,initrd-end": initrd && cells64(initrd.end),
    "rng-seed": rngSeed(board.seed),
  });
}

/** The same seed, the same bytes: a guest that draws on them stays deterministic. */
function rngSeed(seed: number): Uint8Array {
  return new Uint8Array(new Bun.CryptoHasher("sha512").update(`vmrun rng-seed ${seed}`).digest());
}

/** DTSpec v0.4 §3.3: `serial0`, `serial1` by the order of the board. */
function aliases(board: Board, parts: readonly FdtContribution[]): FdtNode[] {
  const next = new Map<string, number>();
  const properties: Record<string, string> = {};
  for (const [i, { alias, bus }] of parts.entries()) {
    if (alias === undefined || !bus?.[0]) continue;
    const number = next.get(alias) ?? 0;
    next.set(alias, number + 1);
    properties[`${alias}${number}`] = pathOnBus(board, board.vdevs[i]!.placement.name, bus[0]);
  }
  return next.size > 0 ? [node("aliases", properties)] : [];
}

/** RAM (DTSpec v0.4 §3.4), then persistent memory (Linux binding pmem/pmem-region.txt). */
function memory({ memory: blocks }: Board): FdtNode[] {
  const shown = (how: MemoryDescription, make: (block: BoardMemory, reg: readonly number[]) => FdtNode) =>
    blocks.filter(({ describe }) => describe === how).map((block) => make(block, cells64(block.at, block.size)));
  return [
    ...shown("memory", (block, reg) => node(unitName("memory", block), { device_type: "memory", reg })),
    ...shown("pmem", (block, reg) => {
      const volatile = outlastsReset(block) ? undefined : true;
      return node(unitName("pmem", block), { compatible: "pmem-region", reg, volatile });
    }),
  ];
}

/** DTSpec v0.4 §2.2.1: at most 31 characters before the @. */
function unitName(name: string, { at }: { readonly at: number }): string {
  return `${name.slice(0, 31)}@${at.toString(16)}`;
}

/** Linux binding reserved-memory.yaml. */
function reservedMemory(board: Board): FdtNode[] {
  const children = board.reserve.flatMap(({ name, at, size, guest }) => {
    if (guest?.as !== "node") return [];
    const { compatible, noMap, reusable, fdt = {} } = guest;
    const reg = cells64(at, size);
    const properties = { compatible, reg, "no-map": noMap || undefined, reusable: reusable || undefined };
    const made = node(`${name}@${at.toString(16)}`, properties);
    if (isReferredTo(board, name)) setProperty(made, "phandle", guest.phandle);
    applyProperties(made, fdt, (target) => phandleOf(board, target));
    return made;
  });
  const blocks = board.memory.filter(({ describe }) => describe === "reserved");
  for (const block of blocks) {
    children.push(node(unitName(block.name, block), { reg: cells64(block.at, block.size), "no-map": true }));
  }
  for (const { name, at, size, compatible } of blobsInRam(board)) {
    children.push(node(unitName(name, { at }), { compatible, reg: cells64(at, size) }));
  }
  if (children.length === 0) return [];
  return [node(RESERVED, { "#address-cells": 2, "#size-cells": 2, ranges: true }, children)];
}

/** What the guest has to be told of, so that it leaves it alone. */
function blobsInRam({ blobs, memory: blocks }: Board): readonly BoardBlob[] {
  return blobs.filter(({ at }) =>
    blocks.some((block) => block.kind === "ram" && at >= block.at && at < block.at + block.size),
  );
}

/** The memory reservation block (DTSpec v0.4 §5.3). */
function reservations({ reserve }: Board): Fdt["reservations"] {
  const entries = reserve.filter(({ guest }) => guest?.as === "entry");
  return entries.map(({ at, size }) => ({ address: BigInt(at), size: BigInt(size) }));
}

/** Of a device's own node. */
function pathOnBus({ groups }: Board, device: string, { name }: FdtNode): string {
  const group = groups.find(({ members }) => members.includes(device));
  return group === undefined ? `/${SOC}/${name}` : `/${SOC}/${group.name.slice(0, 31)}/${name}`;
}

/** Nodes without one come first. */
function unitAddress({ name }: FdtNode): number {
  const address = Number.parseInt(name.split("@")[1] ?? "", 16);
  return Number.isNaN(address) ? -1 : address;
}
