/**
 * Carries accesses that are not RAM to the vdev that answers them. A lookup costs the same with one vdev as with a
 * thousand: pages lead to regions by a direct-mapped table, and only its misses search.
 */
import type { RegionHandler } from "../vdev/descriptor.ts";

/** A vdev's region on the bus. */
export interface BusRegion {
  /** Instance name and region name, for messages. */
  readonly owner: string;
  readonly name: string;
  readonly at: number;
  readonly size: number;
  readonly handler: RegionHandler;
}

/** What becomes of accesses that cannot be served. */
export interface BusPolicy {
  /** Nothing answers at `address`. Answers the value read (ignored for stores), or -1 for an access fault. */
  unclaimed(address: number, width: number, store: boolean): number;
  /** A vdev threw. Answers as `unclaimed` does. */
  threw(region: BusRegion, offset: number, store: boolean, error: unknown): number;
}

const PAGE = 4096;
const SLOTS = 1024;

export class Bus {
  readonly #regions: readonly BusRegion[];
  readonly #policy: BusPolicy;
  readonly #tags = new Float64Array(SLOTS).fill(-1);
  readonly #cached: (BusRegion | undefined)[] = new Array(SLOTS);
  /** Accesses so far, in either direction. */
  exits = 0;

  constructor(regions: readonly BusRegion[], policy: BusPolicy) {
    this.#regions = [...regions].sort((a, b) => a.at - b.at);
    this.#policy = policy;
  }

  /** Answers the unsigned value, or -1 for an access fault. */
  load(address: number, width: number): number {
    this.exits++;
    const region = this.#find(address, width);
    if (region === undefined) return this.#policy.unclaimed(address, width, false);
    const offset = address - region.at;
    try {
      const value = region.handler.read(offset, width) >>> 0;
      return width === 4 ? value : value & (width === 2 ? 0xffff : 0xff);
    } catch (error) {
      return this.#policy.threw(region, offset, false, error);
    }
  }

  /** Answers `false` for an access fault. */
  store(address: number, width: number, value: number): boolean {
    this.exits++;
    const region = this.#find(address, width);
    if (region === undefined) return this.#policy.unclaimed(address, width, true) >= 0;
    const offset = address - region.at;
    try {
      region.handler.write(offset, width, value);
      return true;
    } catch (error) {
      return this.#policy.threw(region, offset, true, error) >= 0;
    }
  }

  /** The region that holds all of the access. */
  #find(address: number, width: number): BusRegion | undefined {
    const page = Math.floor(address / PAGE);
    const slot = page & (SLOTS - 1);
    let region = this.#cached[slot];
    if (this.#tags[slot] !== page || region === undefined) {
      region = this.#search(address);
      // A page that several regions share leads to none of them for sure.
      if (region === undefined) return undefined;
      if (this.#isAlone(region, page)) {
        this.#tags[slot] = page;
        this.#cached[slot] = region;
      }
    }
    const offset = address - region.at;
    return offset >= 0 && offset + width <= region.size ? region : undefined;
  }

  /** The last region that begins at or below `address`. */
  #search(address: number): BusRegion | undefined {
    let low = 0;
    let high = this.#regions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#regions[middle].at <= address) low = middle + 1;
      else high = middle;
    }
    return this.#regions[low - 1];
  }

  #isAlone(region: BusRegion, page: number): boolean {
    const index = this.#regions.indexOf(region);
    const before = this.#regions[index - 1];
    const after = this.#regions[index + 1];
    return (
      (before === undefined || before.at + before.size <= page * PAGE) &&
      (after === undefined || after.at >= (page + 1) * PAGE)
    );
  }
}
