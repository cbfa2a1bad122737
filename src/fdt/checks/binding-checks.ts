/** Checks beyond dtc's: of the bindings in bindings.ts, and of what a tree says about one device in two places. */

import { interruptsOf } from "../interrupt-tree.ts";
import { quoted } from "../names.ts";
import type { FdtNode } from "../tree.ts";
import { cellOf } from "../tree-index.ts";
import { BINDINGS, type Binding } from "./bindings.ts";
import { type Check, type CheckContext, isCompatible, type Report, textOf, textsOf } from "./check.ts";

const UNCONNECTED = 0xffff_ffff;

/** Every binding that speaks of the node, the most specific compatible first. */
function bindingsOf({ index }: CheckContext, node: FdtNode): readonly Binding[] {
  const path = index.path(node);
  const named = textsOf(node, "compatible");
  return BINDINGS.filter(({ applies }) =>
    typeof applies === "function" ? applies(node, path) : named.some((name) => applies.includes(name)),
  );
}

export const bindingChecks: readonly Check[] = [
  {
    name: "binding_required",
    level: "error",
    summary: "nodes of known bindings have the properties that these require",
    run(context, { node }, report) {
      for (const { required = [], source } of context.fact(bindingsOf, node)) {
        for (const each of required) {
          const names = typeof each === "string" ? [each] : each;
          if (!names.some((name) => node.properties.has(name))) {
            report(`it lacks ${names.join(" or ")}, which ${source} requires`);
          }
        }
      }
    },
  },
  {
    name: "binding_cells",
    level: "error",
    summary: "nodes of known bindings have the numbers of cells that these prescribe",
    run(context, { node }, report) {
      for (const { cells = {}, source } of context.fact(bindingsOf, node)) {
        for (const [property, count] of Object.entries(cells)) {
          const actual = cellOf(node, property);
          if (actual === undefined) report(`it lacks ${property} = <${count}>, which ${source} requires`);
          else if (actual !== count) report(`it is ${actual}; ${source} says ${count}`, { property });
        }
      }
    },
  },
  {
    name: "interrupt_exists",
    level: "error",
    summary: "interrupts are ones that their controller has",
    run(context, { node }, report) {
      for (const { property, controller, specifier } of interruptsOf(context.index, node)) {
        const [number] = specifier;
        if (number === undefined) continue;
        for (const { interrupts } of context.fact(bindingsOf, controller)) {
          const range = interrupts?.(controller);
          // -1 in interrupts-extended keeps the place of a context that is not connected (sifive,plic-1.0.0.yaml).
          if (!range || (number === UNCONNECTED && property === "interrupts-extended")) continue;
          const [first, last] = range;
          if (number < first || number > last) {
            report(`${context.index.path(controller)} has interrupts ${first} to ${last}, not ${number}`, { property });
          }
        }
      }
    },
  },
  {
    name: "address_reachable",
    level: "error",
    summary: "addresses on a bus lie within its ranges",
    run({ addresses, index }, { node, parent }, report) {
      // A bus without ranges has addresses of its own, and PCI's are of configuration space.
      if (!parent?.properties.has("ranges") || textOf(parent, "device_type") === "pci") return;
      for (const { address, size, stoppedAt } of addresses.registers(node)) {
        if (!stoppedAt?.properties.has("ranges") || size === 0n) continue;
        const range = `0x${address.toString(16)} to 0x${(address + size - 1n).toString(16)}`;
        report(`${range} is not within the ranges of ${index.path(stoppedAt)}`, { property: "reg" });
      }
    },
  },
  {
    name: "address_overlap",
    level: "warning",
    summary: "devices on a bus, and blocks of memory, have addresses of their own",
    run: checkOverlaps,
  },
  {
    name: "stdout_path_exists",
    level: "warning",
    summary: "the console of /chosen is there, by path or by alias",
    run({ index }, { node, path }, report) {
      const text = path === "/chosen" ? textOf(node, "stdout-path") : undefined;
      if (text === undefined) return;
      // Options of the line may follow a colon (DTSpec §3.6).
      const name = text.replace(/:.*$/, "");
      const aliases = index.at("/aliases");
      const target = name.startsWith("/") ? name : aliases && textOf(aliases, name);
      if (target === undefined || !index.at(target)) {
        report(`${quoted(name)} is neither a node nor an alias of one`, { property: "stdout-path" });
      }
    },
  },
  {
    name: "cpu_map_cpus",
    level: "error",
    summary: "cores and threads of cpu-map are CPUs",
    run({ index }, { node, path }, report) {
      if (!path.startsWith("/cpus/cpu-map/") || !node.properties.has("cpu")) return;
      const phandle = cellOf(node, "cpu");
      const cpu = phandle === undefined ? undefined : index.byPhandle(phandle);
      if (!cpu || textOf(cpu, "device_type") !== "cpu") report("it names no CPU", { property: "cpu" });
    },
  },
];

function checkOverlaps({ addresses }: CheckContext, { node: bus }: { readonly node: FdtNode }, report: Report): void {
  const blocks = bus.children
    .filter((child) => textOf(child, "status") !== "disabled" && !isCompatible(child, "syscon"))
    .flatMap((child) => addresses.registers(child).map(({ address, size }) => ({ child, address, size })))
    .filter(({ size }) => size > 0n)
    .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  let furthest = blocks[0];
  for (const block of blocks.slice(1)) {
    const end = furthest!.address + furthest!.size;
    if (block.address < end && block.child !== furthest!.child) {
      const at = `0x${block.address.toString(16)}`;
      report(`it and ${furthest!.child.name} both have ${at}`, { node: block.child, property: "reg" });
    }
    if (block.address + block.size > end) furthest = block;
  }
}
