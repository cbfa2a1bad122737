/**
 * Fakes for unit tests of vdevs: a host that records everything a vdev does to it and is driven by hand.
 *
 *     const { host, write } = assemble(uart, { host: "stdio" });
 *     write(0, 1, 0x41);
 *     expect(host.fakeStream("stdio").text).toBe("A");
 */
import * as v from "valibot";
import { cells64, type FdtNode } from "../fdt/tree.ts";
import type { DmaMemory } from "../memory/guest-memory.ts";
import type { FdtContext, FdtContribution, OptionsSchema, VdevDescriptor, VdevInstance } from "./descriptor.ts";
import type {
  ByteStream,
  DiskImage,
  GuestClock,
  GuestTimer,
  HartInterruptBit,
  HartPort,
  InterruptLine,
  PowerRequest,
  Timebase,
  VdevHost,
  VdevLog,
} from "./host.ts";
import type { VdevPlacement } from "./placement.ts";

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

  constructor(clock: ManualClock, callback: () => void) {
    this.#clock = clock;
    this.#callback = callback;
  }

  arm(ns: number): void {
    if (Number.isNaN(ns)) throw new Error("a timer was armed for NaN");
    this.deadline = ns;
    this.#clock.schedule(this);
  }

  cancel(): void {
    this.deadline = undefined;
    this.#clock.forget(this);
  }

  fire(): void {
    this.cancel();
    this.#callback();
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

  set(level: boolean): void {
    if (level === this.level) return;
    this.level = level;
    this.changes.push(level);
    this.onChange(level);
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

export interface LogEntry {
  readonly level: "guest-error" | "warn" | "debug";
  readonly message: string;
}

export interface FakeHostOptions {
  readonly placement?: Partial<VdevPlacement>;
  /** 1 when omitted. */
  readonly harts?: number;
  readonly memory?: DmaMemory;
  /** By the path that the vdev opens; any other path gives an empty disk of 64 KiB. */
  readonly disks?: Readonly<Record<string, FakeDisk>>;
  /** Of the timebase, in hertz; 10 MHz when omitted. */
  readonly timebaseFrequency?: number;
  /** Nanoseconds since 1970 at guest time 0. */
  readonly epoch?: bigint;
  readonly seed?: number;
}

export interface FakeHost extends VdevHost {
  readonly clock: ManualClock;
  readonly timebase: FakeTimebase;
  readonly harts: readonly FakeHart[];
  /** What the vdev wrote to its log, in order. */
  readonly logged: readonly LogEntry[];
  /** What the vdev asked of the machine, in order. */
  readonly powerRequests: readonly PowerRequest[];
  /** The interrupt of that name, as the test sees it. */
  line(name: string): FakeLine;
  /** The stream that the vdev opens, or opened, by that specification. */
  fakeStream(spec: string): FakeStream;
  /** The disk that the vdev opens, or opened, by that path. */
  fakeDisk(path: string): FakeDisk;
}

export function fakeHost(options: FakeHostOptions = {}): FakeHost {
  const placement: VdevPlacement = {
    name: "test0",
    type: "test",
    regions: [],
    interrupts: [],
    phandle: 1,
    ...options.placement,
  };
  const clock = new ManualClock(options.epoch);
  const harts = Array.from({ length: options.harts ?? 1 }, () => new FakeHart());
  const lines = new Map(placement.interrupts.map(({ name }) => [name, new FakeLine()]));
  const streams = new Map<string, FakeStream>();
  const disks = new Map(Object.entries(options.disks ?? {}));
  const logged: LogEntry[] = [];
  const powerRequests: PowerRequest[] = [];
  const seed = options.seed ?? 1;
  const random = { seeded: generator(seed), host: generator(seed ^ 0x5bd1_e995) };
  const log: VdevLog = {
    guestError: (message) => void logged.push({ level: "guest-error", message }),
    warn: (message) => void logged.push({ level: "warn", message }),
    debug: (message) => void logged.push({ level: "debug", message }),
  };
  const line = (name: string): FakeLine => {
    const found = lines.get(name);
    if (!found) throw new Error(`the vdev's placement has no interrupt "${name}"`);
    return found;
  };
  const fakeStream = (spec: string): FakeStream => {
    const stream = streams.get(spec) ?? new FakeStream();
    streams.set(spec, stream);
    return stream;
  };
  const fakeDisk = (path: string): FakeDisk => {
    const disk = disks.get(path) ?? new FakeDisk(new Uint8Array(0x1_0000));
    disks.set(path, disk);
    return disk;
  };
  return {
    name: placement.name,
    placement,
    clock,
    timebase: new FakeTimebase(clock, options.timebaseFrequency ?? 10_000_000),
    memory: options.memory ?? new FakeMemory(),
    log,
    harts,
    interrupt: line,
    stream: fakeStream,
    disk: fakeDisk,
    random: (into, source) => random[source](into),
    power: (request) => void powerRequests.push(request),
    logged,
    powerRequests,
    line,
    fakeStream,
    fakeDisk,
  };
}

/** A vdev with its fake host, and the bus's view of it. */
export interface Assembled {
  readonly host: FakeHost;
  readonly vdev: VdevInstance;
  /** A guest load of up to 8 bytes (as a number: below 2^53) from a region. */
  read(offset: number, width: number, region?: number): number;
  /** A guest store of up to 8 bytes. */
  write(offset: number, width: number, value: number | bigint, region?: number): void;
  /** A guest load of 8 bytes. */
  read64(offset: number, region?: number): bigint;
}

/** Builds a vdev as a machine would: options parsed by its schema, regions and interrupts as the descriptor says. */
export function assemble<Schema extends OptionsSchema>(
  descriptor: VdevDescriptor<Schema>,
  options: v.InferInput<Schema>,
  hostOptions: FakeHostOptions = {},
): Assembled {
  const parsed = v.parse(descriptor.options, options);
  const placement = { ...fakePlacement(descriptor, parsed, hostOptions.harts), ...hostOptions.placement };
  const host = fakeHost({ ...hostOptions, placement });
  const vdev = descriptor.create(host, parsed);
  const at = (region: number) => {
    const handler = vdev.regions[region];
    if (!handler) throw new Error(`the vdev has no region ${region}`);
    return handler;
  };
  const read64 = (offset: number, region = 0) =>
    BigInt(at(region).read(offset, 4)) | (BigInt(at(region).read(offset + 4, 4)) << 32n);
  return {
    host,
    vdev,
    read: (offset, width, region = 0) =>
      width === 8 ? Number(read64(offset, region)) : at(region).read(offset, width),
    write: (offset, width, value, region = 0) => {
      if (width < 8) return at(region).write(offset, width, Number(value));
      at(region).write(offset, 4, Number(BigInt(value) & 0xffff_ffffn));
      at(region).write(offset + 4, 4, Number((BigInt(value) >> 32n) & 0xffff_ffffn));
    },
    read64,
  };
}

/** Regions one after another from 0x1000_0000, interrupts on lines 1, 2, … of a controller `plic`. */
export function fakePlacement<Schema extends OptionsSchema>(
  descriptor: VdevDescriptor<Schema>,
  options: v.InferOutput<Schema>,
  harts = 1,
): VdevPlacement {
  const specs = typeof descriptor.regions === "function" ? descriptor.regions(options, { harts }) : descriptor.regions;
  let next = 0x1000_0000;
  const regions = specs.map(({ name, size, align }) => {
    const grain = align ?? 2 ** Math.ceil(Math.log2(size));
    const at = Math.ceil(next / grain) * grain;
    next = at + size;
    return { name, at, size };
  });
  const interrupts = (descriptor.interrupts ?? []).map(({ name, trigger }, i) => {
    return { name, controller: "plic", line: i + 1, trigger };
  });
  return { name: `${descriptor.type}0`, type: descriptor.type, regions, interrupts, phandle: 16 };
}

/** The nodes that a vdev adds to the tree of a board with that many harts. */
export function contribution<Schema extends OptionsSchema>(
  descriptor: VdevDescriptor<Schema>,
  options: v.InferInput<Schema>,
  harts = 1,
): FdtContribution {
  const parsed = v.parse(descriptor.options, options);
  const placement = fakePlacement(descriptor, parsed, harts);
  const labels = descriptor.auxiliaryPhandles ?? [];
  const context: FdtContext<v.InferOutput<Schema>> = {
    placement,
    options: parsed,
    harts: Array.from({ length: harts }, (_, index) => ({ index, intcPhandle: index + 1 })),
    timebaseFrequency: 10_000_000,
    unit: (placement.regions[0]?.at ?? 0).toString(16),
    reg: placement.regions.flatMap(({ at, size }) => cells64(at, size)),
    interrupts:
      placement.interrupts.length === 0
        ? {}
        : { "interrupt-parent": [99], interrupts: placement.interrupts.map(({ line }) => line) },
    phandles: (label) => {
      const index = labels.indexOf(label);
      if (index < 0) throw new Error(`the descriptor declares no auxiliary phandle "${label}"`);
      return 32 + index;
    },
  };
  return descriptor.fdt?.(context) ?? {};
}

/** All nodes of a contribution, parents first. */
export function contributedNodes({ bus = [], root = [] }: FdtContribution): readonly FdtNode[] {
  const below = (node: FdtNode): FdtNode[] => [node, ...node.children.flatMap(below)];
  return [...bus, ...root].flatMap(below);
}

/** xorshift32: the same bytes in every run. */
function generator(seed: number): (into: Uint8Array) => void {
  let state = seed | 0 || 1;
  return (into) => {
    for (let i = 0; i < into.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      into[i] = state >>> 24;
    }
  };
}
