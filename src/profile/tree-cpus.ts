/** `/cpus` of a board's tree: harts with their ISA, caches, and the topology. */
import { cells64, type FdtNode, node, type PropertyInput } from "../fdt/tree.ts";
import type { Board, BoardCache, BoardCpu } from "./board.ts";
import { cachePhandle, cpuPhandle } from "./phandle.ts";

/** Bytes of a cache block: Zicbom and Zicboz. */
const CACHE_BLOCK = 64;

export function cpusNode({ cpu, time }: Board): FdtNode {
  const harts = cpu.intcPhandles.map((intcPhandle, hart) => cpuNode(cpu, hart, intcPhandle));
  const cores = harts.map((_, hart) => node(`core${hart}`, { cpu: cpuPhandle(hart) }));
  const properties = { "#address-cells": 1, "#size-cells": 0, "timebase-frequency": timebaseCells(time.timebase) };
  const map = node("cpu-map", {}, [node("cluster0", {}, cores)]);
  return node("cpus", properties, [...harts, ...sharedCaches(cpu, 2), ...sharedCaches(cpu, 3), map]);
}

/** One cell, or two where a frequency needs them (DTSpec v0.4 §3.8.1). */
function timebaseCells(frequency: number): readonly number[] {
  return frequency < 2 ** 32 ? [frequency] : cells64(frequency);
}

/** Linux bindings riscv/cpus.yaml and riscv/extensions.yaml. `riscv,isa` is for guests from before the list. */
function cpuNode(cpu: BoardCpu, hart: number, intcPhandle: number): FdtNode {
  const { isa, extensions, mmu, caches } = cpu;
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
    ...cacheProperties("i-cache", caches.l1i),
    ...cacheProperties("d-cache", caches.l1d),
    "next-level-cache": nextLevel(cpu, 1, hart),
    phandle: cpuPhandle(hart),
  };
  return node(`cpu@${hart.toString(16)}`, properties, [intc]);
}

/** DTSpec v0.4 §3.8.1 for a hart's own, §3.9 for others. */
function cacheProperties(prefix: string, cache: BoardCache | undefined): Record<string, PropertyInput | undefined> {
  return {
    [`${prefix}-block-size`]: cache?.line,
    [`${prefix}-sets`]: cache?.sets,
    [`${prefix}-size`]: cache?.size,
  };
}

/** The caches of a level that several harts may share, in the order of their first harts. */
function sharedCaches(cpu: BoardCpu, level: 2 | 3): FdtNode[] {
  const cache = cpu.caches[`l${level}`];
  if (!cache) return [];
  return Array.from({ length: Math.ceil(cpu.harts / cache.harts) }, (_, i) =>
    node(`l${level}-cache${i}`, {
      compatible: "cache",
      "cache-level": level,
      "cache-unified": true,
      ...cacheProperties("cache", cache),
      "next-level-cache": nextLevel(cpu, level, i * cache.harts),
      phandle: cachePhandle(level, i),
    }),
  );
}

/** The phandle of the cache behind those of `level` that the hart uses. */
function nextLevel({ caches }: BoardCpu, level: 1 | 2 | 3, hart: number): number | undefined {
  const next = level === 1 ? caches.l2 : level === 2 ? caches.l3 : undefined;
  return next && cachePhandle(level + 1, Math.floor(hart / next.harts));
}
