/** Stand-ins for what a machine gives a vdev: clock, lines, harts, streams, disks and memory that a test drives by hand. */
import type { DmaMemory } from "../memory/guest-memory.ts";
import {
  type ByteStream,
  type DiskImage,
  type GuestClock,
  type GuestTimer,
  type HartInterruptBit,
  type HartPort,
  type HostPages,
  type HostRegion,
  type InterruptLine,
  SHORTEST_PERIOD,
  type Timebase,
} from "./host.ts";
import type { RegionAccess } from "./placement.ts";
import { nextTick } from "./timers.ts";

/** A guest clock that moves only when told to. */
export class ManualClock implements GuestClock {
  readonly epoch: bigint;
  #now = 0;
  #armed: ManualTimer[] = [];
  #order = 0;

  constructor(epoch = 0n) {
    this.epoch = epoch;
  }

  now(): number {
    return this.#now;
  }

  timer(callback: () => void): GuestTimer {
    return new ManualTimer(this, callback);
  }

  /** Moves on by `ns`; timers that come due fire at their deadlines, in order. `advance(0)` fires those that are past. */
  advance(ns: number): void {
    const end = this.#now + ns;
    // A vdev that arms a timer for the present in that timer's callback would never let time pass.
    for (let fired = 0; ; fired++) {
      const next = this.#armed[0];
      if (next === undefined || next.deadline! > end) break;
      if (fired === 100_000) throw new Error("a timer fires without end");
      this.#now = Math.max(this.#now, next.deadline!);
      next.fire();
    }
    this.#now = end;
  }

  /** Deadlines of the armed timers, soonest first. */
  get deadlines(): readonly number[] {
    return this.#armed.map((timer) => timer.deadline!);
  }

  /** @internal */
  schedule(timer: ManualTimer): void {
    this.forget(timer);
    timer.order = this.#order++;
    this.#armed.push(timer);
    this.#armed.sort((a, b) => a.deadline! - b.deadline! || a.order - b.order);
  }

  /** @internal */
  forget(timer: ManualTimer): void {
    this.#armed = this.#armed.filter((other) => other !== timer);
  }
}

class ManualTimer implements GuestTimer {
  deadline: number | undefined;
  order = 0;
  readonly #clock: ManualClock;
  readonly #callback: () => void;
  #first = 0;
  /** 0: it fires once. */
  #period = 0;

  constructor(clock: ManualClock, callback: () => void) {
    this.#clock = clock;
    this.#callback = callback;
  }

  arm(ns: number): void {
    if (Number.isNaN(ns)) throw new Error("a timer was armed for NaN");
    this.#period = 0;
    this.#schedule(ns);
  }

  after(ns: number): void {
    this.arm(this.#clock.now() + ns);
  }

  every(period: number, first = this.#clock.now() + period): void {
    this.arm(first);
    this.#first = first;
    this.#period = Math.max(period, SHORTEST_PERIOD);
  }

  cancel(): void {
    this.deadline = undefined;
    this.#clock.forget(this);
  }

  fire(): void {
    if (this.#period > 0) this.#schedule(nextTick(this.#first, this.#period, this.#clock.now()));
    else this.cancel();
    this.#callback();
  }

  #schedule(ns: number): void {
    this.deadline = ns;
    this.#clock.schedule(this);
  }
}

/** A timebase on a clock. */
export class FakeTimebase implements Timebase {
  readonly frequency: number;
  readonly #clock: GuestClock;
  /** What the counter shows at guest time 0. */
  #origin = 0n;

  constructor(clock: GuestClock, frequency: number) {
    this.#clock = clock;
    this.frequency = frequency;
  }

  ticks(): bigint {
    return BigInt.asUintN(64, this.#origin + this.#elapsed());
  }

  set(ticks: bigint): void {
    this.#origin = ticks - this.#elapsed();
  }

  when(ticks: bigint): number {
    const frequency = BigInt(this.frequency);
    const ns = ((ticks - this.#origin) * 1_000_000_000n + frequency - 1n) / frequency;
    return ns > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Math.max(0, Number(ns));
  }

  #elapsed(): bigint {
    return (BigInt(Math.floor(this.#clock.now())) * BigInt(this.frequency)) / 1_000_000_000n;
  }
}

/** A wire that remembers. */
export class FakeLine implements InterruptLine {
  level = false;
  /** Changes so far, in order. */
  readonly changes: boolean[] = [];
  onChange: (level: boolean) => void = () => {};
  onComplete: (() => void) | undefined;

  set(level: boolean): void {
    if (level === this.level) return;
    this.level = level;
    this.changes.push(level);
    this.onChange(level);
  }

  pulse(): void {
    this.set(true);
    this.set(false);
  }
}

/** The wires into one hart. */
export class FakeHart implements HartPort {
  /** As `mip` shows them. */
  pending = 0;

  setPending(bit: HartInterruptBit, level: boolean): void {
    this.pending = level ? this.pending | (1 << bit) : this.pending & ~(1 << bit);
  }

  isPending(bit: HartInterruptBit): boolean {
    return (this.pending & (1 << bit)) !== 0;
  }
}

/** A stream whose other end is the test. */
export class FakeStream implements ByteStream {
  /** Every byte written so far. */
  readonly output: number[] = [];
  onInput: () => void = () => {};
  #input: number[] = [];

  write(byte: number): void {
    this.output.push(byte);
  }

  read(): number {
    return this.#input.shift() ?? -1;
  }

  get waiting(): number {
    return this.#input.length;
  }

  /** What was written, as text. */
  get text(): string {
    return Buffer.from(this.output).toString("utf8");
  }

  /** Types at the guest. */
  send(input: string | readonly number[]): void {
    this.#input.push(...(typeof input === "string" ? Buffer.from(input) : input));
    this.onInput();
  }
}

/** A disk in memory. */
export class FakeDisk implements DiskImage {
  readonly bytes: Uint8Array;
  readonly readOnly: boolean;
  /** Answer every operation with a host error. */
  broken = false;
  flushes = 0;
  closed = false;

  constructor(bytes: Uint8Array, readOnly = false) {
    this.bytes = bytes;
    this.readOnly = readOnly;
  }

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, into: Uint8Array): boolean {
    if (!this.#within(offset, into.length)) return false;
    into.set(this.bytes.subarray(offset, offset + into.length));
    return true;
  }

  write(offset: number, from: Uint8Array): boolean {
    if (this.readOnly || !this.#within(offset, from.length)) return false;
    this.bytes.set(from, offset);
    return true;
  }

  flush(): boolean {
    this.flushes++;
    return !this.broken;
  }

  discard(offset: number, length: number): boolean {
    if (this.readOnly || !this.#within(offset, length)) return false;
    this.bytes.fill(0, offset, offset + length);
    return true;
  }

  close(): void {
    this.closed = true;
  }

  #within(offset: number, length: number): boolean {
    return !this.broken && !this.closed && offset >= 0 && length >= 0 && offset + length <= this.bytes.length;
  }
}

/** RAM at one address, with the same bounds checks as a machine's. */
export class FakeMemory implements DmaMemory {
  readonly at: number;
  readonly bytes: Uint8Array;

  constructor(at = 0x8000_0000, size = 0x1_0000) {
    this.at = at;
    this.bytes = new Uint8Array(size);
  }

  view(at: number, length: number): Uint8Array | undefined {
    const offset = at - this.at;
    const inside = Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= this.bytes.length;
    return inside ? this.bytes.subarray(offset, offset + length) : undefined;
  }

  mutable(at: number, length: number): Uint8Array | undefined {
    return this.view(at, length);
  }

  read(at: number, length: number): Uint8Array | undefined {
    return this.view(at, length)?.slice();
  }

  write(at: number, bytes: Uint8Array): boolean {
    const target = this.view(at, bytes.length);
    target?.set(bytes);
    return target !== undefined;
  }
}

/** A region with memory behind it, or without. */
export class FakeRegion implements HostRegion {
  /** What was laid behind it, in order. */
  readonly laid: HostPages[] = [];

  readonly size: number;
  readonly memory: FakeMemory;
  access: RegionAccess;

  constructor(size: number, access: RegionAccess) {
    this.size = size;
    this.access = access;
    this.memory = new FakeMemory(0, size);
  }

  setAccess(change: Partial<RegionAccess>): void {
    this.access = { ...this.access, ...change };
  }

  get data(): DataView {
    return new DataView(this.memory.bytes.buffer);
  }

  lay(pages: HostPages): void {
    this.laid.push(pages);
  }
}
