/**
 * Carries accesses that are not RAM to the vdev that answers them. A lookup costs the same with one vdev as with a
 * thousand: a direct-mapped table leads from a page to the few regions in it, and only its misses search them all.
 */
import type { RegionHandler } from "../vdev/descriptor.ts";
import { isPromise } from "../vdev/events.ts";

/** A vdev's region on the bus. */
export interface BusRegion {
  /** Instance name and region name, for messages. */
  readonly owner: string;
  readonly name: string;
  readonly at: number;
  readonly size: number;
  readonly handler: RegionHandler;
}

/** One access, for messages. */
export interface BusAccess {
  readonly region: BusRegion;
  readonly offset: number;
  readonly width: number;
  readonly store: boolean;
}

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
  nanoseconds(): number;
}

/** A region, and the last account in which it was accessed. */
interface Noted extends BusRegion {
  account: number;
}

/** The largest value of a width. */
const LARGEST = [0, 0xff, 0xffff, 0, 0xffff_ffff];
const PAGE = 4096;
const SLOTS = 1024;

export class Bus {
  readonly #regions: readonly Noted[];
  readonly #policy: BusPolicy;
  readonly #tags = new Float64Array(SLOTS).fill(-1);
  /** By slot: indices of the first and the last region that reach into its page. */
  readonly #first = new Int32Array(SLOTS);
  readonly #last = new Int32Array(SLOTS);
  /** Accesses so far, in either direction. */
  exits = 0;
  /** Every access is timed. Costs two looks at the clock for each, so only where one is suspected to be slow. */
  timed = false;
  /** The region of the last access, where no more is to be noted of it; nothing while accesses are timed. */
  #recent: Noted | undefined;
  #account = 0;

  constructor(regions: readonly BusRegion[], policy: BusPolicy) {
    this.#regions = [...regions].sort((a, b) => a.at - b.at).map((region) => ({ ...region, account: -1 }));
    this.#policy = policy;
  }

  /** Answers the unsigned value, or -1 for an access fault. */
  load(address: number, width: number): number {
    this.exits++;
    const region = this.#find(address, width);
    if (region === undefined) return this.#policy.unclaimed(address, width, false);
    return region === this.#recent ? this.#read(region, address, width) : this.#notedRead(region, address, width);
  }

  /** Answers `false` for an access fault. */
  store(address: number, width: number, value: number): boolean {
    this.exits++;
    const region = this.#find(address, width);
    if (region === undefined) return this.#policy.unclaimed(address, width, true) >= 0;
    return region === this.#recent
      ? this.#write(region, address, width, value)
      : this.#notedWrite(region, address, width, value);
  }

  /** Begins a new account of which regions are accessed. */
  beginAccount(): void {
    this.#account++;
    this.#recent = undefined;
  }

  /** The regions accessed since then. */
  get accessed(): readonly BusRegion[] {
    return this.#regions.filter(({ account }) => account === this.#account);
  }

  /** A store by a device, not by a hart; `false` where nobody took it. */
  message(address: number, data: number): boolean {
    const region = this.#find(address, 4);
    return region !== undefined && this.#write(region, address, 4, data);
  }

  #read(region: BusRegion, address: number, width: number): number {
    const offset = address - region.at;
    let wrong: unknown;
    try {
      const value: unknown = region.handler.read(offset, width);
      // NaN, fractions, other types and what is too wide fail one of these.
      if (typeof value === "number" && value >>> 0 === value && value <= LARGEST[width]) return value;
      wrong = notAnAnswer(value, width);
    } catch (error) {
      wrong = error;
    }
    return this.#policy.failed({ region, offset, width, store: false }, wrong);
  }

  #write(region: BusRegion, address: number, width: number, value: number): boolean {
    const offset = address - region.at;
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

  /** The first access to a region after one to another, and every one while accesses are timed. */
  #notedRead(region: Noted, address: number, width: number): number {
    region.account = this.#account;
    if (!this.timed) {
      this.#recent = region;
      return this.#read(region, address, width);
    }
    const begun = this.#policy.nanoseconds();
    const value = this.#read(region, address, width);
    const offset = address - region.at;
    this.#policy.took({ region, offset, width, store: false }, this.#policy.nanoseconds() - begun);
    return value;
  }

  #notedWrite(region: Noted, address: number, width: number, value: number): boolean {
    region.account = this.#account;
    if (!this.timed) {
      this.#recent = region;
      return this.#write(region, address, width, value);
    }
    const begun = this.#policy.nanoseconds();
    const done = this.#write(region, address, width, value);
    const offset = address - region.at;
    this.#policy.took({ region, offset, width, store: true }, this.#policy.nanoseconds() - begun);
    return done;
  }

  /** The region that holds all of the access. */
  #find(address: number, width: number): Noted | undefined {
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

function notAnAnswer(value: unknown, width: number): TypeError {
  // Nobody will wait for it, and what it rejects is no more than this.
  if (isPromise(value)) value.then(undefined, () => {});
  const shown =
    typeof value === "number" || value === undefined ? String(value) : isPromise(value) ? "a promise" : typeof value;
  return new TypeError(`it answered ${shown}, which is no unsigned number of ${8 * width} bits`);
}
