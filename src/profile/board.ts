/**
 * A board: a profile resolved. Plain immutable data in which every address, interrupt, phandle and default is decided and
 * proved not to clash. The device tree and the machine are both made from it and from nothing else.
 */
import type { Place } from "../diagnostics/diagnostic.ts";
import type { FdtNode } from "../fdt/tree.ts";
import type { LogLevel } from "../vdev/host.ts";
import type { FaultPolicy, VdevPlacement } from "../vdev/placement.ts";

export interface Board {
  readonly name: string;
  /** `model` and `compatible` of the device tree's root. */
  readonly model: string;
  readonly compatible: readonly string[];
  readonly cpu: BoardCpu;
  readonly time: BoardTime;
  /** RAM and ROM by ascending address. */
  readonly memory: readonly BoardMemory[];
  /** In the order of the profile, those of tables of their own last. */
  readonly vdevs: readonly BoardVdev[];
  readonly groups: readonly BoardGroup[];
  /** What the guest finds in its memory beside what it boots. */
  readonly blobs: readonly BoardBlob[];
  /** Address ranges that automatic placement leaves alone; those in RAM, the guest too. */
  readonly reserve: readonly BoardReserve[];
  readonly boot: BoardBoot;
  /** Changes to the tree that the rest of the board comes to. */
  readonly fdt: BoardFdt;
  /** Host time that a call into a vdev may take before it counts as hanging, seconds. */
  readonly hangAfter: number;
  /** Programs with device models that run beside the machine: absolute paths. */
  readonly models: readonly string[];
  /** Seeds every source of chance in the machine. */
  readonly seed: number;
  /** What became of an access that nothing answers. */
  readonly unsupported: BoardUnsupported;
  /** What a run may take. */
  readonly budgets: readonly BoardBudget[];
}

export interface BoardCpu {
  readonly harts: number;
  /** Each hart runs on a thread of the host's of its own; else they take turns on one, and runs repeat exactly. */
  readonly parallel: boolean;
  /** Canonical ISA string, e.g. `rv64imafdc_zicsr_zifencei_zba_zbb_zbs_sstc`: lower case, single letters in canonical order. */
  readonly isa: string;
  /** Every extension by its own name (`i`, `m`, …, `zba`, `sstc`, `svadu`), in canonical order. */
  readonly extensions: readonly string[];
  /** Largest paged mode. */
  readonly mmu: "none" | "sv39" | "sv48" | "sv57";
  /** Number of PMP entries. */
  readonly pmp: number;
  /** Phandle of each hart's interrupt controller node, by hart. */
  readonly intcPhandles: readonly number[];
  /** What the device tree tells of; nothing depends on it. */
  readonly caches: BoardCaches;
}

/** Level 1 is each hart's own. */
export interface BoardCaches {
  readonly l1i?: BoardCache;
  readonly l1d?: BoardCache;
  readonly l2?: SharedCache;
  readonly l3?: SharedCache;
}

export interface BoardCache {
  /** Bytes, of all lines and of one. */
  readonly size: number;
  readonly line: number;
  readonly sets?: number;
}

export interface SharedCache extends BoardCache {
  /** How many harts share one: the first so many, the next, and so on. */
  readonly harts: number;
}

export interface BoardTime {
  /** `virtual`: guest time advances with retired instructions and jumps over idle. `host`: follows the host clock. */
  readonly mode: "virtual" | "host";
  /** Virtual mode: instructions per guest second and hart. */
  readonly clock: number;
  /** Ticks per second of `time` and `mtime`. */
  readonly timebase: number;
  /** Wall-clock time at guest time 0 in seconds since 1970; `host` takes the host's clock at start. */
  readonly epoch: number | "host";
}

export interface BoardMemory {
  readonly name: string;
  readonly kind: "ram" | "rom";
  readonly at: number;
  readonly size: number;
  /** Contents at power-on, an absolute path. */
  readonly image?: string;
  /** What the host puts behind it. */
  readonly backing: BoardBacking;
  /** As what the device tree shows it, if at all. */
  readonly describe: MemoryDescription;
}

export type MemoryDescription = "memory" | "reserved" | "pmem" | "none";

/** What lies behind a block of memory. */
export type BoardBacking =
  | { readonly kind: "anonymous" }
  /** Other guests find it by the name `share`; without one it is this guest's own. */
  | { readonly kind: "memfd"; readonly share?: string }
  /** The block's size from `at` on of a file, an absolute path. `private`: stores stay out of it, and a reset undoes them. */
  | { readonly kind: "file"; readonly file: string; readonly at: number; readonly private: boolean }
  /** Huge pages of the host. `fallback`: others will do where its pool has too few. */
  | { readonly kind: "huge"; readonly fallback: boolean };

/** Whether what is in it outlasts a reset of the guest: it belongs to others as well, or to the next run. */
export function outlastsReset({ backing }: Pick<BoardMemory, "backing">): boolean {
  return backing.kind === "memfd" ? backing.share !== undefined : backing.kind === "file" && !backing.private;
}

/** Devices that are parts of one: started together, and ended together. */
export interface BoardGroup {
  readonly name: string;
  /** By name, in the order of the board. */
  readonly members: readonly string[];
  /** Of the node that holds theirs. */
  readonly compatible: readonly string[];
}

export interface BoardVdev {
  /** The list that it is an element of: `vdev`, or a table that is a device by its keyword, as `pass`. */
  readonly table: string;
  readonly placement: VdevPlacement;
  /** Parsed by the type's own schema, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly onFault: FaultPolicy;
  /** The least severe messages that are shown; the run's own choice where the profile makes none. */
  readonly log?: LogLevel;
  /**
   * Host resources are opened at first use. A number: streams that are not there then are tried again for so many
   * seconds of the host's time.
   */
  readonly delayed: boolean | number;
  /** What its node names as its clocks, where the profile says it. */
  readonly clocks?: readonly BoardClock[];
  /** Of the platform's tree: what its node says beside its binding. */
  readonly platform?: FdtNode;
  /** Of its own node: the name before the unit address, and properties over those of its binding. */
  readonly node?: string;
  readonly fdt?: Readonly<Record<string, BoardProperty>>;
}

/** A clock of a device. */
export interface BoardClock {
  /** For `clock-names`. */
  readonly name?: string;
  /** `ccu.mmc0`: controller and output, of the `[[clock]]` tables. */
  readonly clock: string;
}

/** `false` takes a property out, `true` leaves it empty; `"&name"` is the phandle of that vdev's node. */
export type BoardProperty = boolean | number | string | readonly (number | string)[];

export interface BoardFdt {
  /** Nodes are named in `__symbols__`. */
  readonly symbols: boolean;
  /** Absolute paths. */
  readonly overlays: readonly string[];
  /** Source text behind the board's own, and where it stands. */
  readonly dts?: { readonly text: string; readonly file: string; readonly line: number };
}

export interface BoardRange {
  readonly name: string;
  readonly at: number;
  readonly size: number;
}

/** A file's bytes in memory, from power-on. */
export interface BoardBlob extends BoardRange {
  /** Absolute. */
  readonly path: string;
  readonly kind: "data" | "fdt";
  readonly compatible?: readonly string[];
}

export interface BoardReserve extends BoardRange {
  /** How the guest hears of it, where it is in RAM. */
  readonly guest?: {
    /** In `reserved-memory`, or in the blob's memory reservation block. */
    readonly as: "node" | "entry";
    readonly phandle: number;
    readonly compatible?: readonly string[];
    readonly noMap: boolean;
    readonly reusable: boolean;
    readonly fdt?: Readonly<Record<string, BoardProperty>>;
  };
}

export interface BoardBoot {
  /** `builtin`: vmrun's own SBI. `none`: the kernel (or `entry`) starts in M-mode. A path: an ELF or raw image that starts in M-mode. */
  readonly firmware: "builtin" | "none" | { readonly path: string };
  /** Linux `Image` (plain or gzip), ELF or raw binary; an absolute path. */
  readonly kernel?: string;
  readonly initrd?: string;
  readonly cmdline?: string;
  /** Overrides where the first instruction is taken from. */
  readonly entry?: number;
  /** Overrides where raw firmware, kernel, initrd and the FDT go. */
  readonly firmwareAt?: number;
  readonly kernelAt?: number;
  readonly initrdAt?: number;
  readonly fdtAt?: number;
}

/** A limit for exits; a run that goes beyond fails. */
export interface BoardBudget {
  readonly name: string;
  /** The exits that it is about, by the columns of their records. */
  readonly filter: {
    readonly kind?: string;
    readonly vdev?: string;
    readonly region?: string;
    readonly register?: string;
    readonly event?: string;
  };
  /** The phase: from power-on and to the end where there are no markers. */
  readonly from?: BoardMarker;
  readonly to?: BoardMarker;
  readonly exits?: number;
  /** Host time, ns. */
  readonly time?: number;
  /** Where it is written. */
  readonly place: Place;
}

/** Text on the console, or a write to a register: of `value`, or of anything. */
export type BoardMarker =
  | { readonly text: string }
  | { readonly vdev: string; readonly register: string; readonly value?: number };

/** What becomes of what the board does not have. */
export interface BoardUnsupported {
  /** `fault`: an access fault in the guest. `ignore`: reads give all ones. `abort`: the run ends. */
  readonly memory: "fault" | "ignore" | "abort";
  /** `fault`: an illegal-instruction exception. `abort`: the run ends. */
  readonly instruction: "fault" | "abort";
  /** CSRs. `ignore`: they read as zero, and writes do nothing. */
  readonly register: "fault" | "ignore" | "abort";
}
