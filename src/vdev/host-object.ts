/** What of the host's hardware a vdev may hold: windows of registers or memory, and interrupts. `uio:emmc`, `shm:model`, ... */

/** What a vdev asks for when it opens a host object. Bytes. */
export interface HostObjectRequest {
  /** Which map, BAR or window, by number or name; the first when omitted. */
  readonly window?: number | string;
  /** Where in the window the wanted span begins; 0 when omitted. */
  readonly offset?: number;
  /** Of the wanted span: what is claimed, and what the one {@link HostObject.window} has. */
  readonly size: number;
  /** Stores are wanted, too. */
  readonly write?: boolean;
  /** The device reads and writes memory by itself. Never shared with another owner. */
  readonly dma?: boolean;
  /** Ordinary memory that the guest's harts may cache: it is to be mapped, and not accessed one by one. */
  readonly cached?: boolean;
  /** How many interrupts are wanted, from the first; 0 when omitted. */
  readonly interrupts?: number;
  /** Another owner may have it as well. */
  readonly override?: boolean;
}

/**
 * Registers or memory of the host. Each call is one access of exactly that width, in the order of the calls: never merged,
 * repeated or left out. `offset` is a multiple of the width and the access ends inside the window. Throws a `BusError`
 * where the host cannot do it: a file that was cut short, a model that ended.
 */
export interface HostWindow {
  readonly name: string;
  readonly size: number;
  /** Widths 1, 2 and 4; the result is unsigned. */
  load(offset: number, width: number): number;
  store(offset: number, width: number, value: number): void;
  load64(offset: number): bigint;
  store64(offset: number, value: bigint): void;
  /** Pages that can be mapped in place of such accesses, where there are any. `offset` is in the file, in bytes. */
  readonly mapping?: { readonly fd: number; readonly offset: number };
}

/** An interrupt of the host. After each call of `raised` it is held back at the host until {@link unmask}: a storm goes no further. */
export interface HostInterrupt {
  readonly name: string;
  /** `raised` is called between two slices of the guest, with how often it came since: 1 or more. */
  connect(raised: (count: number) => void): void;
  unmask(): void;
}

export interface HostObject {
  /** As the profile names it. */
  readonly spec: string;
  /** How it is accessed, for people: `trapped at 4096 bytes of /dev/uio0`. */
  readonly how: string;
  readonly window: HostWindow;
  readonly interrupts: readonly HostInterrupt[];
  /** Runs `act` while no other process that asks for the same does so: for read-modify-write of registers that are shared. */
  exclusively<T>(act: () => T): T;
  /** Called at most once, between two slices, when it is gone for good: a model ended, a device was unplugged. */
  onLoss: (reason: string) => void;
  /** Power-on of the guest: a device that can be reset is. */
  reset(): void;
  /** Interrupts end, and others may have it. */
  close(): void;
}

/** Throws a `VmrunError` with what is missing or who has it. */
export type OpenHostObject = (spec: string, request: HostObjectRequest) => HostObject;

/** A block of guest RAM, for devices that reach it by themselves. */
export interface DmaBlock {
  /** Guest physical address and bytes. */
  readonly at: number;
  readonly size: number;
  /** What it is a mapping of, from its start: for another process to map as well. */
  readonly fd?: number;
  /** The RAM itself. */
  readonly bytes: Uint8Array;
}

/** Who opens a host object, and for what. */
export interface HostObjectOwner {
  /** For the refusal of others: `board/emmc`. */
  readonly name: string;
  /** The guest's RAM, asked for where the request says `dma`. */
  readonly ram: () => readonly DmaBlock[];
}

/** The host's hardware, as a machine sees it. */
export interface HostHardware {
  open(spec: string, request: HostObjectRequest, owner: HostObjectOwner): HostObject;
  /** Delivers what happened since: interrupts and losses. Called between two slices of the guest. */
  poll(): void;
  /** Whether an interrupt may still come. */
  readonly listening: boolean;
  /** `wake` is called from the event loop when {@link poll} would deliver something. */
  await(wake: () => void): void;
  close(): void;
}
