/** A board's device tree: what its guest is told. Made from the board alone, byte for byte the same every time. */
import { fail } from "../diagnostics/diagnostic.ts";
import { cells64, type Fdt, type FdtNode, node, type PropertyInput, setProperty } from "../fdt/tree.ts";
import { descriptorOf } from "../pass/tables.ts";
import type { FdtContext, FdtContribution } from "../vdev/descriptor.ts";
import type { VdevPlacement } from "../vdev/placement.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import {
  type Board,
  type BoardCpu,
  type BoardMemory,
  type BoardVdev,
  type MemoryDescription,
  outlastsReset,
} from "./board.ts";
import { auxiliaryPhandle, cpuPhandle } from "./phandle.ts";
import { applyProperties, referencesOf } from "./properties.ts";
import { changeTree, type Labels } from "./tree-changes.ts";

export interface BoardTreeOptions {
  /** Where the initial RAM disk was loaded: first byte and the byte behind the last. */
  readonly initrd?: { readonly start: number; readonly end: number };
}

/** Bytes of a cache block: Zicbom and Zicboz. */
const CACHE_BLOCK = 64;
const SOC = "soc";
const RESERVED = "reserved-memory";

export function boardTree(board: Board, registry: VdevRegistry, options: BoardTreeOptions = {}): Fdt {
  const parts = board.vdevs.map((vdev) => contribute(board, vdev, registry));
  const bus = parts.flatMap(({ bus: nodes = [] }) => nodes).sort((a, b) => unitAddress(a) - unitAddress(b));
  const root = node("", { "#address-cells": 2, "#size-cells": 2, compatible: board.compatible, model: board.model }, [
    chosen(board, parts, options),
    ...aliases(parts),
    ...memory(board),
    cpus(board),
    ...parts.flatMap(({ root: nodes = [] }) => nodes),
    node(SOC, { "#address-cells": 2, "#size-cells": 2, compatible: "simple-bus", ranges: true }, bus),
  ]);
  const fdt = { root, reservations: [], bootCpu: 0 };
  return changesTree(board) ? changeTree(fdt, board.fdt, labels(board, parts)) : fdt;
}

export function changesTree({ fdt: { symbols, overlays, dts } }: Board): boolean {
  return symbols || overlays.length > 0 || dts !== undefined;
}

/** How source text and overlays may call nodes: vdevs by their names, with _ for what a label cannot have. */
function labels({ cpu, vdevs }: Board, parts: readonly FdtContribution[]): Labels {
  const found = new Map<string, string>();
  for (const [hart] of cpu.intcPhandles.entries()) {
    const path = `/cpus/cpu@${hart.toString(16)}`;
    found.set(`cpu${hart}`, path);
    found.set(`cpu${hart}_intc`, `${path}/interrupt-controller`);
  }
  for (const [i, { placement }] of vdevs.entries()) {
    const own = parts[i]!.bus?.[0];
    if (own) found.set(placement.name.replaceAll("-", "_"), pathOnBus(own));
  }
  return found;
}

/** A vdev's own nodes, by its binding. Its first node on the bus is what others refer to. */
function contribute(board: Board, vdev: BoardVdev, registry: VdevRegistry): FdtContribution {
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
  if (own && isReferredTo(board, placement)) setProperty(own, "phandle", placement.phandle);
  if (own && name !== undefined) own.name = own.name.replace(/^[^@]*/, name);
  if (own) applyProperties(own, fdt, (target) => vdevPhandleOf(board, target));
  return contribution;
}

/** By interrupts, by a property of the profile, or by whatever overlays may come. */
function isReferredTo({ vdevs, fdt }: Board, { name }: VdevPlacement): boolean {
  if (fdt.symbols) return true;
  return vdevs.some(
    ({ placement, fdt: properties = {} }) =>
      placement.interrupts.some(({ controller }) => controller === name) ||
      Object.values(properties).some((value) => referencesOf(value).includes(name)),
  );
}

function vdevPhandleOf({ vdevs }: Board, name: string): number {
  return vdevs.find(({ placement }) => placement.name === name)!.placement.phandle;
}

/** DTSpec v0.4 §2.4.1. One parent needs no `interrupts-extended`. */
function interruptProperties(board: Board, { interrupts }: VdevPlacement): Record<string, PropertyInput> {
  if (interrupts.length === 0) return {};
  const phandles = interrupts.map((route) => vdevPhandleOf(board, route.controller));
  const lines = interrupts.map(({ line }) => line);
  if (new Set(phandles).size === 1) return { "interrupt-parent": phandles[0]!, interrupts: lines };
  return { "interrupts-extended": phandles.flatMap((phandle, i) => [phandle, lines[i]!]) };
}

function chosen(board: Board, parts: readonly FdtContribution[], { initrd }: BoardTreeOptions): FdtNode {
  const stdout = parts.find(({ console }) => console)?.bus?.[0];
  return node("chosen", {
    bootargs: board.boot.cmdline,
    "stdout-path": stdout && pathOnBus(stdout),
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
function aliases(parts: readonly FdtContribution[]): FdtNode[] {
  const next = new Map<string, number>();
  const properties: Record<string, string> = {};
  for (const { alias, bus } of parts) {
    if (alias === undefined || !bus?.[0]) continue;
    const number = next.get(alias) ?? 0;
    next.set(alias, number + 1);
    properties[`${alias}${number}`] = pathOnBus(bus[0]);
  }
  return next.size > 0 ? [node("aliases", properties)] : [];
}

/** RAM first, then what is kept from the kernel, then persistent memory: DTSpec v0.4 §3.4, §3.5, Linux pmem/pmem-region.txt. */
function memory({ memory: blocks }: Board): FdtNode[] {
  const shownAs = (how: MemoryDescription) => blocks.filter(({ describe }) => describe === how);
  const reserved = shownAs("reserved").map((block) =>
    node(unitName(block.name, block), { reg: cells64(block.at, block.size), "no-map": true }),
  );
  const properties = { "#address-cells": 2, "#size-cells": 2, ranges: true } as const;
  return [
    ...shownAs("memory").map((block) =>
      node(unitName("memory", block), { device_type: "memory", reg: cells64(block.at, block.size) }),
    ),
    ...(reserved.length > 0 ? [node(RESERVED, properties, reserved)] : []),
    ...shownAs("pmem").map((block) =>
      node(unitName("pmem", block), {
        compatible: "pmem-region",
        reg: cells64(block.at, block.size),
        volatile: outlastsReset(block) ? undefined : true,
      }),
    ),
  ];
}

/** DTSpec v0.4 §2.2.1: at most 31 characters before the @. */
function unitName(name: string, { at }: BoardMemory): string {
  return `${name.slice(0, 31)}@${at.toString(16)}`;
}

function cpus({ cpu, time }: Board): FdtNode {
  const harts = cpu.intcPhandles.map((intcPhandle, hart) => cpuNode(cpu, hart, intcPhandle));
  const cores = harts.map((_, hart) => node(`core${hart}`, { cpu: cpuPhandle(hart) }));
  const properties = { "#address-cells": 1, "#size-cells": 0, "timebase-frequency": timebaseCells(time.timebase) };
  return node("cpus", properties, [...harts, node("cpu-map", {}, [node("cluster0", {}, cores)])]);
}

/** One cell, or two where a frequency needs them (DTSpec v0.4 §3.8.1). */
function timebaseCells(frequency: number): readonly number[] {
  return frequency < 2 ** 32 ? [frequency] : cells64(frequency);
}

/** Linux bindings riscv/cpus.yaml and riscv/extensions.yaml. `riscv,isa` is for guests from before the list. */
function cpuNode({ isa, extensions, mmu }: BoardCpu, hart: number, intcPhandle: number): FdtNode {
  const intc = node("interrupt-controller", {
    "#address-cells": 0,
    "#interrupt-cells": 1,
    "interrupt-controller": true,
    compatible: "riscv,cpu-intc",
    phandle: intcPhandle,
  });
  const properties = {
    device_type: "cpu",
    reg: hart,
    status: "okay",
    compatible: "riscv",
    "riscv,isa": isa,
    "riscv,isa-base": "rv64i",
    "riscv,isa-extensions": extensions,
    "riscv,cbom-block-size": extensions.includes("zicbom") ? CACHE_BLOCK : undefined,
    "riscv,cboz-block-size": extensions.includes("zicboz") ? CACHE_BLOCK : undefined,
    "mmu-type": `riscv,${mmu}`,
    phandle: cpuPhandle(hart),
  };
  return node(`cpu@${hart.toString(16)}`, properties, [intc]);
}

function pathOnBus({ name }: FdtNode): string {
  return `/${SOC}/${name}`;
}

/** Nodes without one come first. */
function unitAddress({ name }: FdtNode): number {
  const address = Number.parseInt(name.split("@")[1] ?? "", 16);
  return Number.isNaN(address) ? -1 : address;
}
