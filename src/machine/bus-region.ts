/** Regions of vdevs on the bus, and accesses to them, as everybody around the bus knows them. */
import type { RegionHandler } from "../vdev/region.ts";

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
