/** Where a vdev sits on its board: decided by the profile room, read by everyone else. */

export type Trigger = "level" | "edge";

/** A span of guest physical address space, in bytes. */
export interface PlacedRegion {
  readonly name: string;
  readonly at: number;
  readonly size: number;
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
