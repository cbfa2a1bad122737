/**
 * Counts exits, and times them. It stands between engine and machine, so a machine without it does nothing for it. What an
 * exit costs is a look at the clock before and after, which costs as much as a simple exit does: the first of each kind are
 * all timed, of the rest a few.
 */
import type { AccessSampler, EnginePort, RepeatedAccess } from "../engine/engine.ts";
import type { BusRegion } from "../machine/bus.ts";
import type { Observed, Observer } from "../machine/observer.ts";
import type { Board } from "../profile/board.ts";
import { EXIT_KINDS } from "../profile/budgets.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import { type ExitKey, type ExitKind, type ExitRecord, Exits } from "./exits.ts";
import { Histogram } from "./histogram.ts";
import { callName, interruptName, RegisterMaps, regionAt } from "./names.ts";
import { CAPACITY, FIELD, HART_SHIFT, KIND_SHIFT, kindWord, quickCounter, SlotTable } from "./slots.ts";

/** `counts`: how many there were. `costs`: and how long they took. */
export type Detail = "counts" | "costs";

const KIND = Object.fromEntries(EXIT_KINDS.map((kind, i) => [kind, i])) as Readonly<Record<ExitKind, number>>;
const READ = kindWord(KIND.read, 0, 0);
const WRITE = kindWord(KIND.write, 0, 0);
const TWO_32 = 2 ** 32;

/** In place of the lower half of a pc, which is even: exits that share a slot. */
const NO_PC = 1;
/** ... and are not even told apart by address. */
const NO_ADDRESS = 3;
/** ... or by anything but their kind. */
const KIND_ALONE = 5;
/** With so many slots in use pcs are not told apart any more. */
const CROWDED = CAPACITY - (CAPACITY >> 2);
/** And with so many, nothing is but the kind. */
const FULL = CAPACITY - (CAPACITY >> 4);
/** Slots beyond the table's, for registers that share an offset. */
const EXTRA = 1024;

/** Every exit of a slot is timed until there were so many. */
const WARM = 32;
/** Behind that, one in so many is. */
const STRIDE = 16;
/** Behind so many, of those that come by ways of their own, one in more. */
const FAMILIAR = 10_000;
const LONG_STRIDE = 128;
/** What takes longer, ns, is an event of its own (the host was elsewhere, a disk was slow) and stands for no other exit. */
const LONG = 100_000;
/** No more distributions than these are kept. */
const HISTOGRAMS = 4096;

export class Recorder implements Observer {
  readonly detail: Detail;
  readonly #maps: RegisterMaps;
  readonly #table = new SlotTable();
  /** By slot beyond the table's: how many. */
  readonly #extraCounts = new Float64Array(EXTRA);
  #extra = CAPACITY;
  /** By slot: how many exits were timed or stood for by one that was, and how long those took. */
  readonly #weights: Float64Array;
  readonly #ns: Float64Array;
  readonly #histograms: (Histogram | undefined)[] = [];
  readonly #histogramOf = new Map<string, Histogram>();
  readonly #keys = new Map<number, ExitKey>();
  /** The slots of what a window shows, by the slot of what lies under it. */
  readonly #windows = new Map<number, Map<string, number>>();
  /** An address that stands for all of a register, or of an array of them. */
  readonly #firstOf = new Map<string, number>();
  /** Where exits are counted that are not told apart by pc, by address and kind. */
  readonly #folded = new Map<number, number>();
  readonly #owners: string[] = [];
  #machine!: Observed;
  #hart = 0;
  #skip = 0;
  #random = 1;
  /** What a look at the clock costs. */
  #clockCost = 0;
  #began: number | undefined;
  #entered: number | undefined;
  #running = 0;
  #instructions = 0;
  readonly #countsWalks: boolean;
  /** When the turn began. */
  #walks = 0;
  /** Counts an exit of the running hart; answers its slot. */
  #count!: (what: number, kind: number) => number;
  /** Tells the port's functions which hart runs. */
  #select: (hart: number) => void = () => {};

  /** @param walks Whether page-table walks are exits, too. */
  constructor(board: Board, registry: VdevRegistry, detail: Detail = "counts", walks = false) {
    this.detail = detail;
    this.#countsWalks = walks;
    this.#maps = new RegisterMaps(board, registry);
    const timed = detail === "counts" ? 0 : CAPACITY + EXTRA;
    this.#weights = new Float64Array(timed);
    this.#ns = new Float64Array(timed);
  }

  attach(port: EnginePort, machine: Observed): EnginePort {
    this.#machine = machine;
    this.#count = quickCounter(this.#table, machine.pc, (low, high, what, kind) =>
      this.#countAt(low, high, what, kind),
    );
    const accesses = this.detail === "counts" ? this.#counted(port) : this.#timed(port);
    const { sbi, load64, store64 } = port;
    return {
      ...port,
      ...accesses,
      repeated: (access, count) => {
        this.#repeated(access, count);
        port.repeated?.(access, count);
      },
      load64: load64 && ((address) => this.#whole(address, KIND.read, () => load64(address))),
      store64: store64 && ((address, value) => this.#whole(address, KIND.write, () => store64(address, value))),
      interrupted: (hart) => this.#event(KIND.interrupt, machine.interruptCause(hart)),
      sbi: sbi && ((hart) => this.#call(hart, sbi)),
      unsupported: (hart, kind, detail) => {
        this.#count(detail, kindWord(KIND.unsupported, kind === "instruction" ? 0 : 1, hart));
        return port.unsupported?.(hart, kind, detail) ?? "fault";
      },
    };
  }

  #counted({ load, store }: EnginePort): Pick<EnginePort, "load" | "store"> {
    const count = this.#count;
    let hart = 0;
    this.#select = (index) => {
      hart = index << HART_SHIFT;
    };
    return {
      load: (address, width) => {
        count(address, READ | width | hart);
        return load(address, width);
      },
      store: (address, width, value) => {
        count(address, WRITE | width | hart);
        return store(address, width, value);
      },
    };
  }

  #timed({ load, store }: EnginePort): Partial<EnginePort> {
    const machine = this.#machine;
    const count = this.#count;
    let hart = 0;
    this.#select = (index) => {
      hart = index << HART_SHIFT;
    };
    this.#clockCost = clockCost(machine);
    return {
      sampler: (address, width, store) => this.#sampler(this.#slotNow(address, (store ? WRITE : READ) | width | hart)),
      load: (address, width) => {
        const slot = count(address, READ | width | hart);
        const weight = this.#weigh(slot);
        if (weight === 0) return load(address, width);
        const begun = machine.nanoseconds();
        const value = load(address, width);
        this.#took(slot, machine.nanoseconds() - begun, weight);
        return value;
      },
      store: (address, width, value) => {
        const slot = count(address, WRITE | width | hart);
        const weight = this.#weigh(slot);
        if (weight === 0) return store(address, width, value);
        const begun = machine.nanoseconds();
        const stored = store(address, width, value);
        this.#took(slot, machine.nanoseconds() - begun, weight);
        return stored;
      },
    };
  }

  /** Times some of the accesses that go by a way: at first every one. */
  #sampler(slot: number): AccessSampler {
    const machine = this.#machine;
    let weight = 1;
    let begun = 0;
    return {
      pause: () => {
        weight = this.#strideOf(slot);
        return this.#irregular(weight) - 1;
      },
      begin() {
        begun = machine.nanoseconds();
      },
      end: () => this.#took(slot, machine.nanoseconds() - begun, weight),
    };
  }

  enter(hart: number, ns: number): void {
    this.#hart = hart;
    this.#select(hart);
    this.#began ??= ns;
    this.#entered = ns;
    this.#walks = this.#machine.pageWalks();
  }

  leave(hart: number, ns: number, instructions: number, waits: boolean): void {
    this.#running += ns - this.#entered!;
    this.#entered = undefined;
    this.#instructions += instructions;
    const walks = this.#machine.pageWalks() - this.#walks;
    if (this.#countsWalks && walks > 0)
      this.#table.add(this.#slot(NO_PC, 0, 0, 0, kindWord(KIND.walk, 0, hart)), walks);
    if (waits) this.#count(0, kindWord(KIND.wfi, 0, hart));
  }

  timer(owner: string): void {
    let index = this.#owners.indexOf(owner);
    if (index < 0) index = this.#owners.push(owner) - 1;
    this.#hart = 0;
    this.#event(KIND.timer, index);
  }

  powerOn(): void {}

  /** What was counted so far. */
  exits(): Exits {
    this.#machine.settle();
    const now = this.#machine.nanoseconds();
    const records: ExitRecord[] = [];
    let exits = 0;
    for (const [slot, key] of this.#keys) {
      const count = this.#countOf(slot);
      if (count === 0) continue;
      if (this.detail === "counts") records.push({ id: slot, ...key, count });
      else {
        const weight = this.#weights[slot];
        const ns = weight > 0 ? (this.#ns[slot] * count) / weight : 0;
        exits += ns;
        records.push({ id: slot, ...key, count, ns, histogram: this.#histograms[slot] });
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

  /** Counts what no instruction causes. */
  #event(kind: number, what: number): void {
    this.#table.increment(this.#slot(NO_PC, 0, what, 0, kindWord(kind, 0, this.#hart)));
  }

  #call(hart: number, serve: (hart: number) => boolean): boolean {
    const call = this.#machine.firmwareCall(hart);
    const [low, high] = this.#machine.pc;
    const begun = this.#clock();
    // Left to firmware in M-mode: an instruction of the guest like any other.
    if (!serve(hart)) return false;
    const extension = Number(BigInt.asIntN(32, call.extension));
    const number = Number(BigInt.asIntN(32, call.function));
    const slot = this.#slot(low, high, extension, number, kindWord(KIND.sbi, 0, hart));
    this.#table.increment(slot);
    if (this.detail === "costs") this.#took(slot, this.#clock() - begun, 1);
    return true;
  }

  /** The same instruction made the same access several times. */
  #repeated({ pcLow, pcHigh, address, width, store }: RepeatedAccess, count: number): void {
    const kind = kindWord(store ? KIND.write : KIND.read, width, this.#hart);
    const slot = this.#slot(pcLow, pcHigh, address | 0, Math.floor(address / TWO_32), kind);
    this.#add(this.#windows.has(slot) ? this.#shown(slot) : slot, count);
  }

  /** An access of 8 bytes: where nothing takes it whole it comes again, as two. */
  #whole<T>(address: number, kind: number, access: () => T | undefined): T | undefined {
    const begun = this.#clock();
    const result = access();
    if (result === undefined) return undefined;
    const slot = this.#count(address, kindWord(kind, 8, this.#hart));
    if (this.detail === "costs") this.#took(slot, this.#clock() - begun, 1);
    return result;
  }

  #countOf(slot: number): number {
    return slot < CAPACITY ? this.#table.count(slot) : this.#extraCounts[slot - CAPACITY];
  }

  // ---- costs ----

  #clock(): number {
    return this.detail === "costs" ? this.#machine.nanoseconds() : 0;
  }

  /** For how many exits the next one is to stand; 0: it is not timed. Hot. */
  #weigh(slot: number): number {
    if (this.#weights[slot] < WARM) return 1;
    if (--this.#skip > 0) return 0;
    this.#skip = this.#irregular(STRIDE);
    return STRIDE;
  }

  /** Of exits that go by a way: the next of how many is timed. A way is so quick that a look at the clock is dear. */
  #strideOf(slot: number): number {
    const weight = this.#weights[slot];
    return weight < WARM ? 1 : weight < FAMILIAR ? STRIDE : LONG_STRIDE;
  }

  /** At irregular intervals, or a guest that does the same over and over would show one half of it alone. */
  #irregular(stride: number): number {
    this.#random = (Math.imul(this.#random, 0x19660d) + 0x3c6e_f35f) | 0;
    return 1 + ((this.#random >>> 16) % (2 * stride - 1));
  }

  #took(slot: number, ns: number, weight: number): void {
    const net = Math.max(0, ns - this.#clockCost);
    const share = net > LONG ? 1 : weight;
    this.#ns[slot] += net * share;
    this.#weights[slot] += share;
    this.#histograms[slot]?.add(net, share);
  }

  // ---- slots ----

  /** Counts what the quick counter did not find. */
  #countAt(low: number, high: number, what: number, kind: number): number {
    const slot = this.#slot(low, high, what | 0, Math.floor(what / TWO_32), kind);
    const shown = this.#windows.has(slot) ? this.#shown(slot) : slot;
    if (shown < CAPACITY) this.#table.increment(shown);
    else this.#extraCounts[shown - CAPACITY]++;
    return shown;
  }

  #add(slot: number, count: number): void {
    if (slot < CAPACITY) this.#table.add(slot, count);
    else this.#extraCounts[slot - CAPACITY] += count;
  }

  /** The slot of an access by the instruction that is under way. */
  #slotNow(address: number, kind: number): number {
    const [low, high] = this.#machine.pc;
    const slot = this.#slot(low, high, address | 0, Math.floor(address / TWO_32), kind);
    return this.#windows.has(slot) ? this.#shown(slot) : slot;
  }

  #slot(low: number, high: number, what: number, upper: number, kind: number): number {
    const slot = this.#table.find(low, high, what, upper, kind);
    return this.#table.isEmpty(slot) ? this.#claim(slot, low, high, what, upper, kind) : slot;
  }

  /** A kind of exit that was not seen before. */
  #claim(slot: number, low: number, high: number, what: number, upper: number, kind: number): number {
    const { used } = this.#table;
    if (low !== KIND_ALONE) {
      if (used >= FULL) return this.#slot(KIND_ALONE, 0, 0, 0, kind & (FIELD << KIND_SHIFT));
      if (used >= CROWDED && low !== NO_PC && low !== NO_ADDRESS) return this.#crowded(what, upper, kind);
    }
    const key = this.#keyOf(low, high, what, upper, kind);
    const special = this.#hasWindows(key);
    this.#table.claim(slot, { low, high, what, upper, kind }, special);
    this.#keys.set(slot, key);
    this.#histograms[slot] = this.#histogram(key);
    if (special) this.#windows.set(slot, new Map());
    return slot;
  }

  /** There are too many different exits: this one is told apart by its register alone. */
  #crowded(what: number, upper: number, kind: number): number {
    const address = addressOf(what, upper);
    const id = address * (1 << 12) + kind;
    const known = this.#folded.get(id);
    if (known !== undefined) return known;
    const slot = this.#fold(address, what, upper, kind);
    if (id <= Number.MAX_SAFE_INTEGER && this.#folded.size < CAPACITY) this.#folded.set(id, slot);
    return slot;
  }

  #fold(address: number, what: number, upper: number, kind: number): number {
    const key = this.#keyOf(NO_PC, 0, what, upper, kind);
    const region = key.register === undefined ? undefined : this.#regionAt(address);
    if (region === undefined) return this.#slot(KIND_ALONE, 0, 0, 0, kind & (FIELD << KIND_SHIFT));
    const named = !key.register!.startsWith("+");
    const id = `${region.owner}.${region.name}.${key.register}`;
    const first = named ? (this.#firstOf.get(id) ?? address) : region.at;
    if (named) this.#firstOf.set(id, first);
    return this.#slot(named ? NO_PC : NO_ADDRESS, 0, first | 0, Math.floor(first / TWO_32), kind);
  }

  #regionAt(address: number): BusRegion | undefined {
    return regionAt(this.#machine.regions, address);
  }

  #keyOf(low: number, high: number, what: number, upper: number, word: number): ExitKey {
    const kind = EXIT_KINDS[(word >>> KIND_SHIFT) & FIELD];
    if (low === KIND_ALONE) return { kind };
    const pc = low & 1 ? undefined : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    const hart = word >>> HART_SHIFT;
    switch (kind) {
      case "read":
      case "write":
        return this.#accessKey(kind, low, pc, addressOf(what, upper), word & FIELD, hart);
      case "interrupt":
        return { kind, event: interruptName(what), hart };
      case "timer":
        return { kind, vdev: this.#owners[what], event: "fires" };
      case "walk":
        return { kind, event: "page-table walk", hart };
      case "wfi":
        return { kind, event: "waits", hart, pc };
      case "sbi":
        return { kind, event: callName(what >>> 0, upper >>> 0), hart, pc };
      case "unsupported": {
        const bits = `0x${(what >>> 0).toString(16)}`;
        return { kind, event: (word & FIELD) === 0 ? `instruction ${bits}` : `CSR ${bits}`, hart, pc };
      }
    }
  }

  #accessKey(
    kind: "read" | "write",
    low: number,
    pc: bigint | undefined,
    at: number,
    width: number,
    hart: number,
  ): ExitKey {
    const region = this.#regionAt(at);
    const address = pc === undefined ? undefined : at;
    if (region === undefined) return { kind, width, hart, pc, address };
    const where = { kind, vdev: region.owner, region: region.name, width, hart };
    if (low === NO_ADDRESS) return where;
    const register = this.#maps.register(region, at - region.at, kind) ?? `+0x${(at - region.at).toString(16)}`;
    return { ...where, register, pc, address };
  }

  // ---- windows ----

  /** Whether a window may show another register at that place. */
  #hasWindows({ kind, address }: ExitKey): boolean {
    if ((kind !== "read" && kind !== "write") || address === undefined) return false;
    const region = this.#regionAt(address);
    const names = region?.handler.names;
    if (region === undefined || names === undefined) return false;
    const offset = address - region.at;
    const plain = names.label(offset, kind);
    return names.windows.some((window) => names.label(offset, kind, window) !== plain);
  }

  /** The slot of the register that shows at this moment. */
  #shown(slot: number): number {
    const key = this.#keys.get(slot)!;
    const region = this.#regionAt(key.address!)!;
    const window = region.handler.names?.window();
    if (window === undefined) return slot;
    const slots = this.#windows.get(slot)!;
    const known = slots.get(window);
    if (known !== undefined) return known;
    const register = this.#maps.register(region, key.address! - region.at, key.kind as "read" | "write", window);
    const shown = register === key.register || this.#extra >= CAPACITY + EXTRA ? slot : this.#extra++;
    slots.set(window, shown);
    if (shown !== slot) {
      this.#keys.set(shown, { ...key, register });
      this.#histograms[shown] = this.#histogram({ ...key, register });
    }
    return shown;
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

function addressOf(what: number, upper: number): number {
  return upper * TWO_32 + (what >>> 0);
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
