/** How guest code runs: the contract between a machine and whatever executes instructions for it. */
import type { Hart, HartPort } from "../isa/riscv/hart.ts";
import type { WrittenNative } from "./native/listing.ts";
import type { WrittenRegion } from "./translator/region-text.ts";

/**
 * How guest code runs; the results are the same. `portable` is the translator without native code, as it is on hosts with
 * another processor than x86-64. `forced` and `native` translate everything at its first execution, to WebAssembly or to
 * native code: for tests.
 */
export const ENGINE_KINDS = ["interpreter", "translator", "portable", "forced", "native"] as const;
export type EngineKind = (typeof ENGINE_KINDS)[number];

/** Arrivals at an instruction that make translating worth it; 0 is never. */
export const HOT: Readonly<Record<EngineKind, number>> = {
  ...{ interpreter: 0, translator: 3000, portable: 3000, forced: 1, native: 1 },
};
export const isNative = (kind: EngineKind): boolean => kind === "translator" || kind === "native";

/** Why `run` came back. */
export const RunReason = {
  /** The budget is used up. */
  budget: 0,
  /** The hart waits for an interrupt. */
  wfi: 1,
  /** The machine asked for it ({@link Engine.requestStop}). */
  stop: 2,
  /** The hart reached a breakpoint of the host (debugger). */
  breakpoint: 3,
} as const;
export type RunReason = (typeof RunReason)[keyof typeof RunReason];

/** A register that is a word of storage and no more: a read gives bits of it and may clear some, a write changes bits. */
export interface StoredWord {
  readonly words: Uint32Array;
  readonly word: number;
  readonly mask: number;
  /** By a read. */
  readonly clears: number;
}

/** What is accessed again and again at one address and width: found once. */
export interface DeviceReader {
  /** Where it does nothing but this. It need not be asked then. */
  readonly stored?: StoredWord | undefined;
  /** As {@link EnginePort.load} of there. */
  load(): number;
}
export interface DeviceWriter {
  readonly stored?: StoredWord | undefined;
  /** As {@link EnginePort.store} to there. */
  store(value: number): boolean;
}

/** Has a look at some of the accesses that go by a way, each between `begin` and `end`. */
export interface AccessSampler {
  /** How many go by unseen before the next one that is looked at. */
  pause(): number;
  begin(): void;
  end(): void;
}

export interface RepeatedAccess {
  /** The instruction's address, low half and high half. */
  readonly pcLow: number;
  readonly pcHigh: number;
  /** Physical. */
  readonly address: number;
  readonly width: number;
  readonly store: boolean;
}

/** What an engine asks of the machine around it. Widths are 1, 2 or 4; values unsigned. Faults are answered, not thrown. */
export interface EnginePort extends HartPort {
  /** A load that is not RAM. Answers the value, or -1 for an access fault. */
  load(address: number, width: number): number;
  /** A store that is not RAM. Answers `false` for an access fault. */
  store(address: number, width: number, value: number): boolean;
  /**
   * Ways for an instruction that comes again and again, until {@link Engine.forgetWays}. `undefined`: there is none but
   * {@link load} and {@link store}. The port does not see what goes by them; it is told by {@link repeated}.
   */
  reader?(address: number, width: number): DeviceReader | undefined;
  writer?(address: number, width: number): DeviceWriter | undefined;
  /** For the way of an instruction that is under way. Without it, nobody looks. */
  sampler?(address: number, width: number, store: boolean): AccessSampler | undefined;
  /** What went by a way since it was told last: before a run ends, and where {@link Engine.settle} asks for it. */
  repeated?(access: RepeatedAccess, count: number): void;
  /**
   * The same with 8 bytes. `undefined`: whatever is there takes them as two halves, by {@link load} and {@link store}.
   * -1 and `false` are faults.
   */
  load64?(address: number): bigint | undefined;
  store64?(address: number, value: bigint): boolean | undefined;
  /**
   * An `ecall` from S-mode (VS has no place here), when the machine implements the firmware or hooks its calls. Registers
   * are the hart's. `false`: the machine leaves it alone, and it traps as the architecture says.
   */
  sbi?(hart: number): boolean;
  /**
   * An instruction, or a CSR, that the hart does not have; `detail` is its encoding or its number. `ignore`: a CSR reads
   * as zero and takes nothing. Without this method, and for `fault`, it is an illegal instruction.
   */
  unsupported?(hart: number, kind: "instruction" | "register", detail: number): "fault" | "ignore";
  /** The hart takes an interrupt: told to whoever watches. */
  interrupted?(hart: number): void;
}

/** Figures about how guest code ran, for people. */
export interface EngineStatistics {
  readonly translation: TranslationStatistics | undefined;
  /** Where quick code is native. */
  readonly native?: NativeStatistics | undefined;
  /** Instructions, in units of 200,000, by where the hart was found at the end of one or a few of these. */
  readonly found: { interpreter: number; quick: number; thorough: number };
  /** How often generated code asked TypeScript, and for what. Misses of the TLB, device accesses and the like are one. */
  readonly asked: { fetch: number; load: number; store: number; atomic: number; decode: number; service: number };
}

/** Of native code, so far. */
export interface NativeStatistics {
  /** Guest instructions translated, and the bytes of the host's code that they became. */
  instructions: number;
  bytes: number;
  blocks: number;
  /** Host time that it took, ms. */
  writing: number;
}

export interface TranslationStatistics {
  /** Regions translated so far, and those in use now. */
  regions: number;
  live: number;
  /** Those of them for which the quick translation was not enough. */
  thorough: number;
  /** Modules compiled, and the bytes in them. */
  modules: number;
  bytes: number;
  /** Modules that did not compile: a bug of vmrun. The guest went on without them. */
  failed: number;
  /** Guest instructions translated: one that is in several regions counts in each. */
  instructions: number;
  /** Host time that finding regions, writing code, and making it callable took on the machine's own thread, ms. */
  forming: number;
  writing: number;
  installing: number;
}

export interface Engine {
  /** By index. */
  readonly harts: readonly Hart[];
  /**
   * Runs one hart for at most `budget` instructions. State is precise when it comes back. `executed` then tells how many
   * were spent, trapping ones included.
   */
  run(hart: number, budget: number): RunReason;
  /** Instructions spent in the current or last `run`; exact at any moment, also inside a port call. */
  readonly executed: number;
  /** Shortens the current `run` to at most `budget` more instructions; used when a timer moves closer. */
  shorten(budget: number): void;
  /** The current `run` ends at the next instruction. */
  requestStop(): void;
  /** Drives an interrupt input of a hart: a bit of `mip`. */
  setPending(hart: number, bit: number, level: boolean): void;
  /** Whether the hart has an interrupt that would end a WFI. */
  wakes(hart: number): boolean;
  /** Forgets cached translations of every hart: what some memory lets through has changed. May be called during `run`. */
  flushTranslations(): void;
  /** Tells the port of all that went by ways of its until now. */
  settle(): void;
  /** The port's ways are not right any more. May be called during an access, and tells what {@link settle} does. */
  forgetWays(): void;
  /** What running came to so far. */
  readonly statistics: EngineStatistics;
  /**
   * Has `region` told of every region that is translated to WebAssembly from now on, and `native` of all that becomes native
   * code. Answers `false` where nothing is translated.
   */
  followTranslation(region: (written: WrittenRegion) => void, native?: (written: WrittenNative) => void): boolean;
  /** Forgets decoded code and cached translations of every hart. */
  reset(): void;
}
