/**
 * Register maps: what a datasheet's register table says, said once. From one declaration come decoding, access rules,
 * storage, reset, snapshot, documentation and the names that traces show. `register-bank.ts` brings a map to life.
 */
import { fail } from "../diagnostics/diagnostic.ts";
import type { FifoState } from "./fifo.ts";

/**
 * What the guest may do. Of `r` and `w` the other direction does nothing, unless another register at the same offset
 * answers it.
 * - `w1c`, `w1s`: reads give the stored bits; writing 1 clears or sets a bit.
 * - `rc`: cannot be written, and a read clears it.
 * - `once`: the first write after a reset is taken, later ones are ignored.
 * - `reserved`: reads give the reset value, writes are ignored.
 * - `unimplemented`: as `reserved`, and the log tells that the guest wants it.
 */
export type Access = "rw" | "r" | "w" | "w1c" | "w1s" | "rc" | "once" | "reserved" | "unimplemented";

/** One bit, or `[high, low]`, both inclusive. */
export type Bits = number | readonly [high: number, low: number];

export type FieldSpec =
  | Bits
  | {
      readonly bits: Bits;
      readonly about?: string;
      /** Where it differs from the register's. */
      readonly access?: Exclude<Access, "w">;
      /** What values mean, by name: for documentation and traces. */
      readonly values?: Readonly<Record<string, number>>;
    };

/**
 * Values queue up instead of replacing one another: a guest's write appends one, its read takes the oldest. Fields of
 * other registers control it and show its state; they are named as `REGISTER.field`. A write-only register that controls
 * a FIFO is kept for that, though it cannot be read.
 */
export interface FifoSpec {
  /** The most values that it holds. */
  readonly depth: number;
  /** What a read gives while it is empty; 0 when omitted. */
  readonly empty?: number;
  /** While this field is 0 the FIFO is off: it holds a single value. Always on when omitted. */
  readonly enable?: string;
  /** What becomes of its contents when that field changes; they stay when omitted. */
  readonly switching?: "empties";
  /** Writing 1 to this field empties it, while it is on. */
  readonly clear?: string;
  /** The field that chooses its trigger level: its own value, or what it stands for. The level is 1 when omitted. */
  readonly level?: { readonly by: string; readonly values?: readonly number[] };
  /** Bits that it keeps up to date, by what they show. */
  readonly flags?: { readonly [State in FifoState]?: string | readonly string[] };
}

export interface RegisterSpec {
  /** Offset of the register, or of the first of an array, in bytes. */
  readonly at: number;
  /** In bytes. */
  readonly width: 1 | 2 | 4 | 8;
  /** `rw` when omitted. */
  readonly access?: Access;
  /** Value after power-on; 0 when omitted. */
  readonly reset?: number | bigint;
  /** The bits that a guest's write changes; all when omitted. */
  readonly writable?: number | bigint;
  /** An array of so many registers: the most that the architecture has, where instances differ. */
  readonly count?: number;
  /** Distance between registers of an array; the width when omitted. */
  readonly stride?: number;
  /** The register is seen only while its bank shows this window, in place of what lies at its offset otherwise. */
  readonly window?: string;
  readonly fields?: Readonly<Record<string, FieldSpec>>;
  /** Of an `r` register the device's end is the other one, and so for `w`: `bank.registers.NAME.fifo`. */
  readonly fifo?: FifoSpec;
  readonly about?: string;
}

export type RegisterMap = Readonly<Record<string, RegisterSpec>>;

export type Direction = "read" | "write";

/** Identity with full inference; refuses a map that contradicts itself. */
export function registerMap<const Map extends RegisterMap>(map: Map): Map {
  const entries = Object.entries<RegisterSpec>(map);
  for (const [name, spec] of entries) checkRegister(name, spec);
  for (const [name, { fifo }] of entries) if (fifo) checkFifoFields(map, name, fifo);
  refuseOverlaps(entries);
  return map;
}

/** Only what begins before a register's span ends can lie over it, and in most maps that is nothing. */
function refuseOverlaps(entries: readonly (readonly [string, RegisterSpec])[]): void {
  const order = entries.map(([name, spec], place) => ({ name, spec, place, end: endOf(spec) }));
  order.sort((a, b) => a.spec.at - b.spec.at);
  for (const [i, one] of order.entries()) {
    for (let j = i + 1; j < order.length && order[j]!.spec.at < one.end; j++) {
      const [first, second] = one.place < order[j]!.place ? [one, order[j]!] : [order[j]!, one];
      const { spec } = first;
      if (spec.window === second.spec.window && contend(spec, second.spec) && overlap(second.spec, spec)) {
        refuse(`registers ${first.name} and ${second.name} lie over each other`);
      }
    }
  }
}

/** The first byte behind the register, or the last one of its array. */
function endOf({ at, width, count = 1, stride = width }: RegisterSpec): number {
  return at + (count - 1) * stride + width;
}

/** Each field's bits in place, e.g. `{ ready: 0x1, level: 0xf0 }`: what a device's code tests and sets. 32 bits at most. */
export function fieldMasks<const Spec extends { readonly fields: Readonly<Record<string, FieldSpec>> }>(
  spec: Spec,
): { readonly [Field in keyof Spec["fields"]]: number } {
  const masks: Record<string, number> = {};
  for (const [name, field] of Object.entries(spec.fields)) {
    const [high, low] = bitRange(field);
    masks[name] = (2 ** (high + 1) - 2 ** low) >>> 0;
  }
  return masks as { readonly [Field in keyof Spec["fields"]]: number };
}

/** Which of a register's bits do what, as 64-bit masks. */
export interface BitRules {
  /** A write replaces them. */
  readonly stored: bigint;
  readonly clearOnes: bigint;
  readonly setOnes: bigint;
  readonly once: bigint;
  /** A read clears them. */
  readonly clearedByRead: bigint;
  readonly unimplemented: bigint;
}

export function bitRules({ width, access = "rw", writable, fields = {} }: RegisterSpec): BitRules {
  const all = (1n << BigInt(width * 8)) - 1n;
  const rules: Record<Access, bigint> = {
    ...{ rw: 0n, r: 0n, w: 0n, w1c: 0n, w1s: 0n, rc: 0n, once: 0n, reserved: 0n, unimplemented: 0n },
    [access]: all,
  };
  for (const field of Object.values(fields)) {
    if (typeof field !== "object" || !("bits" in field) || field.access === undefined) continue;
    const [high, low] = bitRange(field);
    const mask = (1n << BigInt(high + 1)) - (1n << BigInt(low));
    for (const kind of Object.keys(rules) as Access[]) rules[kind] &= ~mask;
    rules[field.access] |= mask;
  }
  const changeable = BigInt(writable ?? all);
  return {
    stored: (rules.rw | rules.w) & changeable,
    clearOnes: rules.w1c & changeable,
    setOnes: rules.w1s & changeable,
    once: rules.once & changeable,
    clearedByRead: rules.rc,
    unimplemented: rules.unimplemented,
  };
}

export function bitRange(field: FieldSpec): readonly [high: number, low: number] {
  const bits = typeof field === "object" && "bits" in field ? field.bits : field;
  return typeof bits === "number" ? [bits, bits] : bits;
}

export function isReadable({ access = "rw" }: RegisterSpec): boolean {
  return access !== "w";
}

export function isWritable({ access = "rw", fields = {} }: RegisterSpec): boolean {
  if (access !== "r" && access !== "rc") return true;
  return Object.values(fields).some(
    (field) => typeof field === "object" && "bits" in field && field.access !== undefined && field.access !== "rc",
  );
}

/** The field that a path `REGISTER.field` names, where there is one. */
export function fieldAt(
  map: RegisterMap,
  path: string,
): { readonly register: string; readonly field: FieldSpec; readonly spec: RegisterSpec } | undefined {
  const [register = "", name = ""] = path.split(".");
  const spec = Object.hasOwn(map, register) ? map[register]! : undefined;
  const field = spec?.fields !== undefined && Object.hasOwn(spec.fields, name) ? spec.fields[name] : undefined;
  return spec === undefined || field === undefined ? undefined : { register, field, spec };
}

/** What a trace calls the bytes at `offset`: `LCR`, `MSIP[2]`, `MTIMECMP[0]+4`; `undefined` where nothing is declared. */
export function registerLabel(
  map: RegisterMap,
  offset: number,
  direction: Direction,
  window?: string,
): string | undefined {
  let found: string | undefined;
  for (const [name, spec] of Object.entries(map)) {
    if (!(direction === "read" ? isReadable(spec) : isWritable(spec))) continue;
    if (spec.window !== undefined && spec.window !== window) continue;
    const { count = 1, stride = spec.width } = spec;
    const index = Math.floor((offset - spec.at) / stride);
    const inside = offset - spec.at - index * stride;
    if (index < 0 || index >= count || inside >= spec.width) continue;
    found = `${name}${spec.count === undefined ? "" : `[${index}]`}${inside === 0 ? "" : `+${inside}`}`;
    if (spec.window !== undefined) return found;
  }
  return found;
}

function checkRegister(name: string, spec: RegisterSpec): void {
  const { at, width, count = 1, stride = width, reset = 0, writable = 0, fields = {} } = spec;
  if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) refuse(`"${name}" cannot be the name of a register`);
  if (![1, 2, 4, 8].includes(width)) refuse(`${name} is ${width} bytes wide; registers have 1, 2, 4 or 8`);
  if (!Number.isSafeInteger(at) || at < 0 || at % width !== 0) refuse(`${name} is not aligned to its width at ${at}`);
  if (!Number.isSafeInteger(count) || count < 1) refuse(`${name} has a count of ${count}`);
  if (!Number.isSafeInteger(stride) || stride < width || stride % width !== 0)
    refuse(`${name} has a stride of ${stride}`);
  const end = 1n << BigInt(width * 8);
  for (const value of [reset, writable]) {
    const wide = typeof value === "bigint" ? value : Number.isSafeInteger(value) ? BigInt(value) : -1n;
    if (wide < 0n || wide >= end) refuse(`${name} cannot hold ${value}`);
  }
  for (const [fieldName, field] of Object.entries(fields)) {
    const [high, low] = bitRange(field);
    const whole = Number.isInteger(high) && Number.isInteger(low);
    if (!whole || low < 0 || high < low || high >= width * 8) refuse(`${name}.${fieldName} has bits ${high}:${low}`);
    if (typeof field !== "object" || !("bits" in field)) continue;
    if (field.access && spec.access === "w") refuse(`${name}.${fieldName} has an access of its own in a "w" register`);
    for (const [label, value] of Object.entries(field.values ?? {})) {
      const fits = Number.isSafeInteger(value) && value >= 0 && value < 2 ** (high - low + 1);
      if (!fits) refuse(`${name}.${fieldName} cannot hold ${label} = ${value}`);
    }
  }
  if (spec.fifo) checkFifo(name, spec, spec.fifo);
}

function checkFifo(name: string, { access = "rw", width, count }: RegisterSpec, { depth, empty = 0 }: FifoSpec): void {
  if (access !== "r" && access !== "w")
    refuse(`${name} is a FIFO of access "${access}"; declare its ends apart, "r" and "w"`);
  if (count !== undefined || width === 8) refuse(`${name} is a FIFO: a single register of at most 4 bytes`);
  if (!Number.isSafeInteger(depth) || depth < 1 || depth > 65_536) refuse(`${name} is a FIFO of depth ${depth}`);
  if (!Number.isSafeInteger(empty) || empty < 0 || empty >= 2 ** (8 * width)) refuse(`${name} cannot read as ${empty}`);
}

function checkFifoFields(map: RegisterMap, name: string, { depth, enable, clear, level, flags = {} }: FifoSpec): void {
  const widthOf = (path: string): number => {
    const { field, spec } = fieldAt(map, path) ?? refuse(`the FIFO ${name} names ${path}, which is no field`);
    if (spec.count !== undefined || spec.width === 8)
      refuse(`the FIFO ${name} names ${path}: fields of single registers of at most 4 bytes can be tied to it`);
    const [high, low] = bitRange(field);
    return high - low + 1;
  };
  for (const path of [enable, clear, ...Object.values(flags)].flat()) {
    if (path !== undefined && widthOf(path) !== 1) refuse(`the FIFO ${name} names ${path}, which is not a single bit`);
  }
  if (level === undefined) return;
  const { by, values } = level;
  const width = widthOf(by);
  if (values === undefined) return;
  if (values.length !== 2 ** width)
    refuse(`the FIFO ${name} has ${values.length} levels for the ${width} bits of ${by}`);
  for (const value of values) {
    if (!Number.isInteger(value) || value < 0 || value > depth)
      refuse(`the FIFO ${name} cannot have a level of ${value}`);
  }
}

/** Whether two registers would answer the same kind of access. */
function contend(a: RegisterSpec, b: RegisterSpec): boolean {
  return (isReadable(a) && isReadable(b)) || (isWritable(a) && isWritable(b));
}

/** Whether any register of one array shares a byte with any of the other, without walking long arrays. */
function overlap(a: RegisterSpec, b: RegisterSpec): boolean {
  const [few, many] = (a.count ?? 1) <= (b.count ?? 1) ? [a, b] : [b, a];
  const { count = 1, stride = few.width } = few;
  const { count: manyCount = 1, stride: manyStride = many.width } = many;
  const spanEnd = endOf(many);
  // Only elements of the shorter array that lie in the span of the longer one can meet it.
  const first = Math.max(0, Math.floor((many.at - few.at - few.width) / stride));
  const last = Math.min(count - 1, Math.floor((spanEnd - few.at) / stride));
  // Equal strides repeat: the first two elements show what all others do.
  const stop = stride === manyStride ? Math.min(last, first + 2) : last;
  for (let i = first; i <= stop; i++) {
    const start = few.at + i * stride;
    const below = Math.min(manyCount - 1, Math.floor((start + few.width - 1 - many.at) / manyStride));
    if (below >= 0 && many.at + below * manyStride + many.width > start) return true;
  }
  return false;
}

function refuse(message: string): never {
  fail("vdev/register-map", message);
}
