// Vdevs that fail in every way that there is: the guest goes on, or ends as the profile says, with one clear message.
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { defineVdev, type VdevInstance } from "../../src/vdev/descriptor.ts";
import { type GuestTimer, MAX_ARMED_TIMERS, type VdevHost } from "../../src/vdev/host.ts";
import { registerMap } from "../../src/vdev/registers.ts";
import { type BoardRig, type BoardRigOptions, boardRig, LIMIT, TEST } from "./board-rig.ts";

type Broken = (host: VdevHost) => Partial<VdevInstance>;

const registers = registerMap({
  CONTROL: { at: 0, width: 4, about: "goes wrong" },
  DATA: { at: 4, width: 4, about: "goes wrong" },
});

function broken(make: Broken) {
  return defineVdev({
    type: "broken",
    summary: "A vdev that fails",
    options: v.object({}),
    regions: [{ name: "regs", size: 0x1000 }],
    registers: { regs: registers },
    interrupts: [{ name: "irq", trigger: "level" }],
    create: (host) => ({
      regions: [{ read: () => 0, write: () => {} }],
      reset: () => {},
      snapshot: () => null,
      restore: () => {},
      ...make(host),
    }),
  });
}

/** Touches both registers `times` times, counts traps in a0, keeps what it read last in a1, and powers off. */
const touch = (times = 3) => `
    la t1, handler
    csrw mtvec, t1
    li t0, ${TEST}
    li s0, ${times}
  again:
    sw s0, 0(t0)
  load:
    lwu a1, 4(t0)
    addi s0, s0, -1
    bnez s0, again
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
  wait: j wait
  handler:
    addi a0, a0, 1
    csrr t2, mepc
    addi t2, t2, 4
    csrw mepc, t2
    mret`;

function run(make: Broken, options: Pick<BoardRigOptions, "set" | "nanoseconds" | "host"> = {}): BoardRig {
  const made = boardRig(touch(), {
    vdevs: [broken(make)],
    profile: `[[vdev]]\ntype = "broken"\nname = "bad0"\nat = ${TEST}\nirq = "plic:11"\n`,
    ...options,
  });
  made.machine.run(LIMIT);
  return made;
}

const POWEROFF = { kind: "poweroff" } as const;
const handlers = (read: () => unknown, write: () => unknown = () => {}) => ({
  regions: [{ read: read as () => number, write: write as () => void }],
});
const thrower = (message: string) => () => {
  throw new Error(message);
};

describe("on_fault", () => {
  const failing: Broken = () => handlers(thrower("no read"), thrower("no write"));

  test("fault: a bus error in the guest, told once for each register, with the guest's pc", () => {
    const { machine, log, program } = run(failing);
    expect(machine.ending).toEqual(POWEROFF);
    expect(machine.harts[0].x(10)).toBe(6n);
    const pc = (label: string) => program.labels[label].toString(16);
    expect(log).toEqual([
      `error bad0: write to regs+0x0 (CONTROL) failed in the vdev: no write, pc 0x${pc("again")}`,
      `error bad0: read of regs+0x4 (DATA) failed in the vdev: no read, pc 0x${pc("load")}`,
    ]);
    expect(machine.status().find(({ name }) => name === "bad0")).toMatchObject({ faults: 6, messages: 6 });
  });

  test("ignore: reads give all ones", () => {
    const { machine } = run(failing, { set: ["vdev.bad0.on_fault=ignore"] });
    expect(machine.ending).toEqual(POWEROFF);
    expect([machine.harts[0].x(10), machine.harts[0].x(11)]).toEqual([0n, 0xffff_ffffn]);
  });

  test.each([["end-guest", "guest"] as const, ["end", "monitor"] as const])("%s ends the %s", (policy, scope) => {
    const { machine } = run(failing, { set: [`vdev.bad0.on_fault=${policy}`] });
    expect(machine.ending).toEqual({
      kind: "vdev-failed",
      vdev: "bad0",
      scope,
      message: "write to regs+0x0 (CONTROL) failed in the vdev: no write",
    });
  });

  test("a bus error of the vdev's own choice is none of its failures", () => {
    const { machine, log } = run(
      (host) =>
        handlers(() => {
          throw host.busError();
        }),
      { set: ["vdev.bad0.on_fault=end"] },
    );
    expect(machine.ending).toEqual(POWEROFF);
    expect(machine.harts[0].x(10)).toBe(3n);
    expect(log).toEqual([]);
  });
});

describe("answers that are none", () => {
  test.each([
    ["NaN", Number.NaN],
    ["-1", -1],
    ["4294967296", 2 ** 32],
    ["undefined", undefined],
    ["string", "7"],
    ["bigint", 7n],
    ["object", {}],
  ])("%s", (shown, answer) => {
    const { machine, log } = run(() => handlers(() => answer));
    expect(machine.ending).toEqual(POWEROFF);
    expect(log).toHaveLength(1);
    expect(log[0]).toContain(`it answered ${shown}, which is no unsigned number of 32 bits`);
  });

  test("a promise, whatever becomes of it", async () => {
    const { machine, log } = run(() => handlers(async () => thrower("later")()));
    await Bun.sleep(1);
    expect(machine.ending).toEqual(POWEROFF);
    expect(log).toHaveLength(1);
    expect(log[0]).toContain("it answered a promise");
  });
});

describe("a promise that is rejected", () => {
  test("by a store", async () => {
    const { machine, log } = run(() =>
      handlers(
        () => 0,
        async () => thrower("later")(),
      ),
    );
    await Bun.sleep(1);
    expect(machine.ending).toEqual(POWEROFF);
    expect(log).toEqual(["error bad0: write to regs+0x0 (CONTROL) failed in the vdev: later"]);
  });

  test("by its work: an outcome", async () => {
    const seen: unknown[] = [];
    const { machine, log } = run((host) =>
      handlers(() => {
        host.work(
          async () => thrower("disk on fire")(),
          (outcome) => seen.push(outcome),
        );
        return 0;
      }),
    );
    while (machine.events.pending > 0) await Bun.sleep(1);
    machine.reboot();
    machine.run(0);
    expect(seen).toEqual(new Array(3).fill({ ok: false, error: new Error("disk on fire") }));
    expect(log).toEqual([]);
  });
});

test("a callback that throws in each place: each is told once, and the guest goes on", () => {
  let host: VdevHost | undefined;
  let timer: GuestTimer | undefined;
  let resets = 0;
  const { machine, log, stdio } = run((given) => {
    host = given;
    timer = host.clock.timer(thrower("in a timer"));
    host.stream("stdio").onInput = thrower("in input");
    return {
      reset() {
        if (resets++ > 0) throw new Error("in reset");
      },
      event: thrower("in an event"),
      status: thrower("in status"),
      terminate: thrower("in terminate"),
      ...handlers(() => {
        timer?.after(0);
        return 0;
      }),
    };
  });
  expect(machine.ending).toEqual(POWEROFF);
  stdio.push(Uint8Array.of(65));
  host?.events(thrower("in events")).send(1);
  expect(machine.post("bad0", 7)).toBe(true);
  expect(machine.post("nobody", 7)).toBe(false);
  machine.reboot();
  expect(machine.run(LIMIT)).toBe("ended");
  expect(machine.ending).toEqual(POWEROFF);
  machine.status();
  machine.terminate();
  const told = log.map((line) => line.replace(/, pc .*/, ""));
  expect(told.sort()).toEqual(
    [
      "a timer failed in the vdev: in a timer",
      "an event failed in the vdev: in an event",
      "an event failed in the vdev: in events",
      "input failed in the vdev: in input",
      "reset failed in the vdev: in reset",
      "status failed in the vdev: in status",
      "terminate failed in the vdev: in terminate",
    ].map((line) => `error bad0: ${line}`),
  );
});

test("an interrupt controller that throws does not reach the vdev that drives its line", () => {
  const made = boardRig(touch(1), {
    vdevs: [
      defineVdev({
        type: "deaf",
        summary: "A controller that fails",
        options: v.object({}),
        regions: [],
        controller: () => ({ first: 1, last: 8 }),
        create: () => ({
          regions: [],
          reset: () => {},
          snapshot: () => null,
          restore: () => {},
          input: thrower("no such wire"),
        }),
      }),
      broken((host) => {
        const irq = host.interrupt("irq");
        return handlers(() => {
          irq.set(true);
          return 42;
        });
      }),
    ],
    profile: `[[vdev]]\ntype = "deaf"\nname = "deaf0"\n[[vdev]]\ntype = "broken"\nat = ${TEST}\nirq = "deaf0:3"\n`,
  });
  made.machine.run(LIMIT);
  expect(made.machine.harts[0].x(11)).toBe(42n);
  expect(made.log).toHaveLength(1);
  expect(made.log[0]).toContain("error deaf0: input failed in the vdev: no such wire");
});

describe("timers", () => {
  test("that leak: the next one beyond the bound fails, and the guest goes on", () => {
    const { machine, log } = run((host) =>
      handlers(() => {
        for (let i = 0; i < 500; i++) host.clock.timer(() => {}).after(1e12);
        return 0;
      }),
    );
    expect(machine.ending).toEqual(POWEROFF);
    expect(log).toHaveLength(1);
    expect(log[0]).toContain(`a vdev may have ${MAX_ARMED_TIMERS} timers armed, and all of them are`);
  });

  test("that fire without end leave the guest its time", () => {
    const { machine, log } = run((host) => {
      const timer: GuestTimer = host.clock.timer(() => timer.after(0));
      return { reset: () => timer.after(0) };
    });
    expect(machine.ending).toEqual(POWEROFF);
    expect(machine.harts[0].x(10)).toBe(0n);
    expect(log.filter((line) => line.includes("slowed down")).length).toBeLessThan(2);
  });
});

describe("DMA outside of RAM", () => {
  test("has a defined result and one message", () => {
    const results: unknown[] = [];
    const { machine, log } = run((host) =>
      handlers(() => {
        for (const at of [0, TEST, 2 ** 52, Number.NaN, -8, 0.5]) {
          results.push(host.memory.read(at, 8), host.memory.write(at, new Uint8Array(8)));
        }
        results.push(host.memory.view(0x8000_0000, -1));
        return 0;
      }),
    );
    expect(machine.ending).toEqual(POWEROFF);
    expect(new Set(results)).toEqual(new Set([undefined, false]));
    expect(log).toEqual(["debug bad0: guest error: DMA outside of RAM: a read of 8 bytes at 0x0"]);
  });
});

describe("a vdev that takes seconds for an access", () => {
  test("is reported, once and with its name; after that also which register", () => {
    let now = 0;
    const { machine, log } = run(
      () =>
        handlers(() => {
          now += 3e9;
          return 0;
        }),
      { nanoseconds: () => now },
    );
    machine.reboot();
    machine.run(LIMIT);
    machine.reboot();
    machine.run(LIMIT);
    expect(log).toEqual([
      "warn machine: an access to one of power.test, bad0.regs held the machine for about 9000 ms",
      "warn bad0: read of regs+0x4 (DATA) held the machine for 3000 ms",
    ]);
  });

  test("and so is a callback", () => {
    let now = 0;
    const { log } = run(
      (host) => {
        const timer = host.clock.timer(() => {
          now += 2e9;
        });
        return { reset: () => timer.after(0) };
      },
      { nanoseconds: () => now },
    );
    expect(log).toEqual(["warn bad0: a timer held the machine for 2000 ms"]);
  });
});

describe("phases", () => {
  const early: readonly (readonly [string, (host: VdevHost) => unknown])[] = [
    ["timer", (host) => host.clock.timer(() => {}).after(1)],
    ["line", (host) => host.interrupt("irq").set(true)],
    ["dma", (host) => host.memory.read(0x8000_0000, 4)],
    ["power", (host) => host.power({ action: "poweroff" })],
    [
      "work",
      (host) =>
        host.work(
          async () => 0,
          () => {},
        ),
    ],
    ["message", (host) => host.message(0, 0)],
    ["command", (host) => host.command(["true"], () => {})],
  ];
  test.each(early)("the %s service in create refuses the board", (service, use) => {
    const start = () =>
      run((host) => {
        use(host);
        return {};
      });
    expect(start).toThrow(`the host's ${service} service was called in phase "create"`);
  });

  test("go from create over configured to running, and end with terminated", () => {
    const seen: string[] = [];
    const { machine } = run((host) => {
      const note = (what: string) => () => void seen.push(`${what} ${host.phase}`);
      note("create")();
      return { configured: note("configured"), reset: note("reset"), terminate: note("terminate") };
    });
    machine.reboot();
    machine.terminate();
    expect(seen).toEqual([
      "create create",
      "configured configured",
      "reset configured",
      "reset running",
      "terminate terminated",
    ]);
  });

  test("work, power and messages are for a running guest", () => {
    expect(() => run((host) => ({ reset: () => host.power({ action: "poweroff" }) }))).toThrow(
      `the host's power service was called in phase "configured"`,
    );
  });
});

describe("host resources that cannot be opened", () => {
  const openDisk = () => {
    throw new Error("no such file");
  };
  const opening: Broken = (host) => {
    const disk = host.disk("a.img", { readOnly: false });
    return handlers(() => (disk.read(0, new Uint8Array(1)) ? 1 : 2));
  };

  test("at create: there is no machine", () => {
    expect(() => run(opening, { host: { openDisk } })).toThrow("does not start: no such file");
  });

  test("delayed: every operation fails, and it is told once", () => {
    const { machine, log } = run(opening, { host: { openDisk }, set: ["vdev.bad0.delayed=true"] });
    expect([machine.ending, machine.harts[0].x(11)]).toEqual([POWEROFF, 2n]);
    expect(log).toEqual(["error bad0: cannot open a.img: no such file"]);
  });
});

test("an interrupt message goes where a device's store goes, and is no exit", () => {
  const taken: boolean[] = [];
  const stored: number[][] = [];
  const { machine, log } = run((host) => ({
    regions: [
      {
        read() {
          taken.push(
            host.message(TEST + 0x100, 0xdead_beef),
            host.message(0x8010_0000, 5),
            host.message(0x7000_0000, 1),
          );
          return 0;
        },
        write: (offset, width, value) => void stored.push([offset, width, value]),
      },
    ],
  }));
  expect(taken.slice(0, 3)).toEqual([true, true, false]);
  expect(stored).toContainEqual([0x100, 4, 0xdead_beef]);
  expect(machine.memory.read(0x8010_0000, 4)).toEqual(Uint8Array.of(5, 0, 0, 0));
  expect(machine.bus.exits).toBe(7);
  expect(log).toHaveLength(1);
});

test("log levels: the profile's choice for a vdev, or else the run's", () => {
  const noisy: Broken = (host) => ({
    reset() {
      host.log.debug("d");
      host.log.info("i");
      host.log.warn("w");
      host.log.error("e");
    },
  });
  expect(run(noisy).log).toHaveLength(4);
  expect(run(noisy, { set: ["vdev.bad0.log=warn"] }).log).toEqual(["warn bad0: w", "error bad0: e"]);
  expect(run(noisy, { set: ["vdev.bad0.log=off"] }).log).toEqual([]);
});

test("a vdev knows who makes its access, and can have the machine's state written down", () => {
  const places: unknown[] = [];
  const { program, log } = run((host) =>
    handlers(() => {
      places.push(host.guest());
      host.dump("look");
      return 0;
    }),
  );
  expect(places[0]).toEqual({ hart: 0, pc: BigInt(program.labels["load"]) });
  expect(log[0]).toStartWith("warn bad0: look\n  hart 0: pc 0x");
});

describe("unsupported instructions and registers", () => {
  const text = (instruction: string) => `
    la t1, handler
    csrw mtvec, t1
    li a1, 5
  strange: ${instruction}
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
  wait: j wait
  handler:
    addi a0, a0, 1
    csrr t2, mepc
    addi t2, t2, 4
    csrw mepc, t2
    mret`;
  // csrrs a1, 0x7c0, zero: a custom register that there is not.
  const CSR = ".word 0x7c0025f3";
  // custom-0
  const CUSTOM = ".word 0x0000000b";
  const go = (instruction: string, ...set: string[]) => {
    const made = boardRig(text(instruction), { set });
    made.machine.run(LIMIT);
    return made;
  };

  test("fault", () => {
    for (const instruction of [CSR, CUSTOM]) {
      const { machine } = go(instruction);
      expect([machine.ending, machine.harts[0].x(10), machine.harts[0].x(11)]).toEqual([POWEROFF, 1n, 5n]);
    }
  });

  test("an ignored register reads as zero", () => {
    const { machine } = go(CSR, "unsupported.register=ignore");
    expect([machine.ending, machine.harts[0].x(10), machine.harts[0].x(11)]).toEqual([POWEROFF, 0n, 0n]);
  });

  test("abort", () => {
    const csr = go(CSR, "unsupported.register=abort");
    const at = csr.program.labels["strange"].toString(16);
    expect(csr.machine.ending).toEqual({
      kind: "aborted",
      message: `CSR 0x7c0, which the board does not have, pc 0x${at}`,
    });
    expect(go(CUSTOM, "unsupported.instruction=abort").machine.ending).toEqual({
      kind: "aborted",
      message: `instruction 0xb, which the board does not have, pc 0x${at}`,
    });
  });
});
