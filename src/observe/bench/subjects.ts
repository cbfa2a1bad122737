/**
 * What of a board can be measured again and again without changing anything: found out on a machine that is thrown away,
 * by looking at each vdev's state before and after.
 */
import { isDeepStrictEqual } from "node:util";
import type { BusRegion } from "../../machine/bus.ts";
import type { Machine } from "../../machine/machine.ts";
import type { Board, BoardVdev } from "../../profile/board.ts";
import type { BenchOffer } from "../../vdev/descriptor.ts";
import { bitRules, isReadable, isWritable, type RegisterMap, type RegisterSpec } from "../../vdev/registers.ts";
import type { VdevRegistry } from "../../vdev/registry.ts";
import { DOORBELL } from "./doorbell.ts";

/** An access that can be made for ever. */
export interface AccessSubject {
  readonly kind: "read" | "write";
  /** `uart0.SCR`. */
  readonly subject: string;
  readonly what: string;
  readonly vdev: string;
  readonly address: number;
  readonly width: number;
  /** Of writes: what is in the register anyway, or what the vdev offers. */
  readonly value?: bigint;
}

/** A chain of buffers that a device uses at once. */
export interface QueueSubject {
  readonly kind: "virtqueue";
  readonly subject: string;
  readonly what: string;
  readonly vdev: string;
  readonly address: number;
  readonly queue: number;
  readonly chain: Extract<BenchOffer, { readonly queue: number }>["chain"];
}

export interface Subjects {
  readonly accesses: readonly AccessSubject[];
  readonly queues: readonly QueueSubject[];
  readonly left: readonly { readonly subject: string; readonly reason: string }[];
}

/** Guest time in which a counter has moved, ns. */
const A_WHILE = 1e6;

/**
 * @param machine At power-on; it is of no use afterwards.
 * @param widths `all`: narrower accesses than the register's own, too.
 */
export function findSubjects(
  machine: Machine,
  board: Board,
  registry: VdevRegistry,
  widths: "own" | "all" = "own",
): Subjects {
  const finder = new Finder(machine, widths);
  for (const vdev of board.vdevs) {
    if (vdev.table === "vdev" && vdev.placement.type !== DOORBELL) finder.examine(vdev, registry);
  }
  return finder;
}

class Finder implements Subjects {
  readonly accesses: AccessSubject[] = [];
  readonly queues: QueueSubject[] = [];
  readonly left: { subject: string; reason: string }[] = [];

  constructor(
    readonly machine: Machine,
    readonly widths: "own" | "all",
  ) {}

  examine({ placement }: BoardVdev, registry: VdevRegistry): void {
    const { registers = {}, bench = [] } = registry.get(placement.type)!;
    for (const region of placement.regions) {
      const map = registers[region.name];
      const bus = this.machine.bus.regions.find(({ owner, name }) => owner === placement.name && name === region.name);
      if (map === undefined || bus === undefined) {
        this.left.push({ subject: `${placement.name}.${region.name}`, reason: "it has no register map" });
        continue;
      }
      for (const [name, spec] of Object.entries(map)) {
        const offset = offsetOf(bus, name, spec);
        if (offset !== undefined && offset + spec.width <= region.size) this.#register(bus, name, spec, offset);
      }
      for (const offer of bench) this.#offer(offer, bus, map, placement.regions.length);
    }
  }

  #register(bus: BusRegion, name: string, spec: RegisterSpec, offset: number): void {
    const subject = `${bus.owner}.${name}${spec.count === undefined ? "" : "[0]"}`;
    if (!isReadable(spec)) return;
    if (spec.fifo || bitRules(spec).clearedByRead !== 0n)
      return void this.left.push({ subject, reason: "reading it takes or clears something" });
    const address = bus.at + offset;
    const widths = this.widths === "own" ? [spec.width] : [8, 4, 2, 1].filter((width) => width <= spec.width);
    for (const width of widths) {
      const common = { subject, vdev: bus.owner, address, width };
      const value = this.#undisturbed(bus.owner, () => this.#load(address, width));
      if (value === undefined) {
        this.left.push({ subject, reason: `a read of ${width} bytes fails, or changes the vdev` });
        continue;
      }
      this.accesses.push({ ...common, kind: "read", what: "read" });
      if ((spec.access ?? "rw") !== "rw" || !isWritable(spec)) continue;
      this.machine.skipTo(this.machine.clock.now() + A_WHILE);
      // What moves by itself would be turned back.
      if (this.#load(address, width) !== value) continue;
      const written = this.#undisturbed(bus.owner, () => (this.#store(address, width, value) ? value : undefined));
      if (written !== undefined) this.accesses.push({ ...common, kind: "write", what: "write", value });
    }
  }

  /** What the access answers, where the vdev is afterwards as it was. */
  #undisturbed(vdev: string, access: () => bigint | undefined): bigint | undefined {
    const instance = this.machine.vdevs.get(vdev)!;
    try {
      const before = instance.snapshot();
      const answer = access();
      return isDeepStrictEqual(instance.snapshot(), before) && this.machine.ending === undefined ? answer : undefined;
    } catch {
      // A vdev that cannot save its state is left alone.
      return undefined;
    }
  }

  #load(address: number, width: number): bigint | undefined {
    const { bus } = this.machine;
    if (width < 8) {
      const value = bus.load(address, width);
      return value < 0 ? undefined : BigInt(value);
    }
    const whole = bus.load64(address);
    if (whole !== undefined) return whole < 0n ? undefined : whole;
    const [low, high] = [bus.load(address, 4), bus.load(address + 4, 4)];
    return low < 0 || high < 0 ? undefined : BigInt(low) | (BigInt(high) << 32n);
  }

  #store(address: number, width: number, value: bigint): boolean {
    const { bus } = this.machine;
    if (width < 8) return bus.store(address, width, Number(value));
    const half = (shift: bigint) => Number((value >> shift) & 0xffff_ffffn);
    return bus.store64(address, value) ?? (bus.store(address, 4, half(0n)) && bus.store(address + 4, 4, half(32n)));
  }

  /** What a vdev says can be done to it for ever is believed. */
  #offer(offer: BenchOffer, bus: BusRegion, map: RegisterMap, regions: number): void {
    const { owner: vdev, at } = bus;
    if ("queue" in offer) {
      const { queue, chain, what } = offer;
      this.queues.push({ kind: "virtqueue", subject: vdev, what, vdev, address: at, queue, chain });
      return;
    }
    const path = "read" in offer ? offer.read : offer.write;
    const name = regions === 1 ? path : path.startsWith(`${bus.name}.`) ? path.slice(bus.name.length + 1) : undefined;
    const spec = name === undefined ? undefined : map[name];
    const offset = spec && offsetOf(bus, name!, spec);
    if (offset === undefined) return;
    const common = { subject: `${vdev}.${name}`, what: offer.what, vdev, address: at + offset, width: spec!.width };
    // What is offered is not left out.
    this.left.splice(0, this.left.length, ...this.left.filter(({ subject }) => subject !== common.subject));
    if ("read" in offer) this.accesses.push({ ...common, kind: "read" });
    else this.accesses.push({ ...common, kind: "write", value: BigInt(offer.value) });
  }
}

/** Where the register, or the first of an array, answers now; `undefined` while another window shows. */
function offsetOf({ handler }: BusRegion, name: string, spec: RegisterSpec): number | undefined {
  const { names } = handler;
  if (names === undefined) return spec.window === undefined ? spec.at : undefined;
  const wanted = spec.count === undefined ? name : `${name}[0]`;
  const direction = isReadable(spec) ? "read" : "write";
  // Registers may lie further apart than the map says.
  for (const spread of [1, 2, 4, 8, 16]) {
    if (names.label(spec.at * spread, direction, names.window()) === wanted) return spec.at * spread;
  }
  return undefined;
}
