/**
 * A board made to run: memory, engine, bus, vdevs and their wires, and the loop that gives harts their turns.
 *
 * Everything here happens in guest time and is the same in every run; when the host's world may be heard is up to the
 * caller, who runs the machine in slices (see runner.ts).
 */
import type { Engine, EnginePort } from "../engine/engine.ts";
import { RunReason } from "../engine/engine.ts";
import { Interpreter } from "../engine/interpreter/interpreter.ts";
import { resetCsrs } from "../isa/riscv/csr.ts";
import { ENGINE_RESERVED, type Hart, HartField } from "../isa/riscv/hart.ts";
import { createSbi, enterSupervisor, type Sbi } from "../isa/riscv/sbi.ts";
import { GuestMemory } from "../memory/guest-memory.ts";
import type { Board } from "../profile/board.ts";
import type { VdevInstance } from "../vdev/descriptor.ts";
import { type DiskImage, HartInterrupt, type PowerRequest, type VdevHost, type VdevLog } from "../vdev/host.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import type { BootPlan } from "./boot/plan.ts";
import { Bus, type BusRegion } from "./bus.ts";
import { MachineClock, MachineTimebase } from "./clock.ts";
import { SeededRandom } from "./random.ts";
import { type StreamHost, Streams } from "./streams.ts";

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
  log(level: "error" | "warn" | "debug", source: string, message: string): void;
  /** Host time in nanoseconds, for boards whose time follows it. */
  nanoseconds(): number;
  /** Seconds since 1970, for boards whose clock starts at the host's. */
  wallClock(): number;
}

/** How a run came to its end. */
export type Ending =
  | { readonly kind: "poweroff" }
  | { readonly kind: "reboot" }
  /** The guest says that it failed. */
  | { readonly kind: "failed"; readonly code: number }
  /** An access that the profile's policy does not let pass. */
  | { readonly kind: "aborted"; readonly message: string };

/** What a slice came to. `idle`: every hart waits; nothing happens before {@link Machine.deadline}. */
export type Progress = "ran" | "idle" | "ended";

const HartState = { stopped: 0, runs: 1, waits: 2 } as const;

export class Machine implements EnginePort {
  readonly memory: GuestMemory;
  readonly clock: MachineClock;
  readonly timebase: MachineTimebase;
  readonly streams: Streams;
  readonly vdevs: ReadonlyMap<string, VdevInstance>;
  readonly bus: Bus;
  readonly #board: Board;
  readonly #host: MachineHost;
  readonly #plan: BootPlan;
  readonly #engine: Engine;
  readonly #harts: readonly Hart[];
  readonly #state: number[];
  readonly #sbi: Sbi | undefined;
  readonly #random: SeededRandom;
  readonly #timers: ((ticks: number) => void)[];
  /** Guest time at the start of the current turn, ns, and how much of it an instruction takes. */
  #base = 0;
  #rate: number;
  #running = -1;
  #instructions = 0;
  #ending: Ending | undefined;
  #reboots = 0;

  constructor(board: Board, registry: VdevRegistry, plan: BootPlan, host: MachineHost) {
    this.#board = board;
    this.#host = host;
    this.#plan = plan;
    this.#rate = NANOSECONDS / board.time.clock;
    this.#random = new SeededRandom(board.seed);
    this.memory = new GuestMemory(
      board.memory.map((m) => ({ name: m.name, at: m.at, size: m.size, readOnly: m.kind === "rom" })),
      { reserved: ENGINE_RESERVED, pool: DECODED_POOL },
    );
    const epoch = board.time.epoch === "host" ? host.wallClock() : board.time.epoch;
    this.clock = new MachineClock({ now: () => this.#now() }, BigInt(Math.floor(epoch)) * 1_000_000_000n);
    this.timebase = new MachineTimebase({ now: () => this.#now() }, board.time.timebase);
    this.streams = new Streams(host);
    const builtin = plan.mode === "supervisor";
    const extensions = new Set(board.cpu.extensions);
    const interpreter = new Interpreter(
      this.memory,
      { extensions, mmu: board.cpu.mmu, pmp: board.cpu.pmp, harts: board.cpu.harts },
      builtin ? { ...this.#port(), sbi: (hart) => this.#sbi?.handle(this.#harts[hart]) } : this.#port(),
    );
    this.#engine = interpreter;
    this.#harts = interpreter.harts;
    this.#state = this.#harts.map(() => HartState.stopped);
    this.#timers = this.#harts.map((hart) => this.#hartTimer(hart.index));
    this.clock.onArm = (deadline) => this.#shortenTo(deadline);
    this.vdevs = new Map(this.#createVdevs(registry));
    this.bus = new Bus(this.#busRegions(), {
      unclaimed: (address, width, store) => this.#unclaimed(address, width, store),
      threw: (region, offset, store, error) => this.#threw(region, offset, store, error),
    });
    this.#sbi = builtin ? this.#createSbi() : undefined;
    this.#powerOn();
  }

  /** RAM is cleared, images are loaded, vdevs and harts start over. Guest time goes on. */
  reset(): void {
    this.memory.clear();
    this.#powerOn();
  }

  /** Memory is all zeroes: fresh pages of the host stay untouched, which is what makes starting quick. */
  #powerOn(): void {
    for (const { at, bytes } of this.#plan.loads) this.memory.load(at, bytes);
    for (const vdev of this.vdevs.values()) vdev.reset();
    this.#engine.reset();
    for (const hart of this.#harts) {
      for (let i = 0; i < 32; i++) {
        hart.setX(i, 0n);
        hart.setF(i, 0n);
      }
      resetCsrs(hart);
      this.#timers[hart.index](Number.POSITIVE_INFINITY);
      this.#state[hart.index] = HartState.stopped;
    }
    const { entry, fdtAt, info = 0, mode } = this.#plan;
    if (mode === "supervisor") this.#startSupervisor(0, BigInt(entry), BigInt(fdtAt));
    else {
      for (const hart of this.#harts) {
        hart.pc = BigInt(entry);
        hart.setX(10, BigInt(hart.index));
        hart.setX(11, BigInt(fdtAt));
        hart.setX(12, BigInt(info));
        this.#state[hart.index] = HartState.runs;
      }
    }
    this.#ending = undefined;
  }

  /** Runs for about `instructions`, or until nothing more can happen by itself. */
  run(instructions: number): Progress {
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

  /** When the next timer fires, in ns of guest time; `Infinity` when none is armed. */
  get deadline(): number {
    return this.clock.deadline;
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
  /** Instructions executed by all harts. */
  get instructions(): number {
    return this.#instructions;
  }
  get harts(): readonly Hart[] {
    return this.#harts;
  }

  terminate(): void {
    this.streams.flush();
    for (const vdev of this.vdevs.values()) vdev.terminate?.();
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

  /** The port's methods bound, so that the engine may call them as plain functions. */
  #port(): EnginePort {
    return {
      load: (address, width) => this.bus.load(address, width),
      store: (address, width, value) => this.bus.store(address, width, value),
      time: () => this.timebase.count(),
      setTimer: (hart, ticks) => this.#timers[hart](ticks),
    };
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
      this.#running = i;
      const reason = this.#engine.run(i, budget);
      this.#running = -1;
      const executed = this.#engine.executed;
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
    const timer = this.clock.timer(() => this.#setPending(hart, HartInterrupt.stip, true));
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

  *#createVdevs(registry: VdevRegistry): Generator<[string, VdevInstance]> {
    const created = new Map<string, VdevInstance>();
    for (const { placement, options } of this.#board.vdevs) {
      const descriptor = registry.get(placement.type);
      if (descriptor === undefined) throw new Error(`the registry lost "${placement.type}"`);
      const vdev = descriptor.create(this.#vdevHost(placement, created), options);
      created.set(placement.name, vdev);
      yield [placement.name, vdev];
    }
  }

  #vdevHost(placement: VdevHost["placement"], vdevs: ReadonlyMap<string, VdevInstance>): VdevHost {
    const host = this.#host;
    return {
      name: placement.name,
      placement,
      clock: this.clock,
      timebase: this.timebase,
      memory: this.memory,
      log: this.#log(placement.name),
      harts: Array.from({ length: this.#board.cpu.harts }, (_, hart) => ({
        setPending: (bit: number, level: boolean) => this.#setPending(hart, bit, level),
      })),
      interrupt: (name) => {
        const route = placement.interrupts.find((i) => i.name === name);
        if (route === undefined) return { set: () => {} };
        return { set: (level) => vdevs.get(route.controller)?.input?.(route.line, level) };
      },
      stream: (spec) => this.streams.open(spec),
      disk: (path, options) => host.openDisk(path, options),
      random: (into, source) => (source === "host" ? host.hostRandom(into) : this.#random.fill(into)),
      power: (request) => this.#power(request),
    };
  }

  #log(source: string): VdevLog {
    const seen = new Set<string>();
    const once = (level: "warn" | "debug", message: string) => {
      // A guest may cause these without end: each is told once.
      if (seen.size > 256 || seen.has(message)) return;
      seen.add(message);
      this.#host.log(level, source, message);
    };
    return {
      guestError: (message) => once("debug", `guest error: ${message}`),
      warn: (message) => once("warn", message),
      debug: (message) => once("debug", message),
    };
  }

  #busRegions(): BusRegion[] {
    return this.#board.vdevs.flatMap(({ placement }) =>
      placement.regions.map(({ name, at, size }, i) => ({
        owner: placement.name,
        name,
        at,
        size,
        handler: this.vdevs.get(placement.name)!.regions[i],
      })),
    );
  }

  #unclaimed(address: number, width: number, store: boolean): number {
    switch (this.#board.unsupported.memory) {
      case "fault":
        return -1;
      case "ignore":
        return width === 4 ? 0xffffffff : 2 ** (8 * width) - 1;
      case "abort": {
        const what = store ? "store to" : "load from";
        this.#end({ kind: "aborted", message: `${width}-byte ${what} 0x${address.toString(16)}, where nothing is` });
        return -1;
      }
    }
  }

  #threw(region: BusRegion, offset: number, store: boolean, error: unknown): number {
    const reason = error instanceof Error ? error.message : String(error);
    this.#log(region.owner).warn(
      `${store ? "write to" : "read of"} ${region.name}+0x${offset.toString(16)} failed in the vdev: ${reason}`,
    );
    return -1;
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
    return createSbi(this.#harts, {
      setTimer: (hart, ticks) => this.#timers[hart](ticks),
      power: (action, code = 1) => this.#power(action === "fail" ? { action, code } : { action }),
      console: {
        write: (byte) => this.#host.stdio.write(byte),
        read: () => this.#host.stdio.read(),
      },
      started: (hart) => this.#state[hart] !== HartState.stopped,
      startHart: (hart, pc, opaque) => this.#startSupervisor(hart, pc, opaque),
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
    enterSupervisor(this.#harts[hart], pc, BigInt(hart), opaque);
    this.#harts[hart].setWord(HartField.attention, 1);
    this.#state[hart] = HartState.runs;
    if (this.#running >= 0) this.#engine.shorten(WAKE_SLACK);
  }
}
