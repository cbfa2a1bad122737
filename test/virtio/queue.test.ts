import { describe, expect, spyOn, test } from "bun:test";
import { GuestMemory } from "../../src/memory/guest-memory.ts";
import { SplitQueue } from "../../src/virtio/queue.ts";
import { Feature } from "../../src/virtio/spec.ts";
import { Descriptor, GuestArea, RAM, Ring } from "./driver.ts";

const { next: NEXT, write: WRITE, indirect: INDIRECT } = Descriptor;
const ALL: readonly number[] = [Feature.indirectDescriptors, Feature.eventIndex];

function setUp({ size = 8, features = [] as readonly number[], shared = false } = {}) {
  const area = new GuestArea();
  if (shared) Object.assign(area.memory, { shared });
  const ring = new Ring(area, size);
  const faults: string[] = [];
  const owner = {
    memory: area.memory,
    running: true,
    negotiated: (bit: number) => features.includes(bit),
    broken: (_: number, message: string) => void faults.push(message),
  };
  const queue = new SplitQueue(0, owner);
  const layout = { size, descriptorArea: ring.descriptors, driverArea: ring.avail, deviceArea: ring.used };
  queue.start(layout);
  return { area, ring, faults, owner, queue, layout };
}

const bytes = (...values: number[]) => Uint8Array.from(values);

describe("a chain", () => {
  test("gives the driver's bytes in order and takes the answer", () => {
    const { area, ring, queue } = setUp();
    const { head, at } = ring.add([bytes(1, 2, 3), bytes(4, 5), 3, 4]);
    const chain = queue.pop()!;
    expect(chain.readable.length).toBe(5);
    expect(chain.writable.length).toBe(7);
    expect([...chain.read(4)]).toEqual([1, 2, 3, 4]);
    expect([...chain.read(4)]).toEqual([5]);
    expect(chain.write(bytes(10, 11, 12, 13, 14))).toBe(5);
    queue.push(chain);
    expect([...area.bytes(at[2], 3)]).toEqual([10, 11, 12]);
    expect([...area.bytes(at[3], 4)]).toEqual([13, 14, 0xee, 0xee]);
    expect(ring.reap()).toEqual([{ head, length: 5 }]);
    expect(queue.pop()).toBeUndefined();
  });

  test("ends where its room ends", () => {
    const { ring, queue } = setUp();
    ring.add([2, 3]);
    const chain = queue.pop()!;
    expect(chain.write(new Uint8Array(9))).toBe(5);
    expect(chain.fill(0, 1)).toBe(0);
    expect(chain.nextWritable()).toBeUndefined();
    expect(chain.written).toBe(5);
  });

  test("may be indirect, or end in an indirect table", () => {
    const { area, ring, queue, faults } = setUp({ features: ALL });
    ring.add([bytes(1), bytes(2), 4], { indirect: true });
    expect([...queue.pop()!.read(9)]).toEqual([1, 2]);

    // VIRTIO 1.3 §2.7.5.3.2: direct descriptors, then an indirect one; WRITE on the latter means nothing.
    const table = area.allocate(32, 16);
    ring.descriptor(0, { address: area.place(bytes(3)), length: 1, flags: NEXT, next: 1 }, table);
    ring.descriptor(1, { address: area.place(2), length: 2, flags: WRITE }, table);
    ring.descriptor(6, { address: area.place(bytes(9)), length: 1, flags: NEXT, next: 5 });
    ring.descriptor(5, { address: table, length: 32, flags: INDIRECT | WRITE });
    ring.publish(6);
    const chain = queue.pop()!;
    expect([...chain.read(9)]).toEqual([9, 3]);
    expect(chain.writable.length).toBe(2);
    expect(faults).toEqual([]);
  });

  test("that a stopped queue took away is not pushed", () => {
    const { ring, queue, layout } = setUp();
    ring.add([4]);
    const chain = queue.pop()!;
    queue.start(layout);
    queue.push(chain, 4);
    expect(ring.usedIndex).toBe(0);
    expect(chain.held).toBe(false);
  });

  test("goes back in any order", () => {
    const { ring, queue } = setUp();
    const heads = [ring.add([1]), ring.add([1]), ring.add([1])].map(({ head }) => head);
    const chains = [queue.pop()!, queue.pop()!, queue.pop()!];
    for (const i of [1, 2, 0]) queue.push(chains[i], i);
    expect(ring.reap()).toEqual([
      { head: heads[1], length: 1 },
      { head: heads[2], length: 2 },
      { head: heads[0], length: 0 },
    ]);
  });
});

test("indices wrap at 2^16, with and without event indices", () => {
  for (const features of [[], ALL]) {
    const { area, ring, queue, faults } = setUp({ size: 4, features });
    const room = area.allocate(4);
    for (let i = 0; i < 4; i++) ring.descriptor(i, { address: room, length: 4, flags: WRITE });
    let told = 0;
    for (let i = 0; i < 70_000; i++) {
      ring.usedEvent = i & 0xffff;
      const head = i % 3;
      ring.publish(head);
      const chain = queue.pop()!;
      queue.push(chain, i & 3);
      if (queue.notifyNeeded()) told++;
      queue.settle();
      const used = ring.reap();
      if (used.length !== 1 || used[0].head !== head || used[0].length !== (i & 3)) throw new Error(`at ${i}`);
    }
    expect(ring.usedIndex).toBe(70_000 & 0xffff);
    expect(told).toBe(70_000);
    expect(faults).toEqual([]);
  }
});

describe("notifications", () => {
  test("obey NO_INTERRUPT and come once per batch", () => {
    const { ring, queue } = setUp();
    expect(queue.notifyNeeded()).toBe(false);
    ring.add([1]);
    ring.add([1]);
    queue.push(queue.pop()!);
    queue.push(queue.pop()!);
    expect(queue.notifyNeeded()).toBe(true);
    expect(queue.notifyNeeded()).toBe(false);
    ring.availFlags = 1;
    ring.add([1]);
    queue.push(queue.pop()!);
    expect(queue.notifyNeeded()).toBe(false);
  });

  test("follow used_event and ignore the flag when event indices are agreed", () => {
    const { ring, queue } = setUp({ features: ALL });
    ring.availFlags = 1;
    ring.usedEvent = 2;
    const answers: boolean[] = [];
    for (let i = 0; i < 5; i++) {
      ring.add([1]);
      queue.push(queue.pop()!);
      answers.push(queue.notifyNeeded());
    }
    // The third chain moves the used index past 2.
    expect(answers).toEqual([false, false, true, false, false]);
  });

  test("of the driver are asked for when the queue ran dry", () => {
    const { ring, queue } = setUp({ features: ALL });
    expect(ring.availEvent).toBe(0);
    ring.add([1]);
    ring.add([1]);
    queue.pop();
    expect(ring.availEvent).toBe(0);
    queue.pop();
    queue.pop();
    expect(ring.availEvent).toBe(2);
  });
});

describe("a broken layout", () => {
  const good = { size: 8, descriptorArea: RAM, driverArea: RAM + 0x100, deviceArea: RAM + 0x200 };
  test.each([
    ["size 0", { size: 0 }, "queue size 0"],
    ["no power of two", { size: 6 }, "queue size 6"],
    ["too large", { size: 65536 }, "queue size 65536"],
    ["unaligned descriptors", { descriptorArea: RAM + 8 }, "not aligned to 16"],
    ["unaligned available ring", { driverArea: RAM + 1 }, "not aligned to 2"],
    ["unaligned used ring", { deviceArea: RAM + 2 }, "not aligned to 4"],
    ["outside RAM", { descriptorArea: 0x1000 }, "not in RAM"],
    ["over the end of RAM", { deviceArea: RAM + 0x10_0000 - 8 }, "not in RAM"],
    ["beyond 2^53", { driverArea: 2 ** 60 }, "beyond 2^53"],
  ])("%s", (_, change, message) => {
    const { queue, faults } = setUp();
    queue.start({ ...good, ...change });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(message);
    expect(queue.ready).toBe(false);
    expect(queue.pop()).toBeUndefined();
    expect(queue.notifyNeeded()).toBe(false);
  });
});

describe("a hostile driver", () => {
  type SetUp = ReturnType<typeof setUp>;
  const table = ({ area, ring }: SetUp, ...entries: { flags: number; next?: number; length?: number }[]) => {
    const at = area.allocate(16 * entries.length, 16);
    for (const [i, entry] of entries.entries()) ring.descriptor(i, { address: RAM, length: 1, ...entry }, at);
    return at;
  };
  const cases: [string, (s: SetUp) => void, string][] = [
    [
      "a loop",
      ({ ring }) => {
        ring.descriptor(0, { address: RAM, length: 1, flags: NEXT, next: 1 });
        ring.descriptor(1, { address: RAM, length: 1, flags: NEXT, next: 0 });
      },
      "more than 8 descriptors",
    ],
    [
      "a successor out of range",
      ({ ring }) => ring.descriptor(0, { address: RAM, length: 1, flags: NEXT, next: 8 }),
      "followed by 8 of 8",
    ],
    ["a head out of range", ({ ring }) => ring.publish(8), "names descriptor 8 of 8"],
    ["a buffer below RAM", ({ ring }) => ring.descriptor(0, { address: RAM - 1, length: 2 }), "not in RAM"],
    [
      "room over the end of RAM",
      ({ ring }) => ring.descriptor(0, { address: RAM + 0xf_ffff, length: 2, flags: WRITE }),
      "not in RAM",
    ],
    ["a length near 2^32", ({ ring }) => ring.descriptor(0, { address: RAM, length: 0xffff_ffff }), "not in RAM"],
    [
      "an address near 2^64",
      ({ ring }) => ring.descriptor(0, { address: 0xffff_ffff_ffff_fff0n, length: 32 }),
      "beyond 2^53",
    ],
    ["an address of 2^53", ({ ring }) => ring.descriptor(0, { address: 2n ** 53n, length: 1 }), "beyond 2^53"],
    ["no bytes", ({ ring }) => ring.descriptor(0, { address: RAM, length: 0 }), "has no bytes"],
    [
      "readable after writable",
      ({ ring }) => {
        ring.descriptor(0, { address: RAM, length: 1, flags: NEXT | WRITE, next: 1 });
        ring.descriptor(1, { address: RAM, length: 1 });
      },
      "comes after a writable",
    ],
    [
      "indirect inside indirect",
      (s) => s.ring.descriptor(0, { address: table(s, { flags: INDIRECT, length: 16 }), length: 16, flags: INDIRECT }),
      "has an indirect descriptor",
    ],
    [
      "indirect with a successor",
      (s) => s.ring.descriptor(0, { address: table(s, { flags: 0 }), length: 16, flags: INDIRECT | NEXT, next: 1 }),
      "and has a successor",
    ],
    [
      "an indirect table outside RAM",
      ({ ring }) => ring.descriptor(0, { address: 0x1000, length: 16, flags: INDIRECT }),
      "not in RAM",
    ],
    [
      "an empty indirect table",
      ({ ring }) => ring.descriptor(0, { address: RAM, length: 0, flags: INDIRECT }),
      "table of 0 bytes",
    ],
    [
      "half a descriptor",
      ({ ring }) => ring.descriptor(0, { address: RAM, length: 24, flags: INDIRECT }),
      "table of 24 bytes",
    ],
    [
      "a successor outside the indirect table",
      (s) => s.ring.descriptor(0, { address: table(s, { flags: NEXT, next: 1 }), length: 16, flags: INDIRECT }),
      "followed by 1 of 1",
    ],
    [
      "a loop in an indirect table",
      (s) => s.ring.descriptor(0, { address: table(s, { flags: NEXT, next: 0 }), length: 16, flags: INDIRECT }),
      "more than 8 descriptors",
    ],
    [
      "a chain longer than the queue",
      (s) =>
        s.ring.descriptor(0, {
          address: table(s, ...Array.from({ length: 9 }, (_, i) => ({ flags: i < 8 ? NEXT : 0, next: i + 1 }))),
          length: 16 * 9,
          flags: INDIRECT,
        }),
      "more than 8 descriptors",
    ],
  ];
  test.each(cases)("%s", (_, prepare, message) => {
    const s = setUp({ features: ALL });
    prepare(s);
    if (s.ring.availIndex === 0) s.ring.publish(0);
    expect(s.queue.pop()).toBeUndefined();
    expect(s.faults).toHaveLength(1);
    expect(s.faults[0]).toContain(message);
    // Nothing more is taken, given back or told.
    s.ring.add([1]);
    expect(s.queue.pop()).toBeUndefined();
    expect(s.queue.ready).toBe(false);
    expect(s.queue.notifyNeeded()).toBe(false);
    expect(s.ring.usedIndex).toBe(0);
    expect(s.faults).toHaveLength(1);
  });

  test("indirect that was not negotiated", () => {
    const { ring, queue, faults } = setUp();
    ring.add([1], { indirect: true });
    expect(queue.pop()).toBeUndefined();
    expect(faults[0]).toContain("not negotiated");
  });

  test("an available index that jumps", () => {
    for (const index of [9, 0x8000, 0xffff]) {
      const { ring, queue, faults } = setUp();
      ring.availIndex = index;
      expect(queue.pop()).toBeUndefined();
      expect(faults[0]).toContain("ahead");
    }
  });

  test("more chains than descriptors, while the device holds some", () => {
    const { ring, queue, faults } = setUp();
    ring.descriptor(0, { address: RAM, length: 1 });
    for (let i = 0; i < 8; i++) ring.publish(0);
    for (let i = 0; i < 8; i++) expect(queue.pop()).toBeDefined();
    ring.publish(0);
    expect(queue.pop()).toBeUndefined();
    expect(faults[0]).toContain("with 0 descriptors free");
  });

  test("room in ROM", () => {
    const memory = new GuestMemory(
      [
        { name: "ram", at: RAM, size: 0x1_0000 },
        { name: "rom", at: 0x1000, size: 0x1000, readOnly: true },
      ],
      { reserved: 0, pool: 0 },
    );
    const area = new GuestArea();
    const ring = new Ring(area, 4);
    const faults: string[] = [];
    const broken = (_: number, message: string) => void faults.push(message);
    const queue = new SplitQueue(0, { memory, running: true, negotiated: () => false, broken });
    const copy = () => memory.write(RAM, area.memory.bytes.subarray(0, 0x1_0000));
    ring.descriptor(0, { address: 0x1000, length: 4 });
    ring.descriptor(1, { address: 0x1000, length: 4, flags: WRITE });
    ring.publish(0);
    ring.publish(1);
    copy();
    queue.start({ size: 4, descriptorArea: ring.descriptors, driverArea: ring.avail, deviceArea: ring.used });
    expect(queue.pop()!.readable.length).toBe(4);
    expect(queue.pop()).toBeUndefined();
    expect(faults).toEqual(["buffer of 4 bytes at 0x1000 is not in RAM"]);
  });

  test("chains of more than 2^32 bytes", () => {
    // A memory that claims to be everywhere: only lengths matter here.
    const { ring, queue, faults, owner } = setUp();
    const real = owner.memory;
    const anywhere = new Uint8Array(0);
    owner.memory = Object.assign(Object.create(real), {
      view: (at: number, length: number) => real.view(at, length) ?? anywhere,
    });
    ring.descriptor(0, { address: 0, length: 0xffff_ffff, flags: NEXT, next: 1 });
    ring.descriptor(1, { address: 0, length: 2 });
    ring.publish(0);
    expect(queue.pop()).toBeUndefined();
    expect(faults[0]).toContain("2^32");
  });
});

test("progress survives into another queue on the same rings, held chains included", () => {
  const { ring, queue, owner, layout, faults } = setUp({ features: ALL });
  const heads = [ring.add([1]), ring.add([2]), ring.add([3]), ring.add([4])].map(({ head }) => head);
  queue.push(queue.pop()!, 1);
  queue.pop();
  queue.pop();
  const state = JSON.parse(JSON.stringify(queue.state()));
  expect(state.inFlight).toEqual([heads[1], heads[2]]);

  const other = new SplitQueue(0, owner);
  other.start(layout);
  other.resume(state);
  expect(other.state()).toEqual(state);
  const lengths: number[] = [];
  for (let chain = other.pop(); chain; chain = other.pop()) {
    lengths.push(chain.writable.length);
    other.push(chain, chain.writable.length);
  }
  expect(lengths).toEqual([2, 3, 4]);
  expect(ring.reap().map(({ head }) => head)).toEqual(heads);
  expect(faults).toEqual([]);
});

describe("a driver on another thread", () => {
  for (const features of [[], ALL]) {
    test(`sees and is seen the same, with features ${features}`, () => {
      const told = [false, true].map((shared) => {
        const { ring, queue, faults } = setUp({ features, shared });
        const events: unknown[] = [];
        for (let round = 0; round < 70; round++) {
          for (let i = 0; i <= round % 4; i++) ring.add([i + 1]);
          for (let chain = queue.pop(); chain; chain = queue.pop()) queue.push(chain, chain.writable.length);
          events.push(queue.notifyNeeded(), ring.reap());
        }
        return { events, state: queue.state(), faults };
      });
      expect(told[1]).toEqual(told[0]);
    });
  }

  test("is not left waiting where it adds a chain while the queue is found dry", () => {
    const { ring, queue } = setUp({ features: ALL, shared: true });
    expect(queue.pop()).toBeUndefined();
    ring.add([bytes(1)]);
    queue.push(queue.pop()!);
    // Just before the driver's next index is looked at again: it has asked already whether a kick is wanted.
    const { load } = Atomics;
    const late = spyOn(Atomics, "load").mockImplementationOnce((...looked) => {
      const first = load(...(looked as Parameters<typeof load>));
      ring.add([bytes(2)]);
      return first as never;
    });
    const chain = queue.pop();
    late.mockRestore();
    expect([...chain!.read(4)]).toEqual([2]);
  });
});
