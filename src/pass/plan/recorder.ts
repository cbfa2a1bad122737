/** Stands before a region whose accesses are forwarded, and notes which registers a guest uses, how, and which bits it changes. */
import type { RegionHandler } from "../../vdev/region.ts";

/** What was seen of a register. */
export interface RegisterRecord {
  readonly offset: number;
  /** The widest access that began here, in bytes. */
  width: number;
  reads: number;
  writes: number;
  /** Widths of accesses. */
  readonly widths: Set<number>;
  /** Bits that writes changed; all that were written where nobody knew what was there. Of the lowest 32. */
  changed: number;
  /** What was last read or written; `undefined` before that. */
  value: number | undefined;
}

export interface RegionRecord {
  /** By ascending offset. */
  readonly registers: readonly RegisterRecord[];
  readonly reads: number;
  readonly writes: number;
  /** Accesses to offsets beyond those that are told apart. */
  readonly beyond: number;
}

/** Offsets that are told apart; a guest that sweeps a large region must not fill memory. */
const NOTED_MAX = 4096;

export class Recorder implements RegionHandler {
  readonly #inner: RegionHandler;
  readonly #seen = new Map<number, RegisterRecord>();
  #reads = 0;
  #writes = 0;
  #beyond = 0;
  readonly read64?: (offset: number) => bigint;
  readonly write64?: (offset: number, value: bigint) => void;

  constructor(inner: RegionHandler) {
    this.#inner = inner;
    const { read64, write64 } = inner;
    // Undivided only where the device takes them so.
    if (!read64 || !write64) return;
    this.read64 = (offset) => {
      const value = read64.call(inner, offset);
      this.#noteRead(offset, 8, Number(value & 0xffff_ffffn));
      return value;
    };
    this.write64 = (offset, value) => {
      this.#noteWrite(offset, 8, Number(value & 0xffff_ffffn));
      write64.call(inner, offset, value);
    };
  }

  read(offset: number, width: number): number {
    const value = this.#inner.read(offset, width);
    this.#noteRead(offset, width, value);
    return value;
  }

  write(offset: number, width: number, value: number): void {
    this.#noteWrite(offset, width, value);
    return this.#inner.write(offset, width, value);
  }

  get record(): RegionRecord {
    const registers = [...this.#seen.values()].sort((a, b) => a.offset - b.offset);
    return { registers, reads: this.#reads, writes: this.#writes, beyond: this.#beyond };
  }

  #noteRead(offset: number, width: number, value: number): void {
    this.#reads++;
    const entry = this.#entry(offset, width);
    if (entry === undefined) return;
    entry.reads++;
    entry.value = value;
  }

  #noteWrite(offset: number, width: number, value: number): void {
    this.#writes++;
    const entry = this.#entry(offset, width);
    if (entry === undefined) return;
    const known = entry.value !== undefined && entry.widths.size === 1;
    entry.writes++;
    // Without a value to compare with, the driver does not keep any bits, and means them all.
    entry.changed = (entry.changed | (known ? value ^ entry.value! : 2 ** (8 * Math.min(width, 4)) - 1)) >>> 0;
    entry.value = value;
  }

  #entry(offset: number, width: number): RegisterRecord | undefined {
    const known = this.#seen.get(offset);
    if (known !== undefined) {
      known.widths.add(width);
      if (width > known.width) known.width = width;
      return known;
    }
    if (this.#seen.size === NOTED_MAX) {
      this.#beyond++;
      return undefined;
    }
    const entry = { offset, width, reads: 0, writes: 0, widths: new Set([width]), changed: 0, value: undefined };
    this.#seen.set(offset, entry);
    return entry;
  }
}
