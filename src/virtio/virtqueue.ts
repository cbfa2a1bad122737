/** What a virtqueue is to a device and to a transport, whatever the format of its rings. */
import type { DmaMemory } from "../memory/guest-memory.ts";
import type { Chain } from "./chain.ts";

/** The device's end of a queue. */
export interface Virtqueue {
  readonly index: number;
  /** Enabled by the driver and not broken. */
  readonly ready: boolean;
  /** The next chain the driver made available. Held by the device until it pushes it. */
  pop(): Chain | undefined;
  /** Gives a chain back with `written` bytes in it, by default as far as its cursor came. */
  push(chain: Chain, written?: number): void;
  /** Whether the driver wants to hear of what was pushed since this was last asked. */
  notifyNeeded(): boolean;
}

/** Where the driver laid out a queue: its three areas by guest physical address. VIRTIO 1.3 §2.6 */
export interface QueueLayout {
  readonly size: number;
  readonly descriptorArea: number;
  readonly driverArea: number;
  readonly deviceArea: number;
}

/** What a queue needs of the device it belongs to. */
export interface QueueOwner {
  readonly memory: DmaMemory;
  /** DRIVER_OK and not broken: only then are buffers consumed. VIRTIO 1.3 §2.1.2 */
  readonly running: boolean;
  negotiated(bit: number): boolean;
  /** The driver broke the rules of the queue: nothing that it says is to be trusted before it resets the device. */
  broken(queue: number, message: string): void;
}

/** Progress of a queue, for snapshots. */
export interface QueueState {
  readonly nextAvail: number;
  readonly nextUsed: number;
  readonly signalled: number;
  /** Heads of chains that the device held: it is given them again. */
  readonly inFlight: readonly number[];
}
