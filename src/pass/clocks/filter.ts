/**
 * Stands between a guest and the registers of a clock controller: per register and field it passes, emulates, ignores or
 * denies. Registers that others use as well are read, modified and written under a lock, so that their bits survive.
 */
import { BusError } from "../../vdev/errors.ts";
import type { HostWindow } from "../../vdev/host-object.ts";
import type { RegionHandler } from "../../vdev/region.ts";
import { allBits, bitsOf, type ClockController, type ClockField, type ClockRegister } from "./description.ts";

/** The host's side of a controller. */
export interface SharedRegisters {
  readonly window: Pick<HostWindow, "load" | "store">;
  /** Runs `act` while no other process that asks for the same does so. */
  exclusively<T>(act: () => T): T;
}

export interface FilterEvents {
  /** A change that the profile asks to be told. */
  changed(message: string): void;
  /** Something the guest tried that it may not. */
  refused(message: string): void;
}

/** What the filter did since power-on. */
export interface FilterCounts {
  reads: number;
  writes: number;
  /** Writes of which something reached the host. */
  forwarded: number;
  /** Writes of which something did not come through, and did no harm. */
  ignored: number;
  /** Accesses that were bus errors. */
  denied: number;
}

/** A register with its rules as masks. */
interface Ruled {
  readonly register: ClockRegister;
  readonly pass: number;
  readonly emulate: number;
  readonly deny: number;
  readonly conditional: readonly ClockField[];
  /** Every bit is the guest's to write, and nobody wants to be told: there is nothing to read first. */
  readonly own: boolean;
  readonly told: readonly Pick<ClockField, "name" | "high" | "low">[];
  /** Emulated bits as last written. */
  shadow: number;
  /** Which of them have been, or have a value from the profile. */
  known: number;
}

export class ClockFilter implements RegionHandler {
  readonly counts: FilterCounts = { reads: 0, writes: 0, forwarded: 0, ignored: 0, denied: 0 };
  readonly #controller: ClockController;
  readonly #host: SharedRegisters | undefined;
  readonly #events: FilterEvents;
  readonly #ruled: readonly Ruled[];
  /** By every byte that a register has. */
  readonly #byOffset = new Map<number, Ruled>();

  /** Without a host, every bit that is not emulated reads as at reset. */
  constructor(controller: ClockController, host: SharedRegisters | undefined, events: FilterEvents) {
    this.#controller = controller;
    this.#host = host;
    this.#events = events;
    this.#ruled = controller.registers.filter(({ hidden }) => !hidden).map(ruled);
    for (const each of this.#ruled) {
      const { offset, width } = each.register;
      for (let i = 0; i < width; i++) this.#byOffset.set(offset + i, each);
    }
  }

  /** Power-on: emulated bits are forgotten. The host's are as they are. */
  reset(): void {
    for (const each of this.#ruled) {
      each.shadow = (each.register.reset ?? 0) >>> 0;
      each.known = each.register.reset === undefined ? 0 : each.emulate;
    }
    Object.assign(this.counts, { reads: 0, writes: 0, forwarded: 0, ignored: 0, denied: 0 });
  }

  /** Emulated bits by register: `[name, shadow, known]`. */
  snapshot(): [string, number, number][] {
    return this.#ruled.map(({ register, shadow, known }) => [register.name, shadow, known]);
  }

  restore(saved: readonly (readonly [string, number, number])[]): void {
    for (const [name, shadow, known] of saved) {
      const each = this.#ruled.find(({ register }) => register.name === name);
      if (each) Object.assign(each, { shadow: shadow >>> 0, known: (known & each.emulate) >>> 0 });
    }
  }

  read(offset: number, width: number): number {
    this.counts.reads++;
    const each = this.#byOffset.get(offset);
    if (each === undefined) return this.#readUnlisted(offset, width);
    const shift = this.#shiftOf(each, offset, width);
    return ((visible(each, this.#load(each)) >>> shift) & allBits(width)) >>> 0;
  }

  write(offset: number, width: number, value: number): void {
    this.counts.writes++;
    const each = this.#byOffset.get(offset);
    if (each === undefined) return this.#writeUnlisted(offset, width, value);
    const shift = this.#shiftOf(each, offset, width);
    const lanes = (allBits(width) << shift) >>> 0;
    const given = (value << shift) >>> 0;
    const alone = each.own && lanes === allBits(each.register.width);
    if (alone || !this.#host) this.#modify(each, lanes, given, alone);
    else this.#host.exclusively(() => this.#modify(each, lanes, given, false));
  }

  /** One write of a guest to the bits in `lanes`. `alone`: to all of a register that is its own, which is not read first. */
  #modify(each: Ruled, lanes: number, given: number, alone: boolean): void {
    const { register, conditional } = each;
    const host = alone ? given : this.#load(each);
    const before = visible(each, host);
    const wanted = ((before & ~lanes) | given) >>> 0;
    const changed = (before ^ wanted) & lanes;
    if ((changed & each.deny) !== 0) this.#deny(each, `changes ${shownBits(changed & each.deny)}`);
    let granted = each.pass;
    let lost = changed & ~(each.pass | each.emulate);
    for (const field of conditional) {
      const bits = bitsOf(field);
      const next = (wanted & bits) >>> field.low;
      if (field.allow.some(({ from, to }) => next >= from && next <= to)) {
        granted |= bits;
        lost &= ~bits;
      } else if ((changed & bits) !== 0 && field.refused === "deny") {
        this.#deny(each, `sets ${field.name} to ${next}`);
      }
    }
    if ((granted & lanes) !== 0) {
      const acting = register.strobes & ~(granted & lanes);
      const next = ((host & ~granted) | (wanted & granted)) & ~acting;
      this.#host?.window.store(register.offset, register.width, next >>> 0);
      this.counts.forwarded++;
    }
    each.shadow = ((each.shadow & ~lanes) | given) >>> 0;
    each.known = (each.known | (lanes & each.emulate)) >>> 0;
    if (lost !== 0) {
      this.counts.ignored++;
      this.#events.refused(`a write to ${register.name} leaves ${shownBits(lost)} as they are`);
    }
    this.#tell(each, before, ((wanted & (granted | each.emulate)) | (before & ~(granted | each.emulate))) >>> 0);
  }

  /** A guest may use a part of a register, and nothing beyond it. */
  #shiftOf({ register }: Ruled, offset: number, width: number): number {
    const { name, offset: start, width: own } = register;
    if (offset + width <= start + own) return 8 * (offset - start);
    this.counts.denied++;
    throw new BusError(`an access of ${width} bytes at ${hex(offset)} reaches beyond the register ${name}`);
  }

  /** The host's value, or the one at reset where there is no host. Where all of it is emulated, the host is left alone. */
  #load({ register, known }: Ruled): number {
    if (this.#host === undefined) return (register.reset ?? 0) >>> 0;
    return known === allBits(register.width) ? 0 : this.#host.window.load(register.offset, register.width);
  }

  #readUnlisted(offset: number, width: number): number {
    const window = this.#forwards(offset, width) ? this.#host?.window : undefined;
    if (window) return window.load(offset, width);
    const { unlisted } = this.#controller;
    if (unlisted === "deny") this.#denyUnlisted(`read of ${width} bytes at`, offset);
    const reads = unlisted === "read" && offset % width === 0 && !this.#meetsRegister(offset, width);
    return reads && this.#host ? this.#host.window.load(offset, width) : 0;
  }

  #writeUnlisted(offset: number, width: number, value: number): void {
    if (this.#forwards(offset, width)) {
      this.#host?.window.store(offset, width, value);
      this.counts.forwarded++;
      return;
    }
    if (this.#controller.unlisted === "deny") this.#denyUnlisted(`write of ${width} bytes at`, offset);
    this.counts.ignored++;
    this.#events.refused(`a write at ${hex(offset)}, where no register is described, changes nothing`);
  }

  /** Blocks are the guest's own, in its own widths. */
  #forwards(offset: number, width: number): boolean {
    return (
      offset % width === 0 &&
      this.#controller.blocks.some((block) => offset >= block.offset && offset + width <= block.offset + block.size)
    );
  }

  /** The access begins before a register and reaches into it. */
  #meetsRegister(offset: number, width: number): boolean {
    for (let i = 0; i < width; i++) if (this.#byOffset.has(offset + i)) return true;
    return false;
  }

  #denyUnlisted(what: string, offset: number): never {
    this.counts.denied++;
    throw new BusError(`a ${what} ${hex(offset)}, where no register is described`);
  }

  #deny({ register }: Ruled, what: string): never {
    this.counts.denied++;
    throw new BusError(`a write to ${register.name} ${what}, which is denied`);
  }

  #tell(each: Ruled, before: number, after: number): void {
    for (const field of each.told) {
      const bits = bitsOf(field);
      const [old, now] = [(before & bits) >>> field.low, (after & bits) >>> field.low];
      if (old !== now) this.#events.changed(`${field.name}: ${hex(old)} becomes ${hex(now)}`);
    }
  }
}

/** What the guest sees. */
function visible({ emulate, known, shadow }: Ruled, host: number): number {
  const own = emulate & known;
  return ((host & ~own) | (shadow & own)) >>> 0;
}

function ruled(register: ClockRegister): Ruled {
  const all = allBits(register.width);
  const named = register.fields.filter(({ access }) => access !== undefined);
  const claimed = named.reduce((mask, field) => mask | bitsOf(field), 0);
  const by = (access: ClockField["access"]) =>
    named.filter((field) => field.access === access).reduce((mask, field) => mask | bitsOf(field), 0);
  const free = all & ~claimed;
  const rest = free & ~register.pass;
  const pass = ((free & register.pass) | by("pass")) >>> 0;
  const emulate = (by("emulate") | (register.rest === "emulate" ? rest : 0)) >>> 0;
  const told = register.log
    ? [{ name: register.name, high: 8 * register.width - 1, low: 0 }]
    : register.fields
        .filter(({ log }) => log)
        .map(({ name, high, low }) => ({ name: `${register.name}.${name}`, high, low }));
  return {
    register,
    pass,
    emulate,
    deny: (by("deny") | (register.rest === "deny" ? rest : 0)) >>> 0,
    conditional: named.filter(({ access }) => access === "pass-if"),
    own: pass === all && told.length === 0,
    told,
    shadow: (register.reset ?? 0) >>> 0,
    known: register.reset === undefined ? 0 : emulate,
  };
}

function shownBits(mask: number): string {
  return `bits ${hex(mask >>> 0)}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
