/**
 * Laws that every vdev obeys, whatever it is. Authors hold their own vdevs to them in one line:
 *
 *     import { test } from "bun:test";
 *     vdevLaws(myVdev, { test });
 */
import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { VmrunError } from "../diagnostics/diagnostic.ts";
import { cells, getProperty, node, strings } from "../fdt/tree.ts";
import { assertWellFormed } from "../fdt/wellformed.ts";
import { writeDtb } from "../fdt/writer.ts";
import type { OptionsSchema, VdevDescriptor, VdevInstance } from "./descriptor.ts";
import { BusError } from "./errors.ts";
import { type Assembled, assemble, contributedNodes, contribution, fakePlacement } from "./fake-host.ts";
import { FakeMemory } from "./fakes.ts";
import type { Json } from "./host.ts";
import type { RegisterReader, RegisterWriter, StoredRegister } from "./region.ts";
import { bitRange, type RegisterSpec } from "./registers.ts";
import { type AnyVdev, createRegistry } from "./registry.ts";

export interface LawOptions<Schema extends OptionsSchema = OptionsSchema> {
  /** The test function of bun:test, or of any runner with tests made of a name and a function. */
  readonly test: (name: string, body: () => void) => void;
  /** Options to hold the laws with, where a sample cannot be guessed from the schema. */
  readonly options?: v.InferInput<Schema>;
}

/** Registers one test for each law. */
export function vdevLaws<Schema extends OptionsSchema>(
  descriptor: VdevDescriptor<Schema>,
  { test, options }: LawOptions<Schema>,
): void {
  const subject: Subject = {
    descriptor: descriptor as unknown as AnyVdev,
    options: options ?? sampleOptions(descriptor),
  };
  for (const [name, hold] of Object.entries(LAWS)) test(`${descriptor.type}: ${name}`, () => hold(subject));
}

interface Subject {
  readonly descriptor: AnyVdev;
  readonly options: Record<string, unknown>;
}

const HARTS = 2;
const STREAM = "stdio";
const WIDTHS = [1, 2, 4] as const;
/** Different messages that random accesses may cause: more would be one per access or address. */
const MESSAGES = 200;

/** Options that a profile must give: a file for each one that asks for a file, the terminal for each stream. */
function sampleOptions(descriptor: { readonly options: OptionsSchema }): Record<string, unknown> {
  const sample: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(descriptor.options.entries)) {
    const inner = (schema.type === "optional" && "wrapped" in schema ? schema.wrapped : schema) as v.GenericSchema;
    const mark = v.getMetadata(inner)["vmrun"] ?? v.getMetadata(schema as v.GenericSchema)["vmrun"];
    if (mark === "input-file") sample[name] = "disk.img";
    if (mark === "stream") sample[name] = STREAM;
  }
  return sample;
}

function build({ descriptor, options }: Subject): Assembled {
  const made = assemble(descriptor, options, { harts: HARTS, memory: new FakeMemory() });
  made.vdev.reset();
  return made;
}

/** mulberry32 */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Accesses as a hostile guest would make them, mostly where something is; answers what was read. */
function hammer({ vdev, host, read, write }: Assembled, subject: Subject, seed: number, steps: number): number[] {
  const { descriptor } = subject;
  const next = chance(seed);
  const sizes = host.placement.regions.map(({ size }) => size);
  const places = Object.values(descriptor.registers ?? {}).flatMap((map) => Object.values(map));
  const reads: number[] = [];
  for (let step = 0; step < steps; step++) {
    const region = next(Math.max(1, sizes.length));
    const width = WIDTHS[next(3)]!;
    const place = places[next(Math.max(1, places.length))];
    const near = place ? place.at + next(Math.min(place.count ?? 1, 40)) * (place.stride ?? place.width) : 0;
    const value = [next(2 ** 32), next(256), 1 << next(32), 0x8000_0000 + next(0x1_0000)][next(4)]! >>> 0;
    if (sizes.length > 0) {
      const spread = next(4) === 0 ? next(sizes[region]!) : near + (next(3) === 0 ? next(8) : 0);
      const offset = Math.max(0, Math.min(spread, sizes[region]! - width));
      try {
        if (next(2) === 0) {
          const result = read(offset, width, region);
          const within = Number.isInteger(result) && result >= 0 && result < 2 ** (8 * width);
          ok(within, `a read of ${width} bytes at 0x${offset.toString(16)} gave ${result}`);
          reads.push(result);
        } else write(offset, width, width === 4 ? value : value & (2 ** (8 * width) - 1), region);
      } catch (error) {
        // A defined end of an access.
        if (!(error instanceof BusError)) throw error;
        reads.push(-1);
      }
    }
    if (next(16) === 0) vdev.input?.(next(128), next(2) === 0);
    if (next(16) === 0) hammerHooks(vdev, subject, next, value);
    if (next(32) === 0) host.fakeStream(STREAM).send([next(256)]);
    if (next(32) === 0) host.clock.advance(next(1_000_000));
  }
  return reads;
}

function hammerHooks(
  vdev: VdevInstance,
  { descriptor, options }: Subject,
  next: (below: number) => number,
  value: number,
): void {
  const { hooks } = descriptor;
  const { sbi = [] } = (typeof hooks === "function" ? hooks(v.parse(descriptor.options, options)) : hooks) ?? {};
  for (const { first, last } of sbi) {
    const extension = first + next(Math.min(last - first + 1, 2 ** 31));
    const args = Array.from({ length: 6 }, (_, i) => BigInt.asUintN(64, BigInt(value) << BigInt(i * 7)));
    const answer = vdev.sbi?.({ hart: 0, extension, function: next(8), args });
    ok(answer === undefined || (typeof answer.error === "bigint" && typeof answer.value === "bigint"));
  }
}

/** All that can be seen of a vdev from outside without touching it. */
function visible({ vdev, host }: Assembled) {
  return {
    state: vdev.snapshot(),
    harts: host.harts.map(({ pending }) => pending),
    lines: host.placement.interrupts.map(({ name }) => host.line(name).level),
    access: host.placement.regions.map(({ name }) => host.region(name).access),
    timers: host.clock.deadlines,
  };
}

/** What belongs to the machine is restored by the machine. */
function moveMachine(original: Assembled, copy: Assembled): void {
  copy.host.clock.advance(original.host.clock.now() - copy.host.clock.now());
  copy.host.timebase.set(original.host.timebase.ticks());
  for (const [i, { pending }] of original.host.harts.entries()) copy.host.harts[i]!.pending = pending;
  for (const { name } of original.host.placement.regions) {
    copy.host.region(name).memory.bytes.set(original.host.region(name).memory.bytes);
  }
}

/** The same vdev, accessed as a machine accesses what is accessed often: registers that are storage by that, on request. */
function byWays(made: Assembled, storage: boolean): Assembled {
  const { vdev, host } = made;
  const readers = new Map<string, RegisterReader | undefined>();
  const writers = new Map<string, RegisterWriter | undefined>();
  for (const handler of vdev.regions) {
    handler.onChange = () => {
      readers.clear();
      writers.clear();
    };
  }
  const way = <Way>(ways: Map<string, Way>, key: string, find: () => Way): Way => {
    if (!ways.has(key)) ways.set(key, find());
    return ways.get(key)!;
  };
  const plain = (region: number) => host.placement.regions[region]?.access !== undefined;
  return {
    ...made,
    read(offset, width, region = 0) {
      const find = () => (plain(region) ? undefined : vdev.regions[region]?.reader?.(offset, width));
      const reader = way(readers, `${region} ${offset} ${width}`, find);
      if (storage && reader?.stored !== undefined) return readStored(reader.stored);
      return reader?.read() ?? made.read(offset, width, region);
    },
    write(offset, width, value, region = 0) {
      const find = () => (plain(region) ? undefined : vdev.regions[region]?.writer?.(offset, width));
      const writer = way(writers, `${region} ${offset} ${width}`, find);
      if (writer === undefined) made.write(offset, width, value, region);
      else if (storage && writer.stored !== undefined) writeStored(writer.stored, Number(value));
      else writer.write(Number(value));
    },
  };
}

function readStored({ words, word, mask, clears }: StoredRegister): number {
  const value = words[word]!;
  words[word] = value & ~clears;
  return (value & mask) >>> 0;
}

function writeStored({ words, word, mask }: StoredRegister, value: number): void {
  words[word] = (words[word]! & ~mask) | (value & mask);
}

const LAWS: Readonly<Record<string, (subject: Subject) => void>> = {
  "has a type and an ABI that a registry takes, and a summary of one line"({ descriptor }) {
    createRegistry([descriptor]);
    ok(/^\S.{4,78}\S$/.test(descriptor.summary), `"${descriptor.summary}" is no line of 6 to 80 characters`);
  },

  "has defaults for all options but files, and options that an editor can know"({ descriptor, options }) {
    const parsed = v.safeParse(descriptor.options, options);
    ok(parsed.success, `the options of a sample are refused: ${parsed.issues?.[0]?.message}`);
    const schema = toJsonSchema(descriptor.options, { typeMode: "input" });
    deepStrictEqual(Object.keys(schema.properties ?? {}), Object.keys(descriptor.options.entries));
    for (const name of schema.required ?? []) ok(name in options, `option "${name}" has no default`);
  },

  "is documented: every option, register and field"({ descriptor }) {
    const { properties = {} } = toJsonSchema(descriptor.options, { typeMode: "input" });
    for (const [name, property] of Object.entries(properties)) {
      ok(typeof property === "object" && property.description, `option "${name}" has no v.description`);
    }
    for (const map of Object.values(descriptor.registers ?? {})) {
      for (const [name, { about, fields = {}, width }] of Object.entries<RegisterSpec>(map)) {
        ok(about !== undefined || Object.keys(fields).length > 0, `register ${name} has no \`about\` and no fields`);
        for (const field of Object.values(fields)) ok(bitRange(field)[0] < width * 8);
      }
    }
  },

  "has regions that hold its registers, and places what it has"({ descriptor, options }) {
    const { regions } = fakePlacement(descriptor, v.parse(descriptor.options, options), HARTS);
    for (const { size } of regions) ok(Number.isSafeInteger(size) && size > 0);
    const names = regions.map(({ name }) => name);
    strictEqual(new Set(names).size, names.length, "two regions have the same name");
    for (const name of Object.keys(descriptor.registers ?? {})) {
      ok(names.includes(name), `registers are declared for a region "${name}" that there is not`);
    }
    strictEqual(build({ descriptor, options }).vdev.regions.length, regions.length, "a handler for each region");
  },

  "reset is idempotent and undoes everything"(subject) {
    const fresh = visible(build(subject));
    const made = build(subject);
    made.vdev.reset();
    deepStrictEqual(visible(made), fresh);
    hammer(made, subject, 1, 2000);
    made.vdev.reset();
    const once = visible(made);
    made.vdev.reset();
    deepStrictEqual(visible(made), once);
    deepStrictEqual(once.timers, [], "a reset leaves timers armed");
    deepStrictEqual(once.lines, fresh.lines);
    if (!subject.descriptor.battery) deepStrictEqual(once.state, fresh.state);
  },

  "a snapshot round-trips through JSON, and the copy behaves like the original"(subject) {
    for (const seed of [2, 3, 4]) {
      const original = build(subject);
      hammer(original, subject, seed, 500);
      const saved = JSON.parse(JSON.stringify(original.vdev.snapshot()));
      const copy = build(subject);
      moveMachine(original, copy);
      const waiting = original.host.fakeStream(STREAM);
      const unread: number[] = [];
      while (waiting.waiting > 0) unread.push(waiting.read());
      copy.vdev.restore(saved);
      deepStrictEqual(copy.vdev.snapshot(), saved);
      waiting.send(unread);
      copy.host.fakeStream(STREAM).send(unread);
      deepStrictEqual(visible(copy), visible(original));
      deepStrictEqual(hammer(copy, subject, seed + 10, 500), hammer(original, subject, seed + 10, 500));
      deepStrictEqual(visible(copy), visible(original));
    }
  },

  "a damaged snapshot is refused, with an error that says so"(subject) {
    const { vdev } = build(subject);
    // A vdev without state of its own takes anything for none.
    if (vdev.snapshot() === null) return;
    const strange: Json[] = [null, 7, "", [], { registers: { window: 3, values: [] } }, { values: { NOPE: [[0, 1]] } }];
    for (const damaged of strange) throws(() => vdev.restore(damaged), VmrunError);
  },

  "its status is plain and bounded, and asking for it changes nothing"(subject) {
    for (const steps of [0, 500]) {
      const made = build(subject);
      hammer(made, subject, 51, steps);
      const before = visible(made);
      const said = Object.entries(made.vdev.status?.() ?? {});
      deepStrictEqual(visible(made), before);
      ok(said.length <= 16, `${said.length} entries are more than a person reads`);
      for (const [key, value] of said) {
        ok(["string", "number", "boolean"].includes(typeof value), `status "${key}" is a ${typeof value}`);
        ok(String(value).length <= 65_536, `status "${key}" has ${String(value).length} characters`);
      }
    }
  },

  "no sequence of accesses throws or reads beyond its width"(subject) {
    for (const seed of [21, 22, 23]) hammer(build(subject), subject, seed, 4000);
  },

  "short ways to its registers do what its regions do"(subject) {
    for (const [seed, storage] of [
      [61, false],
      [62, true],
    ] as const) {
      const plain = build(subject);
      const short = build(subject);
      deepStrictEqual(hammer(byWays(short, storage), subject, seed, 4000), hammer(plain, subject, seed, 4000));
      deepStrictEqual(visible(short), visible(plain));
    }
  },

  "a guest cannot fill the log without end"(subject) {
    const made = build(subject);
    hammer(made, subject, 31, 4000);
    const messages = new Set(made.host.logged.map(({ message }) => message)).size;
    ok(messages < MESSAGES, `4000 accesses caused ${messages} different messages`);
  },

  "two instances do not meet"(subject) {
    const alone = build(subject);
    const one = build(subject);
    const other = build(subject);
    hammer(other, subject, 41, 1000);
    deepStrictEqual(visible(one), visible(alone));
    deepStrictEqual(hammer(one, subject, 42, 500), hammer(alone, subject, 42, 500));
  },

  "contributes well-formed nodes, the same bytes every time"({ descriptor, options }) {
    const tree = () => {
      const given = contribution(descriptor, options, HARTS);
      const root = node("", {}, [node("soc", {}, [...(given.bus ?? [])]), ...(given.root ?? [])]);
      return { given, fdt: { root, reservations: [], bootCpu: 0 } };
    };
    const { given, fdt } = tree();
    assertWellFormed(fdt);
    deepStrictEqual(writeDtb(fdt), writeDtb(tree().fdt));
    for (const made of contributedNodes(given)) {
      const reg = getProperty(made, "reg") && cells(made, "reg");
      const [, unit] = made.name.split("@");
      // DTSpec v0.4 §2.2.1: a unit address and `reg` go together, and begin with the same address.
      strictEqual(unit !== undefined, reg !== undefined, `unit address and reg of ${made.name}`);
      if (unit && reg && made === given.bus?.[0]) {
        strictEqual(BigInt(`0x${unit}`), (BigInt(reg[0]!) << 32n) | BigInt(reg[1]!));
      }
    }
    const own = given.bus?.[0];
    if (own) ok((strings(own, "compatible")?.length ?? 0) > 0, "its own node has no compatible");
    if (given.alias) ok(own, "an alias needs a node");
  },
};
