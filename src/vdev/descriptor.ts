/** The descriptor of a vdev: what an author writes, and the only thing the rest of vmrun knows about a device. */
import type * as v from "valibot";
import type { FdtNode, PropertyInput } from "../fdt/tree.ts";
import type { Json, VdevHost } from "./host.ts";
import type { RegionAccess, Trigger, VdevPlacement } from "./placement.ts";
import type { RegionHandler } from "./region.ts";
import type { RegisterMap } from "./registers.ts";

export type { RegionHandler } from "./region.ts";

/** Raised when descriptors change in a way that old vdevs cannot meet. */
export const VDEV_ABI = 1;

/** A valibot object schema for the keys of a `[[vdev]]` table that belong to this type alone. */
export type OptionsSchema = v.ObjectSchema<v.ObjectEntries, undefined>;

/** A window of guest physical addresses that the vdev answers. Bytes. */
export interface RegionSpec {
  readonly name: string;
  readonly size: number;
  /** Alignment of the address; the size rounded up to a power of two when omitted. */
  readonly align?: number;
  /**
   * What becomes of a guest's accesses at power-on; what is left out traps, and cannot be executed. With any `"memory"`
   * in it the region has memory behind it: its size is then a multiple of 4 KiB, because a guest maps whole pages, and so
   * is its address. {@link HostRegion.setAccess} changes it while the guest runs.
   */
  readonly access?: Partial<RegionAccess>;
}

export interface InterruptSpec {
  readonly name: string;
  readonly trigger: Trigger;
}

/** What a vdev that other vdevs' interrupts run into says about itself. */
export interface ControllerSpec {
  /** Usable line numbers, inclusive. */
  readonly first: number;
  readonly last: number;
}

/** What is known of a board before any instance exists. */
export interface BoardFacts {
  readonly harts: number;
}

/** Where a vdev wants to be, in a profile's own words. Applies as far as the profile leaves it open. */
export interface Assignment {
  /** Address of the first region, or address by region. */
  readonly at?: number | Readonly<Record<string, number>>;
  /** As a profile's `irq`: `"plic:10"`, `"none"`, or a table of name = line. */
  readonly irq?: string | Readonly<Record<string, string>>;
}

/** A range of firmware calls that a vdev answers, by extension number (`a7`), inclusive. */
export interface SbiRange {
  readonly first: number;
  readonly last: number;
}

/** A firmware call as a hook sees it. SBI 2.0 §3 */
export interface SbiCall {
  /** The hart that calls. */
  readonly hart: number;
  readonly extension: number;
  readonly function: number;
  /** `a0` to `a5`, unsigned. */
  readonly args: readonly bigint[];
}

/** What `a0` and `a1` are to hold; negative values are taken modulo 2^64. */
export interface SbiAnswer {
  readonly error: bigint;
  readonly value: bigint;
}

/** What a vdev's `fdt` may use: board data alone, no instance. */
export interface FdtContext<Options> {
  readonly placement: VdevPlacement;
  readonly options: Options;
  /** Each hart's interrupt controller (`riscv,cpu-intc`). */
  readonly harts: readonly { readonly index: number; readonly intcPhandle: number }[];
  /** Ticks per second of the board's timebase. */
  readonly timebaseFrequency: number;
  /** Unit address: the first region's, in hex without `0x`. */
  readonly unit: string;
  /** `reg` for all regions, in 2 address and 2 size cells. */
  readonly reg: readonly number[];
  /** The phandle of a further node of this vdev, by its label in {@link VdevDescriptor.auxiliaryPhandles}. */
  readonly phandles: (label: string) => number;
  /** `interrupt-parent` and `interrupts`, or nothing where the vdev has none. */
  readonly interrupts: Readonly<Record<string, PropertyInput>>;
}

/** Nodes that a vdev adds to the tree. */
export interface FdtContribution {
  /**
   * Under the `soc` bus. The first is the vdev's own: it gets `placement.phandle` when others refer to it.
   * A vdev whose own nodes refer to it sets `phandle` itself.
   */
  readonly bus?: readonly FdtNode[];
  /** Under the root, for nodes without an address (e.g. `syscon-poweroff`). */
  readonly root?: readonly FdtNode[];
  /** The alias family of the own node, e.g. `serial` or `rtc`: gives `serial0`, `serial1` in board order. */
  readonly alias?: string;
  /** The first vdev that says so becomes `/chosen/stdout-path`. */
  readonly console?: boolean;
}

/** A running vdev. What these callbacks throw or reject is contained as the profile's `on_fault` says. */
export interface VdevInstance {
  /** In the order of the descriptor's regions. */
  readonly regions: readonly RegionHandler[];
  /** The board is complete: every vdev exists. Called once, before the first reset. */
  configured?(): void;
  /** Power-on state. Idempotent; deasserts lines and cancels timers. */
  reset(): void;
  /** State as JSON, such that `restore` of it gives an indistinguishable device. Contents of memory-backed regions, armed
   * timers of the host handle and levels of lines are the machine's: `restore` arms and drives them again by the state. */
  snapshot(): Json;
  restore(state: Json): void;
  /** What a person should know about it now, e.g. `{ "baud rate": 9600 }`. */
  status?(): Readonly<Record<string, string | number | boolean>>;
  /** Interrupt controllers: a wire of another vdev changed. */
  input?(line: number, level: boolean): void;
  /** Another part of its group is gone: it ends as well. */
  lost?(reason: string): void;
  /** An event from the person or program that runs the machine (`Machine.post`), between two slices of the guest. */
  event?(event: Json): void;
  /** A firmware call in the descriptor's `hooks.sbi`; `undefined` leaves it to the firmware. */
  sbi?(call: SbiCall): SbiAnswer | undefined;
  /** The machine ends: let go of host resources. In no order among vdevs. */
  terminate?(): void;
}

export interface VdevHooks {
  /** Calls from S-mode; seen before any firmware, vmrun's own or one in M-mode, and announced by the base extension's probe. */
  readonly sbi?: readonly SbiRange[];
}

/**
 * What a driver does with the vdev most, beside reads and writes that change nothing: `vmrun bench` measures it. Doing it
 * for ever must harm nobody.
 */
export type BenchOffer =
  /** A register by its name, with several regions as `region.NAME`. */
  | { readonly what: string; readonly read: string }
  | { readonly what: string; readonly write: string; readonly value: number }
  /** Of a virtio device: a chain that it uses at once. */
  | { readonly what: string; readonly queue: number; readonly chain: readonly BenchBuffer[] };

/** Bytes for the device, or so much room for it to fill. */
export type BenchBuffer = { readonly bytes: readonly number[] } | { readonly room: number };

/** Regions that depend on options or board. A method's type, as those below: a registry holds descriptors of every schema. */
type RegionsFunction<Options> = {
  regions(options: Options, board: BoardFacts): readonly RegionSpec[];
}["regions"];

type HooksFunction<Options> = {
  hooks(options: Options): VdevHooks;
}["hooks"];

type InterruptsFunction<Options> = {
  interrupts(options: Options, wired: number): readonly InterruptSpec[];
}["interrupts"];

export interface VdevDescriptor<Schema extends OptionsSchema = OptionsSchema> {
  readonly abi?: typeof VDEV_ABI;
  /** The profile's `type`, e.g. `ns16550a`. */
  readonly type: string;
  /** One line for listings. */
  readonly summary: string;
  readonly options: Schema;
  readonly regions: readonly RegionSpec[] | RegionsFunction<v.InferOutput<Schema>>;
  /** A function where they depend on options, or on how many the profile wires: that counts its `irq`. */
  readonly interrupts?: readonly InterruptSpec[] | InterruptsFunction<v.InferOutput<Schema>>;
  /** By region name: for documentation, traces and exit labels. */
  readonly registers?: Readonly<Record<string, RegisterMap>>;
  /** Labels of nodes beside the own one that need a phandle, e.g. a UART's `clock`. */
  readonly auxiliaryPhandles?: readonly string[];
  /** What it sees beside its regions; {@link VdevInstance.sbi} answers. */
  readonly hooks?: VdevHooks | HooksFunction<v.InferOutput<Schema>>;
  readonly bench?: readonly BenchOffer[];
  /** Some of its state outlives a reset, as on a battery. */
  readonly battery?: boolean;
  /** Chooses place and interrupts by its options, as far as the profile does not say. */
  assign?(options: v.InferOutput<Schema>, board: BoardFacts): Assignment;
  controller?(options: v.InferOutput<Schema>): ControllerSpec;
  /** A line about what its options come to at its place, for the resolved board. */
  explain?(options: v.InferOutput<Schema>, placement: VdevPlacement): string;
  /** The vdev's nodes by its published binding; none when the guest cannot discover it. */
  fdt?(context: FdtContext<v.InferOutput<Schema>>): FdtContribution;
  create(host: VdevHost, options: v.InferOutput<Schema>): VdevInstance;
}

/** @param wired How many interrupts the profile wires by itself. */
export function interruptsOf(
  { interrupts = [] }: Pick<VdevDescriptor, "interrupts">,
  options: Readonly<Record<string, unknown>>,
  wired: number,
): readonly InterruptSpec[] {
  return typeof interrupts === "function" ? interrupts(options, wired) : interrupts;
}

/** Identity function: gives an author full inference from the options' schema to `create`. */
export function defineVdev<const Schema extends OptionsSchema>(
  descriptor: VdevDescriptor<Schema>,
): VdevDescriptor<Schema> {
  return descriptor;
}
