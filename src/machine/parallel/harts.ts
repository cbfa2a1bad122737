/**
 * The machine's end of harts that run on threads of their own. The machine's thread executes no guest code then: it serves
 * what harts ask of devices and of the console, keeps the devices' timers, and sleeps in between.
 */

import { fail } from "../../diagnostics/diagnostic.ts";
import type { Engine, EnginePort, EngineStatistics, RunReason } from "../../engine/engine.ts";
import { monotonicAhead } from "../../host/linux.ts";
import { canMap } from "../../host/mapping.ts";
import { Hart, type HartConfig } from "../../isa/riscv/hart.ts";
import { isLevel } from "../../isa/riscv/pending.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { Board, BoardMemory } from "../../profile/board.ts";
import type { MachineTimebase } from "../clock.ts";
import type { HartStart } from "../power-on.ts";
import { ARGUMENTS, Command, FIRST_ARGUMENT, type HartCell, Life, Request, Shared, ThreadState } from "./cell.ts";
import type { HartOrder } from "./hart.ts";
import { total } from "./statistics.ts";

/** Host time that a hart may take to halt: it is a slice, or a module's compilation. ms */
const PATIENCE = 30_000;
const LOOK = 50;
/** Looks at all harts between two of the machine's at everything else. */
const MOST_ROUNDS = 100;

/** What the machine does for its harts. */
export interface HartServices {
  readonly port: EnginePort;
  readonly console: { write(byte: number): void; read(): number };
  power(action: "poweroff" | "reboot" | "fail", code: number): void;
  /** Whether vdevs answer firmware calls: then the port does. */
  hooked(): boolean;
  /** What follows is on behalf of that hart, or of nobody (-1). */
  serving(hart: number): void;
  /** ns of the host, as the machine's time. */
  nanoseconds(): number;
}

export interface HartSetup {
  readonly board: Board;
  readonly memory: GuestMemory;
  readonly timebase: MachineTimebase;
  readonly start: HartStart;
  readonly config: HartConfig;
  readonly pool: number;
  readonly threshold: number;
  readonly stores: boolean;
  /** Somebody wants to watch. */
  readonly observed: boolean;
}

/** The memory of a board whose harts share it between threads: all of it has to be something that can be mapped. */
export function mappable(memory: readonly BoardMemory[]): BoardMemory[] {
  return memory.map((block) => (block.backing.kind === "anonymous" ? { ...block, backing: { kind: "memfd" } } : block));
}

export class ParallelHarts implements Engine {
  /** Stand for harts while the machine serves them: pc, and the registers of a firmware call. */
  readonly harts: readonly Hart[];
  readonly #setup: HartSetup;
  readonly #services: HartServices;
  readonly #shared: Shared;
  readonly #cells: readonly HartCell[];
  #workers: Worker[] = [];
  #resident: Hart | undefined;
  /** An error of a thread that nobody could catch there. */
  #error: Error | undefined;
  #wake: () => void = () => {};
  #waits = false;
  /** The bell's count when the machine last looked for requests. */
  #heard = 0;

  constructor(setup: HartSetup, services: HartServices) {
    const { board, memory, config, timebase } = setup;
    const hint = "parallel = false in [cpu]: harts take turns";
    if (!canMap())
      fail("machine/parallel", "this host cannot map memory, which harts that run at once share", { hint });
    if (setup.observed) fail("machine/parallel", "exits of harts that run at once are not counted or traced", { hint });
    this.#setup = setup;
    this.#services = services;
    this.#shared = new Shared(board.cpu.harts);
    this.#cells = this.#shared.cells;
    this.harts = this.#cells.map(({ index }) => new Hart(index, memory, config, QUIET));
    timebase.onShift = (ticks) => {
      this.#shared.shift = ticks;
    };
  }

  /** Starts the threads. `fds` are what lies behind each block of memory, by its address. */
  begin(fds: ReadonlyMap<number, number>): void {
    const { board, memory, config, pool, threshold, stores, start } = this.#setup;
    const blocks = memory.blocks.map(({ name, at, size, readOnly }) => {
      const fd = fds.get(at);
      if (fd === undefined) throw new Error(`memory ${name} cannot be shared between threads`);
      return { name, at, size, readOnly, fd };
    });
    const order: Omit<HartOrder, "index"> = {
      ...{ blocks, pool, threshold, stores, start },
      harts: board.cpu.harts,
      shared: this.#shared.buffer,
      config: { ...config, extensions: [...config.extensions] },
      timebase: board.time.timebase,
      epoch: monotonicAhead(() => this.#services.nanoseconds()),
    };
    this.#workers = this.#cells.map(({ index }) => {
      const worker = new Worker(new URL("./hart-thread.ts", import.meta.url), { ref: false });
      worker.onerror = ({ message }) => {
        this.#error ??= new Error(`hart ${index}: ${message}`);
        this.#shared.ring();
      };
      worker.postMessage({ ...order, index } satisfies HartOrder);
      return worker;
    });
  }

  /** Lets the harts run from power-on. All of them are halted, or not there yet. */
  powerOn(): void {
    const { mode, entry, fdtAt } = this.#setup.start;
    this.#shared.hooked = this.#services.hooked();
    for (const cell of this.#cells) {
      cell.startOver();
      if (mode === "machine") cell.life = Life.started;
    }
    if (mode === "supervisor") this.#cells[0].start(BigInt(entry), BigInt(fdtAt));
    for (const cell of this.#cells) cell.command = Command.run;
  }

  /** Answers what harts ask, until none does, or for long enough. Throws where a thread has failed: that is a bug. */
  serve(): void {
    this.#shared.hooked = this.#services.hooked();
    for (let served = true, rounds = 0; served && rounds < MOST_ROUNDS; rounds++) {
      served = false;
      this.#heard = Atomics.load(this.#shared.bell, 0);
      for (const cell of this.#cells) {
        if (cell.state === ThreadState.failed) this.#fail(cell);
        if (cell.request === Request.none) continue;
        served = true;
        this.#serve(cell);
      }
      if (this.#error !== undefined) throw this.#error;
    }
  }

  /** Stops all harts: when it comes back, no guest code runs. What they still ask for is not done. */
  halt(): void {
    this.#order(Command.halt);
  }

  /** Ends all threads. */
  close(): void {
    this.#setup.timebase.onShift = () => {};
    for (const cell of this.#cells) cell.turn(ThreadState.starting, ThreadState.gone);
    try {
      this.#order(Command.quit);
    } finally {
      for (const worker of this.#workers.splice(0)) worker.terminate();
    }
  }

  /** `wake` is called from the event loop when a hart asks for something. */
  await(wake: () => void): void {
    this.#wake = wake;
    if (this.#waits) return;
    const { async, value } = Atomics.waitAsync(this.#shared.bell, 0, this.#heard);
    this.#waits = async;
    const rung = () => {
      this.#waits = false;
      this.#wake();
    };
    if (async) value.then(rung);
    else queueMicrotask(rung);
  }

  /** Holds this thread for so long, or until a hart asks for something. */
  pause(ms: number): void {
    Atomics.wait(this.#shared.bell, 0, this.#heard, ms);
  }

  /**
   * Whether any hart can still do something by itself. Looked at twice: one that was seen asleep may have been woken by
   * one that then fell asleep.
   */
  get busy(): boolean {
    const before = this.#cells.map((cell) => cell.asleepSince);
    return this.#cells.some((cell, i) => before[i] < 0 || cell.asleepSince !== before[i]);
  }

  get instructions(): number {
    return this.#cells.reduce((sum, { executed }) => sum + executed, 0);
  }

  // ---- as an engine ----

  run(): RunReason {
    throw new Error("harts on threads of their own run by themselves");
  }
  get executed(): number {
    return 0;
  }
  shorten(): void {}

  requestStop(): void {
    for (const cell of this.#cells) if (cell.command === Command.run) cell.command = Command.halt;
  }

  setPending(hart: number, bit: number, level: boolean): void {
    const cell = this.#cells[hart];
    if (isLevel(bit)) cell.drive(bit, level);
    else if (level) cell.raise(bit);
  }

  wakes(): boolean {
    return false;
  }

  flushTranslations(): void {
    for (const cell of this.#cells) cell.flush();
  }

  /** Harts know no ways but to ask. */
  settle(): void {}
  forgetWays(): void {}

  /** As the harts told it when they last halted. */
  get statistics(): EngineStatistics {
    const told = ({ state }: HartCell) => state === ThreadState.halted || state === ThreadState.gone;
    return total(this.#cells.flatMap((cell) => (told(cell) && cell.bytes.length > 0 ? [textOf(cell.bytes)] : [])));
  }

  followTranslation(): boolean {
    return false;
  }

  reset(): void {
    this.halt();
  }

  // ---- requests ----

  #serve(cell: HartCell): void {
    const hart = this.harts[cell.index];
    hart.makeResident(this.#resident);
    this.#resident = hart;
    hart.pc = cell.pc;
    this.#services.serving(cell.index);
    try {
      this.#answer(cell, hart);
    } finally {
      this.#services.serving(-1);
      cell.answer();
    }
  }

  #answer(cell: HartCell, hart: Hart): void {
    const { port, console, power } = this.#services;
    const { request, address, width, value } = cell;
    switch (request) {
      case Request.none:
        return;
      case Request.load:
        cell.value = port.load(address, width);
        return;
      case Request.store:
        cell.value = Number(port.store(address, width, value));
        return;
      case Request.load64:
        return load64(cell, port);
      case Request.store64:
        return store64(cell, port);
      case Request.firmware:
        for (let i = 0; i < ARGUMENTS; i++) hart.setX(FIRST_ARGUMENT + i, cell.argument(i));
        cell.value = Number(port.sbi?.(cell.index) ?? false);
        for (let i = 0; i < ARGUMENTS; i++) cell.setArgument(i, hart.x(FIRST_ARGUMENT + i));
        cell.pc = hart.pc;
        return;
      case Request.unsupportedInstruction:
        cell.value = Number(port.unsupported?.(cell.index, "instruction", value) === "ignore");
        return;
      case Request.unsupportedRegister:
        cell.value = Number(port.unsupported?.(cell.index, "register", value) === "ignore");
        return;
      case Request.write:
        for (const byte of cell.bytes) console.write(byte);
        return;
      case Request.read:
        cell.value = console.read();
        return;
      case Request.powerOff:
        return power("poweroff", value);
      case Request.reboot:
        return power("reboot", value);
      case Request.fail:
        return power("fail", value);
    }
  }

  /** Gives all threads a command, and waits until none executes guest code. */
  #order(command: Command): void {
    for (const cell of this.#cells) cell.command = command;
    const end = command === Command.halt ? [ThreadState.halted, ThreadState.gone] : [ThreadState.gone];
    const until = Bun.nanoseconds() + PATIENCE * 1e6;
    for (const cell of this.#cells) {
      for (;;) {
        const rung = Atomics.load(this.#shared.bell, 0);
        const { state } = cell;
        // One that is not there yet halts when it comes; one that has failed is told of elsewhere.
        if (state === ThreadState.starting || state === ThreadState.failed || end.some((one) => one === state)) break;
        if (this.#error !== undefined) break;
        if (cell.request !== Request.none) this.#refuse(cell);
        if (Bun.nanoseconds() > until) throw new Error(`hart ${cell.index} does not halt`);
        Atomics.wait(this.#shared.bell, 0, rung, LOOK);
      }
    }
  }

  /** The machine has ended: nothing is there any more. */
  #refuse(cell: HartCell): void {
    cell.value = cell.request === Request.load || cell.request === Request.read ? -1 : 0;
    cell.width = 0;
    cell.answer();
  }

  #fail({ index, bytes }: HartCell): never {
    throw new Error(`hart ${index}: ${new TextDecoder().decode(bytes)}`);
  }
}

/** Whatever is there takes them whole or, with no guest time between, as two halves, the low one first. */
function load64(cell: HartCell, port: EnginePort): void {
  const { address } = cell;
  const whole = port.load64?.(address);
  if (whole !== undefined) {
    cell.pattern = whole;
    cell.width = whole === -1n ? 0 : 8;
    return;
  }
  const low = port.load(address, 4);
  const high = low < 0 ? -1 : port.load(address + 4, 4);
  cell.width = high < 0 ? 0 : 8;
  if (high >= 0) cell.pattern = (BigInt(high) << 32n) | BigInt(low);
}

function store64(cell: HartCell, port: EnginePort): void {
  const { address, pattern } = cell;
  const halves = () =>
    port.store(address, 4, Number(pattern & 0xffff_ffffn)) && port.store(address + 4, 4, Number(pattern >> 32n));
  cell.width = (port.store64?.(address, pattern) ?? halves()) ? 8 : 0;
}

function textOf(bytes: Uint8Array): EngineStatistics {
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** The stand-ins' timers are their harts' own. */
const QUIET = { time: () => 0, setTimer: () => {} };
