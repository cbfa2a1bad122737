/**
 * Writes down what happens, one thing after the other: exits, interrupts, timers, turns and waits of harts, each in guest
 * time and in host time. Bounded: a run of seconds has millions of them.
 */
import type { EnginePort } from "../engine/engine.ts";
import type { Observed, Observer } from "../machine/observer.ts";
import type { Board } from "../profile/board.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import { Layer } from "./layer.ts";
import { callName, interruptName, RegisterMaps, regionAt } from "./names.ts";

/** What an event is: all but instants have a duration. */
export const EventKind = { exit: 0, call: 1, interrupt: 2, timer: 3, turn: 4, wait: 5 } as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

export interface TraceEvent {
  readonly kind: EventKind;
  readonly name: string;
  readonly hart: number;
  /** Absent where no instruction does it. */
  readonly pc?: bigint;
  /** Of an access that is a read or a write: what went over the bus. */
  readonly value?: number;
  /** Since the first instruction, ns. */
  readonly host: number;
  readonly hostLength: number;
  /** Since power-on, ns of guest time. */
  readonly guest: number;
  readonly guestLength: number;
}

/** Turns that follow one another within so much host time, ns, are one. */
const SEAM = 50_000;
/** Columns of the log: kind, name, hart, pc low, pc high, value, host, host length, guest, guest length. */
const COLUMNS = 10;

export class Tracer extends Layer {
  /** How many came when there was no more room. */
  dropped = 0;
  readonly #log: Float64Array;
  readonly #most: number;
  readonly #maps: RegisterMaps;
  readonly #names: string[] = [];
  readonly #nameOf = new Map<string, number>();
  readonly #accessNames = new Map<number, number>();
  #count = 0;
  #machine!: Observed;
  #began = 0;
  #hart = 0;
  /** By hart: where its last turn, and its wait, are in the log; -1 is nowhere. */
  readonly #turn: number[];
  readonly #wait: number[];

  /** @param most Events kept: the first ones. */
  constructor(inner: Observer, board: Board, registry: VdevRegistry, most: number) {
    super(inner);
    this.#most = most;
    this.#log = new Float64Array(most * COLUMNS);
    this.#maps = new RegisterMaps(board, registry);
    this.#turn = new Array(board.cpu.harts).fill(-1);
    this.#wait = new Array(board.cpu.harts).fill(-1);
  }

  override attach(given: EnginePort, machine: Observed): EnginePort {
    this.#machine = machine;
    const port = super.attach(given, machine);
    const { load, store, sbi, load64, store64 } = port;
    return {
      ...port,
      reader: undefined,
      writer: undefined,
      load: (address, width) => {
        const row = this.#begin(EventKind.exit, this.#accessName(address, "read"));
        const value = load(address, width);
        this.#end(row, value);
        return value;
      },
      store: (address, width, value) => {
        const row = this.#begin(EventKind.exit, this.#accessName(address, "write"));
        const stored = store(address, width, value);
        this.#end(row, value);
        return stored;
      },
      load64:
        load64 &&
        ((address) => {
          const value = load64(address);
          if (value !== undefined)
            this.#end(this.#begin(EventKind.exit, this.#accessName(address, "read")), Number(value));
          return value;
        }),
      store64:
        store64 &&
        ((address, value) => {
          const stored = store64(address, value);
          if (stored) this.#end(this.#begin(EventKind.exit, this.#accessName(address, "write")), Number(value));
          return stored;
        }),
      sbi:
        sbi &&
        ((hart) => {
          const call = machine.firmwareCall(hart);
          const row = this.#begin(EventKind.call, this.#name(callName(Number(call.extension), Number(call.function))));
          const served = sbi(hart);
          this.#end(row, 0);
          return served;
        }),
      interrupted: (hart) => {
        this.#begin(EventKind.interrupt, this.#name(interruptName(machine.interruptCause(hart))));
        port.interrupted?.(hart);
      },
    };
  }

  override enter(hart: number, ns: number): void {
    if (this.#began === 0) this.#began = ns;
    super.enter(hart, ns);
    this.#hart = hart;
    const log = this.#log;
    const now = this.#machine.now();
    const wait = this.#wait[hart];
    if (wait >= 0) {
      log[wait + 7] = ns - this.#began - log[wait + 6];
      log[wait + 9] = now - log[wait + 8];
      this.#wait[hart] = -1;
      this.#turn[hart] = -1;
    }
    const turn = this.#turn[hart];
    if (turn >= 0 && ns - this.#began - (log[turn + 6] + log[turn + 7]) < SEAM) return;
    this.#turn[hart] = this.#row(EventKind.turn, this.#name("runs"), ns - this.#began, now);
  }

  override leave(hart: number, ns: number, instructions: number, waits: boolean): void {
    super.leave(hart, ns, instructions, waits);
    const log = this.#log;
    const now = this.#machine.now();
    const turn = this.#turn[hart];
    if (turn >= 0) {
      log[turn + 7] = ns - this.#began - log[turn + 6];
      log[turn + 9] = now - log[turn + 8];
    }
    if (waits) this.#wait[hart] = this.#row(EventKind.wait, this.#name("waits"), ns - this.#began, now);
  }

  override timer(owner: string): void {
    super.timer(owner);
    const host = this.#began === 0 ? 0 : this.#machine.nanoseconds() - this.#began;
    this.#row(EventKind.timer, this.#name(`timer of ${owner}`), host, this.#machine.now());
  }

  *events(): Generator<TraceEvent> {
    const log = this.#log;
    for (let at = 0; at < this.#count * COLUMNS; at += COLUMNS) {
      const kind = log[at] as EventKind;
      const instruction = kind === EventKind.exit || kind === EventKind.call;
      yield {
        kind,
        name: this.#names[log[at + 1]],
        hart: log[at + 2],
        pc: instruction ? (BigInt(log[at + 4] >>> 0) << 32n) | BigInt(log[at + 3] >>> 0) : undefined,
        value: kind === EventKind.exit ? log[at + 5] : undefined,
        host: log[at + 6],
        hostLength: log[at + 7],
        guest: log[at + 8],
        guestLength: log[at + 9],
      };
    }
  }

  #begin(kind: EventKind, name: number): number {
    return this.#row(kind, name, this.#machine.nanoseconds() - this.#began, this.#machine.now());
  }

  #end(row: number, value: number): void {
    if (row < 0) return;
    this.#log[row + 5] = value;
    this.#log[row + 7] = this.#machine.nanoseconds() - this.#began - this.#log[row + 6];
  }

  #row(kind: EventKind, name: number, host: number, guest: number): number {
    if (this.#count >= this.#most) {
      this.dropped++;
      return -1;
    }
    const row = this.#count++ * COLUMNS;
    const { pc } = this.#machine;
    this.#log.set([kind, name, this.#hart, pc[0], pc[1], 0, host, 0, guest, 0], row);
    return row;
  }

  #name(text: string): number {
    const known = this.#nameOf.get(text);
    if (known !== undefined) return known;
    const name = this.#names.push(text) - 1;
    this.#nameOf.set(text, name);
    return name;
  }

  #accessName(address: number, kind: "read" | "write"): number {
    // A guest may have no end of registers, but names are needed for events alone.
    if (this.#count >= this.#most) return 0;
    const key = kind === "read" ? address : -1 - address;
    const known = this.#accessNames.get(key);
    if (known !== undefined) return known;
    const region = regionAt(this.#machine.regions, address);
    const names = region?.handler.names;
    const offset = address - (region?.at ?? 0);
    const register =
      region && (this.#maps.register(region, offset, kind, names?.window()) ?? `+0x${offset.toString(16)}`);
    const name = this.#name(`${kind} ${region === undefined ? "nothing there" : `${region.owner}.${register}`}`);
    // What a window may show tomorrow is asked again.
    if ((names?.windows.length ?? 0) === 0 && this.#accessNames.size < 65_536) this.#accessNames.set(key, name);
    return name;
  }
}
