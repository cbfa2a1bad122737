import { expect, test } from "bun:test";
import * as v from "valibot";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import type { OpenChannel } from "../../src/machine/channels.ts";
import type { BoardVdev } from "../../src/profile/board.ts";
import { vdevPhandle } from "../../src/profile/phandle.ts";
import { defineVdev, type VdevDescriptor } from "../../src/vdev/descriptor.ts";
import type { VdevHost } from "../../src/vdev/host.ts";
import type { AnyVdev } from "../../src/vdev/registry.ts";
import { boardRig, TEST } from "./board-rig.ts";
import { FakeChannel } from "./channel.ts";

const PAGE = 4096;
const BUSY = "loop: j loop";

/** Counts ticks of a timer; `mark` tells old code from new. */
function counter(
  mark: number,
  calls: string[] = [],
  change: Partial<VdevDescriptor> = {},
  restore = (_: number) => {},
) {
  return defineVdev({
    type: "counter",
    summary: "a counter with memory",
    options: v.object({}),
    regions: [
      { name: "regs", size: 16 },
      { name: "mem", size: PAGE, access: { read: "memory", write: "memory" } },
    ],
    interrupts: [{ name: "irq", trigger: "level" }],
    create(host: VdevHost) {
      let ticks = 0;
      const timer = host.clock.timer(() => {
        ticks++;
        calls.push(`tick ${mark}`);
      });
      return {
        regions: [
          { read: (offset) => (offset === 0 ? mark : ticks), write: () => {} },
          { read: () => 0, write: () => {} },
        ],
        reset() {
          ticks = 0;
          host.region("mem").data.setUint32(0, 0xffff_ffff, true);
          timer.every(100_000);
        },
        snapshot: () => ({ ticks }),
        restore(state) {
          ticks = (state as { ticks: number }).ticks;
          restore(mark);
        },
        terminate: () => void calls.push(`end ${mark}`),
      };
    },
    ...change,
  } as VdevDescriptor) as AnyVdev;
}

function running(calls: string[], first = counter(1, calls), openChannel: OpenChannel = () => new FakeChannel()) {
  const { machine } = boardRig(BUSY, {
    vdevs: [first],
    host: { openChannel },
    profile: `[[vdev]]\ntype = "counter"\nname = "it"\nat = { regs = ${TEST}, mem = ${TEST + PAGE} }\nirq = "plic:3"\n`,
  });
  machine.run(550_000);
  const access = { read: "memory", write: "memory", execute: "none" } as const;
  const vdev: BoardVdev = {
    table: "vdev",
    placement: {
      name: "it",
      type: "counter",
      regions: [
        { name: "regs", at: TEST, size: 16 },
        { name: "mem", at: TEST + PAGE, size: PAGE, access },
      ],
      interrupts: [{ name: "irq", controller: "plic", line: 3, trigger: "level" }],
      phandle: vdevPhandle(2),
    },
    options: {},
    onFault: "fault",
    log: undefined,
    delayed: false,
  };
  return { machine, vdev };
}

function reason(act: () => void): string {
  try {
    act();
  } catch (error) {
    if (error instanceof VmrunError) return error.diagnostics[0]!.message;
  }
  throw new Error("it was not refused");
}

function state({ machine }: ReturnType<typeof running>) {
  return [machine.load(TEST, 4), machine.load(TEST + 4, 4)];
}

test("a new instance has the state, the memory and the regions of the old one, whose timers are gone", () => {
  const calls: string[] = [];
  const rig = running(calls);
  const { machine, vdev } = rig;
  const mem = new Uint8Array([1, 2, 3, 4]);
  machine.memory.write(TEST + PAGE, mem);
  expect(state(rig)).toEqual([1, 5]);
  calls.length = 0;
  machine.replaceVdev(vdev, counter(2, calls));
  expect(calls).toEqual(["end 1"]);
  expect(state(rig)).toEqual([2, 5]);
  expect(machine.memory.read(TEST + PAGE, 4)).toEqual(mem);
  machine.run(300_000);
  expect(state(rig)).toEqual([2, 8]);
  expect(new Set(calls)).toEqual(new Set(["end 1", "tick 2"]));
  machine.terminate();
  expect(calls.at(-1)).toBe("end 2");
});

test("its streams stay open, and are heard by the one that is in place", () => {
  const channels: FakeChannel[] = [];
  const heard: string[] = [];
  const listener = (mark: number, restore = (_: number) => {}) =>
    counter(mark, [], {
      create(host, options) {
        for (const name of ["pty", "pty"]) {
          const stream = host.stream(name);
          stream.onInput = () => void heard.push(`${mark} heard ${stream.read()}`);
        }
        return counter(mark, [], {}, restore).create(host, options);
      },
    });
  const { machine, vdev } = running([], listener(1), (_, user) => {
    channels.push(new FakeChannel(user));
    return channels.at(-1)!;
  });
  const speak = () => channels.forEach((channel, i) => void channel.user!.input(Uint8Array.of(i)));
  speak();
  machine.replaceVdev(vdev, listener(2));
  speak();
  reason(() => machine.replaceVdev(vdev, listener(3, refuseRestore)));
  speak();
  expect(heard).toEqual(["1 heard 0", "1 heard 1", "2 heard 0", "2 heard 1", "2 heard 0", "2 heard 1"]);
  expect(channels.map(({ closed }) => closed)).toEqual([false, false]);
  machine.terminate();
  expect(channels.map(({ closed }) => closed)).toEqual([true, true]);
});

test("many times over, and after a reset of the guest", () => {
  const calls: string[] = [];
  const rig = running(calls);
  for (let mark = 2; mark < 20; mark++) rig.machine.replaceVdev(rig.vdev, counter(mark, calls));
  expect(state(rig)).toEqual([19, 5]);
  rig.machine.reset();
  expect(state(rig)).toEqual([19, 0]);
});

test.each<readonly [string, (calls: string[]) => AnyVdev]>([
  ["restore throws", (calls) => counter(2, calls, {}, refuseRestore)],
  [
    "create throws",
    (calls) =>
      counter(2, calls, {
        create() {
          throw new Error("not today");
        },
      }),
  ],
  [
    "it has too few handlers",
    (calls) => counter(2, calls, { create: (host, options) => ({ ...counter(2).create(host, options), regions: [] }) }),
  ],
])("%s: the old one goes on as if nothing had been", (_, make) => {
  const calls: string[] = [];
  const rig = running(calls);
  rig.machine.memory.write(TEST + PAGE, new Uint8Array([1, 2, 3, 4]));
  const next = make(calls);
  expect(reason(() => rig.machine.replaceVdev(rig.vdev, next))).toMatch(
    /^vdev it is not replaced: (not today|it has 0)/,
  );
  expect(state(rig)).toEqual([1, 5]);
  expect(rig.machine.memory.read(TEST + PAGE, 4)).toEqual(new Uint8Array([1, 2, 3, 4]));
  rig.machine.run(200_000);
  expect(rig.machine.load(TEST + 4, 4)).toBe(7);
  expect(calls).not.toContain("tick 2");
  expect(calls).not.toContain("end 1");
});

function refuseRestore(): void {
  throw new Error("not today");
}

test("another place, and a name that there is not", () => {
  const { machine, vdev } = running([]);
  const moved = { ...vdev, placement: { ...vdev.placement, interrupts: [] } };
  expect(reason(() => machine.replaceVdev(moved, counter(2)))).toContain("regions or interrupts");
  const other = { ...vdev, placement: { ...vdev.placement, name: "that" } };
  expect(reason(() => machine.replaceVdev(other, counter(2)))).toContain("no vdev of that name");
});
