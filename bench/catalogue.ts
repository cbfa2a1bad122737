/** Every benchmark there is, in the order in which they run. */
import type { Benchmark } from "./benchmark.ts";
import { backingsOfMemory } from "./parts/backings.ts";
import { bus } from "./parts/bus.ts";
import { decode } from "./parts/decode.ts";
import { deviceTree } from "./parts/device-tree.ts";
import { largeTree } from "./parts/large-tree.ts";
import { pageWalk } from "./parts/page-walk.ts";
import { passedRegisters } from "./parts/pass.ts";
import { plicCycle } from "./parts/plic.ts";
import { softFloat } from "./parts/soft-float.ts";
import { uart } from "./parts/uart.ts";
import { virtqueue } from "./parts/virtqueue.ts";
import { compute } from "./whole/compute.ts";
import { linux } from "./whole/linux.ts";
import { mmio } from "./whole/mmio.ts";
import { start } from "./whole/start.ts";
import { tree } from "./whole/tree.ts";

export const benchmarks: readonly Benchmark[] = [
  compute,
  start,
  linux,
  mmio,
  tree,
  // First of the parts: the first memories of a process are quicker than later ones.
  backingsOfMemory,
  bus,
  uart,
  passedRegisters,
  plicCycle,
  virtqueue,
  pageWalk,
  decode,
  deviceTree,
  largeTree,
  softFloat,
];

/** Those that are named, or of a kind that is named; or what is wrong with the names. */
export function select(names: readonly string[]): readonly Benchmark[] | string {
  if (names.length === 0) return benchmarks;
  const unknown = names.filter((name) => !benchmarks.some((b) => b.name === name || b.kind === name));
  if (unknown.length > 0) return `no benchmark is called ${unknown.join(", ")}; --list tells what there is`;
  return benchmarks.filter((b) => names.includes(b.name) || names.includes(b.kind));
}
