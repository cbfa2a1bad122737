/**
 * Instructions that access device registers again and again, each with the port's way to what answers it. Going by it
 * costs a few nanoseconds: one comparison of keys in a typed array, one call, and a count that the port is told later. The
 * same count tells when the port's sampler has its next look: who samples nothing and who samples pay the same in between.
 */
import { HartField, RESIDENT } from "../../isa/riscv/hart.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { AccessSampler, DeviceReader, DeviceWriter, EnginePort, StoredWord } from "../engine.ts";

/** What became of an access. */
export const DeviceStatus = {
  done: 0,
  /** Nothing: no way is known. */
  unknown: 1,
  /** It is done, and what generated code relies on may have changed: it has to be left behind the instruction. */
  disturbed: 2,
  /** It is an access fault. */
  fault: 3,
} as const;

/** Answers what became of an access, of which `status` says what the way made of it. */
export type LoadOtherwise = (status: number, low: number, high: number, width: number) => number;
export type StoreOtherwise = (status: number, low: number, high: number, width: number, value: number) => number;

export interface DeviceWays {
  /**
   * Makes functions that load, or store, for the instruction at the hart's pc, and answer `done`; whatever is not as easy is
   * left to `otherwise`. Addresses come in halves; a value is in mail0 then, zero-extended.
   */
  loader(otherwise: LoadOtherwise): (low: number, high: number, width: number) => number;
  storer(otherwise: StoreOtherwise): (low: number, high: number, width: number, value: number) => number;
  /** Looks for a way of the access that is under way, and goes to `physical`: where that is worth it. */
  learnLoad(low: number, high: number, width: number, physical: number): void;
  learnStore(low: number, high: number, width: number, physical: number): void;
  /** What generated code relies on has changed: the budget of the run, code. */
  disturb(): void;
  /** Of an access that went some other way: `done` or `disturbed`. */
  status(): number;
  /** Generated code knows. */
  calm(): void;
  settle(): void;
  forget(): void;
  /** How many accesses went by ways, until they were settled last. */
  readonly loads: number;
  readonly stores: number;
  /**
   * Told, at an access, of an instruction that went by its way so often between two times of settling that it is worth a
   * translation. Answers whether that was of use; otherwise it may be told again.
   */
  onHot: (() => boolean) | undefined;
  /** Who was hot may be told again. */
  cool(): void;
}

const SLOTS = 1024;
const SLOT_HASH = 32 - Math.log2(SLOTS);
const SLOT_SHIFT = 3;
/**
 * Words of a slot. The first are its key: `pc` has its lowest bit set, which tells it from nothing; `mode` is different for
 * each hart, privilege, direction and width. `count` is below 0, and goes up with each access until a look is due.
 */
const Slot = { pc: 0, pcHigh: 1, low: 2, high: 3, mode: 4, epoch: 5, count: 6, heat: 7 } as const;
/** Words of a slot for a register that is no more than storage. */
const Shape = { word: 0, mask: 1, clears: 2 } as const;
const SHAPE_SHIFT = 2;
const Heat = { none: 0, hot: 1, told: 2 } as const;
/** Where nobody samples, a count has to be begun again all the same. */
const LONGEST_PAUSE = 2 ** 31;

const word = (field: number) => (RESIDENT + field) >> 2;
const PC_LOW = word(HartField.pc);
const PC_HIGH = PC_LOW + 1;
const EPOCH = word(HartField.epoch);
const ATTENTION = word(HartField.attention);
const VALUE_LOW = word(HartField.mail0);
const VALUE_HIGH = VALUE_LOW + 1;
const TLB_READ = word(HartField.tlbRead);
const TLB_WRITE = word(HartField.tlbWrite);

/**
 * The functions keep to constants and typed arrays, and each is whole: they are on the way of every access.
 *
 * @param hot Accesses that make an instruction hot.
 */
export function deviceWays({ i32 }: GuestMemory, port: EnginePort, hot: number): DeviceWays {
  const reader = (address: number, width: number) => port.reader?.(address, width);
  const writer = (address: number, width: number) => port.writer?.(address, width);
  const loads = new WayTable<DeviceReader>(i32, TLB_READ, port, hot, reader);
  const stores = new WayTable<DeviceWriter>(i32, TLB_WRITE, port, hot, writer);
  const { words: loadWords, ways: readers, storage: loadStorage, shapes: loadShapes } = loads;
  const { words: storeWords, ways: writers, storage: storeStorage, shapes: storeShapes } = stores;
  let disturbed = 0;

  return {
    loader: (otherwise) => (low, high, width) => {
      const pc = i32[PC_LOW] | 1;
      const mode = i32[TLB_READ] + width;
      const slot = slotOf(pc, low, mode);
      const at = slot << SLOT_SHIFT;
      // One branch for all of them.
      const differs =
        (loadWords[at] ^ pc) |
        (loadWords[at + Slot.pcHigh] ^ i32[PC_HIGH]) |
        (loadWords[at + Slot.low] ^ low) |
        (loadWords[at + Slot.high] ^ high) |
        (loadWords[at + Slot.mode] ^ mode) |
        (loadWords[at + Slot.epoch] ^ i32[EPOCH]);
      const count = loadWords[at + Slot.count];
      let loaded: number;
      if ((differs | ~(count >> 31)) === 0) {
        loadWords[at + Slot.count] = count + 1;
        const words = loadStorage[slot];
        if (words !== undefined) {
          const shape = slot << SHAPE_SHIFT;
          const word = loadShapes[shape];
          const value = words[word];
          words[word] = value & ~loadShapes[shape + Shape.clears];
          i32[VALUE_LOW] = value & loadShapes[shape + Shape.mask];
          i32[VALUE_HIGH] = 0;
          return DeviceStatus.done;
        }
        loaded = readers[slot].load();
      } else {
        if (differs !== 0) return otherwise(DeviceStatus.unknown, low, high, width);
        loads.begin(slot);
        loaded = readers[slot].load();
        loads.end(slot);
      }
      if (loaded < 0) return otherwise(DeviceStatus.fault, low, high, width);
      i32[VALUE_LOW] = loaded;
      i32[VALUE_HIGH] = 0;
      return (disturbed | i32[ATTENTION]) === 0
        ? DeviceStatus.done
        : otherwise(DeviceStatus.disturbed, low, high, width);
    },
    storer: (otherwise) => (low, high, width, value) => {
      const pc = i32[PC_LOW] | 1;
      const mode = i32[TLB_WRITE] + width;
      const slot = slotOf(pc, low, mode);
      const at = slot << SLOT_SHIFT;
      const differs =
        (storeWords[at] ^ pc) |
        (storeWords[at + Slot.pcHigh] ^ i32[PC_HIGH]) |
        (storeWords[at + Slot.low] ^ low) |
        (storeWords[at + Slot.high] ^ high) |
        (storeWords[at + Slot.mode] ^ mode) |
        (storeWords[at + Slot.epoch] ^ i32[EPOCH]);
      const count = storeWords[at + Slot.count];
      let stored: boolean;
      if ((differs | ~(count >> 31)) === 0) {
        storeWords[at + Slot.count] = count + 1;
        const words = storeStorage[slot];
        if (words !== undefined) {
          const shape = slot << SHAPE_SHIFT;
          const word = storeShapes[shape];
          const mask = storeShapes[shape + Shape.mask];
          words[word] = (words[word] & ~mask) | (value & mask);
          return DeviceStatus.done;
        }
        stored = writers[slot].store(value >>> 0);
      } else {
        if (differs !== 0) return otherwise(DeviceStatus.unknown, low, high, width, value);
        stores.begin(slot);
        stored = writers[slot].store(value >>> 0);
        stores.end(slot);
      }
      if (!stored) return otherwise(DeviceStatus.fault, low, high, width, value);
      return (disturbed | i32[ATTENTION]) === 0
        ? DeviceStatus.done
        : otherwise(DeviceStatus.disturbed, low, high, width, value);
    },
    learnLoad: (low, high, width, physical) => loads.learn(low, high, width, physical),
    learnStore: (low, high, width, physical) => stores.learn(low, high, width, physical),
    disturb() {
      disturbed = 1;
    },
    status: () => ((disturbed | i32[ATTENTION]) === 0 ? DeviceStatus.done : DeviceStatus.disturbed),
    calm() {
      disturbed = 0;
    },
    settle() {
      loads.settle();
      stores.settle();
    },
    forget() {
      loads.forget();
      stores.forget();
    },
    get loads() {
      return loads.settled;
    },
    get stores() {
      return stores.settled;
    },
    get onHot() {
      return loads.onHot;
    },
    set onHot(told) {
      loads.onHot = told;
      stores.onHot = told;
    },
    cool() {
      loads.cool();
      stores.cool();
    },
  };
}

class WayTable<Way extends { readonly stored?: StoredWord | undefined }> {
  readonly words = new Int32Array(SLOTS << SLOT_SHIFT);
  readonly ways: Way[] = new Array(SLOTS);
  /** By slot: the storage of registers that are nothing else, and how they lie in it. */
  readonly storage: (Uint32Array | undefined)[] = new Array(SLOTS);
  readonly shapes = new Int32Array(SLOTS << SHAPE_SHIFT);
  readonly #i32: Int32Array;
  readonly #mode: number;
  readonly #port: EnginePort;
  readonly #find: (address: number, width: number) => Way | undefined;
  /** By slot: where it leads, and what was looked for there in vain when it had been used how often. */
  readonly #physical = new Float64Array(SLOTS);
  readonly #missed = new Int32Array(SLOTS);
  readonly #missedAt = new Int32Array(SLOTS);
  /** By slot: where its count began, and what was counted before and is not settled yet. */
  readonly #began = new Int32Array(SLOTS);
  readonly #counted = new Float64Array(SLOTS);
  readonly #samplers: (AccessSampler | undefined)[] = new Array(SLOTS);
  /** Slots with ways. */
  readonly #used: number[] = [];
  readonly #hot: number;
  onHot: (() => boolean) | undefined;
  /** Accesses that have been settled. */
  settled = 0;

  /** @param mode The word in which the mode is. */
  constructor(
    i32: Int32Array,
    mode: number,
    port: EnginePort,
    hot: number,
    find: (address: number, width: number) => Way | undefined,
  ) {
    this.#i32 = i32;
    this.#mode = mode;
    this.#port = port;
    this.#hot = hot;
    this.#find = find;
  }

  learn(low: number, high: number, width: number, physical: number): void {
    const i32 = this.#i32;
    const [pc, pcHigh, mode, epoch] = [i32[PC_LOW] | 1, i32[PC_HIGH], i32[this.#mode] + width, i32[EPOCH]];
    const slot = slotOf(pc, low, mode);
    const { words } = this;
    const at = slot << SLOT_SHIFT;
    const known =
      words[at] === pc &&
      words[at + Slot.pcHigh] === pcHigh &&
      words[at + Slot.low] === low &&
      words[at + Slot.high] === high &&
      words[at + Slot.mode] === mode &&
      this.#physical[slot] === physical;
    // Forgotten with all translations, and the same again.
    if (known) {
      words[at + Slot.epoch] = epoch;
      if (words[at + Slot.heat] === Heat.hot) this.#tell(at);
    }
    // What comes once is not worth a way, nor what would take the place of one that is used meanwhile.
    else if (this.#missed[slot] !== (pc ^ low) || this.#missedAt[slot] !== words[at + Slot.count]) {
      this.#missed[slot] = pc ^ low;
      this.#missedAt[slot] = words[at + Slot.count];
    } else {
      const way = this.#find(physical, width);
      if (way === undefined) return;
      this.#settle(slot);
      if (words[at] === 0) this.#used.push(slot);
      words.set([pc, pcHigh, low, high, mode, epoch, 0, 0], at);
      this.ways[slot] = way;
      this.storage[slot] = way.stored?.words;
      if (way.stored) this.shapes.set([way.stored.word, way.stored.mask, way.stored.clears], slot << SHAPE_SHIFT);
      this.#physical[slot] = physical;
      this.#samplers[slot] = this.#port.sampler?.(physical, width, this.#mode === TLB_WRITE);
      this.#pause(slot);
      if (this.#hot <= 1) this.#tell(at);
    }
  }

  /** An access begins for which a look is due. */
  begin(slot: number): void {
    this.#samplers[slot]?.begin();
  }

  /** It is over, and counts like all others. */
  end(slot: number): void {
    this.#samplers[slot]?.end();
    this.#counted[slot] += this.words[(slot << SLOT_SHIFT) + Slot.count] - this.#began[slot] + 1;
    this.#pause(slot);
  }

  settle(): void {
    for (const slot of this.#used) this.#settle(slot);
  }

  forget(): void {
    this.settle();
    for (const slot of this.#used) this.words[slot << SLOT_SHIFT] = 0;
    this.#used.length = 0;
  }

  cool(): void {
    for (const slot of this.#used) this.words[(slot << SLOT_SHIFT) + Slot.heat] = Heat.none;
  }

  /** The instruction under way is hot. */
  #tell(at: number): void {
    this.words[at + Slot.heat] = this.onHot?.() ? Heat.told : Heat.none;
  }

  /** Begins a count. */
  #pause(slot: number): void {
    const pause = this.#samplers[slot]?.pause() ?? LONGEST_PAUSE;
    this.words[(slot << SLOT_SHIFT) + Slot.count] = -pause;
    this.#began[slot] = -pause;
  }

  #settle(slot: number): void {
    const { words } = this;
    const at = slot << SLOT_SHIFT;
    const now = words[at + Slot.count];
    const count = this.#counted[slot] + now - this.#began[slot];
    if (count === 0) return;
    this.#counted[slot] = 0;
    this.#began[slot] = now;
    this.settled += count;
    if (count >= this.#hot && words[at + Slot.heat] === Heat.none && this.onHot !== undefined) {
      // Told when it comes again, for then it is certain what lies at its pc: until then, its way is not known.
      words[at + Slot.heat] = Heat.hot;
      words[at + Slot.epoch] = ~words[at + Slot.epoch];
    }
    const [pcLow, pcHigh] = [words[at] & ~1, words[at + Slot.pcHigh]];
    const width = words[at + Slot.mode] & WIDTH;
    const store = this.#mode === TLB_WRITE;
    this.#port.repeated?.({ pcLow, pcHigh, address: this.#physical[slot], width, store }, count);
  }
}

/** Of a mode: the tables of translations, which tell modes apart, lie at multiples of more. */
const WIDTH = 15;

/** Instructions that follow one another access registers that follow one another: they must not meet. */
function slotOf(pc: number, low: number, mode: number): number {
  return Math.imul((pc >>> 1) ^ (low << 7) ^ mode, 0x9e37_79b1) >>> SLOT_HASH;
}
