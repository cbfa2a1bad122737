/** A register map brought to life: decoding in constant time, storage, access rules, reset and snapshot. */
import * as v from "valibot";
import { fail } from "../diagnostics/diagnostic.ts";
import type { Fifo } from "./fifo.ts";
import { FifoWiring, fifosOf } from "./fifo-wiring.ts";
import type { Json, VdevLog } from "./host.ts";
import type { RegionHandler, RegisterNames, RegisterReader, RegisterWriter } from "./region.ts";
import type { RegisterPlace } from "./register-access.ts";
import { Decoder } from "./register-decoder.ts";
import {
  type BitRules,
  bitRange,
  bitRules,
  type Direction,
  type FifoSpec,
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
  /** Gives the value in place of the stored one; then a read takes or clears nothing by itself. */
  read?(index: number, half: number): number;
  /** Before a read without such a hook: brings what is stored up to date. */
  refresh?(): void;
  /** After a read that took a value out of a FIFO or cleared bits. `value` is what the guest gets. */
  taken?(value: number, index: number, half: number): void;
  /**
   * After the store. `value` is what was stored; with `w`, `w1c`, `w1s` or `once` bits, what was written. `before` is what
   * was stored until then.
   */
  write?(value: number, index: number, half: number, before: number): void;
  /** A FIFO was full, and what the guest wrote is lost. */
  overrun?(value: number): void;
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
/** By width in bytes; an 8-byte register passes as two halves. */
const WIDTH_MASK = [0, 0xff, 0xffff, 0xff_ffff, 0xffff_ffff, 0, 0, 0, 0xffff_ffff];

const BANK_SNAPSHOT = v.object({
  window: v.nullable(v.string()),
  values: v.record(v.string(), v.array(v.tupleWithRest([u32()], u32()))),
  fifos: v.optional(v.record(v.string(), v.array(u32())), {}),
  /** Words of storage whose `once` bits were written. */
  written: v.optional(v.array(u32()), []),
});

const STORE = 0;
const CLEAR_ONES = 1;
const STROBE = 2;
const MIXED = 3;
const PUSH = 4;

const PLAIN = 0;
const READ_CLEARS = 1;
const TELLS = 2;
const POPS = 3;

/** Storage of one register or array, for its device's code: no access rules, no hooks. */
export class Register {
  readonly #words: Uint32Array;
  readonly #first: number;
  readonly #step: number;
  /** Registers in the array; 1 otherwise. */
  readonly count: number;
  /** The device's end, where the register is declared as one. */
  readonly fifo: Fifo | undefined;

  constructor(words: Uint32Array, first: number, step: number, count: number, fifo?: Fifo) {
    this.#words = words;
    this.#first = first;
    this.#step = step;
    this.count = count;
    this.fifo = fifo;
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

/** What a device's code sees of a register by its declaration. */
export type RegisterOf<Spec> = Spec extends { readonly fifo: FifoSpec } ? Register & { readonly fifo: Fifo } : Register;

/**
 * Answers a region from its register map.
 *
 * - An access of a register's own width is one store or load and one hook.
 * - A narrower one reads the whole register and takes its bytes, or writes it with the other bytes as they were stored
 *   (0 for `w`, `w1c` and `w1s`).
 * - A wider or unaligned one is the accesses it consists of, lowest offset first.
 * - Where nothing is declared, reads give 0 and writes are ignored; the log is told.
 */
export class RegisterBank<Map extends RegisterMap = RegisterMap> implements RegionHandler {
  /** Stored values by name. */
  readonly registers: { readonly [Name in keyof Map]: RegisterOf<Map[Name]> };
  readonly names: RegisterNames;
  onChange: (() => void) | undefined;

  readonly #map: Map;
  readonly #names: readonly string[];
  readonly #log: VdevLog | undefined;
  readonly #reported = new Set<string>();
  /** By access, as the messages are by text. */
  readonly #reportedAt = new Set<string>();

  // Per register or array.
  readonly #readers: (RegisterHooks | undefined)[] = [];
  readonly #writers: (RegisterHooks | undefined)[] = [];
  readonly #hooks: (RegisterHooks | undefined)[] = [];
  /** What reads of registers with an effect do, where no hook gives the value instead. */
  readonly #taking: (RegisterHooks | undefined)[] = [];
  /** What writes to registers that control FIFOs do, before the device's own hook. */
  readonly #controlling: (RegisterHooks | undefined)[] = [];
  readonly #effects: Uint8Array;
  readonly #writableLow: Uint32Array;
  readonly #writableHigh: Uint32Array;
  readonly #readEffects: Uint8Array;
  /** Of registers with bits of several kinds, by owner; two words each, low half first. */
  readonly #clearOnes: Uint32Array;
  readonly #setOnes: Uint32Array;
  readonly #once: Uint32Array;
  readonly #clearedByRead: Uint32Array;
  readonly #unimplemented: Uint32Array;
  readonly #fifos: readonly (Fifo | undefined)[];
  readonly #wiring: FifoWiring;

  // Per single register ("slot").
  readonly #owner: Uint32Array;
  readonly #index: Uint32Array;
  readonly #base: Uint32Array;
  readonly #width: Uint8Array;
  readonly #word: Uint32Array;

  readonly #words: Uint32Array;
  readonly #initial: Uint32Array;
  /** By word: whether its `once` bits were written. */
  readonly #written: Uint8Array;
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

    const rules = entries.map(([, spec]) => bitRules(spec));
    this.#effects = Uint8Array.from(entries, ([, spec], i) => writeEffect(spec, rules[i]!));
    this.#readEffects = Uint8Array.from(entries, ([, spec], i) => readEffect(spec, rules[i]!));
    const stored = rules.map((rule, i) => (this.#effects[i] === CLEAR_ONES ? rule.clearOnes : rule.stored));
    this.#writableLow = Uint32Array.from(stored, low);
    this.#writableHigh = Uint32Array.from(stored, high);
    this.#clearOnes = halves(rules.map(({ clearOnes }) => clearOnes));
    this.#setOnes = halves(rules.map(({ setOnes }) => setOnes));
    this.#once = halves(rules.map(({ once }) => once));
    this.#clearedByRead = halves(rules.map(({ clearedByRead }) => clearedByRead));
    this.#unimplemented = halves(rules.map(({ unimplemented }) => unimplemented));
    const fifos = fifosOf(map);
    this.#fifos = entries.map(([name]) => fifos.get(name));
    this.#written = new Uint8Array(words);
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
      registers[name] = new Register(this.#words, word, wordsOf(spec), counts[owner]!, this.#fifos[owner]);
      const first = slot;
      this.#taking.push(
        this.#readEffects[owner] === PLAIN ? undefined : { read: (index, half) => this.#take(first + index, half) },
      );
      this.#readers.push(this.#taking[owner]);
      this.#hooks.push(undefined);
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
    this.registers = registers as { readonly [Name in keyof Map]: RegisterOf<Map[Name]> };
    this.#words.set(this.#initial);
    this.#wiring = new FifoWiring(map, this.#words, fifos, (name) => this.#wordOf(name, 0));
    for (const [owner, name] of this.#names.entries()) {
      const at = this.#wordOf(name, 0);
      this.#controlling.push(this.#wiring.controls(at) ? this.#control(owner, at) : undefined);
      this.#writers.push(this.#controlling[owner]);
    }

    for (const window of new Set([undefined, ...entries.map(([, spec]) => spec.window)])) {
      this.#windows.set(window, this.#decoders(entries, window));
    }
    this.names = {
      windows: [...this.#windows.keys()].filter((window) => window !== undefined),
      window: () => this.#window,
      label: (offset, direction, window) => registerLabel(map, offset, direction, window),
    };
    const plain = this.#windows.get(undefined)!;
    this.#decodeRead = plain.read;
    this.#decodeWrite = plain.write;
  }

  /** Attaches behaviour; what was attached to a register before is replaced. */
  behave(behaviour: Behaviour<Map>): this {
    this.onChange?.();
    for (const [owner, name] of this.#names.entries()) {
      const hooks = behaviour[name];
      if (hooks === undefined) continue;
      this.#hooks[owner] = hooks;
      this.#readers[owner] = hooks.read ? hooks : hooks.refresh ? this.#refreshed(owner, hooks) : this.#taking[owner];
      this.#writers[owner] = this.#controlling[owner] ?? (hooks.write ? hooks : undefined);
    }
    return this;
  }

  /** Shows the registers of that window over the others; `undefined` shows none. */
  show(window: string | undefined): void {
    const decoders = this.#windows.get(window);
    if (!decoders) fail("vdev/register-map", `the register map has no window "${window}"`);
    if (window !== this.#window) this.onChange?.();
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
    if (slot >= 0 && this.#base[slot] === offset && this.#width[slot] === width)
      this.#store(slot, 0, value, 0xffff_ffff);
    else this.#writeParts(offset, width, value);
  }

  reader(offset: number, width: number): RegisterReader | undefined {
    const slot = this.#decodeRead.slot(offset);
    const place = this.#whole(slot, offset, width);
    if (place === undefined) return undefined;
    const owner = this.#owner[slot]!;
    const reader = this.#readers[owner];
    const { ClearingReader, HookReader, StoredReader } = loadAccess();
    if (reader === undefined) return new StoredReader(this.#words, place);
    const hooks = this.#hooks[owner];
    const effect = this.#readEffects[owner];
    if (hooks?.read !== undefined || (effect !== PLAIN && effect !== READ_CLEARS)) return new HookReader(reader, place);
    const clears = effect === READ_CLEARS;
    const cleared = clears ? this.#clearedByRead[owner * 2 + place.half]! : 0;
    return new ClearingReader(this.#words, place, clears, cleared, hooks);
  }

  writer(offset: number, width: number): RegisterWriter | undefined {
    const slot = this.#decodeWrite.slot(offset);
    const place = this.#whole(slot, offset, width);
    if (place === undefined) return undefined;
    const owner = this.#owner[slot]!;
    const { half } = place;
    if (this.#effects[owner] !== STORE) {
      return { write: (value) => this.#storeWithEffect(slot, half, value, 0xffff_ffff) };
    }
    const writable = half === 0 ? this.#writableLow[owner]! : this.#writableHigh[owner]!;
    return new (loadAccess().StoredWriter)(this.#words, place, writable, this.#writers[owner]);
  }

  /** The register in a slot, or the half of an 8-byte one, if an access is to just that. */
  #whole(slot: number, offset: number, width: number): RegisterPlace | undefined {
    if (slot < 0) return undefined;
    const inside = offset - this.#base[slot]!;
    const half = inside >= 4 ? 1 : 0;
    if (inside !== half * 4 || width !== Math.min(this.#width[slot]!, 4)) return undefined;
    return { word: this.#word[slot]! + half, mask: WIDTH_MASK[width]!, index: this.#index[slot]!, half };
  }

  /** All stored values as after power-on, and no window. No hook is called. */
  reset(): void {
    this.#words.set(this.#initial);
    this.#written.fill(0);
    for (const fifo of this.#fifos) fifo?.clear();
    this.#wiring.settle();
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
    const fifos = Object.fromEntries(
      this.#names.flatMap((name, owner) => {
        const held = this.#fifos[owner]?.values ?? [];
        return held.length > 0 ? [[name, held] as const] : [];
      }),
    );
    const written = [...this.#written.keys()].filter((word) => this.#written[word] !== 0);
    return {
      window: this.#window ?? null,
      values,
      ...(Object.keys(fifos).length > 0 && { fifos }),
      ...(written.length > 0 && { written }),
    };
  }

  /** Refuses what `snapshot` of this map cannot have made. No hook is called. */
  restore(state: Json): void {
    const { window, values, fifos, written } = fromSnapshot(BANK_SNAPSHOT, state);
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
    for (const [name, held] of Object.entries(fifos)) {
      const fifo = this.#fifos[this.#names.indexOf(name)];
      if (fifo === undefined || held.length > fifo.depth) badSnapshot(`no FIFO of ${held.length} values ${name}`);
    }
    for (const word of written) if (word >= words.length) badSnapshot(`no word ${word}`);
    this.#words.set(words);
    this.#written.fill(0);
    for (const word of written) this.#written[word] = 1;
    for (const [owner, fifo] of this.#fifos.entries()) fifo?.restore(fifos[this.#names[owner]!] ?? []);
    this.#wiring.settle();
    this.show(window ?? undefined);
  }

  #load(slot: number, half: number): number {
    const owner = this.#owner[slot]!;
    const reader = this.#readers[owner];
    const value =
      reader === undefined ? this.#words[this.#word[slot]! + half]! : reader.read!(this.#index[slot]!, half);
    return (value & WIDTH_MASK[this.#width[slot]!]!) >>> 0;
  }

  /** A read with an effect. */
  #take(slot: number, half: number): number {
    const owner = this.#owner[slot]!;
    const at = this.#word[slot]! + half;
    let value = this.#words[at]!;
    switch (this.#readEffects[owner]) {
      case TELLS:
        this.#tell(`read of unimplemented ${this.#names[owner]}`);
        return value;
      case POPS: {
        const popped = this.#fifos[owner]!.pop();
        value = popped < 0 ? (this.#map[this.#names[owner]!]!.fifo!.empty ?? 0) : popped;
        // Nothing was there to be taken.
        if (popped < 0) return value;
        break;
      }
      case READ_CLEARS:
        this.#words[at] = value & ~this.#clearedByRead[owner * 2 + half]!;
    }
    value = (value & WIDTH_MASK[this.#width[slot]!]!) >>> 0;
    this.#hooks[owner]?.taken?.(value, this.#index[slot]!, half);
    return value;
  }

  /** Reads with a look at the device first. */
  #refreshed(owner: number, hooks: RegisterHooks): RegisterHooks {
    const taking = this.#taking[owner];
    const register = this.registers[this.#names[owner]!]!;
    return {
      read(index, half) {
        hooks.refresh!();
        return taking ? taking.read!(index, half) : register.at(index, half);
      },
    };
  }

  #control(owner: number, at: number): RegisterHooks {
    return {
      write: (value, index, half, before) => {
        // Nothing else keeps what is write-only.
        if (this.#effects[owner] === STROBE) this.#words[at] = value;
        this.#wiring.written(at, value);
        this.#hooks[owner]?.write?.(value, index, half, before);
      },
    };
  }

  /** A write to a register with bits of several kinds; `mask` has the bytes that are written. */
  #storeMixed(slot: number, half: number, written: number, mask: number): number {
    const owner = this.#owner[slot]!;
    const rule = owner * 2 + half;
    const at = this.#word[slot]! + half;
    const old = this.#words[at]!;
    const once = this.#written[at] === 0 ? this.#once[rule]! & mask : 0;
    if (once !== 0) this.#written[at] = 1;
    const stored = (((half === 0 ? this.#writableLow[owner]! : this.#writableHigh[owner]!) & mask) | once) >>> 0;
    const cleared = this.#clearOnes[rule]! & mask;
    const set = this.#setOnes[rule]! & mask;
    this.#words[at] = (((old & ~stored) | (written & stored)) & ~(written & cleared)) | (written & set);
    const wanted = (written ^ this.#initial[at]!) & this.#unimplemented[rule]! & mask;
    if (wanted !== 0) this.#tell(`write of unimplemented ${this.#unimplementedName(owner, wanted, half)}`);
    return (written & (stored | cleared | set)) >>> 0;
  }

  #unimplementedName(owner: number, wanted: number, half: number): string {
    const name = this.#names[owner]!;
    const fields = Object.entries(this.#map[name]!.fields ?? {}).filter(([, field]) => {
      if (typeof field !== "object" || !("bits" in field) || field.access !== "unimplemented") return false;
      const [top, bottom] = bitRange(field);
      return ((BigInt(wanted >>> 0) << BigInt(32 * half)) & ((1n << BigInt(top + 1)) - (1n << BigInt(bottom)))) !== 0n;
    });
    return fields.length === 0 ? name : fields.map(([field]) => `${name}.${field}`).join(", ");
  }

  #push(slot: number, value: number): void {
    const owner = this.#owner[slot]!;
    const pushed = (value & this.#writableLow[owner]!) >>> 0;
    const hooks = this.#hooks[owner];
    if (this.#fifos[owner]!.push(pushed)) hooks?.write?.(pushed, 0, 0, 0);
    else hooks?.overrun?.(pushed);
  }

  /** `mask` has the bytes that are written. */
  #store(slot: number, half: number, value: number, mask: number): void {
    const owner = this.#owner[slot]!;
    if (this.#effects[owner] !== STORE) return this.#storeWithEffect(slot, half, value, mask);
    const at = this.#word[slot]! + half;
    const writable = half === 0 ? this.#writableLow[owner]! : this.#writableHigh[owner]!;
    const before = this.#words[at]!;
    const stored = ((before & ~writable) | (value & writable)) >>> 0;
    this.#words[at] = stored;
    const writer = this.#writers[owner];
    if (writer !== undefined) writer.write!(stored, this.#index[slot]!, half, before);
  }

  #storeWithEffect(slot: number, half: number, value: number, mask: number): void {
    const owner = this.#owner[slot]!;
    const effect = this.#effects[owner]!;
    if (effect === PUSH) return this.#push(slot, value);
    const at = this.#word[slot]! + half;
    const writable = half === 0 ? this.#writableLow[owner]! : this.#writableHigh[owner]!;
    const before = this.#words[at]!;
    const told = effect === MIXED ? this.#storeMixed(slot, half, value, mask) : (value & writable) >>> 0;
    if (effect === CLEAR_ONES) this.#words[at] = this.#words[at]! & ~told;
    const writer = this.#writers[owner];
    if (writer !== undefined) writer.write!(told, this.#index[slot]!, half, before);
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
        this.#store(slot, half, (kept | part) >>> 0, mask);
      }
      done += bytes;
    }
  }

  #report(direction: Direction, offset: number): void {
    // A guest may do this all day: what has been said once costs no search through the map again.
    const what = `${direction} ${offset} ${this.#window}`;
    if (!this.#log || this.#reported.size >= REPORT_LIMIT || this.#reportedAt.has(what)) return;
    this.#reportedAt.add(what);
    const other = registerLabel(this.#map, offset, direction === "read" ? "write" : "read", this.#window);
    const where = `offset 0x${offset.toString(16)}`;
    const message =
      other === undefined
        ? `${direction} at ${where}, where no register is`
        : `${direction} of ${other} at ${where}, which is ${direction === "read" ? "write" : "read"}-only`;
    this.#tell(message);
  }

  #tell(message: string): void {
    if (!this.#log || this.#reported.size >= REPORT_LIMIT || this.#reported.has(message)) return;
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
      let slot = 0;
      for (const [name, spec] of entries) {
        const next = slot + this.registers[name]!.count;
        const readable = spec.window === layer && isReadable(spec);
        const writable = spec.window === layer && isWritable(spec);
        for (; slot < next && (readable || writable); slot++) {
          if (readable) read.set(this.#base[slot]!, spec.width, slot);
          if (writable) write.set(this.#base[slot]!, spec.width, slot);
        }
        slot = next;
      }
    }
    return { read, write };
  }
}

function writeEffect({ access = "rw", fifo }: RegisterSpec, rules: BitRules): number {
  if (access === "w") return fifo ? PUSH : STROBE;
  const { clearOnes, setOnes, once, unimplemented, stored } = rules;
  if ((setOnes | once | unimplemented) !== 0n || (clearOnes !== 0n && stored !== 0n)) return MIXED;
  return clearOnes !== 0n || access === "w1c" ? CLEAR_ONES : STORE;
}

function readEffect({ access, fifo }: RegisterSpec, { clearedByRead }: BitRules): number {
  if (fifo && access === "r") return POPS;
  if (access === "unimplemented") return TELLS;
  return clearedByRead !== 0n ? READ_CLEARS : PLAIN;
}

const low = (mask: bigint): number => Number(mask & 0xffff_ffffn);
const high = (mask: bigint): number => Number(mask >> 32n);

/** Two words for each mask, low half first. */
function halves(masks: readonly bigint[]): Uint32Array {
  return Uint32Array.from(masks.flatMap((mask) => [low(mask), high(mask)]));
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

/** Loaded when a register is accessed often enough to have a way of its own. */
const loadAccess = () => require("./register-access.ts") as typeof import("./register-access.ts");
