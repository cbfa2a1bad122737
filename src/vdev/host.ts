/**
 * What a vdev gets from its machine: everything it may touch outside itself comes through {@link VdevHost}.
 * All parts are interfaces, so a vdev can be built in a unit test with fakes.
 */
import type { DmaMemory } from "../memory/guest-memory.ts";
import type { BusError } from "./errors.ts";
import type { HostObject, HostObjectRequest } from "./host-object.ts";
import type { Phase } from "./phases.ts";
import type { RegionAccess, VdevPlacement } from "./placement.ts";

/** JSON, for snapshots. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A wire into an interrupt controller. */
export interface InterruptLine {
  /** Level: `true` asserts. An edge line acts on the change from `false` to `true`. Repeating a level costs nothing. */
  set(level: boolean): void;
  /** One edge: asserts and deasserts. */
  pulse(): void;
  /**
   * Called when the guest is done with an interrupt that came over this line (a PLIC's completion, a GIC's EOI), before the
   * controller looks at the line again. Controllers without such a thing never call it. Setting it replaces the last one.
   */
  onComplete: (() => void) | undefined;
}

/** A guest timer: calls back in guest time, never in host time. Arming it in any way replaces what was armed before. */
export interface GuestTimer {
  /** Fires once at `ns` on {@link GuestClock.now}'s scale (at once when that is past). */
  arm(ns: number): void;
  /** Fires once, `ns` from now. */
  after(ns: number): void;
  /**
   * Fires at `first` (one period from now when omitted) and then every `period` ns, without drift: late callbacks do not
   * move later ones. Periods that were missed altogether are skipped. The shortest period is {@link SHORTEST_PERIOD}.
   */
  every(period: number, first?: number): void;
  cancel(): void;
  /** When it fires next, or `undefined` when it is not armed. */
  readonly deadline: number | undefined;
}

/** Of a repeating timer, in ns of guest time: shorter ones would leave the guest no time of its own. */
export const SHORTEST_PERIOD = 1000;
/** Timers that one vdev may have armed at a time; the next one is refused with `vdev/timers`. */
export const MAX_ARMED_TIMERS = 1024;

export interface GuestClock {
  /** Guest time since power-on, in nanoseconds. */
  now(): number;
  /** Wall-clock time at guest time 0, in nanoseconds since 1970 (fixed in a deterministic run). */
  readonly epoch: bigint;
  timer(callback: () => void): GuestTimer;
}

/** The counter behind `time` and `mtime`: ticks of the board's timebase. */
export interface Timebase {
  /** Ticks per second. */
  readonly frequency: number;
  ticks(): bigint;
  /** What a guest does that writes `mtime`. */
  set(ticks: bigint): void;
  /** Guest time, in ns, at which the counter reaches `ticks`; `Infinity` where that is beyond what a run can reach. */
  when(ticks: bigint): number;
}

/** Bits of `mip`, by their numbers. RISC-V Priv §3.1.9 */
export const HartInterrupt = { ssip: 1, msip: 3, stip: 5, mtip: 7, seip: 9, meip: 11 } as const;
export type HartInterruptBit = (typeof HartInterrupt)[keyof typeof HartInterrupt];

/** Wires from an interrupt controller or timer into one hart. */
export interface HartPort {
  setPending(bit: HartInterruptBit, level: boolean): void;
}

/** A byte stream to something on the host: a terminal, a socket, a program, a file, or nothing. */
export interface ByteStream {
  /** Sends one byte. Output is batched by the machine. */
  write(byte: number): void;
  /** The next byte, or -1 where none is waiting. */
  read(): number;
  /** How many bytes are waiting. */
  readonly waiting: number;
  /** Called when bytes begin to wait. */
  onInput: () => void;
}

/** A disk image on the host. Offsets and lengths in bytes. Operations answer `false` on a host error. */
export interface DiskImage {
  readonly size: number;
  readonly readOnly: boolean;
  read(offset: number, into: Uint8Array): boolean;
  write(offset: number, from: Uint8Array): boolean;
  flush(): boolean;
  /** Gives the space back; the range then reads as zeroes. */
  discard(offset: number, length: number): boolean;
  close(): void;
}

export type PowerRequest =
  | { readonly action: "poweroff" }
  | { readonly action: "reboot" }
  /** A watchdog ends the run: the guest has not answered. */
  | { readonly action: "watchdog" }
  /** The guest says that it failed, with its own code. */
  | { readonly action: "fail"; readonly code: number };

/** What a vdev's log lets through: this and what is more severe. */
export const LOG_LEVELS = ["debug", "info", "warn", "error", "off"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Every message is told once, and how often it came is counted. The profile's `log` key says what is let through. */
export interface VdevLog {
  /** Something the guest did that it should not have. Of level `debug`: guests do such things when they probe. */
  guestError(message: string): void;
  error(message: string): void;
  warn(message: string): void;
  info(message: string): void;
  debug(message: string): void;
}

/** How something ended that happens outside the guest. A failure is a value: it comes while nobody is there to catch. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Error };

/** What became of a host command. */
export interface CommandResult {
  readonly status: number;
  /** What it printed, both streams, at most 64 KiB. */
  readonly output: string;
}

/** A hart and the instruction it is at. */
export interface GuestPlace {
  readonly hart: number;
  readonly pc: bigint;
}

/** Pages of the host that can be mapped. `offset` is in the file, in bytes, and a multiple of the page size. */
export interface HostPages {
  readonly fd: number;
  readonly offset: number;
  readonly writable: boolean;
}

/**
 * A region of the vdev's own, by the name that its descriptor gives it. Contents are there where the region has memory
 * behind it, that is where its declared access names `"memory"`; asking a region without it for them throws.
 */
export interface HostRegion {
  readonly size: number;
  /** What a guest's access does now: traps into the vdev, or goes to the memory behind the region. */
  readonly access: RegionAccess;
  /**
   * Changes that, from the guest's next access on. What is left out stays. Memory needs a region that was declared with
   * some. A power-on sets the declared access again, before {@link VdevInstance.reset}.
   */
  setAccess(change: Partial<RegionAccess>): void;
  /** The contents, by offset in the region; checked as DMA is. A power-on clears them. */
  readonly memory: DmaMemory;
  /** The contents as they are, little-endian as the guest sees them. Out of bounds is a `RangeError`. */
  readonly data: DataView;
  /**
   * Lays pages of the host behind the region, in place of memory of its own: both see each other's stores, and a power-on
   * leaves them as they are. Throws where the host does not map them. Until the machine ends.
   */
  lay(pages: HostPages): void;
}

/**
 * Everything that a vdev may touch outside itself. Which part may be used in which phase is {@link SERVICE_PHASES}'s to
 * say (`phases.ts`); a call out of phase throws `vdev/phase`.
 */
export interface VdevHost {
  /** Instance name, e.g. `uart0`. */
  readonly name: string;
  readonly placement: VdevPlacement;
  readonly phase: Phase;
  /** The profile's `delayed`: host resources are opened at first use instead of at `create`. */
  readonly delayed: boolean;
  readonly clock: GuestClock;
  readonly timebase: Timebase;
  /** DMA. Outside RAM it answers `undefined` or `false`, and the log is told once. */
  readonly memory: DmaMemory;
  readonly log: VdevLog;
  /** The harts, for interrupt controllers and timers. */
  readonly harts: readonly HartPort[];
  /** The wire of the interrupt that the descriptor calls `name`. */
  interrupt(name: string): InterruptLine;
  /** An interrupt by message (MSI): the vdev's own 4-byte store to a guest physical address. `false` where nobody took it. */
  message(address: number, data: number): boolean;
  /** Interrupt controllers: the guest is done with what came over their input `line`. Told to whoever drives it. */
  completed(line: number): void;
  /** What it stands for is gone, for good: the other parts of its group are told ({@link VdevInstance.lost}). */
  lost(reason: string): void;
  /** The region that the descriptor calls `name`. */
  region(name: string): HostRegion;
  /** To be thrown by a `read` or `write` that the guest is to see as a bus error: `throw host.busError()`. */
  busError(message?: string): BusError;
  /**
   * Opens what the profile names, in one of the forms of `stream-spec.ts`: `"stdio"`, `"null"`, `"unix:PATH"`, `"pty"`
   * and others. Throws where that fails during `create`, which refuses the board; opened later, a failure is logged and
   * the stream is as `"null"`. A peer may come late and go: what is written then waits, and what is too much is lost.
   */
  stream(spec: string): ByteStream;
  /** As for streams; a disk that cannot be opened later answers every operation with `false`. */
  disk(path: string, options: { readonly readOnly: boolean }): DiskImage;
  /**
   * Takes hardware of the host: `"devmem:0x4020000"`, `"uio:emmc"`, `"vfio:0000:01:00.0"`, `"shm:model"`, `"file:PATH"`.
   * Throws where it is not there, somebody else has it, or nobody allowed it.
   */
  hostObject(spec: string, request: HostObjectRequest): HostObject;
  /** Fills with random bytes: `"seeded"` from the profile's seed (the same in every run), `"host"` from the host. */
  random(into: Uint8Array, source: "seeded" | "host"): void;
  power(request: PowerRequest): void;
  /** Who makes the access that is under way; `undefined` outside of one. */
  guest(): GuestPlace | undefined;
  /** Writes down for a person what the machine is doing: harts and the status of every vdev. The guest goes on. */
  dump(reason: string): void;
  /**
   * A way in for what happens on the host. `send` may be called at any time, from any callback of the host; `receive` is
   * called between two slices of the guest, in the order of sending. What is sent before the guest runs waits.
   */
  events<T>(receive: (event: T) => void): { send(event: T): void };
  /** Work that waits, on this thread but beside the guest: files, sockets, anything with `await`. `done` comes as an event. */
  work<T>(job: () => Promise<T>, done: (outcome: Outcome<T>) => void): void;
  /**
   * Work that computes, on a thread of its own: calls the function `run` that the module exports. Input and result are
   * copied as by `structuredClone`. `done` comes as an event.
   */
  worker<Input, Output>(module: URL, input: Input, done: (outcome: Outcome<Output>) => void): void;
  /**
   * Runs a command on the host. Refused, as an outcome, unless the person who started the machine allowed it.
   * `done` comes as an event.
   */
  command(command: readonly string[], done: (outcome: Outcome<CommandResult>) => void): void;
}
