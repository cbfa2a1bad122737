/** A vdev on a host that records everything it does and is driven by hand. */
import * as v from "valibot";
import { cells64, type FdtNode } from "../fdt/tree.ts";
import { type DmaMemory, PAGE_SIZE } from "../memory/guest-memory.ts";
import {
  type FdtContext,
  type FdtContribution,
  interruptsOf,
  type OptionsSchema,
  type VdevDescriptor,
  type VdevInstance,
} from "./descriptor.ts";
import { BusError, VdevError } from "./errors.ts";
import { EventQueue, isPromise, runWorker } from "./events.ts";
import {
  FakeDisk,
  FakeHart,
  FakeLine,
  FakeMemory,
  FakeRegion,
  FakeStream,
  FakeTimebase,
  ManualClock,
} from "./fakes.ts";
import { guardHost, type VdevLife } from "./guarded-host.ts";
import type { CommandResult, GuestPlace, Outcome, PowerRequest, VdevHost, VdevLog } from "./host.ts";
import type { HostObjectRequest, OpenHostObject } from "./host-object.ts";
import type { Phase } from "./phases.ts";
import { declaredAccess, TRAPPING, type VdevPlacement } from "./placement.ts";
import type { RegionHandler } from "./region.ts";
import { parseStream } from "./stream-spec.ts";

export interface LogEntry {
  readonly level: "guest-error" | "error" | "warn" | "info" | "debug";
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
  /** Streams that cannot be opened, by what the profile calls them. */
  readonly absent?: readonly string[];
  /** The profile's `delayed`; `false` when omitted. */
  readonly delayed?: boolean;
  /** Who makes the accesses. */
  readonly guest?: GuestPlace;
  /** Gives host objects; without it they are refused. */
  readonly hostObject?: OpenHostObject;
  /** Answers host commands; without it they are refused. */
  readonly command?: (command: readonly string[]) => CommandResult;
}

export interface InterruptMessage {
  readonly address: number;
  readonly data: number;
}

/** The services without rules, for the test; the vdev gets {@link FakeHost.handle}. */
export interface FakeHost extends VdevHost {
  readonly clock: ManualClock;
  readonly timebase: FakeTimebase;
  readonly harts: readonly FakeHart[];
  /** As a vdev sees this host: with phases and bounds. */
  readonly handle: VdevHost;
  /** What the vdev wrote to its log, in order. */
  readonly logged: readonly LogEntry[];
  /** What the vdev asked of the machine, in order. */
  readonly powerRequests: readonly PowerRequest[];
  /** Why the vdev asked for dumps, in order. */
  readonly dumps: readonly string[];
  /** Lines that an interrupt controller completed, in order. */
  readonly completions: readonly number[];
  /** Why the vdev said that what it stands for is gone. */
  readonly losses: readonly string[];
  /** Interrupts by message, in order. */
  readonly messages: readonly InterruptMessage[];
  /** The interrupt of that name, as the test sees it. */
  line(name: string): FakeLine;
  region(name: string): FakeRegion;
  /** The stream that the vdev opens, or opened, by that specification. */
  fakeStream(spec: string): FakeStream;
  /** The disk that the vdev opens, or opened, by that path. */
  fakeDisk(path: string): FakeDisk;
  /** Goes on to a phase; a fake host begins in `running`. */
  enter(phase: Phase): void;
  /** Waits for the vdev's work, and delivers its outcomes and all other events. Rethrows what the vdev rejected. */
  settle(): Promise<void>;
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
  const messages: InterruptMessage[] = [];
  const dumps: string[] = [];
  const completions: number[] = [];
  const losses: string[] = [];
  const regions = new Map<string, FakeRegion>();
  const queue = new EventQueue();
  const promises: PromiseLike<unknown>[] = [];
  let phase: Phase = "running";
  const seed = options.seed ?? 1;
  const random = { seeded: generator(seed), host: generator(seed ^ 0x5bd1_e995) };
  const log: VdevLog = {
    guestError: (message) => void logged.push({ level: "guest-error", message }),
    error: (message) => void logged.push({ level: "error", message }),
    warn: (message) => void logged.push({ level: "warn", message }),
    info: (message) => void logged.push({ level: "info", message }),
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
  const region = (name: string): FakeRegion => {
    const placed = placement.regions.find((candidate) => candidate.name === name);
    if (!placed) throw new Error(`the vdev's placement has no region "${name}"`);
    const found = regions.get(name) ?? new FakeRegion(placed.size, placed.access ?? TRAPPING);
    regions.set(name, found);
    return found;
  };
  const life: VdevLife = {
    get phase() {
      return phase;
    },
    call(_what, act) {
      const result = act();
      if (isPromise(result)) promises.push(result);
    },
  };
  const raw = {
    name: placement.name,
    placement,
    delayed: options.delayed ?? false,
    clock,
    timebase: new FakeTimebase(clock, options.timebaseFrequency ?? 10_000_000),
    memory: options.memory ?? new FakeMemory(),
    log,
    harts,
    interrupt: line,
    message: (address: number, data: number) => messages.push({ address, data }) > 0,
    completed: (line: number) => void completions.push(line),
    lost: (reason: string) => void losses.push(reason),
    region,
    hostObject(spec: string, request: HostObjectRequest) {
      if (!options.hostObject) throw new Error("host objects are not allowed");
      return options.hostObject(spec, request);
    },
    stream(spec: string) {
      const parsed = parseStream(spec);
      if ("fault" in parsed) throw new VdevError("vdev/stream", parsed.fault);
      if (options.absent?.includes(spec)) throw new VdevError("vdev/stream", `${spec} is not there`);
      return fakeStream(spec);
    },
    disk: fakeDisk,
    random: (into: Uint8Array, source: "seeded" | "host") => random[source](into),
    power: (request: PowerRequest) => void powerRequests.push(request),
    guest: () => options.guest,
    dump: (reason: string) => void dumps.push(reason),
    events: <T>(receive: (event: T) => void) => ({ send: (event: T) => void queue.post(() => receive(event)) }),
    work: <T>(job: () => Promise<T>, done: (outcome: Outcome<T>) => void) => queue.run(job, done),
    worker: <Input, Output>(module: URL, input: Input, done: (outcome: Outcome<Output>) => void) =>
      queue.run(() => runWorker<Input, Output>(module, input), done),
    command: (command: readonly string[], done: (outcome: Outcome<CommandResult>) => void) =>
      queue.run(async () => {
        if (!options.command) throw new Error("host commands are not allowed");
        return options.command(command);
      }, done),
  };
  return {
    ...raw,
    get phase() {
      return phase;
    },
    busError: (message) => new BusError(message),
    handle: guardHost(raw, life),
    logged,
    powerRequests,
    messages,
    completions,
    losses,
    dumps,
    line,
    fakeStream,
    fakeDisk,
    enter(next) {
      phase = next;
    },
    async settle() {
      do {
        while (queue.pending > 0) await new Promise((resolve) => setTimeout(resolve, 1));
        queue.deliver();
        await Promise.all(promises.splice(0));
      } while (queue.pending > 0 || queue.waiting > 0);
    },
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
  host.enter("create");
  const vdev = descriptor.create(host.handle, parsed);
  host.enter("configured");
  vdev.configured?.();
  host.enter("running");
  const at = (index: number): RegionHandler => {
    const handler = vdev.regions[index];
    const placed = placement.regions[index];
    if (!handler || !placed) throw new Error(`the vdev has no region ${index}`);
    return placed.access === undefined ? handler : regionByAccess(host.region(placed.name), handler);
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

/** Accesses go to the handler or to the memory behind the region, as its access says at the moment. */
function regionByAccess(region: FakeRegion, handler: RegionHandler): RegionHandler {
  const { bytes } = region.memory;
  return {
    read(offset, width) {
      if (region.access.read === "trap") return handler.read(offset, width);
      let value = 0;
      for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[offset + i]!;
      return value;
    },
    write(offset, width, value) {
      if (region.access.write === "trap") return handler.write(offset, width, value);
      for (let i = 0; i < width; i++) bytes[offset + i] = value >>> (8 * i);
    },
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
  const regions = specs.map(({ name, size, align, access }) => {
    const declared = declaredAccess(access);
    const grain = Math.max(align ?? 2 ** Math.ceil(Math.log2(size)), declared ? PAGE_SIZE : 1);
    const at = Math.ceil(next / grain) * grain;
    next = at + size;
    return { name, at, size, ...(declared && { access: declared }) };
  });
  const interrupts = interruptsOf(descriptor, options, 1).map(({ name, trigger }, i) => {
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
