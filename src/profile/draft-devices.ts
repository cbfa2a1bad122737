/** What a tree has at addresses, as vdevs: those whose bindings are known, and placeholders for the others. */
import * as v from "valibot";
import { AddressMap } from "../fdt/addresses.ts";
import { interruptsOf } from "../fdt/interrupt-tree.ts";
import { baseName } from "../fdt/names.ts";
import type { FdtNode } from "../fdt/tree.ts";
import type { TreeIndex } from "../fdt/tree-index.ts";
import type { AnyVdev, VdevRegistry } from "../vdev/registry.ts";
import { textsOf } from "./draft-cpus.ts";
import { type DraftValue, recognise } from "./draft-types.ts";
import { hex, naturalAlign, type Span } from "./place.ts";

export interface DraftDevice {
  /** The node; none for the further regions of one. */
  readonly node: FdtNode | undefined;
  readonly path: string;
  readonly type: string;
  name: string;
  readonly family: string;
  readonly at: number;
  readonly options: Readonly<Record<string, DraftValue>>;
  readonly guesses: string[];
  irq?: string | readonly string[];
}

/** As many as a profile may have. */
const MAX_DEVICES = 1024;
/** What a placeholder may be at most: the largest region. */
const MAX_SIZE = 2 ** 40;
/** Buses whose children have addresses of the CPUs without a driver's help. */
const BUSES = ["simple-bus", "simple-pm-bus", "simple-mfd"];
const ELSEWHERE = /^\/(cpus|chosen|aliases|reserved-memory|__symbols__|memory(@[^/]*)?)$/;

interface Register {
  readonly at: number;
  readonly size: number;
}

export function findDevices(
  index: TreeIndex,
  registry: VdevRegistry,
  harts: number,
  taken: readonly Register[],
): DraftDevice[] {
  const finder = new DeviceFinder(index, registry, harts, taken);
  finder.search(index.fdt.root);
  finder.devices.sort((a, b) => a.at - b.at);
  finder.giveNames();
  finder.wire();
  return finder.devices;
}

class DeviceFinder {
  readonly devices: DraftDevice[] = [];
  readonly #addresses: AddressMap;
  readonly #taken: Register[];

  constructor(
    readonly index: TreeIndex,
    readonly registry: VdevRegistry,
    readonly harts: number,
    taken: readonly Register[],
  ) {
    this.#addresses = new AddressMap(index);
    this.#taken = [...taken];
  }

  search(bus: FdtNode): void {
    for (const child of bus.children) {
      if (this.devices.length >= MAX_DEVICES) return;
      if (ELSEWHERE.test(this.index.path(child))) continue;
      const compatible = textsOf(child, "compatible");
      this.#add(child, compatible);
      if (compatible.some((name) => BUSES.includes(name))) this.search(child);
    }
  }

  #add(node: FdtNode, compatible: readonly string[]): void {
    const registers = this.#registers(node);
    if (registers.length > 0 && !this.#known(node, compatible, registers))
      this.#placeholders(node, compatible, registers);
  }

  #registers(node: FdtNode): Register[] {
    return this.#addresses.registers(node).flatMap(({ cpuAddress, size }) => {
      const fits = cpuAddress !== undefined && size > 0n && size <= BigInt(MAX_SIZE);
      return fits && cpuAddress + size <= BigInt(Number.MAX_SAFE_INTEGER)
        ? [{ at: Number(cpuAddress), size: Number(size) }]
        : [];
    });
  }

  #known(node: FdtNode, compatible: readonly string[], registers: readonly Register[]): boolean {
    const found = recognise(node, compatible, this.index);
    const descriptor = found && this.registry.get(found.type);
    const register = found && registers[found.register];
    if (!descriptor || !register) return false;
    const options = v.safeParse(descriptor.options, found.options);
    if (!options.success) return false;
    const board = { harts: this.harts };
    const regions =
      typeof descriptor.regions === "function" ? descriptor.regions(options.output, board) : descriptor.regions;
    const [region] = regions;
    if (!region || register.at % (region.align ?? naturalAlign(region.size)) !== 0) return false;
    // Further regions follow in the tree as in the vdev; a type with one has no more to place.
    if (regions.length > 1) return false;
    if (!this.#claim({ at: register.at, size: region.size })) return false;
    const guesses = [...found.guesses];
    if (region.size !== register.size && found.register === 0) {
      guesses.push(`size ${hex(region.size)}, as the type has it; ${hex(register.size)} in the tree`);
    }
    const { type, family } = found;
    const path = this.index.path(node);
    this.devices.push({ node, path, type, family, name: family, at: register.at, options: found.options, guesses });
    return true;
  }

  #placeholders(node: FdtNode, compatible: readonly string[], registers: readonly Register[]): void {
    const path = this.index.path(node);
    const family =
      baseName(node.name)
        .replace(/[^\w-]/g, "-")
        .replace(/^[^A-Za-z]+/, "")
        .slice(0, 30) || "device";
    let first = true;
    for (const register of registers) {
      if (this.devices.length >= MAX_DEVICES || !this.#claim(register)) continue;
      const options: Record<string, DraftValue> = { size: register.size };
      if (first && compatible.length > 0) options["compatible"] = compatible;
      // To a PCI host, all ones are a slot without a device.
      if (textsOf(node, "device_type")[0] === "pci") options["answer"] = "ones";
      const guesses = [first ? "nothing here does what the device would" : `a further region of ${path}`];
      this.devices.push({
        ...{ node: first ? node : undefined, path, type: "unimplemented", family, name: family },
        ...{ at: register.at, options, guesses },
      });
      first = false;
    }
  }

  #claim(span: Register): boolean {
    const end = ({ at, size }: Pick<Span, "at" | "size">) => at + size;
    if (this.#taken.some((other) => span.at < end(other) && other.at < end(span))) return false;
    this.#taken.push(span);
    return true;
  }

  /** Numbered where a name would stand for several; none that only - and _ tell apart, as labels have no -. */
  giveNames(): void {
    const counts = Map.groupBy(this.devices, ({ family }) => family);
    const used = new Set<string>();
    for (const device of this.devices) {
      const { family } = device;
      const several = counts.get(family)!.length > 1 || ["uart", "rtc"].includes(family);
      let number = 0;
      let name = several ? `${family}0` : family;
      while (used.has(name.replaceAll("-", "_"))) name = `${family}${++number}`;
      used.add(name.replaceAll("-", "_"));
      device.name = name;
    }
  }

  /** To controllers that are vdevs; each line once. */
  wire(): void {
    const controllers = new Map(
      this.devices.flatMap((device) => (device.type === "plic" && device.node ? [[device.node, device] as const] : [])),
    );
    const used = new Set<string>();
    for (const device of this.devices) {
      const wanted = interruptCount(this.registry.get(device.type));
      if (!device.node || wanted === 0) continue;
      const lines = interruptsOf(this.index, device.node)
        .slice(0, wanted)
        .map(({ controller, specifier }) => {
          const plic = controllers.get(controller);
          const line = `${plic?.name}:${specifier[0]}`;
          const last = Number(plic?.options["sources"] ?? 95);
          const usable =
            plic && specifier.length === 1 && specifier[0]! >= 1 && specifier[0]! <= last && !used.has(line);
          if (!usable) device.guesses.push("irq: the tree's goes where no vdev takes it, or is another's");
          else used.add(line);
          return usable ? line : "none";
        });
      while (lines.length < wanted) lines.push("none");
      device.irq = lines.length === 1 ? lines[0]! : lines;
    }
  }
}

/** Of what has a fixed number. */
function interruptCount(descriptor: AnyVdev | undefined): number {
  const { interrupts = [] } = descriptor ?? {};
  return typeof interrupts === "function" ? 0 : interrupts.length;
}
