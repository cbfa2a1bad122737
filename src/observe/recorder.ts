/**
 * Counts exits, and times them. It stands between engine and machine, so a machine without it does nothing for it. What an
 * exit costs is a look at the clock before and after, which costs as much as a simple exit does: the first of each kind are
 * all timed, of the rest a few.
 */
import type { EnginePort } from "../engine/engine.ts";
import type { BusRegion } from "../machine/bus.ts";
import type { Observed, Observer } from "../machine/observer.ts";
import type { Board } from "../profile/board.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import { EXIT_KINDS, type ExitKey, type ExitKind, type ExitRecord, Exits } from "./exits.ts";
import { Histogram } from "./histogram.ts";
import { callName, interruptName, RegisterMaps, regionAt } from "./names.ts";
import { CAPACITY, SlotTable } from "./slots.ts";

/** `counts`: how many there were. `costs`: and how long they took. */
export type Detail = "counts" | "costs";

/** The kind word of a slot's key: bits 0-1 log2 of the width, 2-5 kind, 6-9 hart, 10-30 the upper bits of what. */
const KIND = Object.fromEntries(EXIT_KINDS.map((kind, i) => [kind, i << 2])) as Readonly<Record<ExitKind, number>>;
const HART_SHIFT = 6;
const UPPER_SHIFT = 10;
const UPPER_MOST = 2 ** 21 - 1;
const TWO_32 = 2 ** 32;
const LOG2 = [0, 0, 1, 0, 2];
/** 8 bytes in one access. */
const WHOLE = 3;

/** In place of the lower half of a pc, which is even: exits that share a slot. */
const NO_PC = 1;
/** ... and are not even told apart by address. */
const NO_ADDRESS = 3;
/** ... or by anything but their kind. */
const KIND_ALONE = 5;

/** Slots beyond the table's, for registers that share an offset. */
const EXTRA = 1024;

/** Every exit of a slot is timed until there were so many. */
const WARM = 32;
/** Behind that, one in so many is. */
const STRIDE = 8;
/** What takes longer, ns, is an event of its own (the host was elsewhere, a disk was slow) and stands for no other exit. */
const LONG = 100_000;
/** No more distributions than these are kept. */
const HISTOGRAMS = 4096;

export class Recorder implements Observer {
  readonly detail: Detail;
  readonly #maps: RegisterMaps;
  readonly #table = new SlotTable();
  /** By slot. */
  readonly #counts = new Float64Array(CAPACITY + EXTRA);
  readonly #weights: Float64Array;
  readonly #ns: Float64Array;
  readonly #histograms: (Histogram | undefined)[] = [];
  readonly #histogramOf = new Map<string, Histogram>();
  /** Slots that need a second look: registers behind windows. */
  readonly #special = new Uint8Array(CAPACITY);
  readonly #keys = new Map<number, ExitKey>();
  /** By slot and window. */
  readonly #windows = new Map<number, Map<string | undefined, number>>();
  #extra = CAPACITY;
  /** An address that stands for all of a register, or of an array of them. */
  readonly #firstOf = new Map<string, number>();
  readonly #owners: string[] = [];
  #machine!: Observed;
  #pc!: Int32Array;
  #hartBits = 0;
  #skip = 0;
  #random = 1;
  /** What a look at the clock costs. */
  #clockCost = 0;
  #began: number | undefined;
  #entered: number | undefined;
  #running = 0;
  #instructions = 0;

  constructor(board: Board, registry: VdevRegistry, detail: Detail = "counts") {
    this.detail = detail;
    this.#maps = new RegisterMaps(board, registry);
    const timed = detail === "counts" ? 0 : CAPACITY + EXTRA;
    this.#weights = new Float64Array(timed);
    this.#ns = new Float64Array(timed);
  }

  attach(port: EnginePort, machine: Observed): EnginePort {
    this.#machine = machine;
    this.#pc = machine.pc;
    const watched: EnginePort = {
      ...port,
      interrupted: (hart) => this.#event(KIND.interrupt, machine.interruptCause(hart), 0),
      sbi: port.sbi && ((hart) => this.#call(hart, port.sbi!)),
      unsupported: (hart, kind, detail) => {
        this.#count(detail, KIND.unsupported | (kind === "instruction" ? 0 : 1));
        return port.unsupported?.(hart, kind, detail) ?? "fault";
      },
      load64: port.load64 && ((address) => this.#whole(address, KIND.read | WHOLE, () => port.load64!(address))),
      store64:
        port.store64 &&
        ((address, value) => this.#whole(address, KIND.write | WHOLE, () => port.store64!(address, value))),
    };
    if (this.detail === "counts") {
      watched.load = (address, width) => {
        this.#count(address, KIND.read | LOG2[width]);
        return port.load(address, width);
      };
      watched.store = (address, width, value) => {
        this.#count(address, KIND.write | LOG2[width]);
        return port.store(address, width, value);
      };
      return watched;
    }
    this.#clockCost = clockCost(machine);
    watched.load = (address, width) => {
      const slot = this.#count(address, KIND.read | LOG2[width]);
      const weight = this.#weigh(slot);
      if (weight === 0) return port.load(address, width);
      const begun = machine.nanoseconds();
      const value = port.load(address, width);
      this.#took(slot, machine.nanoseconds() - begun, weight);
      return value;
    };
    watched.store = (address, width, value) => {
      const slot = this.#count(address, KIND.write | LOG2[width]);
      const weight = this.#weigh(slot);
      if (weight === 0) return port.store(address, width, value);
      const begun = machine.nanoseconds();
      const stored = port.store(address, width, value);
      this.#took(slot, machine.nanoseconds() - begun, weight);
      return stored;
    };
    return watched;
  }

  enter(hart: number, ns: number): void {
    this.#hartBits = hart << HART_SHIFT;
    this.#began ??= ns;
    this.#entered = ns;
  }

  leave(_hart: number, ns: number, instructions: number, waits: boolean): void {
    this.#running += ns - this.#entered!;
    this.#entered = undefined;
    this.#instructions += instructions;
    if (waits) this.#count(0, KIND.wfi);
  }

  timer(owner: string): void {
    let index = this.#owners.indexOf(owner);
    if (index < 0) index = this.#owners.push(owner) - 1;
    this.#counts[this.#slot(NO_PC, 0, index, KIND.timer)]++;
  }

  powerOn(): void {}

  /** What was counted so far. */
  exits(): Exits {
    const now = this.#machine.nanoseconds();
    const records: ExitRecord[] = [];
    let exits = 0;
    for (let slot = 0; slot < this.#extra; slot++) {
      const count = this.#counts[slot];
      if (count === 0) continue;
      const key = this.#keys.get(slot)!;
      if (this.detail === "counts") records.push({ ...key, count });
      else {
        const weight = this.#weights[slot];
        const ns = weight > 0 ? (this.#ns[slot] * count) / weight : 0;
        exits += ns;
        records.push({ ...key, count, ns, histogram: this.#histograms[slot] });
      }
    }
    const time = {
      total: now - (this.#began ?? now),
      running: this.#running + (this.#entered === undefined ? 0 : now - this.#entered),
      exits: this.detail === "counts" ? undefined : exits,
      guest: this.#machine.now(),
      instructions: this.#instructions,
    };
    return new Exits(records, time);
  }

  /** Counts an exit at the pc of the running hart; answers its slot. Hot. */
  #count(what: number, kind: number): number {
    const pc = this.#pc;
    const upper = (what / TWO_32) | 0;
    let slot = this.#slot(pc[0], pc[1], what | 0, kind | this.#hartBits | (upper << UPPER_SHIFT));
    if (this.#special[slot] !== 0) slot = this.#shown(slot);
    this.#counts[slot]++;
    return slot;
  }

  /** Counts what no instruction causes. */
  #event(kind: number, what: number, upper: number): number {
    const slot = this.#slot(NO_PC, 0, what | 0, kind | this.#hartBits | (upper << UPPER_SHIFT));
    this.#counts[slot]++;
    return slot;
  }

  #call(hart: number, serve: (hart: number) => boolean): boolean {
    const call = this.#machine.firmwareCall(hart);
    const pc = this.#pc;
    const [low, high] = [pc[0], pc[1]];
    const begun = this.detail === "costs" ? this.#machine.nanoseconds() : 0;
    const served = serve(hart);
    // Left to firmware in M-mode: an instruction of the guest like any other.
    if (!served) return false;
    const number = Math.min(UPPER_MOST, Number(call.function));
    const kind = KIND.sbi | this.#hartBits | (number << UPPER_SHIFT);
    const slot = this.#slot(low, high, Number(BigInt.asIntN(32, call.extension)), kind);
    this.#counts[slot]++;
    if (this.detail === "costs") this.#took(slot, this.#machine.nanoseconds() - begun, 1);
    return true;
  }

  /** An access of 8 bytes: where nothing takes it whole it comes again, as two. */
  #whole<T>(address: number, kind: number, access: () => T | undefined): T | undefined {
    const begun = this.detail === "costs" ? this.#machine.nanoseconds() : 0;
    const result = access();
    if (result === undefined) return undefined;
    const slot = this.#count(address, kind);
    if (this.detail === "costs") this.#took(slot, this.#machine.nanoseconds() - begun, 1);
    return result;
  }

  // ---- costs ----

  /** For how many exits the next one is to stand; 0: it is not timed. Hot. */
  #weigh(slot: number): number {
    if (this.#counts[slot] <= WARM) return 1;
    if (--this.#skip > 0) return 0;
    // At irregular intervals, or a guest that does the same over and over would show one half of it alone.
    this.#random = (Math.imul(this.#random, 0x19660d) + 0x3c6e_f35f) | 0;
    this.#skip = 1 + ((this.#random >>> 16) % (2 * STRIDE - 1));
    return STRIDE;
  }

  #took(slot: number, ns: number, weight: number): void {
    const net = Math.max(0, ns - this.#clockCost);
    const share = net > LONG ? 1 : weight;
    this.#ns[slot] += net * share;
    this.#weights[slot] += share;
    this.#histograms[slot]?.add(net, share);
  }

  // ---- slots ----

  #slot(low: number, high: number, what: number, kind: number): number {
    const slot = this.#table.find(low, high, what, kind);
    return this.#table.keys[(slot << 2) + 3] === kind ? slot : this.#claim(slot, low, high, what, kind);
  }

  /** A kind of exit that was not seen before. */
  #claim(slot: number, low: number, high: number, what: number, kind: number): number {
    const table = this.#table;
    if (low === NO_PC || low === NO_ADDRESS || low === KIND_ALONE) {
      if (table.full && low !== KIND_ALONE) return this.#slot(KIND_ALONE, 0, 0, kind & (KIND_MASK << 2));
    } else if (table.crowded) return this.#crowded(what, kind);
    table.claim(slot, low, high, what, kind);
    const key = this.#keyOf(low, high, what, kind);
    this.#keys.set(slot, key);
    this.#histograms[slot] = this.#histogram(key);
    const windows = this.#windowsOf(key);
    if (windows !== undefined) {
      this.#special[slot] = 1;
      this.#windows.set(slot, new Map());
    }
    return slot;
  }

  /** There were too many different exits: this one is told apart by its register alone. */
  #crowded(what: number, kind: number): number {
    const address = addressOf(what, kind);
    const key = this.#keyOf(NO_PC, 0, what, kind);
    const region = key.kind === "read" || key.kind === "write" ? this.#regionAt(address) : undefined;
    if (key.register === undefined || region === undefined)
      return this.#slot(KIND_ALONE, 0, 0, kind & (KIND_MASK << 2));
    if (key.register.startsWith("+")) {
      const upper = Math.floor(region.at / TWO_32) << UPPER_SHIFT;
      return this.#slot(NO_ADDRESS, 0, region.at | 0, (kind & ((1 << UPPER_SHIFT) - 1)) | upper);
    }
    const id = `${region.owner}.${region.name}.${key.register}`;
    const first = this.#firstOf.get(id) ?? address;
    this.#firstOf.set(id, first);
    const upper = Math.floor(first / TWO_32) << UPPER_SHIFT;
    return this.#slot(NO_PC, 0, first | 0, (kind & ((1 << UPPER_SHIFT) - 1)) | upper);
  }

  #regionAt(address: number): BusRegion | undefined {
    return regionAt(this.#machine.regions, address);
  }

  #keyOf(low: number, high: number, what: number, kind: number): ExitKey {
    const name = EXIT_KINDS[(kind >>> 2) & KIND_MASK];
    if (low === KIND_ALONE) return { kind: name };
    const shared = low === NO_PC || low === NO_ADDRESS;
    const pc = shared ? undefined : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    const hart = (kind >>> HART_SHIFT) & 15;
    const upper = kind >>> UPPER_SHIFT;
    switch (name) {
      case "read":
      case "write": {
        const address = addressOf(what, kind);
        const region = this.#regionAt(address);
        const width = 1 << (kind & 3);
        if (region === undefined) return { kind: name, width, hart, pc, address: shared ? undefined : address };
        const { owner: vdev, name: regionName } = region;
        if (low === NO_ADDRESS) return { kind: name, vdev, region: regionName, width, hart };
        const offset = address - region.at;
        const register = this.#maps.register(region, offset, name) ?? `+0x${offset.toString(16)}`;
        return {
          kind: name,
          vdev,
          region: regionName,
          register,
          width,
          hart,
          pc,
          address: shared ? undefined : address,
        };
      }
      case "interrupt":
        return { kind: name, event: interruptName(what), hart };
      case "timer":
        return { kind: name, vdev: this.#owners[what], event: "fires" };
      case "wfi":
        return { kind: name, event: "waits", hart, pc };
      case "sbi":
        return { kind: name, event: callName(what >>> 0, upper), hart, pc };
      case "unsupported": {
        const what16 = `0x${(what >>> 0).toString(16)}`;
        return { kind: name, event: (kind & 3) === 0 ? `instruction ${what16}` : `CSR ${what16}`, hart, pc };
      }
    }
  }

  // ---- windows ----

  /** The windows whose registers the key may mean, where they have different names. */
  #windowsOf({ kind, address }: ExitKey): readonly string[] | undefined {
    if ((kind !== "read" && kind !== "write") || address === undefined) return undefined;
    const region = this.#regionAt(address);
    const names = region?.handler.names;
    if (region === undefined || names === undefined) return undefined;
    const offset = address - region.at;
    const plain = names.label(offset, kind);
    return names.windows.some((window) => names.label(offset, kind, window) !== plain) ? names.windows : undefined;
  }

  /** The slot of the register that a window shows at this moment. */
  #shown(slot: number): number {
    const key = this.#keys.get(slot)!;
    const region = this.#regionAt(key.address!)!;
    const window = region.handler.names?.window();
    if (window === undefined) return slot;
    const slots = this.#windows.get(slot)!;
    const known = slots.get(window);
    if (known !== undefined) return known;
    const register = this.#maps.register(region, key.address! - region.at, key.kind as "read" | "write", window);
    if (register === key.register || this.#extra >= CAPACITY + EXTRA) {
      slots.set(window, slot);
      return slot;
    }
    const extra = this.#extra++;
    const shown = { ...key, register };
    this.#keys.set(extra, shown);
    this.#histograms[extra] = this.#histogram(shown);
    slots.set(window, extra);
    return extra;
  }

  /** One for all exits that differ in pc and address alone. */
  #histogram({ kind, vdev, region, register, event, width, hart }: ExitKey): Histogram | undefined {
    if (this.detail === "counts") return undefined;
    const id = [kind, vdev, region, register, event, width, hart].join("\n");
    let histogram = this.#histogramOf.get(id);
    if (histogram === undefined && this.#histogramOf.size < HISTOGRAMS) {
      histogram = new Histogram();
      this.#histogramOf.set(id, histogram);
    }
    return histogram;
  }
}

const KIND_MASK = 15;

function addressOf(what: number, kind: number): number {
  return (kind >>> UPPER_SHIFT) * TWO_32 + (what >>> 0);
}

/** The least that two looks at the clock are apart, ns. */
function clockCost(machine: Observed): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 1000; i++) {
    const begun = machine.nanoseconds();
    least = Math.min(least, machine.nanoseconds() - begun);
  }
  return least;
}
