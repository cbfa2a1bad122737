/**
 * One hart on a thread of its own: an engine on a linear memory of its own, into which the guest's memory is mapped. What is
 * not its own affair it asks of the machine's thread (devices, the console) or of other harts (fences, interrupts).
 */

import { type EnginePort, RunReason } from "../../engine/engine.ts";
import { Interpreter } from "../../engine/interpreter/interpreter.ts";
import { codeStore } from "../../host/code-store.ts";
import { errnoName, isError, monotonicAhead } from "../../host/linux.ts";
import { lay, lift, type MappedRange } from "../../host/mapping.ts";
import { CsrSlot, ENGINE_RESERVED, type Hart, type HartConfig } from "../../isa/riscv/hart.ts";
import { createSbi, enterSupervisor, fenceAddresses, type RemoteFence, type Sbi } from "../../isa/riscv/sbi.ts";
import { type BlockSpec, GuestMemory } from "../../memory/guest-memory.ts";
import { HartInterrupt } from "../../vdev/host.ts";
import { MachineTimebase } from "../clock.ts";
import { enterFirmware, type HartStart, resetHart } from "../power-on.ts";
import { ARGUMENTS, Command, FIRST_ARGUMENT, type HartCell, Life, Request, type Shared, ThreadState } from "./cell.ts";

/** What a hart's thread is told when it begins. */
export interface HartOrder {
  readonly index: number;
  readonly harts: number;
  readonly shared: SharedArrayBuffer;
  /** All of the guest's memory by ascending address, each block with what is to be mapped there. */
  readonly blocks: readonly (BlockSpec & { readonly fd: number })[];
  readonly pool: number;
  readonly config: Omit<HartConfig, "extensions"> & { readonly extensions: readonly string[] };
  /** Of the translator; 0 is none. */
  readonly threshold: number;
  /** Whether generated code is kept for the next process. */
  readonly stores: boolean;
  /** Hertz. */
  readonly timebase: number;
  /** When the machine's time began, ns of the host's monotonic clock. */
  readonly epoch: number;
  readonly start: HartStart;
}

/**
 * Host time that a hart runs before it looks at what others want, ns: as long as an interrupt may have to wait. And the
 * instructions that may be, which follows from how fast it is.
 */
const SLICE = 200_000;
const SHORTEST_SLICE = 5000;
const LONGEST_SLICE = 1_000_000;
/** Less host time than that tells nothing of the pace, ns; and what is left of the best one a slice later. */
const LEAST = 5000;
const FORGETTING = 0.9;
/** Host time between two turns of this thread's events, which bring compiled code, ns. */
const EVENTS = 4e6;
const NS_PER_MS = 1e6;
const NEVER = Number.POSITIVE_INFINITY;

export class ParallelHart {
  readonly #order: HartOrder;
  readonly #shared: Shared;
  readonly #cell: HartCell;
  readonly #memory: GuestMemory;
  readonly #laid: MappedRange[] = [];
  readonly #engine: Interpreter;
  readonly #hart: Hart;
  readonly #sbi: Sbi | undefined;
  readonly #timebase: MachineTimebase;
  /** This thread's clock and the host's began at different times. */
  readonly #clockOffset: number;
  /** Of the hart's own timer, ns. */
  #deadline = NEVER;
  #powerOns = -1;
  /** What of devices and of the guest's time the hart knows. */
  #lines = 0;
  #shifts = 0;
  /** The firmware's HART_SUSPEND: as a WFI. */
  #suspended = false;
  /** Instructions per ns; and those of the next slice. */
  #pace = 0;
  #budget = SHORTEST_SLICE;
  #executed = 0;
  #printed: number[] = [];

  constructor(order: HartOrder, shared: Shared) {
    this.#order = order;
    this.#shared = shared;
    this.#cell = this.#shared.cells[order.index];
    this.#clockOffset = monotonicAhead(() => Bun.nanoseconds()) - order.epoch;
    this.#timebase = new MachineTimebase({ now: () => this.#now() }, order.timebase);
    this.#memory = new GuestMemory(order.blocks, { reserved: ENGINE_RESERVED, pool: order.pool, shared: true });
    try {
      this.#lay();
    } catch (error) {
      this.release();
      throw error;
    }
    const { config, harts, index, threshold, stores } = order;
    this.#engine = new Interpreter(
      this.#memory,
      { ...config, extensions: new Set(config.extensions), harts },
      this.#port(),
      { threshold, store: stores ? codeStore() : undefined },
    );
    this.#hart = this.#engine.harts[index];
    this.#sbi = order.start.mode === "supervisor" ? this.#createSbi() : undefined;
  }

  /** Runs until the machine wants it no more. */
  async run(): Promise<void> {
    const cell = this.#cell;
    let served = this.#now();
    for (;;) {
      const { command } = cell;
      if (command === Command.quit) return this.#tell();
      if (command === Command.halt) this.#halt();
      else {
        if (cell.powerOns !== this.#powerOns) this.#powerOn();
        if (cell.life === Life.started) this.#slice();
        else this.#rest();
      }
      const now = this.#now();
      if (now - served < EVENTS) continue;
      await new Promise<void>((resolve) => setImmediate(resolve));
      served = now;
    }
  }

  /** Gives the guest's memory back: this thread's linear memory is plain again. */
  release(): void {
    for (const range of this.#laid.splice(0)) lift(range);
  }

  #lay(): void {
    for (const [i, { offset, size, name }] of this.#memory.blocks.entries()) {
      const { fd } = this.#order.blocks[i];
      const range = { buffer: this.#memory.memory.buffer, offset, length: size };
      const failed = lay(range, { fd, shared: true, writable: true });
      if (isError(failed)) throw new Error(`the host does not map memory ${name} for a hart: ${errnoName(failed)}`);
      this.#laid.push(range);
    }
  }

  // ---- the machine's wishes ----

  #halt(): void {
    const cell = this.#cell;
    this.#tell();
    cell.state = ThreadState.halted;
    this.#shared.ring();
    for (;;) {
      const { rung } = cell;
      if (cell.command !== Command.halt) break;
      cell.wait(rung);
    }
    cell.state = ThreadState.running;
  }

  /** Says how guest code ran, for people. */
  #tell(): void {
    this.#cell.putBytes(Buffer.from(JSON.stringify(this.#engine.statistics)));
  }

  #powerOn(): void {
    this.#powerOns = this.#cell.powerOns;
    this.#engine.reset();
    this.#lines = 0;
    this.#suspended = false;
    this.#hart.setCsrHigh(CsrSlot.mip, 0);
    resetHart(this.#hart);
    this.#deadline = NEVER;
    if (this.#order.start.mode === "machine") enterFirmware(this.#hart, this.#order.start);
  }

  /** Stopped: until another hart starts it. */
  #rest(): void {
    const cell = this.#cell;
    this.#await(() => cell.life === Life.starting);
    if (cell.life !== Life.starting || cell.command !== Command.run) return;
    enterSupervisor(this.#hart, cell.startPc, BigInt(this.#order.index), cell.startOpaque);
    // What it is to execute may be newer than what it executed last.
    this.#engine.fenceFetches();
    cell.life = Life.started;
  }

  // ---- running ----

  #slice(): void {
    const cell = this.#cell;
    const { index } = this.#order;
    this.#attend();
    const begun = this.#now();
    const reason = this.#engine.run(index, this.#budget);
    const took = this.#now() - begun;
    this.#executed += this.#engine.executed;
    cell.executed = this.#executed;
    // As fast as it was lately at its best: what took long may have been this thread not running.
    this.#pace = Math.max(this.#engine.executed / Math.max(took, LEAST), this.#pace * FORGETTING);
    this.#budget = Math.round(Math.min(LONGEST_SLICE, Math.max(SHORTEST_SLICE, this.#pace * SLICE)));
    if (reason !== RunReason.wfi && !this.#suspended) return;
    this.#suspended = false;
    this.#await(() => this.#engine.wakes(index));
  }

  /** Waits until it is so, or the machine wants something else. */
  #await(done: () => boolean): void {
    const cell = this.#cell;
    for (;;) {
      const { rung } = cell;
      if (cell.command !== Command.run) return;
      this.#attend();
      if (done()) return;
      const left = this.#deadline - this.#now();
      if (left <= 0) continue;
      cell.noteSeen(rung);
      cell.state = left === NEVER ? ThreadState.asleep : ThreadState.waiting;
      // Maybe nobody is left who could wake it: the machine will look.
      if (left === NEVER) this.#shared.ring();
      cell.wait(rung, left / NS_PER_MS);
      cell.state = ThreadState.running;
    }
  }

  /** Sees to what others want of the hart, and to its timer. May be called while the engine is in the port. */
  #attend(): void {
    const cell = this.#cell;
    const engine = this.#engine;
    const { index } = this.#order;
    if (cell.takeFlush()) engine.flushTranslations();
    for (let from = cell.takeFences(), i = 0; from !== 0; from >>>= 1, i++) {
      if ((from & 1) === 0) continue;
      const asking = this.#shared.cells[i];
      const { instructions, start, size } = asking.fence;
      this.#fence(instructions ? "instructions" : { start, size });
      asking.fenceDone();
    }
    const { lines } = cell;
    for (let changed = lines ^ this.#lines, bit = 0; changed !== 0; changed >>>= 1, bit++) {
      if ((changed & 1) !== 0) engine.setPending(index, bit, ((lines >>> bit) & 1) !== 0);
    }
    this.#lines = lines;
    for (let raised = cell.takeRaised(), bit = 0; raised !== 0; raised >>>= 1, bit++) {
      if ((raised & 1) !== 0) engine.setPending(index, bit, true);
    }
    const { shifts } = this.#shared;
    if (shifts !== this.#shifts) {
      this.#shifts = shifts;
      this.#timebase.shift = this.#shared.shift;
    }
    if (this.#deadline > this.#now()) return;
    this.#deadline = NEVER;
    engine.setPending(index, HartInterrupt.stip, true);
  }

  #fence(fence: RemoteFence): void {
    if (fence === "instructions") return this.#engine.fenceFetches();
    fenceAddresses(this.#hart, fence);
    // The page being executed may be one of them: it is fetched from anew.
    this.#engine.shorten(0);
  }

  #now(): number {
    return Bun.nanoseconds() + this.#clockOffset;
  }

  // ---- what is asked of the machine's thread ----

  #request(request: Request): void {
    const cell = this.#cell;
    cell.pc = this.#hart.pc;
    cell.ask(request);
    for (;;) {
      const { rung } = cell;
      if (cell.request === Request.none) break;
      this.#attend();
      cell.wait(rung);
    }
    // What the device drives now is seen before the next instruction.
    this.#attend();
    if (cell.command !== Command.run) this.#engine.requestStop();
  }

  #port(): EnginePort {
    const cell = this.#cell;
    const access = (request: Request, address: number, width: number): void => {
      cell.address = address;
      cell.width = width;
      this.#request(request);
    };
    return {
      load: (address, width) => {
        access(Request.load, address, width);
        return cell.value;
      },
      store: (address, width, value) => {
        cell.value = value;
        access(Request.store, address, width);
        return cell.value !== 0;
      },
      load64: (address) => {
        access(Request.load64, address, 8);
        return cell.width === 0 ? -1n : cell.pattern;
      },
      store64: (address, value) => {
        cell.pattern = value;
        access(Request.store64, address, 8);
        return cell.width !== 0;
      },
      time: () => this.#timebase.count(),
      setTimer: (hart, ticks) => {
        if (hart === this.#order.index) this.#deadline = this.#timebase.whenCount(ticks);
      },
      sbi: () => this.#firmwareCall(),
      unsupported: (_, kind, detail) => {
        cell.value = detail;
        this.#request(kind === "instruction" ? Request.unsupportedInstruction : Request.unsupportedRegister);
        return cell.value !== 0 ? "ignore" : "fault";
      },
    };
  }

  // ---- firmware ----

  #firmwareCall(): boolean {
    if (this.#shared.hooked && this.#askVdevs()) return true;
    this.#sbi?.handle(this.#hart);
    this.#print();
    return this.#sbi !== undefined;
  }

  /** A vdev may answer the call; its thread sees the registers there. */
  #askVdevs(): boolean {
    const cell = this.#cell;
    const hart = this.#hart;
    for (let i = 0; i < ARGUMENTS; i++) cell.setArgument(i, hart.x(FIRST_ARGUMENT + i));
    this.#request(Request.firmware);
    if (cell.value === 0) return false;
    for (let i = 0; i < ARGUMENTS; i++) hart.setX(FIRST_ARGUMENT + i, cell.argument(i));
    hart.pc = cell.pc;
    return true;
  }

  /** What a call printed goes to the machine in as few messages as it takes. */
  #print(): void {
    for (let bytes = Uint8Array.from(this.#printed.splice(0)); bytes.length > 0; ) {
      bytes = bytes.subarray(this.#cell.putBytes(bytes));
      this.#request(Request.write);
    }
  }

  #createSbi(): Sbi {
    const cell = this.#cell;
    const { cells } = this.#shared;
    const power = { poweroff: Request.powerOff, reboot: Request.reboot, fail: Request.fail } as const;
    return createSbi(this.#engine.harts, {
      setTimer: (_, ticks) => {
        this.#deadline = this.#timebase.whenCount(ticks);
      },
      power: (action, code = 1) => {
        cell.value = code;
        this.#request(power[action]);
      },
      console: {
        write: (byte) => void this.#printed.push(byte),
        read: () => {
          this.#request(Request.read);
          return cell.value;
        },
      },
      started: (hart) => cells[hart].life !== Life.stopped,
      startHart: (hart, pc, opaque) => cells[hart].start(pc, opaque),
      stopHart: () => {
        cell.life = Life.stopped;
        this.#engine.requestStop();
      },
      suspendHart: () => {
        this.#suspended = true;
        this.#engine.requestStop();
      },
      remote: {
        interrupt: (hart) => {
          if (hart === this.#order.index) this.#engine.setPending(hart, HartInterrupt.ssip, true);
          else cells[hart].raise(HartInterrupt.ssip);
        },
        fence: (harts, fence) => this.#fenceAll(harts, fence),
      },
    });
  }

  /** Comes back when all of them have done it; meanwhile this hart does what they want of it. */
  #fenceAll(harts: readonly number[], fence: RemoteFence): void {
    const cell = this.#cell;
    const { index } = this.#order;
    if (harts.includes(index)) this.#fence(fence);
    // A stopped hart remembers nothing when it is started.
    const others = harts.flatMap((hart) => {
      const other = this.#shared.cells[hart];
      return hart === index || other.life === Life.stopped ? [] : [other];
    });
    if (others.length === 0) return;
    const { start, size } = fence === "instructions" ? { start: 0n, size: 0n } : fence;
    cell.askForFence(others, fence === "instructions", start, size);
    for (;;) {
      const { rung } = cell;
      if (cell.fencesLeft === 0) return;
      // Others have halted already, maybe. Nobody will miss the fence.
      if (cell.command !== Command.run) return this.#engine.requestStop();
      this.#attend();
      cell.wait(rung);
    }
  }
}
