/** What answers the accesses to a region of a vdev. */
import type { Direction } from "./registers.ts";

/** What registers are called, for traces and tables. */
export interface RegisterNames {
  /** The windows that share offsets with other registers. */
  readonly windows: readonly string[];
  /** The one that shows now. */
  window(): string | undefined;
  /** As `registerLabel` has it: `LCR`, `MSIP[2]`. */
  label(offset: number, direction: Direction, window?: string): string | undefined;
}

/** A register behind which nothing happens: a word of storage. */
export interface StoredRegister {
  readonly words: Uint32Array;
  readonly word: number;
  /** What a read gives, or a write changes. */
  readonly mask: number;
  /** Bits that a read clears. */
  readonly clears: number;
}

/** What `read` of a region does at one offset and width: for who does that again and again. */
export interface RegisterReader {
  /** Where that is all that {@link read} does. */
  readonly stored?: StoredRegister | undefined;
  /** Unsigned, and never more than the width has: nobody looks. */
  read(): number;
}

/** The same for `write`. */
export interface RegisterWriter {
  readonly stored?: StoredRegister | undefined;
  write(value: number): void;
}

/** The bytes of one region: widths 1, 2 and 4; the bus splits 8-byte accesses, low half first, where nothing takes them whole. */
export interface RegionHandler {
  /** `offset` is inside the region and `offset + width` does not pass its end; it may be unaligned to `width`. Result unsigned. */
  read(offset: number, width: number): number;
  /** `value` is unsigned and below 2^(8·width). */
  write(offset: number, width: number, value: number): void;
  /** Both or neither: for hardware on which one access is not two. Unsigned. */
  read64?(offset: number): bigint;
  write64?(offset: number, value: bigint): void;
  /** Shorter ways to what lies there. `undefined` where nothing is quicker than {@link read} and {@link write}. */
  reader?(offset: number, width: number): RegisterReader | undefined;
  writer?(offset: number, width: number): RegisterWriter | undefined;
  /** Set by who uses them, and called before any of them stops being right: another window shows, other hooks answer. */
  onChange?: (() => void) | undefined;
  /** Where the descriptor's map alone does not tell: windows, spread registers. */
  readonly names?: RegisterNames;
}
