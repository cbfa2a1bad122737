/**
 * What a vdev gets from its machine: everything it may touch outside itself comes through {@link VdevHost}.
 * All parts are interfaces, so a vdev can be built in a unit test with fakes.
 */
import type { DmaMemory } from "../memory/guest-memory.ts";
import type { VdevPlacement } from "./placement.ts";

/** JSON, for snapshots. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A wire into an interrupt controller. */
export interface InterruptLine {
  /** Level: `true` asserts. An edge line acts on the change from `false` to `true`. Repeating a level costs nothing. */
  set(level: boolean): void;
}

/** A guest timer: calls back in guest time, never in host time. */
export interface GuestTimer {
  /** Fires once at `ns` on {@link GuestClock.now}'s scale (at once when that is past). Arming again moves it. */
  arm(ns: number): void;
  cancel(): void;
  /** When it fires, or `undefined` when it is not armed. */
  readonly deadline: number | undefined;
}

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

/** A byte stream to something on the host: a terminal, a pipe, a file, or nothing. */
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
  /** The guest says that it failed, with its own code. */
  | { readonly action: "fail"; readonly code: number };

export interface VdevLog {
  /** Something the guest did that it should not have. The first of each message is shown, repeats are counted. */
  guestError(message: string): void;
  warn(message: string): void;
  debug(message: string): void;
}

export interface VdevHost {
  /** Instance name, e.g. `uart0`. */
  readonly name: string;
  readonly placement: VdevPlacement;
  readonly clock: GuestClock;
  readonly timebase: Timebase;
  readonly memory: DmaMemory;
  readonly log: VdevLog;
  /** The harts, for interrupt controllers and timers. */
  readonly harts: readonly HartPort[];
  /** The wire of the interrupt that the descriptor calls `name`. */
  interrupt(name: string): InterruptLine;
  /** Opens what the profile names: `"stdio"`, `"null"`, `"file:PATH"` (output only). */
  stream(spec: string): ByteStream;
  disk(path: string, options: { readonly readOnly: boolean }): DiskImage;
  /** Fills with random bytes: `"seeded"` from the profile's seed (the same in every run), `"host"` from the host. */
  random(into: Uint8Array, source: "seeded" | "host"): void;
  power(request: PowerRequest): void;
}
