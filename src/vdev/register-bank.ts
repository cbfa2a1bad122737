/** A register map brought to life: decoding in constant time, storage, access rules, reset and snapshot. */
import * as v from "valibot";
import { fail } from "../diagnostics/diagnostic.ts";
import type { Json, VdevLog } from "./host.ts";
import type { RegionHandler } from "./region.ts";
import {
  type Direction,
  isReadable,
  isWritable,
  type RegisterMap,
  type RegisterSpec,
  registerLabel,
} from "./registers.ts";
import { fromSnapshot, u32 } from "./snapshot.ts";

/**
 * What a register does beyond storage. `index` counts within an array (0 otherwise). An 8-byte register is always two
 * 32-bit values: `half` is 1 for the upper (0 otherwise).
 */
export interface RegisterHooks {
  /** Gives the value in place of the stored one. */
  read?(index: number, half: number): number;
  /** After the store. `value` is what was stored; of a `w` or `w1c` register, what was written. */
  write?(value: number, index: number, half: number): void;
}

export type Behaviour<Map extends RegisterMap> = { readonly [Name in keyof Map]?: RegisterHooks };

export interface BankOptions<Map extends RegisterMap> {
  /** Told of accesses that no register answers. */
  readonly log?: VdevLog;
  /** How many registers of an array this instance has, where that is not all of them. */
  readonly counts?: { readonly [Name in keyof Map]?: number };
}

/** How many accesses outside the map are reported by offset; a guest must not fill memory with them. */
const REPORT_LIMIT = 16;
const PAGE_BITS = 8;
const PAGE_BYTES = 1 << PAGE_BITS;
/** By width in bytes; an 8-byte register passes as two halves. */
const WIDTH_MASK = [0, 0xff, 0xffff, 0xff_ffff, 0xffff_ffff, 0, 0, 0, 0xffff_ffff];

const BANK_SNAPSHOT = v.object({
  window: v.nullable(v.string()),
  values: v.record(v.string(), v.array(v.tupleWithRest([u32()], u32()))),
});

const STORE = 0;
const CLEAR_ONES = 1;
const STROBE = 2;

/** Storage of one register or array, for its device's code: no access rules, no hooks. */
export class Register {
  readonly #words: Uint32Array;
  readonly #first: number;
  readonly #step: number;
  /** Registers in the array; 1 otherwise. */
  readonly count: number;

  constructor(words: Uint32Array, first: number, step: number, count: number) {
    this.#words = words;
    this.#first = first;
    this.#step = step;
    this.count = count;
  }

  /** The value; of an 8-byte register the lower half. */
  get value(): number {
    return this.#words[this.#first]!;
  }
  set value(value: number) {
    this.#words[this.#first] = value;
  }

  /** The value of one register of an array. */
  at(index: number, half = 0): number {
    return this.#words[this.#first + index * this.#step + half]!;
  }
  put(index: number, value: number, half = 0): void {
    this.#words[this.#first + index * this.#step + half] = value;
  }

  /** All of an 8-byte register. Off the hot path. */
  wide(index = 0): bigint {
    return (BigInt(this.at(index, 1)) << 32n) | BigInt(this.at(index, 0));
  }
  putWide(value: bigint, index = 0): void {
    this.put(index, Number(value & 0xffff_ffffn), 0);
    this.put(index, Number((value >> 32n) & 0xffff_ffffn), 1);
  }
}

/** From an offset to the number of the register there, or -1: a directory of pages, of which all empty ones are the same. */
class Decoder {
  readonly #directory: Uint32Array;
  readonly #end: number;
  #slots = new Int32Array(PAGE_BYTES).fill(-1);
  #used = PAGE_BYTES;

  constructor(end: number) {
    this.#end = end;
    this.#directory = new Uint32Array(Math.ceil(end / PAGE_BYTES));
  }

  set(offset: number, slot: number): void {
    const page = offset >>> PAGE_BITS;
    if (this.#directory[page] === 0) {
      if (this.#used === this.#slots.length) {
        const grown = new Int32Array(this.#slots.length * 2).fill(-1);
        grown.set(this.#slots);
        this.#slots = grown;
      }
      this.#directory[page] = this.#used;
      this.#used += PAGE_BYTES;
    }
    this.#slots[this.#directory[page]! + (offset & (PAGE_BYTES - 1))] = slot;
  }

  slot(offset: number): number {
    if (offset >= this.#end) return -1;
    return this.#slots[this.#directory[offset >>> PAGE_BITS]! + (offset & (PAGE_BYTES - 1))]!;
  }
}

/**
 * Answers a region from its register map.
 *
 * - An access of a register's own width is one store or load and one hook.
 * - A narrower one reads the whole register and takes its bytes, or writes it with the other bytes as they were stored
 *   (0 for `w` and `w1c`).
 * - A wider or unaligned one is the accesses it consists of, lowest offset first.
 * - Where nothing is declared, reads give 0 and writes are ignored; the log is told.
 */
export class RegisterBank<Map extends RegisterMap = RegisterMap> implements RegionHandler {
  /** Stored values by name. */
  readonly registers: { readonly [Name in keyof Map]: Register };

  readonly #map: Map;
  readonly #names: readonly string[];
  readonly #log: VdevLog | undefined;
  readonly #reported = new Set<string>();

  // Per register or array.
  readonly #readers: (RegisterHooks | undefined)[] = [];
  readonly #writers: (RegisterHooks | undefined)[] = [];
  readonly #effects: Uint8Array;
  readonly #writableLow: Uint32Array;
  readonly #writableHigh: Uint32Array;

  // Per single register ("slot").
  readonly #owner: Uint32Array;
  readonly #index: Uint32Array;
  readonly #base: Uint32Array;
  readonly #width: Uint8Array;
  readonly #word: Uint32Array;

  readonly #words: Uint32Array;
  readonly #initial: Uint32Array;
  readonly #windows = new globalThis.Map<string | undefined, { readonly read: Decoder; readonly write: Decoder }>();
  #window: string | undefined;
  #decodeRead: Decoder;
  #decodeWrite: Decoder;

  constructor(map: Map, options: BankOptions<Map> = {}) {
    this.#map = map;
    this.#log = options.log;
    const entries = Object.entries<RegisterSpec>(map);
    this.#names = entries.map(([name]) => name);
    const counts = entries.map(([name, spec]) => instanceCount(name, spec, options.counts?.[name]));
    const slots = counts.reduce((sum, count) => sum + count, 0);
    const words = entries.reduce((sum, [, spec], i) => sum + counts[i]! * wordsOf(spec), 0);

    this.#effects = Uint8Array.from(entries, ([, { access }]) =>
      access === "w1c" ? CLEAR_ONES : access === "w" ? STROBE : STORE,
    );
    const writable = entries.map(([, spec]) => BigInt(spec.writable ?? (1n << BigInt(spec.width * 8)) - 1n));
    this.#writableLow = Uint32Array.from(writable, (mask) => Number(mask & 0xffff_ffffn));
    this.#writableHigh = Uint32Array.from(writable, (mask) => Number(mask >> 32n));
    this.#owner = new Uint32Array(slots);
    this.#index = new Uint32Array(slots);
    this.#base = new Uint32Array(slots);
    this.#width = new Uint8Array(slots);
    this.#word = new Uint32Array(slots);
    this.#words = new Uint32Array(words);
    this.#initial = new Uint32Array(words);

    let slot = 0;
    let word = 0;
    const registers: Record<string, Register> = {};
    for (const [owner, [name, spec]] of entries.entries()) {
      const { width, stride = width } = spec;
      const reset = BigInt(spec.reset ?? 0);
      registers[name] = new Register(this.#words, word, wordsOf(spec), counts[owner]!);
      this.#readers.push(undefined);
      this.#writers.push(undefined);
      for (let index = 0; index < counts[owner]!; index++) {
        this.#owner[slot] = owner;
        this.#index[slot] = index;
        this.#base[slot] = spec.at + index * stride;
        this.#width[slot] = width;
        this.#word[slot] = word;
        this.#initial[word++] = Number(reset & 0xffff_ffffn);
        if (width === 8) this.#initial[word++] = Number(reset >> 32n);
        slot++;
      }
    }
    this.registers = registers as { readonly [Name in keyof Map]: Register };
    this.#words.set(this.#initial);

    for (const window of new Set([undefined, ...entries.map(([, spec]) => spec.window)])) {
      this.#windows.set(window, this.#decoders(entries, window));
    }
    const plain = this.#windows.get(undefined)!;
    this.#decodeRead = plain.read;
    this.#decodeWrite = plain.write;
  }

  /** Attaches behaviour; what was attached to a register before is replaced. */
  behave(behaviour: Behaviour<Map>): this {
    for (const [owner, name] of this.#names.entries()) {
      const hooks = behaviour[name];
      if (hooks === undefined) continue;
      this.#readers[owner] = hooks.read ? hooks : undefined;
      this.#writers[owner] = hooks.write ? hooks : undefined;
    }
    return this;
  }

  /** Shows the registers of that window over the others; `undefined` shows none. */
  show(window: string | undefined): void {
    const decoders = this.#windows.get(window);
    if (!decoders) fail("vdev/register-map", `the register map has no window "${window}"`);
    this.#window = window;
    this.#decodeRead = decoders.read;
    this.#decodeWrite = decoders.write;
  }

  read(offset: number, width: number): number {
    const slot = this.#decodeRead.slot(offset);
    if (slot >= 0 && this.#base[slot] === offset && this.#width[slot] === width) return this.#load(slot, 0);
    return this.#readParts(offset, width);
  }

  write(offset: number, width: number, value: number): void {
    const slot = this.#decodeWrite.slot(offset);
    if (slot >= 0 && this.#base[slot] === offset && this.#width[slot] === width) this.#store(slot, 0, value);
    else this.#writeParts(offset, width, value);
  }

  /** All stored values as after power-on, and no window. No hook is called. */
  reset(): void {
    this.#words.set(this.#initial);
    this.show(undefined);
  }

  /** Stored values that differ from their reset value, by register name, and the window. */
  snapshot(): Json {
    const values: Record<string, Json> = {};
    for (const [name, spec] of Object.entries<RegisterSpec>(this.#map)) {
      const register = this.registers[name]!;
      const changed: [number, ...number[]][] = [];
      for (let index = 0; index < register.count; index++) {
        const at = this.#wordOf(name, index);
        const stored = [...this.#words.subarray(at, at + wordsOf(spec))];
        if (stored.some((value, i) => value !== this.#initial[at + i])) changed.push([index, ...stored]);
      }
      if (changed.length > 0) values[name] = changed;
    }
    return { window: this.#window ?? null, values };
  }

  /** Refuses what `snapshot` of this map cannot have made. No hook is called. */
  restore(state: Json): void {
    const { window, values } = fromSnapshot(BANK_SNAPSHOT, state);
    if (window !== null && !this.#windows.has(window)) badSnapshot(`an unknown window ${window}`);
    const words = this.#initial.slice();
    for (const [name, changed] of Object.entries(values)) {
      const register = Object.hasOwn(this.registers, name)
        ? this.registers[name]!
        : badSnapshot(`no place for ${name}`);
      for (const [index, ...stored] of changed) {
        if (stored.length !== wordsOf(this.#map[name]!)) badSnapshot(`a value of ${name} of the wrong width`);
        if (index >= register.count) badSnapshot(`a value of ${name}[${index}], which does not exist`);
        words.set(stored, this.#wordOf(name, index));
      }
    }
    this.#words.set(words);
    this.show(window ?? undefined);
  }

  #load(slot: number, half: number): number {
    const owner = this.#owner[slot]!;
    const reader = this.#readers[owner];
    const value =
      reader === undefined ? this.#words[this.#word[slot]! + half]! : reader.read!(this.#index[slot]!, half);
    return (value & WIDTH_MASK[this.#width[slot]!]!) >>> 0;
  }

  #store(slot: number, half: number, value: number): void {
    const owner = this.#owner[slot]!;
    const at = this.#word[slot]! + half;
    const writable = half === 0 ? this.#writableLow[owner]! : this.#writableHigh[owner]!;
    const old = this.#words[at]!;
    let told = (value & writable) >>> 0;
    const effect = this.#effects[owner]!;
    if (effect === STORE) {
      told = ((old & ~writable) | told) >>> 0;
      this.#words[at] = told;
    } else if (effect === CLEAR_ONES) {
      this.#words[at] = old & ~told;
    }
    const writer = this.#writers[owner];
    if (writer !== undefined) writer.write!(told, this.#index[slot]!, half);
  }

  #readParts(offset: number, width: number): number {
    let result = 0;
    for (let done = 0; done < width; ) {
      const at = offset + done;
      const slot = this.#decodeRead.slot(at);
      let bytes = 1;
      if (slot < 0) {
        this.#report("read", at);
      } else {
        // Within an 8-byte register each half is a register of 4.
        const inside = at - this.#base[slot]!;
        const unit = Math.min(this.#width[slot]!, 4);
        const skip = inside % unit;
        bytes = Math.min(width - done, unit - skip);
        const part = (this.#load(slot, inside >= 4 ? 1 : 0) >>> (skip * 8)) & WIDTH_MASK[bytes]!;
        result |= part << (done * 8);
      }
      done += bytes;
    }
    return result >>> 0;
  }

  #writeParts(offset: number, width: number, value: number): void {
    for (let done = 0; done < width; ) {
      const at = offset + done;
      const slot = this.#decodeWrite.slot(at);
      let bytes = 1;
      if (slot < 0) {
        this.#report("write", at);
      } else {
        const inside = at - this.#base[slot]!;
        const half = inside >= 4 ? 1 : 0;
        const unit = Math.min(this.#width[slot]!, 4);
        const skip = inside % unit;
        bytes = Math.min(width - done, unit - skip);
        const mask = WIDTH_MASK[bytes]! << (skip * 8);
        const part = ((value >>> (done * 8)) << (skip * 8)) & mask;
        const kept = this.#effects[this.#owner[slot]!] === STORE ? this.#words[this.#word[slot]! + half]! & ~mask : 0;
        this.#store(slot, half, (kept | part) >>> 0);
      }
      done += bytes;
    }
  }

  #report(direction: Direction, offset: number): void {
    if (!this.#log || this.#reported.size >= REPORT_LIMIT) return;
    const other = registerLabel(this.#map, offset, direction === "read" ? "write" : "read", this.#window);
    const where = `offset 0x${offset.toString(16)}`;
    const message =
      other === undefined
        ? `${direction} at ${where}, where no register is`
        : `${direction} of ${other} at ${where}, which is ${direction === "read" ? "write" : "read"}-only`;
    if (this.#reported.has(message)) return;
    this.#reported.add(message);
    this.#log.guestError(message);
  }

  #wordOf(name: string, index: number): number {
    let word = 0;
    for (const [other, spec] of Object.entries<RegisterSpec>(this.#map)) {
      if (other === name) return word + index * wordsOf(spec);
      word += this.registers[other]!.count * wordsOf(spec);
    }
    return word;
  }

  #decoders(entries: readonly (readonly [string, RegisterSpec])[], window: string | undefined) {
    let end = 0;
    for (let slot = 0; slot < this.#base.length; slot++) end = Math.max(end, this.#base[slot]! + this.#width[slot]!);
    const read = new Decoder(end);
    const write = new Decoder(end);
    for (const layer of new Set([undefined, window])) {
      for (let slot = 0; slot < this.#base.length; slot++) {
        const spec = entries[this.#owner[slot]!]![1];
        if (spec.window !== layer) continue;
        for (let byte = 0; byte < spec.width; byte++) {
          if (isReadable(spec)) read.set(this.#base[slot]! + byte, slot);
          if (isWritable(spec)) write.set(this.#base[slot]! + byte, slot);
        }
      }
    }
    return { read, write };
  }
}

/** A bank of the map's registers, all at their reset value. */
export function registerBank<const Map extends RegisterMap>(map: Map, options?: BankOptions<Map>): RegisterBank<Map> {
  return new RegisterBank(map, options);
}

function wordsOf({ width }: { readonly width: number }): number {
  return width === 8 ? 2 : 1;
}

function instanceCount(name: string, { count = 1 }: RegisterSpec, wanted = count): number {
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > count) {
    fail("vdev/register-map", `${name} has ${count} registers at most, not ${wanted}`);
  }
  return wanted;
}

function badSnapshot(what: string): never {
  fail("vdev/snapshot", `the snapshot of a register bank has ${what}`);
}
