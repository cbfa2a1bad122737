/**
 * Pass-through: a span of the host's registers or memory that is the guest's own, with its interrupts. Every access of the
 * guest to a device is one access of the host; an interrupt stays masked at the host until the guest has completed it.
 */
import { VmrunError } from "../diagnostics/diagnostic.ts";
import { node } from "../fdt/tree.ts";
import { defineVdev, type InterruptSpec, type VdevInstance } from "../vdev/descriptor.ts";
import type { VdevHost } from "../vdev/host.ts";
import type { HostObject, HostObjectRequest } from "../vdev/host-object.ts";
import { hostOffset, PAGE, type PassOptions, passOptions } from "./options.ts";
import { PassedInterrupt } from "./passed-interrupt.ts";

export const pass = defineVdev({
  type: "pass",
  summary: "Hardware of the host, passed through",
  options: passOptions,
  regions: ({ size, memory, access }) => [
    {
      name: "window",
      size,
      // The guest's address has to be as aligned as the host's.
      align: memory === "cached" ? PAGE : 8,
      ...(memory === "cached" && { access: memoryAccess(access) }),
    },
  ],
  interrupts: ({ trigger }, wired) =>
    Array.from({ length: wired }, (_, i): InterruptSpec => ({ name: wired === 1 ? "irq" : `irq${i}`, trigger })),
  explain: shownAccess,

  fdt: ({ placement, options: { compatible }, unit, reg, interrupts }) => ({
    bus: [node(`${placement.name.slice(0, 31)}@${unit}`, { compatible, reg, ...interrupts })],
  }),

  create: (host, options) => new Passed(host, options),
});

/** Which of the host's interrupts: `irq` is the only one. */
function numberOf(name: string): number {
  return Number(name.slice(3));
}

function memoryAccess(access: PassOptions["access"]) {
  return {
    read: "memory",
    write: access.includes("w") ? "memory" : "trap",
    execute: access.includes("x") ? "memory" : "none",
  } as const;
}

/** For a person: how the guest's accesses get to the host. */
function shownAccess(options: PassOptions): string {
  const { memory, size } = options;
  if (memory === "cached") return "mapped: the guest's accesses go to the host's pages";
  if (size % PAGE === 0 && hostOffset(options) % PAGE === 0)
    return "device pages: each access of the guest is one of the host";
  return `filtered: ${size} bytes of a page of ${PAGE}, whose other bytes the guest does not reach`;
}

class Passed implements VdevInstance {
  readonly #host: VdevHost;
  readonly #options: PassOptions;
  readonly #interrupts: PassedInterrupt[] = [];
  #object: HostObject | undefined;
  /** Why it is not there any more. */
  #lost: string | undefined;
  readonly regions;

  constructor(host: VdevHost, options: PassOptions) {
    this.#host = host;
    this.#options = options;
    this.regions = [
      {
        read: (offset: number, width: number) => this.#window().load(offset, width),
        write: (offset: number, width: number, value: number) => this.#writable().store(offset, width, value),
        read64: (offset: number) => this.#window().load64(offset),
        write64: (offset: number, value: bigint) => this.#writable().store64(offset, value),
      },
    ];
  }

  /** Not before: a device with DMA is to know the guest's RAM. */
  configured(): void {
    if (!this.#host.delayed || this.#options.memory === "cached") this.#open();
  }

  #open(): HostObject {
    const { host: spec, window, offset, size, access, dma, memory, override } = this.#options;
    const { interrupts } = this.#host.placement;
    const object = this.#take(spec, {
      window,
      offset,
      size,
      write: access.includes("w"),
      cached: memory === "cached",
      dma,
      override,
      // Those before the last that nobody wired are the host's to keep.
      interrupts: Math.max(0, ...interrupts.map(({ name }) => 1 + numberOf(name))),
    });
    this.#object = object;
    if (memory === "cached") {
      if (object.window.mapping === undefined) throw new Error(`${spec} has no pages that can be mapped`);
      this.#host.region("window").lay({ ...object.window.mapping, writable: access.includes("w") });
    }
    object.onLoss = (reason) => this.#lose(reason);
    for (const { name } of interrupts) {
      const source = object.interrupts[numberOf(name)]!;
      this.#interrupts.push(new PassedInterrupt(source, this.#host.interrupt(name), this.#options));
    }
    return object;
  }

  /** What cannot be had is a matter of the profile's own key. */
  #take(spec: string, request: HostObjectRequest): HostObject {
    try {
      return this.#host.hostObject(spec, request);
    } catch (error) {
      if (!(error instanceof VmrunError)) throw error;
      const place = { path: `pass.${this.#host.name}.host` };
      throw new VmrunError(error.diagnostics.map((finding) => ({ ...finding, place: finding.place ?? place })));
    }
  }

  #window() {
    if (this.#lost !== undefined) throw this.#host.busError(this.#lost);
    return (this.#object ?? this.#open()).window;
  }

  #writable() {
    if (!this.#options.access.includes("w")) throw this.#host.busError("a store to what was passed for reading");
    return this.#window();
  }

  #lose(reason: string): void {
    if (this.#lost !== undefined) return;
    this.lost(reason);
    this.#host.lost(reason);
  }

  /** It goes as a whole: what is left of it is given back to the host. */
  lost(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.#host.log.error(`${this.#options.host} is gone: ${reason}`);
    for (const interrupt of this.#interrupts) interrupt.end();
    // A region that is mapped stays, as it is, until the machine ends.
    if (this.#options.memory === "device") this.#object?.close();
  }

  reset(): void {
    if (this.#lost === undefined) this.#object?.reset();
    for (const interrupt of this.#interrupts) interrupt.reset();
  }

  /** What the hardware holds is not the machine's to keep. */
  snapshot() {
    return null;
  }
  restore(): void {}

  status() {
    const counts = this.#interrupts.map((interrupt) => interrupt.status());
    const sum = (of: (count: (typeof counts)[number]) => number) => counts.reduce((total, each) => total + of(each), 0);
    return {
      host: this.#lost === undefined ? (this.#object?.how ?? "not opened yet") : `gone: ${this.#lost}`,
      ...(counts.length > 0 && {
        interrupts: sum(({ raised }) => raised),
        merged: sum(({ merged }) => merged),
        masked: counts.some(({ masked }) => masked),
      }),
    };
  }

  terminate(): void {
    for (const interrupt of this.#interrupts) interrupt.end();
    this.#object?.close();
    this.#object = undefined;
    this.#lost ??= "the machine has ended";
  }
}
