/**
 * A board made to run: memory, engine, bus, vdevs and their wires, and the loop that gives harts their turns.
 *
 * Everything here happens in guest time and is the same in every run; when the host's world may be heard is up to the
 * caller, who runs the machine in slices (see runner.ts).
 */
import type { Engine, EngineKind, EnginePort, EngineStatistics } from "../engine/engine.ts";
import { HOT, isNative, RunReason } from "../engine/engine.ts";
import { Interpreter } from "../engine/interpreter/interpreter.ts";
import type { ModuleStore } from "../engine/interpreter/module.ts";
import { mayHaveCode } from "../host/jit-policy.ts";
import { ENGINE_RESERVED, type Hart, type HartConfig, HartField, RESIDENT } from "../isa/riscv/hart.ts";
import type { Sbi } from "../isa/riscv/sbi.ts";
import { lastCause } from "../isa/riscv/trap.ts";
import { GuestMemory } from "../memory/guest-memory.ts";
import type { Board, BoardVdev } from "../profile/board.ts";
import type { VdevInstance } from "../vdev/descriptor.ts";
import { BusError } from "../vdev/errors.ts";
import { EventQueue } from "../vdev/events.ts";
import {
  type CommandResult,
  type DiskImage,
  type GuestPlace,
  HartInterrupt,
  type Json,
  type LogLevel,
  type PowerRequest,
} from "../vdev/host.ts";
import type { DmaBlock, HostHardware } from "../vdev/host-object.ts";
import type { AnyVdev, VdevRegistry } from "../vdev/registry.ts";
import { blocksOf } from "./backing.ts";
import type { BootPlan } from "./boot/plan.ts";
import { Bus, type BusAccess } from "./bus.ts";
import { MachineClock, MachineTimebase } from "./clock.ts";
import { FirmwareHooks } from "./firmware-hooks.ts";
import { Heartbeat } from "./heartbeat.ts";
import { type LaidPages, layPages } from "./lazy-laid-memory.ts";
import type { Mirrors } from "./mirrors.ts";
import type { Observer } from "./observer.ts";
import type { ParallelHarts } from "./parallel/harts.ts";
import { enterFirmware, layImages, resetHart, startOf } from "./power-on.ts";
import { SeededRandom } from "./random.ts";
import { SlowTurns } from "./slow-turns.ts";
import { type StreamHost, Streams } from "./streams.ts";
import { LONGEST_CALL, type LogSink } from "./tenant.ts";
import { Tenants, type VdevStatus } from "./tenants.ts";

/** Decoded code of guests: about 4000 pages' worth. Address space only, until it is used. */
const DECODED_POOL = 128 << 20;
const NANOSECONDS = 1e9;
/** Instructions a hart runs before the next has its turn. Short enough for spin locks, long enough to cost nothing. */
const TURN = 20_000;
/** A lone hart's turn. */
const LONG_TURN = 1_000_000;
/** What a hart may still run after it has woken another one. */
const WAKE_SLACK = 200;

/** What the machine needs of the host. */
export interface MachineHost extends StreamHost {
  openDisk(path: string, options: { readonly readOnly: boolean }): DiskImage;
  hostRandom(into: Uint8Array): void;
  readonly log: LogSink;
  /** The least severe messages to log, for vdevs whose profile makes no choice; `debug` when omitted. */
  readonly logLevel?: LogLevel;
  /** Hardware of the host. Absent where there is none to be had. */
  readonly hardware?: HostHardware;
  /** Runs a host command for a vdev. Absent where nobody allowed it. */
  readonly command?: (command: readonly string[]) => Promise<CommandResult>;
  /** Host time in nanoseconds, for boards whose time follows it. */
  nanoseconds(): number;
  /** Seconds since 1970, for boards whose clock starts at the host's. */
  wallClock(): number;
  /** Watches the machine. */
  readonly observer?: Observer;
  /** Where generated code is kept for the next process. */
  readonly codeStore?: ModuleStore;
  /** Where a watchdog sees what the machine is at. */
  readonly heartbeat?: Heartbeat;
}

/** How a run came to its end. */
export type Ending =
  | { readonly kind: "poweroff" }
  | { readonly kind: "reboot" }
  /** A watchdog that the guest did not answer. */
  | { readonly kind: "watchdog" }
  /** The guest says that it failed. */
  | { readonly kind: "failed"; readonly code: number }
  /** An access that the profile's policy does not let pass. */
  | { readonly kind: "aborted"; readonly message: string }
  /** A vdev failed whose `on_fault` ends the guest, or all of vmrun. */
  | {
      readonly kind: "vdev-failed";
      readonly vdev: string;
      readonly scope: "guest" | "monitor";
      readonly message: string;
    };

/** What a slice came to. `idle`: every hart waits; nothing happens before {@link Machine.deadline}. */
export type Progress = "ran" | "idle" | "ended";

const HartState = { stopped: 0, runs: 1, waits: 2 } as const;

export class Machine implements EnginePort {
  readonly memory: GuestMemory;
  readonly clock: MachineClock;
  readonly timebase: MachineTimebase;
  readonly streams: Streams;
  readonly bus: Bus;
  /** What the host has behind blocks of memory. */
  readonly laidMemory: LaidPages;
  /** What waits to be told to vdevs, and the host's work for them. */
  readonly events = new EventQueue();
  readonly #heartbeat: Heartbeat;
  readonly #board: Board;
  readonly #host: MachineHost;
  readonly #plan: BootPlan;
  readonly #engine: Engine;
  /** The engine, where harts run on threads of their own. */
  readonly parallel: ParallelHarts | undefined;
  readonly #harts: readonly Hart[];
  readonly #state: number[];
  readonly #sbi: Sbi | undefined;
  readonly #random: SeededRandom;
  readonly #timers: ((ticks: number) => void)[];
  readonly #tenants: Tenants;
  readonly #slowTurns: SlowTurns;
  #mirrors: Mirrors | undefined;
  #hooks: FirmwareHooks;
  /** Guest time at the start of the current turn, ns, and how much of it an instruction takes. */
  #base = 0;
  #rate: number;
  #running = -1;
  #instructions = 0;
  #ending: Ending | undefined;
  #reboots = 0;

  constructor(
    board: Board,
    registry: VdevRegistry,
    plan: BootPlan,
    host: MachineHost,
    engine: EngineKind = "translator",
  ) {
    this.#board = board;
    this.#host = host;
    this.#heartbeat = host.heartbeat ?? new Heartbeat();
    this.#plan = plan;
    this.#rate = NANOSECONDS / board.time.clock;
    this.#random = new SeededRandom(board.seed);
    const room = { reserved: ENGINE_RESERVED, pool: DECODED_POOL, addressOf, shared: board.cpu.parallel };
    this.memory = new GuestMemory(blocksOf(board), room);
    const epoch = board.time.epoch === "host" ? host.wallClock() : board.time.epoch;
    this.clock = new MachineClock({ now: () => this.#now() }, BigInt(Math.floor(epoch)) * 1_000_000_000n);
    this.timebase = new MachineTimebase({ now: () => this.#now() }, board.time.timebase);
    this.streams = new Streams(host);
    const builtin = plan.mode === "supervisor";
    const extensions = new Set(board.cpu.extensions);
    const config = { extensions, mmu: board.cpu.mmu, pmp: board.cpu.pmp, harts: board.cpu.harts };
    const native = isNative(engine) && mayHaveCode("x64") ? makeNativeHost(() => this.#windows()) : undefined;
    const options = { threshold: HOT[engine], native, store: host.codeStore };
    this.parallel = board.cpu.parallel ? this.#createParallel(config, options) : undefined;
    this.#engine = this.parallel ?? new Interpreter(this.memory, config, this.#observedPort(), options);
    this.#harts = this.#engine.harts;
    this.#state = this.#harts.map(() => HartState.stopped);
    this.#timers = this.#harts.map((hart) => this.#hartTimer(hart.index));
    this.clock.onArm = (deadline) => this.#shortenTo(deadline);
    const { observer } = host;
    if (observer) this.clock.onFire = (owner) => observer.timer(owner);
    try {
      this.#tenants = this.#createTenants(registry);
      this.#hooks = new FirmwareHooks(this.#tenants.all);
      this.bus = new Bus(
        this.#tenants.busRegions(),
        {
          unclaimed: (address, width, store) => this.#unclaimed(address, width, store),
          failed: (access, error) => this.#failed(access, error),
          promised: (access, promise) => this.#ownerOf(access)?.watch(this.#tenants.describe(access), promise),
          took: (access, ns) => {
            if (ns > LONGEST_CALL) this.#ownerOf(access)?.took(this.#tenants.describe(access), ns);
          },
          nanoseconds: () => host.nanoseconds(),
          settle: () => this.#engine.settle(),
          forget: () => this.#engine.forgetWays(),
        },
        this.#heartbeat.words,
      );
      this.#slowTurns = new SlowTurns(this.bus, (what, ns, owner) => {
        if (owner !== undefined) this.#tenants.get(owner)?.took(what, ns);
        else host.log("warn", "machine", `${what} held the machine for about ${Math.round(ns / 1e6)} ms`);
      });
      // Harts on threads of their own have it there, and every access is timed: it is a message anyway.
      this.#sbi = builtin && !this.parallel ? this.#createSbi() : undefined;
      this.bus.timed = this.parallel !== undefined;
    } catch (error) {
      // No machine comes of it that could be terminated.
      this.streams.close();
      throw error;
    }
    try {
      const blocks = this.parallel ? parallel().mappable(board.memory) : board.memory;
      this.laidMemory = layPages(blocks, this.memory, (...message) => host.log(...message), plan.loads);
      this.parallel?.begin(this.laidMemory.fds());
      this.#powerOn();
    } catch (error) {
      this.parallel?.close();
      this.#tenants.terminate();
      this.streams.close();
      throw error;
    }
  }

  /** RAM is cleared, images are loaded, vdevs and harts start over. Guest time goes on. */
  reset(): void {
    this.parallel?.halt();
    this.memory.clear();
    this.#powerOn();
  }

  #powerOn(): void {
    this.#ending = undefined;
    layImages(this.#plan, this.memory);
    this.#tenants.powerOn();
    if (this.parallel) return this.parallel.powerOn();
    this.#engine.reset();
    for (const hart of this.#harts) {
      resetHart(hart);
      this.#timers[hart.index](Number.POSITIVE_INFINITY);
      this.#state[hart.index] = HartState.stopped;
    }
    this.#host.observer?.powerOn();
    const { entry, fdtAt, mode } = this.#plan;
    if (mode === "supervisor") this.#startSupervisor(0, BigInt(entry), BigInt(fdtAt));
    else {
      for (const hart of this.#harts) {
        enterFirmware(hart, this.#plan);
        this.#state[hart.index] = HartState.runs;
      }
    }
  }

  /** Runs for about `instructions`, or until nothing more can happen by itself. */
  run(instructions: number): Progress {
    this.events.deliver();
    this.#host.hardware?.poll();
    if (this.parallel) return this.#serveHarts(this.parallel);
    const goal = this.#instructions + instructions;
    while (this.#ending === undefined) {
      this.clock.fireDue();
      if (this.#ending !== undefined) break;
      const active = this.#wake();
      if (active === 0) return "idle";
      if (this.#instructions >= goal) return "ran";
      this.#round(active, goal - this.#instructions);
    }
    return "ended";
  }

  /** Harts run by themselves: the machine does what they ask for, and has nothing to do in between. */
  #serveHarts(harts: ParallelHarts): Progress {
    this.#heartbeat.beat();
    this.clock.fireDue();
    harts.serve();
    if (this.#ending === undefined) return "idle";
    harts.halt();
    return "ended";
  }

  /** Where the running hart's pc lies in {@link memory}. */
  get pcOffset(): number {
    return RESIDENT + HartField.pc;
  }

  /** When the next timer fires, in ns of guest time; `Infinity` when none is armed. */
  get deadline(): number {
    return this.clock.deadline;
  }

  /** Guest time is the host's: it cannot be skipped. */
  get followsHost(): boolean {
    return this.#board.time.mode === "host";
  }

  /** Lets guest time pass to `ns` while every hart waits. */
  skipTo(ns: number): void {
    this.#base = Math.max(this.#base, ns);
  }

  get ending(): Ending | undefined {
    return this.#ending;
  }
  /** Starts over after a reboot that the guest asked for. */
  reboot(): void {
    this.#reboots++;
    this.reset();
  }
  get reboots(): number {
    return this.#reboots;
  }
  /** How guest code ran so far, for people. */
  get engineStatistics(): EngineStatistics {
    return this.#engine.statistics;
  }
  /** See {@link Engine.followTranslation}. */
  followTranslation(...followers: Parameters<Engine["followTranslation"]>): boolean {
    return this.#engine.followTranslation(...followers);
  }
  /** Instructions executed by all harts. */
  get instructions(): number {
    return this.parallel?.instructions ?? this.#instructions;
  }
  get harts(): readonly Hart[] {
    return this.#harts;
  }

  /** The vdevs, by name. */
  get vdevs(): ReadonlyMap<string, VdevInstance> {
    return this.#tenants.instances;
  }

  /** How every vdev is. */
  status(): VdevStatus[] {
    return this.#tenants.status();
  }

  /** Sends an event to a vdev, which gets it between two slices; `false` where there is none of that name. */
  post(vdev: string, event: Json): boolean {
    const tenant = this.#tenants.get(vdev);
    return (
      tenant !== undefined && this.events.post(() => tenant.call("an event", () => tenant.instance.event?.(event)))
    );
  }

  /** Something in that vdev's code failed, outside of any call into it: its `on_fault` decides. */
  blame(vdev: string, what: string, error: unknown): void {
    this.#tenants.get(vdev)?.fail(what, error);
  }

  /**
   * New code takes over a vdev's place and state, between two slices of the guest. Throws a `VmrunError` with the reason
   * where it cannot; then the old code goes on.
   */
  replaceVdev(vdev: BoardVdev, descriptor: AnyVdev): void {
    this.bus.rewire(this.#tenants.replace(vdev, descriptor));
    this.#hooks = new FirmwareHooks(this.#tenants.all);
  }

  /** Whether hardware of the host, or a hart on a thread of its own, may still have something to do for the machine. */
  get listening(): boolean {
    return (this.parallel?.busy ?? false) || (this.#host.hardware?.listening ?? false);
  }

  /** `wake` is called from the event loop when it does. */
  awaitHardware(wake: () => void): void {
    this.parallel?.await(wake);
    this.#host.hardware?.await(wake);
  }

  terminate(): void {
    this.parallel?.close();
    this.streams.flush();
    this.#tenants.terminate();
    this.streams.close();
    this.#host.hardware?.close();
    this.laidMemory.release();
    this.#mirrors?.release();
    this.#plan.close?.();
  }

  // ---- the port of the engine ----

  load(address: number, width: number): number {
    return this.bus.load(address, width);
  }
  store(address: number, width: number, value: number): boolean {
    return this.bus.store(address, width, value);
  }
  time(): number {
    return this.timebase.count();
  }
  setTimer(hart: number, ticks: number): void {
    this.#timers[hart](ticks);
  }

  /** The port's methods bound, so that the engine may call them as plain functions. Vdevs that hook calls come first. */
  #port(): EnginePort {
    return {
      load: (address, width) => this.bus.load(address, width),
      store: (address, width, value) => this.bus.store(address, width, value),
      reader: (address, width) => this.bus.reader(address, width),
      writer: (address, width) => this.bus.writer(address, width),
      repeated: ({ address, width }, count) => this.bus.repeated(address, width, count),
      load64: (address) => this.bus.load64(address),
      store64: (address, value) => this.bus.store64(address, value),
      time: () => this.timebase.count(),
      setTimer: (hart, ticks) => this.#timers[hart](ticks),
      sbi: (index) => {
        const hart = this.#harts[index];
        if (this.#hooks.handle(hart)) return true;
        this.#sbi?.handle(hart);
        return this.#sbi !== undefined;
      },
      unsupported: (_, kind, detail) => this.#unsupported(kind, detail),
    };
  }

  #createParallel(config: HartConfig, options: { threshold: number; store?: ModuleStore }): ParallelHarts {
    const { threshold, store } = options;
    return new (parallel().ParallelHarts)(
      {
        ...{ board: this.#board, memory: this.memory, timebase: this.timebase, start: startOf(this.#plan), config },
        ...{ pool: DECODED_POOL, threshold, stores: store !== undefined, observed: this.#host.observer !== undefined },
      },
      {
        port: this.#port(),
        console: this.#host.stdio,
        power: (action, code) => this.#power(action === "fail" ? { action, code } : { action }),
        hooked: () => this.#hooks.any,
        serving: (hart) => {
          this.#running = hart;
        },
        nanoseconds: () => this.#host.nanoseconds(),
      },
    );
  }

  /** What the engine calls: the machine, or whoever watches it. */
  #observedPort(): EnginePort {
    const port = this.#port();
    const { observer } = this.#host;
    if (observer === undefined) return port;
    const machine = this;
    return observer.attach(port, {
      harts: this.#board.cpu.harts,
      get regions() {
        return machine.bus.regions;
      },
      pc: this.memory.i32.subarray((RESIDENT + HartField.pc) >> 2, ((RESIDENT + HartField.pc) >> 2) + 2),
      now: () => this.#now(),
      nanoseconds: () => this.#host.nanoseconds(),
      settle: () => this.#engine.settle(),
      interruptCause: (hart) => lastCause(this.#harts[hart]),
      pageWalks: () => this.#harts.reduce((sum, { walks }) => sum + walks, 0),
      firmwareCall: (hart) => sbi().firmwareCall(this.#harts[hart]),
    });
  }

  // ---- time and turns ----

  #now(): number {
    if (this.#board.time.mode === "host") return this.#host.nanoseconds();
    return this.#running < 0 ? this.#base : this.#base + this.#engine.executed * this.#rate;
  }

  /** Wakes harts whose interrupts have come; answers how many have something to do. */
  #wake(): number {
    let active = 0;
    for (let i = 0; i < this.#state.length; i++) {
      if (this.#state[i] === HartState.waits && this.#engine.wakes(i)) this.#state[i] = HartState.runs;
      if (this.#state[i] === HartState.runs) active++;
    }
    return active;
  }

  /**
   * One turn for each hart that runs. Harts are simulated one after the other, so guest time passes at 1/n of its pace
   * in each turn: no hart ever sees a time that another one has not reached.
   */
  #round(active: number, limit: number): void {
    const perInstruction = NANOSECONDS / this.#board.time.clock;
    const turn = active === 1 ? LONG_TURN : TURN;
    for (let i = 0; i < this.#state.length && this.#ending === undefined; i++) {
      if (this.#state[i] !== HartState.runs) continue;
      this.#rate = perInstruction / active;
      const untilTimer = Math.ceil((this.clock.deadline - this.#base) / this.#rate);
      const budget = Math.max(1, Math.min(turn, limit, this.#board.time.mode === "host" ? turn : untilTimer));
      this.#heartbeat.beat();
      this.bus.beginAccount();
      const { exits } = this.bus;
      const { observer } = this.#host;
      const begun = this.#host.nanoseconds();
      observer?.enter(i, begun);
      this.#running = i;
      const reason = this.#engine.run(i, budget);
      const executed = this.#engine.executed;
      const ended = this.#host.nanoseconds();
      observer?.leave(i, ended, executed, reason === RunReason.wfi);
      this.#heartbeat.beat();
      this.#running = -1;
      if (this.laidMemory.disturbed && this.laidMemory.contain()) this.#engine.flushTranslations();
      this.#slowTurns.judge(ended - begun, executed, this.bus.exits - exits);
      this.#base += executed * this.#rate;
      this.#instructions += executed;
      if (reason === RunReason.wfi && this.#state[i] === HartState.runs) this.#state[i] = HartState.waits;
      if (this.clock.deadline <= this.#base) this.clock.fireDue();
    }
  }

  #shortenTo(deadline: number): void {
    if (this.#running < 0 || this.#board.time.mode === "host") return;
    this.#engine.shorten(Math.max(0, Math.ceil((deadline - this.#now()) / this.#rate)));
  }

  /** A hart's timer for Sstc and SBI: drives STIP. */
  #hartTimer(hart: number): (ticks: number) => void {
    const timer = this.clock.timer(() => this.#setPending(hart, HartInterrupt.stip, true), `hart${hart}`);
    return (ticks) => {
      const when = this.timebase.whenCount(ticks);
      if (when === Number.POSITIVE_INFINITY) timer.cancel();
      else timer.arm(when);
    };
  }

  #setPending(hart: number, bit: number, level: boolean): void {
    this.#engine.setPending(hart, bit, level);
    if (level && this.#running >= 0 && this.#running !== hart) this.#engine.shorten(WAKE_SLACK);
  }

  // ---- vdevs ----

  #createTenants(registry: VdevRegistry): Tenants {
    const host = this.#host;
    return new Tenants(
      this.#board,
      registry,
      {
        log: (level, source, message) => host.log(level, source, message),
        logLevel: host.logLevel ?? "debug",
        place: () => this.#place(),
        end: (scope, vdev, message) => this.#end({ kind: "vdev-failed", vdev, scope, message }),
        nanoseconds: () => host.nanoseconds(),
        heartbeat: this.#heartbeat,
        hangAfter: this.#board.hangAfter,
      },
      {
        clock: this.clock,
        timebase: this.timebase,
        memory: this.memory,
        harts: this.#harts.map((_, hart) => ({
          setPending: (bit, level) => this.#setPending(hart, bit, level),
        })),
        streams: this.streams,
        events: this.events,
        accessChanged: () => this.#engine.flushTranslations(),
        layPages: (block, pages) => this.laidMemory.layPages(block, pages),
        message: (address, data) => this.#message(address, data),
        openDisk: (path, options) => host.openDisk(path, options),
        random: (into, source) => (source === "host" ? host.hostRandom(into) : this.#random.fill(into)),
        power: (request) => this.#power(request),
        guest: () => this.#guest(),
        dump: (vdev, reason) => this.#dump(vdev, reason),
        openHostObject:
          host.hardware &&
          ((spec, request, vdev) =>
            host.hardware!.open(spec, request, { name: `${this.#board.name}/${vdev}`, ram: () => this.#ram() })),
        completions: new Map(),
        lost: (vdev, reason) => this.#tenants.lost(vdev, reason),
        command: host.command,
      },
    );
  }

  /** Onto memory, for native code; made when the first is wanted, or must not be. */
  #windows(): Mirrors {
    this.#mirrors ??= new (require("./mirrors.ts") as typeof import("./mirrors.ts")).Mirrors(this.#board);
    return this.#mirrors;
  }

  /** What devices may reach by themselves. */
  #ram(): DmaBlock[] {
    this.#windows().keep();
    const fds = this.laidMemory.fds();
    const ram = new Set(this.#board.memory.flatMap(({ kind, at }) => (kind === "ram" ? [at] : [])));
    return this.memory.blocks
      .filter(({ at }) => ram.has(at))
      .map(({ at, size, offset }) => ({
        at,
        size,
        fd: fds.get(at),
        bytes: this.memory.u8.subarray(offset, offset + size),
      }));
  }

  /** Registers of vdevs take messages, and so does RAM. */
  #message(address: number, data: number): boolean {
    const bytes = new Uint8Array(Uint32Array.of(data).buffer);
    return this.memory.write(address, bytes) || this.bus.message(address, data);
  }

  #guest(): GuestPlace | undefined {
    return this.#running < 0 ? undefined : { hart: this.#running, pc: this.#harts[this.#running].pc };
  }

  #place(): string {
    const guest = this.#guest();
    return guest === undefined ? "" : `, pc 0x${guest.pc.toString(16)}`;
  }

  #dump(vdev: string, reason: string): void {
    const harts = this.#harts.map((hart) => `hart ${hart.index}: pc 0x${hart.pc.toString(16)}`);
    const vdevs = this.status().map(
      ({ name, type, status, faults, messages }) =>
        `${name} (${type}): ${JSON.stringify(status)}, ${faults} faults, ${messages} messages`,
    );
    this.#host.log("warn", vdev, [reason, ...harts, ...vdevs].join("\n  "));
  }

  #ownerOf({ region }: BusAccess) {
    return this.#tenants.get(region.owner);
  }

  #failed(access: BusAccess, error: unknown): number {
    const tenant = this.#ownerOf(access);
    if (error instanceof BusError) {
      if (error.message !== "") tenant?.log.guestError(error.message);
      return -1;
    }
    tenant?.fail(this.#tenants.describe(access), error);
    return tenant?.vdev.onFault === "ignore" ? allOnes(access.width) : -1;
  }

  #unclaimed(address: number, width: number, store: boolean): number {
    switch (this.#board.unsupported.memory) {
      case "fault":
        return -1;
      case "ignore":
        return allOnes(width);
      case "abort": {
        const what = store ? "store to" : "load from";
        this.#end({ kind: "aborted", message: `${width}-byte ${what} 0x${address.toString(16)}, where nothing is` });
        return -1;
      }
    }
  }

  #unsupported(kind: "instruction" | "register", detail: number): "fault" | "ignore" {
    const policy = this.#board.unsupported[kind];
    if (policy !== "abort") return policy;
    const what = kind === "instruction" ? `instruction 0x${detail.toString(16)}` : `CSR 0x${detail.toString(16)}`;
    this.#end({ kind: "aborted", message: `${what}, which the board does not have${this.#place()}` });
    return "fault";
  }

  #power(request: PowerRequest): void {
    if (request.action === "fail") this.#end({ kind: "failed", code: request.code });
    else this.#end({ kind: request.action });
  }

  #end(ending: Ending): void {
    this.#ending ??= ending;
    this.#engine.requestStop();
  }

  // ---- built-in firmware ----

  #createSbi(): Sbi {
    return sbi().createSbi(this.#harts, {
      setTimer: (hart, ticks) => this.#timers[hart](ticks),
      power: (action, code = 1) => this.#power(action === "fail" ? { action, code } : { action }),
      console: {
        write: (byte) => this.#host.stdio.write(byte),
        read: () => this.#host.stdio.read(),
      },
      started: (hart) => this.#state[hart] !== HartState.stopped,
      startHart: (hart, pc, opaque) => {
        this.#startSupervisor(hart, pc, opaque);
        return true;
      },
      stopHart: (hart) => {
        this.#state[hart] = HartState.stopped;
        this.#engine.requestStop();
      },
      suspendHart: (hart) => {
        this.#state[hart] = HartState.waits;
        this.#engine.requestStop();
      },
    });
  }

  #startSupervisor(hart: number, pc: bigint, opaque: bigint): void {
    sbi().enterSupervisor(this.#harts[hart], pc, BigInt(hart), opaque);
    this.#harts[hart].setWord(HartField.attention, 1);
    this.#state[hart] = HartState.runs;
    if (this.#running >= 0) this.#engine.shorten(WAKE_SLACK);
  }
}

/** For boards without firmware of their own. */
const sbi = () => require("../isa/riscv/sbi.ts") as typeof import("../isa/riscv/sbi.ts");
/** For boards whose harts run on threads of their own. */
const parallel = () => require("./parallel/harts.ts") as typeof import("./parallel/harts.ts");
/** For guests that run long enough. */
const makeNativeHost = (windows: () => Mirrors) => (memory: GuestMemory) =>
  (require("./native-host.ts") as typeof import("./native-host.ts")).nativeHost(memory, windows().add);
/** Only what is aligned in the host's memory needs to know where that lies. */
const addressOf = (buffer: ArrayBufferLike) =>
  (require("../host/mapping.ts") as typeof import("../host/mapping.ts")).addressOf(buffer);
/** What nobody's registers read as. */
const allOnes = (width: number): number => 2 ** (8 * width) - 1;
