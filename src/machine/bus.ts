/**
 * Carries accesses that are not RAM to the vdev that answers them. A lookup costs the same with one vdev as with a
 * thousand: a direct-mapped table leads from a page to the few regions in it, and only its misses search them all.
 */

import { isPromise } from "../vdev/events.ts";
import type { RegionHandler } from "../vdev/region.ts";
import type { BusAccess, BusRegion } from "./bus-region.ts";
import { type BusInside, BusReader, BusWriter, isAnswer, type NotedRegion, notAnAnswer } from "./bus-register.ts";
import { Beat } from "./heartbeat.ts";

export type { BusAccess, BusRegion } from "./bus-region.ts";

/** What becomes of accesses that cannot be served. */
export interface BusPolicy {
  /** Nothing answers at `address`. Answers the value read (ignored for stores), or -1 for an access fault. */
  unclaimed(address: number, width: number, store: boolean): number;
  /** A vdev threw, or answered what is no unsigned number of the width. Answers as `unclaimed` does. */
  failed(access: BusAccess, error: unknown): number;
  /** A vdev answered a store with a promise. */
  promised(access: BusAccess, promise: PromiseLike<unknown>): void;
  /** How long an access took, ns of host time. Asked for by {@link Bus.timed}. */
  took(access: BusAccess, ns: number): void;
  /** The count of accesses is wanted: those that went by readers and writers are to be told. */
  settle?(): void;
  /** Readers and writers are not to be used any more. */
  forget?(): void;
  nanoseconds(): number;
}

const ALL_ONES = 2n ** 64n - 1n;
const PAGE = 4096;
const SLOTS = 1024;

export class Bus {
  readonly #regions: readonly NotedRegion[];
  readonly #policy: BusPolicy;
  readonly #beat: Int32Array;
  readonly #tags = new Float64Array(SLOTS).fill(-1);
  /** By slot: indices of the first and the last region that reach into its page. */
  readonly #first = new Int32Array(SLOTS);
  readonly #last = new Int32Array(SLOTS);
  readonly #inside: BusInside;
  #exits = 0;
  #timed = false;

  /** @param beat Words of a heartbeat: what is under way is noted there. */
  constructor(regions: readonly BusRegion[], policy: BusPolicy, beat: Int32Array = new Int32Array(Beat.notes)) {
    this.#regions = [...regions]
      .sort((a, b) => a.at - b.at)
      .map((region, index) => ({ ...region, index, own: region.handler, accessed: false }));
    this.#policy = policy;
    this.#beat = beat;
    this.#inside = {
      beat,
      failed: (access, error) => policy.failed(access, error),
      promised: (access, promise) => policy.promised(access, promise),
    };
    for (const { handler } of regions) this.#follow(handler);
  }

  /** Accesses so far, in either direction. */
  get exits(): number {
    this.#policy.settle?.();
    return this.#exits;
  }

  /**
   * For loads that come again and again; `undefined` where nobody answers them. Who goes by it tells {@link repeated} how
   * often, and finds another one when `BusPolicy.forget` says so.
   */
  reader(address: number, width: number): BusReader | undefined {
    const region = this.#find(address, width);
    return region && new BusReader(this.#inside, region, address - region.at, width);
  }

  /** The same for stores. */
  writer(address: number, width: number): BusWriter | undefined {
    const region = this.#find(address, width);
    return region && new BusWriter(this.#inside, region, address - region.at, width);
  }

  /** So many accesses went by a reader or writer. */
  repeated(address: number, width: number, count: number): void {
    this.#exits += count;
    const region = this.#find(address, width);
    if (region !== undefined) region.accessed = true;
  }

  /** Answers the unsigned value, or -1 for an access fault. */
  load(address: number, width: number): number {
    this.#exits++;
    const region = this.#find(address, width);
    if (region === undefined) return this.#policy.unclaimed(address, width, false);
    region.accessed = true;
    return this.#read(region, address, width);
  }

  /** Answers `false` for an access fault. */
  store(address: number, width: number, value: number): boolean {
    this.#exits++;
    const region = this.#find(address, width);
    if (region === undefined) return this.#policy.unclaimed(address, width, true) >= 0;
    region.accessed = true;
    return this.#write(region, address, width, value);
  }

  /** An access of 8 bytes to a region that takes them whole; `undefined` where none does. -1 is an access fault. */
  load64(address: number): bigint | undefined {
    const region = this.#find(address, 8);
    if (region?.handler.read64 === undefined) return undefined;
    this.#exits++;
    region.accessed = true;
    const offset = address - region.at;
    this.#note(region, offset << 1);
    try {
      return BigInt.asUintN(64, region.handler.read64(offset));
    } catch (error) {
      // What the policy has instead of a fault is all ones.
      return this.#policy.failed({ region, offset, width: 8, store: false }, error) < 0 ? -1n : ALL_ONES;
    }
  }

  /** As {@link load64}; `false` is an access fault. */
  store64(address: number, value: bigint): boolean | undefined {
    const region = this.#find(address, 8);
    if (region?.handler.write64 === undefined) return undefined;
    this.#exits++;
    region.accessed = true;
    const offset = address - region.at;
    this.#note(region, (offset << 1) | 1);
    try {
      region.handler.write64(offset, value);
      return true;
    } catch (error) {
      return this.#policy.failed({ region, offset, width: 8, store: true }, error) >= 0;
    }
  }

  /** Other handlers answer for these regions, which stay where they are. */
  rewire(regions: readonly BusRegion[]): void {
    this.#policy.forget?.();
    for (const { owner, name, handler } of regions) {
      const known = this.#regions.find((region) => region.owner === owner && region.name === name);
      if (known === undefined) continue;
      known.own.onChange = undefined;
      known.own = handler;
      this.#follow(handler);
      known.handler = this.#timed ? this.#stopwatch(known) : handler;
    }
  }

  /** All regions, by address. */
  get regions(): readonly BusRegion[] {
    return this.#regions;
  }

  /** Begins a new account of which regions are accessed. */
  beginAccount(): void {
    this.#policy.settle?.();
    for (const region of this.#regions) region.accessed = false;
  }

  /** The regions accessed since then. */
  get accessed(): readonly BusRegion[] {
    this.#policy.settle?.();
    return this.#regions.filter(({ accessed }) => accessed);
  }

  /** Whether every access is timed. That costs two looks at the clock for each: for when one is suspected to be slow. */
  get timed(): boolean {
    return this.#timed;
  }
  set timed(timed: boolean) {
    if (timed === this.#timed) return;
    this.#timed = timed;
    this.#policy.forget?.();
    for (const region of this.#regions) region.handler = timed ? this.#stopwatch(region) : region.own;
  }

  /** A store by a device, not by a hart; `false` where nobody took it. */
  message(address: number, data: number): boolean {
    const region = this.#find(address, 4);
    if (region === undefined) return false;
    const [who, what] = [this.#beat[Beat.who], this.#beat[Beat.what]];
    const taken = this.#write(region, address, 4, data);
    this.#beat[Beat.who] = who;
    this.#beat[Beat.what] = what;
    return taken;
  }

  #read(region: NotedRegion, address: number, width: number): number {
    const offset = address - region.at;
    this.#note(region, offset << 1);
    let wrong: unknown;
    try {
      const value: unknown = region.handler.read(offset, width);
      if (isAnswer(value, width)) return value;
      wrong = notAnAnswer(value, width);
    } catch (error) {
      wrong = error;
    }
    return this.#policy.failed({ region, offset, width, store: false }, wrong);
  }

  #write(region: NotedRegion, address: number, width: number, value: number): boolean {
    const offset = address - region.at;
    this.#note(region, (offset << 1) | 1);
    try {
      const result: unknown = region.handler.write(offset, width, value);
      if (result !== undefined && isPromise(result)) {
        this.#policy.promised({ region, offset, width, store: true }, result);
      }
      return true;
    } catch (error) {
      return this.#policy.failed({ region, offset, width, store: true }, error) >= 0;
    }
  }

  /** What its readers and writers do may change. */
  #follow(handler: RegionHandler): void {
    if (handler.reader !== undefined || handler.writer !== undefined) handler.onChange = () => this.#policy.forget?.();
  }

  /** Tells a watchdog; what is noted stays until something else is. */
  #note(region: NotedRegion, what: number): void {
    this.#beat[Beat.who] = region.index;
    this.#beat[Beat.what] = what;
  }

  /** The region's own handler, with a look at the clock before and after. */
  #stopwatch(region: NotedRegion): RegionHandler {
    const { own } = region;
    const timed = <T>(access: BusAccess, act: () => T): T => {
      const begun = this.#policy.nanoseconds();
      try {
        return act();
      } finally {
        this.#policy.took(access, this.#policy.nanoseconds() - begun);
      }
    };
    const { read64, write64 } = own;
    return {
      names: own.names,
      read: (offset, width) => timed({ region, offset, width, store: false }, () => own.read(offset, width)),
      write: (offset, width, value) =>
        timed({ region, offset, width, store: true }, () => own.write(offset, width, value)),
      ...(read64 && {
        read64: (offset: number) => timed({ region, offset, width: 8, store: false }, () => read64.call(own, offset)),
      }),
      ...(write64 && {
        write64: (offset: number, value: bigint) =>
          timed({ region, offset, width: 8, store: true }, () => write64.call(own, offset, value)),
      }),
    };
  }

  /** The region that holds all of the access. */
  #find(address: number, width: number): NotedRegion | undefined {
    const page = Math.floor(address / PAGE);
    const slot = page & (SLOTS - 1);
    if (this.#tags[slot] !== page) this.#fill(slot, page);
    const region = this.#regions[this.#search(address, this.#first[slot], this.#last[slot])];
    if (region === undefined) return undefined;
    const offset = address - region.at;
    return offset >= 0 && offset + width <= region.size ? region : undefined;
  }

  /** Of the regions from `low` to `high`, the last that begins at or below `address`; `low` where none does. */
  #search(address: number, low: number, high: number): number {
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#regions[middle].at <= address) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Notes which regions an address in `page` may belong to: few, however many there are on the board. */
  #fill(slot: number, page: number): void {
    const end = this.#regions.length - 1;
    const first = this.#search(page * PAGE, 0, end);
    this.#tags[slot] = page;
    this.#first[slot] = first;
    this.#last[slot] = this.#search((page + 1) * PAGE - 1, first, end);
  }
}
