/**
 * The way of one access, of one width and direction, to what answers it: found once, for what a guest accesses again and
 * again. What the bus does for every access is done here as well, but for counting it: that is up to who goes this way.
 */
import { isPromise } from "../vdev/events.ts";
import type { RegionHandler, RegisterReader, StoredRegister } from "../vdev/region.ts";
import type { BusAccess, BusRegion } from "./bus-region.ts";
import { Beat } from "./heartbeat.ts";

/** The largest value of a width. */
export const LARGEST = [0, 0xff, 0xffff, 0, 0xffff_ffff];

/** A region as the bus keeps it. */
export interface NotedRegion extends BusRegion {
  /** Its place among all of them. */
  readonly index: number;
  /** The vdev's handler, or one around it while accesses are timed. */
  handler: RegionHandler;
  own: RegionHandler;
  /** Since the account began. */
  accessed: boolean;
}

/** What these share with the bus. */
export interface BusInside {
  readonly beat: Int32Array;
  /** See `BusPolicy`. */
  failed(access: BusAccess, error: unknown): number;
  promised(access: BusAccess, promise: PromiseLike<unknown>): void;
}

export class BusReader {
  /** The register, where nothing happens behind it. */
  readonly stored: StoredRegister | undefined;
  readonly #inside: BusInside;
  readonly #access: BusAccess;
  readonly #reader: RegisterReader;
  /** Whether what it answers needs no look. */
  readonly #sound: boolean;
  readonly #beat: Int32Array;
  readonly #who: number;
  readonly #what: number;
  readonly #width: number;

  constructor(inside: BusInside, region: NotedRegion, offset: number, width: number) {
    const { handler, index } = region;
    const reader = handler.reader?.(offset, width);
    this.#inside = inside;
    this.#access = { region, offset, width, store: false };
    this.stored = reader?.stored;
    this.#reader = reader ?? { read: () => handler.read(offset, width) };
    this.#sound = reader !== undefined;
    this.#beat = inside.beat;
    this.#who = index;
    this.#what = offset << 1;
    this.#width = width;
  }

  /** Answers the unsigned value, or -1 for an access fault. */
  load(): number {
    this.#beat[Beat.who] = this.#who;
    this.#beat[Beat.what] = this.#what;
    let wrong: unknown;
    try {
      const value: unknown = this.#reader.read();
      if (this.#sound || isAnswer(value, this.#width)) return value as number;
      wrong = notAnAnswer(value, this.#width);
    } catch (error) {
      wrong = error;
    }
    return this.#inside.failed(this.#access, wrong);
  }
}

export class BusWriter {
  readonly stored: StoredRegister | undefined;
  readonly #inside: BusInside;
  readonly #access: BusAccess;
  /** A handler may answer anything. */
  readonly #writer: { write(value: number): unknown };
  readonly #beat: Int32Array;
  readonly #who: number;
  readonly #what: number;

  constructor(inside: BusInside, region: NotedRegion, offset: number, width: number) {
    const { handler, index } = region;
    this.#inside = inside;
    this.#access = { region, offset, width, store: true };
    const writer = handler.writer?.(offset, width);
    this.stored = writer?.stored;
    this.#writer = writer ?? { write: (value) => handler.write(offset, width, value) };
    this.#beat = inside.beat;
    this.#who = index;
    this.#what = (offset << 1) | 1;
  }

  /** Answers `false` for an access fault. */
  store(value: number): boolean {
    this.#beat[Beat.who] = this.#who;
    this.#beat[Beat.what] = this.#what;
    try {
      const result = this.#writer.write(value);
      if (result !== undefined && isPromise(result)) this.#inside.promised(this.#access, result);
      return true;
    } catch (error) {
      return this.#inside.failed(this.#access, error) >= 0;
    }
  }
}

/** NaN, fractions, other types and what is too wide are none. */
export function isAnswer(value: unknown, width: number): value is number {
  return typeof value === "number" && value >>> 0 === value && value <= LARGEST[width];
}

export function notAnAnswer(value: unknown, width: number): TypeError {
  // Nobody will wait for it, and what it rejects is no more than this.
  if (isPromise(value)) value.then(undefined, () => {});
  const shown =
    typeof value === "number" || value === undefined ? String(value) : isPromise(value) ? "a promise" : typeof value;
  return new TypeError(`it answered ${shown}, which is no unsigned number of ${8 * width} bits`);
}
