/** The seam at which a machine can be watched: who watches stands between engine and machine. Nobody there costs nothing. */
import type { EnginePort } from "../engine/engine.ts";
import type { BusRegion } from "./bus.ts";

/** What an observer may look at. */
export interface Observed {
  readonly harts: number;
  /** The regions on the bus, by address. Their handlers change when a vdev's code does. */
  readonly regions: readonly BusRegion[];
  /** The pc of the hart that runs, low half and high half: exact whenever the engine calls its port. */
  readonly pc: Int32Array;
  /** Guest time, ns. */
  now(): number;
  /** Host time, ns. */
  nanoseconds(): number;
  /** The port is told of accesses that went by ways of its: see `EnginePort.repeated`. */
  settle(): void;
  /** Number of the interrupt that the hart has just taken. */
  interruptCause(hart: number): number;
  /** Page-table walks so far. */
  pageWalks(): number;
  /** The firmware call that the hart is at. */
  firmwareCall(hart: number): { readonly extension: bigint; readonly function: bigint };
}

/** Told of what happens; none of it may be changed. */
export interface Observer {
  /** Answers the port that the engine is to call in place of `port`. Called once, before anything runs. */
  attach(port: EnginePort, machine: Observed): EnginePort;
  /** A hart's turn begins. `ns`: host time. */
  enter(hart: number, ns: number): void;
  /** It ends after `instructions`, maybe because the hart waits for an interrupt. `ns`: host time. */
  leave(hart: number, ns: number, instructions: number, waits: boolean): void;
  /** A guest timer fires; `owner` is a vdev's name, or `hart0` and so on for a hart's own. */
  timer(owner: string): void;
  /** The machine is at power-on, the first time or again. */
  powerOn(): void;
}
