/** Where a vdev sits on its board: decided by the profile room, read by everyone else. */

export type Trigger = "level" | "edge";

/** What a failure in a vdev's own code comes to, least to most severe. */
export const FAULT_POLICIES = ["ignore", "fault", "end-guest", "end"] as const;
export type FaultPolicy = (typeof FAULT_POLICIES)[number];

/**
 * What becomes of a guest's access to a region. `trap`: the vdev's handler answers. `memory`: the memory behind the region
 * does, without the vdev or the monitor noticing. Atomic instructions need memory for both reads and writes.
 */
export interface RegionAccess {
  readonly read: "trap" | "memory";
  readonly write: "trap" | "memory";
  /** Fetching instructions; `none` is an access fault. */
  readonly execute: "none" | "memory";
}

/** Registers: every access is the vdev's to answer. */
export const TRAPPING: RegionAccess = { read: "trap", write: "trap", execute: "none" };

/** A declared access in full; `undefined` where no memory is asked for. */
export function declaredAccess(access: Partial<RegionAccess> = {}): RegionAccess | undefined {
  return Object.values(access).includes("memory") ? { ...TRAPPING, ...access } : undefined;
}

/** A span of guest physical address space, in bytes. */
export interface PlacedRegion {
  readonly name: string;
  readonly at: number;
  readonly size: number;
  /** At power-on, of a region with memory behind it; {@link TRAPPING} when omitted. */
  readonly access?: RegionAccess;
}

/** One interrupt of a vdev, wired to a line of a controller. */
export interface InterruptRoute {
  /** The vdev's own name for it, e.g. `irq`. */
  readonly name: string;
  /** Instance name of the interrupt controller, e.g. `plic`. */
  readonly controller: string;
  readonly line: number;
  readonly trigger: Trigger;
}

export interface VdevPlacement {
  readonly name: string;
  readonly type: string;
  readonly regions: readonly PlacedRegion[];
  readonly interrupts: readonly InterruptRoute[];
  /** Names that other nodes refer to this one by. Stable for a profile version. */
  readonly phandle: number;
}
