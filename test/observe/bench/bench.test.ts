// The guest of vmrun bench makes exactly the accesses that it is asked for, whoever runs it, and nothing else is touched.
import { describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import { benchBoardOf, subjectsOf } from "../../../src/observe/bench/bench.ts";
import { BenchMachine } from "../../../src/observe/bench/bench-machine.ts";
import { DOORBELL } from "../../../src/observe/bench/doorbell.ts";
import type { BenchEngine } from "../../../src/observe/bench/measure.ts";
import { Recorder } from "../../../src/observe/recorder.ts";
import { loadProfile } from "../../../src/profile/load.ts";
import { createRegistry } from "../../../src/vdev/registry.ts";
import { catalogue } from "../../../src/vdevs/catalogue.ts";

const registry = createRegistry([], catalogue);
const load = (profile: string, set: readonly string[] = []) =>
  loadProfile(resolve(import.meta.dir, "../../../profiles", `${profile}.toml`), { registry, set }).board;
const virt = load("virt-rv64");

const MSIP = 0x200_0000;
const MTIMECMP = 0x200_4000;
const MTIME = 0x200_bff8;
const PLIC_CLAIM = 0xc20_0004;
const SCR = 0x1000_0007;
const RNG = 0x1000_1000;

describe.each(["interpreter", "translator"] as const)("%s", (engine: BenchEngine) => {
  test("accesses are as many as were asked for, register by register", async () => {
    let recorder: Recorder | undefined;
    const bench = new BenchMachine(virt, registry, {
      engine,
      clock: MTIME,
      observer: {
        // The board that is observed has the doorbell, and the recorder is to know it.
        attach: (port, machine) => {
          recorder = new Recorder(virt, registry, "counts");
          return recorder.attach(port, machine);
        },
        enter: (...args) => recorder!.enter(...args),
        leave: (...args) => recorder!.leave(...args),
        timer: (...args) => recorder!.timer(...args),
        powerOn: () => recorder!.powerOn(),
      },
    });
    const lower = { address: MSIP, value: 0 };
    const chain = [{ address: bench.buffer(0), length: 8, writable: true }];
    const outcomes = await bench.run([
      { kind: "nothing", count: 5000 },
      { kind: "read", width: 1, address: SCR, count: 2001 },
      { kind: "write", width: 1, address: SCR, count: 1002, value: 0x5an },
      { kind: "read", width: 4, address: RNG, count: 303 },
      { kind: "read", width: 8, address: MTIMECMP, count: 44 },
      { kind: "interrupt", address: MSIP, value: 1n, count: 55, lower },
      { kind: "accesses", address: MSIP, value: 1n, count: 66, lower },
      { kind: "timer", address: MTIMECMP, count: 7, delay: 100, lower: { address: MTIMECMP + 4, value: 0xffff_ffff } },
      { kind: "virtqueue", address: RNG, queue: 0, size: 4, count: 19, chain },
    ]);
    // Of 8 bytes: two exits each. Of timers: mtime and mtimecmp, and in the handler mtime and the half of mtimecmp.
    expect(outcomes.map(({ exits }) => exits)).toEqual([0, 2001, 1002, 303, 88, 110, 132, 7 * 7, 19]);
    expect(outcomes.map(({ done }) => done)).toEqual([5000, 2001, 1002, 303, 44, 55, 66, 7, 19]);
    expect(outcomes.every(({ ns, faults }) => ns > 0 && faults === 0)).toBeTrue();
    const exits = recorder!.exits();
    expect(exits.count({ vdev: "uart0", register: "SCR", kind: "read" })).toBe(2001);
    expect(exits.count({ vdev: "uart0", register: "SCR", kind: "write" })).toBe(1002);
    expect(exits.count({ vdev: "rng0", register: "MagicValue", kind: "read" })).toBe(303);
    expect(exits.count({ vdev: "rng0", register: "QueueNotify", kind: "write" })).toBe(19);
    expect(exits.count({ event: "machine software" })).toBe(55);
    expect(exits.count({ event: "machine timer", kind: "interrupt" })).toBe(7);
    bench.close();
  });

  test("interrupts through the doorbell are taken one by one", async () => {
    const bench = new BenchMachine(virt, registry, { engine });
    const line = bench.layout.line!.line;
    const set = (offset: number, value: number) =>
      ({ kind: "write", count: 1, width: 4, address: 0xc00_0000 + offset, value: BigInt(value) }) as const;
    const interrupt = {
      kind: "interrupt",
      count: 25,
      address: bench.bell("raiseLine"),
      value: 1n,
      lower: { address: bench.bell("lowerLine"), value: 0 },
      claim: PLIC_CLAIM,
      mark: bench.bell("mark"),
    } as const;
    const enable = set(0x2000 + (line >> 5) * 4, 2 ** (line % 32));
    const outcomes = await bench.run([set(line * 4, 1), enable, interrupt]);
    // Raise, mark, claim, lower, complete.
    expect(outcomes.at(-1)).toMatchObject({ done: 25, exits: 125, faults: 0 });
    expect(bench.delays.length).toBe(25);
    expect(bench.delays.every((ns) => ns > 0)).toBeTrue();
    bench.close();
  });
});

test("a guest that cannot do what it is asked for is an error, not a figure", async () => {
  const bench = new BenchMachine(virt, registry);
  await expect(bench.run([{ kind: "read", width: 4, address: 0x3000_0000, count: 5 }])).rejects.toThrow(
    "the guest did 5 of 5 (read at 0x30000000), and 5 accesses faulted",
  );
  bench.close();
});

test("what reading changes is left alone, and what is written is what was there", () => {
  const { accesses, queues, left } = subjectsOf(virt, registry, "own");
  const names = accesses.map(({ subject, what, width }) => `${subject} ${what}/${width}`);
  expect(names).toContain("uart0.SCR read/1");
  expect(names).toContain("uart0.SCR write/1");
  expect(names).toContain("clint.MTIME read/8");
  expect(names).toContain("uart0.THR send a character/1");
  expect(names).not.toContain("clint.MTIME write/8");
  expect(names.filter((name) => name.startsWith("uart0.RBR"))).toEqual([]);
  expect(left.map(({ subject }) => subject)).toContain("uart0.RBR");
  expect(accesses.find(({ subject, kind }) => subject === "clint.MTIMECMP[0]" && kind === "write")?.value).toBe(
    2n ** 64n - 1n,
  );
  expect(queues.map(({ subject, what }) => `${subject}: ${what}`)).toEqual(["rng0: 64 random bytes"]);
  expect(accesses.some(({ vdev }) => vdev === DOORBELL)).toBeFalse();
});

test("registers that lie apart are found where they are", () => {
  const { accesses } = subjectsOf(load("virt-rv64", ["vdev.uart0.reg_shift=2"]), registry, "own");
  expect(accesses.find(({ subject }) => subject === "uart0.SCR")?.address).toBe(0x1000_001c);
});

test("narrower accesses are measured on request", () => {
  const { accesses } = subjectsOf(virt, registry, "all");
  const widths = accesses.filter(({ subject, kind }) => subject === "clint.MTIMECMP[0]" && kind === "read");
  expect(widths.map(({ width }) => width)).toContain(8);
  expect(widths.map(({ width }) => width)).toContain(4);
});

test("a board of another shape can be measured", async () => {
  const report = await benchBoardOf(load("hifive-rv64", ["cpu.harts=3"]), registry, "hifive", {
    engines: ["interpreter"],
    effort: { samples: 2, sampleTime: 1000, warmUp: 0 },
    quick: true,
    widths: "own",
    only: ["uart0.DIV", "plic.PENDING"],
    progress: () => {},
  });
  expect(report.figures.map(({ subject, what, width, runner }) => [subject, what, width, runner])).toEqual([
    ["plic.PENDING[0]", "read", 4, "interpreter"],
    ["uart0.DIV", "read", 4, "interpreter"],
    ["uart0.DIV", "write", 4, "interpreter"],
  ]);
});
