/**
 * A clock controller of the host, or a part of one: its registers reach the guest bit by bit through a filter, or as whole
 * pages, or not at all. Docs of embedded hypervisors call these the strategies for devices that depend on clocks.
 */
import * as v from "valibot";
import { node } from "../../fdt/tree.ts";
import { defineVdev, type VdevInstance } from "../../vdev/descriptor.ts";
import type { Json, VdevHost } from "../../vdev/host.ts";
import type { HostObject, HostWindow } from "../../vdev/host-object.ts";
import type { VdevPlacement } from "../../vdev/placement.ts";
import type { RegionHandler } from "../../vdev/region.ts";
import { fromSnapshot, u32 } from "../../vdev/snapshot.ts";
import { hostOffset } from "../options.ts";
import type { ClockController } from "./description.ts";
import { ClockFilter, type SharedRegisters } from "./filter.ts";
import { type ClockOptions, clockOptions } from "./options.ts";
import { controllersOf } from "./outputs.ts";
import { type Strategy, strategyOf } from "./strategy.ts";

const PAGE = 4096;

export const clock = defineVdev({
  type: "clock",
  summary: "Clock controller of the host, passed by register and bit",
  options: clockOptions,
  // Blocks are whole pages only where guest and host agree about where pages begin.
  regions: ({ size, block }) =>
    size === undefined ? [] : [{ name: "registers", size, align: block.length > 0 ? PAGE : 8 }],
  explain: (options, placement) => {
    const { number, reasons } = strategyAt(placement, options);
    return `strategy ${number}: ${reasons.join("; ")}`;
  },

  // Linux Documentation/devicetree/bindings/clock/clock.txt
  fdt: ({ options: { compatible, size }, unit, reg, interrupts }) =>
    size === undefined || compatible === undefined
      ? {}
      : { bus: [node(`clock-controller@${unit}`, { compatible, reg, "#clock-cells": 1, ...interrupts })] },

  create: (host, options) => (options.size === undefined ? new Unmapped(host) : new Filtered(host, options)),
});

/** How the controller at this place reaches the guest. */
export function strategyAt(placement: Pick<VdevPlacement, "name" | "regions">, options: ClockOptions): Strategy {
  return strategyOf(controllerAt(placement, options), hostOffset({ host: options.host ?? "", offset: options.offset }));
}

/** Registers and blocks alone: clocks may come from other tables. */
function controllerAt(
  { name, regions }: Pick<VdevPlacement, "name" | "regions">,
  options: ClockOptions,
): ClockController {
  return controllersOf([{ name, at: regions[0]?.at, options: { ...options, output: [] } }])[0]!;
}

/** What a controller's host object is asked for. */
export function hostRequest({ window, offset, override }: ClockOptions, size: number, write: boolean) {
  return { window, offset, size, write, override };
}

/** Its clocks are fixed; the guest has nothing of it. */
class Unmapped implements VdevInstance {
  readonly regions = [];
  readonly #name: string;

  constructor({ name }: VdevHost) {
    this.#name = name;
  }
  reset(): void {}
  snapshot() {
    return null;
  }
  restore(): void {}
  status() {
    return { strategy: `1: nothing of ${this.#name} is mapped` };
  }
}

const snapshot = v.object({ emulated: v.pipe(v.array(v.tuple([v.string(), u32(), u32()])), v.maxLength(1024)) });

class Filtered implements VdevInstance {
  readonly #host: VdevHost;
  readonly #options: ClockOptions;
  readonly #strategy: Strategy;
  readonly #filter: ClockFilter;
  #object: HostObject | undefined;
  /** Why it is not there any more. */
  #lost: string | undefined;
  #directAccesses = 0;
  readonly regions: readonly RegionHandler[];

  constructor(host: VdevHost, options: ClockOptions) {
    this.#host = host;
    this.#options = options;
    this.#strategy = strategyAt(host.placement, options);
    const shared: SharedRegisters | undefined =
      options.host === undefined
        ? undefined
        : {
            window: lateWindow(() => this.#opened().window),
            exclusively: (act) => this.#opened().exclusively(act),
          };
    this.#filter = new ClockFilter(controllerAt(host.placement, options), shared, {
      changed: (message) => host.log.info(message),
      refused: (message) => host.log.guestError(message),
    });
    this.regions = [this.#handler()];
    if (!host.delayed && options.host !== undefined) this.#opened();
  }

  #handler(): RegionHandler {
    const filter = this.#filter;
    const { direct } = this.#strategy;
    if (direct.length === 0) return filter;
    const isDirect = (offset: number) =>
      direct.some((page) => offset >= page.offset && offset < page.offset + page.size);
    const window = () => {
      this.#directAccesses++;
      return this.#opened().window;
    };
    // The filter has registers of up to 4 bytes: of 8, it gets the low half first, as all vdevs do.
    return {
      read: (offset, width) => (isDirect(offset) ? window().load(offset, width) : filter.read(offset, width)),
      write(offset, width, value) {
        if (isDirect(offset)) window().store(offset, width, value);
        else filter.write(offset, width, value);
      },
      read64(offset) {
        if (isDirect(offset)) return window().load64(offset);
        const low = filter.read(offset, 4);
        return (BigInt(filter.read(offset + 4, 4)) << 32n) | BigInt(low);
      },
      write64(offset, value) {
        if (isDirect(offset)) return window().store64(offset, value);
        filter.write(offset, 4, Number(value & 0xffff_ffffn));
        filter.write(offset + 4, 4, Number(value >> 32n));
      },
    };
  }

  #opened(): HostObject {
    if (this.#lost !== undefined) throw this.#host.busError(this.#lost);
    if (this.#object) return this.#object;
    const { host = "", size = 0 } = this.#options;
    const object = this.#host.hostObject(host, hostRequest(this.#options, size, true));
    object.onLoss = (reason) => {
      this.#lost = reason;
      this.#host.log.error(`${host} is gone: ${reason}`);
    };
    this.#object = object;
    return object;
  }

  reset(): void {
    this.#filter.reset();
    this.#directAccesses = 0;
  }
  snapshot() {
    return { emulated: this.#filter.snapshot() };
  }
  restore(state: Json): void {
    this.#filter.restore(fromSnapshot(snapshot, state).emulated);
  }

  status() {
    const { number, reasons } = this.#strategy;
    const { reads, writes, forwarded, ignored, denied } = this.#filter.counts;
    return {
      strategy: `${number}: ${reasons.join("; ")}`,
      ...(this.#options.host !== undefined && {
        host: this.#lost === undefined ? (this.#object?.how ?? "not opened yet") : `gone: ${this.#lost}`,
      }),
      reads,
      writes,
      "writes that reached the host": forwarded,
      "writes that changed less than asked for": ignored,
      "bus errors": denied,
      ...(this.#strategy.direct.length > 0 && { "direct accesses": this.#directAccesses }),
    };
  }

  terminate(): void {
    this.#object?.close();
    this.#object = undefined;
    this.#lost ??= "the machine has ended";
  }
}

/** A window that is opened at its first use. */
function lateWindow(open: () => HostWindow): Pick<HostWindow, "load" | "store"> {
  return {
    load: (offset, width) => open().load(offset, width),
    store: (offset, width, value) => open().store(offset, width, value),
  };
}
