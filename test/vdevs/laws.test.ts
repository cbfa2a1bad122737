/** Laws that every built-in vdev obeys, whatever it is. */
import { describe, expect, test } from "bun:test";
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { cells, getProperty, node, strings } from "../../src/fdt/tree.ts";
import { assertWellFormed } from "../../src/fdt/wellformed.ts";
import type { Json } from "../../src/vdev/host.ts";
import type { AnyVdev } from "../../src/vdev/registry.ts";
import { createRegistry } from "../../src/vdev/registry.ts";
import {
  type Assembled,
  assemble,
  contributedNodes,
  contribution,
  FakeMemory,
  fakePlacement,
} from "../../src/vdev/testing.ts";
import { builtins } from "../../src/vdevs/index.ts";

const HARTS = 2;
const STREAM = "stdio";
/** Vdevs with state that outlives a reset. */
const BATTERY = new Set(["goldfish-rtc"]);
const WIDTHS = [1, 2, 4] as const;

/** Options that a profile must give: a file for each one that asks for a file, the terminal for each stream. */
function sampleOptions(descriptor: AnyVdev): Record<string, unknown> {
  const sample: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(descriptor.options.entries)) {
    const inner = (schema.type === "optional" && "wrapped" in schema ? schema.wrapped : schema) as v.GenericSchema;
    const mark = v.getMetadata(inner)["vmrun"] ?? v.getMetadata(schema as v.GenericSchema)["vmrun"];
    if (mark === "input-file") sample[name] = "disk.img";
    if (mark === "stream") sample[name] = STREAM;
  }
  return sample;
}

function build(descriptor: AnyVdev): Assembled {
  const made = assemble(descriptor, sampleOptions(descriptor), { harts: HARTS, memory: new FakeMemory() });
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
function hammer({ vdev, host }: Assembled, descriptor: AnyVdev, seed: number, steps: number): number[] {
  const next = chance(seed);
  const sizes = host.placement.regions.map(({ size }) => size);
  const places = Object.values(descriptor.registers ?? {}).flatMap((map) => Object.values(map));
  const reads: number[] = [];
  for (let step = 0; step < steps; step++) {
    const region = next(vdev.regions.length);
    const width = WIDTHS[next(3)]!;
    const place = places[next(places.length)];
    const near = place ? place.at + next(Math.min(place.count ?? 1, 40)) * (place.stride ?? place.width) : 0;
    const spread = next(4) === 0 ? next(sizes[region]!) : near + (next(3) === 0 ? next(8) : 0);
    const offset = Math.min(spread, sizes[region]! - width);
    const handler = vdev.regions[region]!;
    if (next(2) === 0) {
      const value = handler.read(offset, width);
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * width)) {
        throw new Error(`a read of ${width} bytes at ${offset} gave ${value}`);
      }
      reads.push(value);
    } else {
      const full = next(2 ** 32);
      const value = [full, next(256), 1 << next(32), 0x8000_0000 + next(0x1_0000)][next(4)]! >>> 0;
      handler.write(offset, width, width === 4 ? value : value & (2 ** (8 * width) - 1));
    }
    if (next(16) === 0) vdev.input?.(next(128), next(2) === 0);
    if (next(32) === 0) host.fakeStream(STREAM).send([next(256)]);
    if (next(32) === 0) host.clock.advance(next(1_000_000));
  }
  return reads;
}

/** All that can be seen of a vdev from outside without touching it. */
function visible({ vdev, host }: Assembled) {
  return {
    state: vdev.snapshot(),
    harts: host.harts.map(({ pending }) => pending),
    lines: host.placement.interrupts.map(({ name }) => host.line(name).level),
    timers: host.clock.deadlines,
  };
}

test("the registry takes all of them", () => {
  expect(createRegistry(builtins).types()).toHaveLength(builtins.length);
});

describe.each(builtins.map((descriptor) => [descriptor.type, descriptor] as const))("%s", (_type, descriptor) => {
  test("has a summary of one line", () => {
    expect(descriptor.summary).toMatch(/^\S.{4,78}\S$/);
  });

  test("has defaults for all options but files", () => {
    expect(v.safeParse(descriptor.options, sampleOptions(descriptor)).success).toBe(true);
  });

  test("has options that an editor can know", () => {
    const schema = toJsonSchema(descriptor.options, { typeMode: "input" });
    expect(Object.keys(schema.properties ?? {})).toEqual(Object.keys(descriptor.options.entries));
    expect(schema.required ?? []).toEqual(Object.keys(sampleOptions(descriptor)).filter((name) => name !== "host"));
  });

  test("has regions that hold its registers", () => {
    const { regions } = fakePlacement(descriptor, v.parse(descriptor.options, sampleOptions(descriptor)), HARTS);
    for (const { size } of regions) expect(Number.isSafeInteger(size) && size > 0).toBe(true);
    for (const name of Object.keys(descriptor.registers ?? {})) expect(regions.map((r) => r.name)).toContain(name);
  });

  test("reset is idempotent and undoes everything", () => {
    const fresh = visible(build(descriptor));
    const made = build(descriptor);
    made.vdev.reset();
    expect(visible(made)).toEqual(fresh);
    hammer(made, descriptor, 1, 2000);
    made.vdev.reset();
    const once = visible(made);
    made.vdev.reset();
    expect(visible(made)).toEqual(once);
    expect(once.timers).toEqual([]);
    expect(once.lines).toEqual(fresh.lines);
    if (!BATTERY.has(descriptor.type)) expect(once.state).toEqual(fresh.state);
  });

  test("a snapshot round-trips through JSON, and the copy behaves like the original", () => {
    for (const seed of [2, 3, 4]) {
      const original = build(descriptor);
      hammer(original, descriptor, seed, 500);
      const saved = JSON.parse(JSON.stringify(original.vdev.snapshot()));
      const copy = build(descriptor);
      // What belongs to the machine is restored by the machine.
      copy.host.clock.advance(original.host.clock.now() - copy.host.clock.now());
      copy.host.timebase.set(original.host.timebase.ticks());
      for (const [i, { pending }] of original.host.harts.entries()) copy.host.harts[i]!.pending = pending;
      const waiting = original.host.fakeStream(STREAM);
      const unread: number[] = [];
      while (waiting.waiting > 0) unread.push(waiting.read());
      copy.vdev.restore(saved);
      expect(copy.vdev.snapshot()).toEqual(saved);
      waiting.send(unread);
      copy.host.fakeStream(STREAM).send(unread);
      expect(visible(copy)).toEqual(visible(original));
      expect(hammer(copy, descriptor, seed + 10, 500)).toEqual(hammer(original, descriptor, seed + 10, 500));
      expect(visible(copy)).toEqual(visible(original));
    }
  });

  test("a damaged snapshot is refused, with an error that says so", () => {
    const { vdev } = build(descriptor);
    const strange: Json[] = [null, 7, "", [], { registers: { window: 3, values: [] } }, { values: { NOPE: [[0, 1]] } }];
    for (const damaged of strange) {
      expect(() => vdev.restore(damaged)).toThrow(VmrunError);
    }
  });

  test("no sequence of accesses throws or reads beyond its width", () => {
    for (const seed of [21, 22, 23]) {
      const made = build(descriptor);
      expect(hammer(made, descriptor, seed, 4000).length).toBeGreaterThan(1000);
    }
  });

  test("a guest cannot fill the log without end", () => {
    const made = build(descriptor);
    hammer(made, descriptor, 31, 4000);
    expect(new Set(made.host.logged.map(({ message }) => message)).size).toBeLessThan(200);
  });

  test("two instances do not meet", () => {
    const alone = build(descriptor);
    const one = build(descriptor);
    const other = build(descriptor);
    hammer(other, descriptor, 41, 1000);
    expect(visible(one)).toEqual(visible(alone));
    expect(hammer(one, descriptor, 42, 500)).toEqual(hammer(alone, descriptor, 42, 500));
  });

  test("contributes well-formed nodes", () => {
    const given = contribution(descriptor, sampleOptions(descriptor), HARTS);
    const root = node("", {}, [node("soc", {}, [...(given.bus ?? [])]), ...(given.root ?? [])]);
    assertWellFormed({ root, reservations: [], bootCpu: 0 });
    for (const made of contributedNodes(given)) {
      const reg = getProperty(made, "reg") && cells(made, "reg");
      const [, unit] = made.name.split("@");
      // DTSpec v0.4 §2.2.1: a unit address and `reg` go together, and begin with the same address.
      expect(unit !== undefined).toBe(reg !== undefined);
      if (unit && reg && made === given.bus?.[0])
        expect(BigInt(`0x${unit}`)).toBe((BigInt(reg[0]!) << 32n) | BigInt(reg[1]!));
    }
    const own = given.bus?.[0];
    if (own) expect(strings(own, "compatible")?.length).toBeGreaterThan(0);
    if (given.alias) expect(own).toBeDefined();
  });
});
