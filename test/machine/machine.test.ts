// Boards made to run: endings, policies, faults of vdevs, guest time, several harts, the built-in firmware.
import { describe, expect, test } from "bun:test";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import type { GuestTimer, VdevHost } from "../../src/vdev/host.ts";
import { A0, A1, A2, CLINT, fingerprint, POWER, RAM, type RigOptions, rig, TEST, UART, x } from "./rig.ts";

const LIMIT = 1_000_000;
const store = (value: number) => `li t0, ${POWER}\n li t1, ${value}\n sw t1, 0(t0)\n end: j end`;

describe("a guest ends its machine", () => {
  test.each([
    ["poweroff", 0x5555, { kind: "poweroff" }],
    ["reboot", 0x7777, { kind: "reboot" }],
    ["failure", 0x2a_3333, { kind: "failed", code: 42 }],
  ] as const)("by %s, and runs not one instruction more", (_, value, ending) => {
    const made = rig(store(value));
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect<unknown>(made.machine.ending).toEqual(ending);
    expect(made.machine.harts[0].pc).toBe(BigInt(made.program.labels.end));
    const { instructions } = made.machine;
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect(made.machine.instructions).toBe(instructions);
  });

  test("and a reboot starts everything over but guest time", () => {
    const made = rig(`
      li t0, ${RAM + 0x2_0000}
      lw a0, 0(t0)
      li t1, 77
      sw t1, 0(t0)
      csrr a1, mscratch
      csrw mscratch, t1
      li t2, ${UART}
      lbu a2, 7(t2)
      sb t1, 7(t2)
      ${store(0x7777)}`);
    for (let round = 0; round < 3; round++) {
      expect(made.machine.reboots).toBe(round);
      expect(made.machine.run(LIMIT)).toBe("ended");
      expect([x(made, A0), x(made, A1), x(made, A2)]).toEqual([0n, 0n, 0n]);
      const then = made.machine.clock.now();
      made.machine.reboot();
      expect(made.machine.ending).toBeUndefined();
      expect(made.machine.clock.now()).toBe(then);
      expect(made.machine.harts[0].pc).toBe(BigInt(RAM));
    }
  });
});

describe("an access that nothing answers", () => {
  const ABSENT = 0x3000_0000;
  const TEXT = `
    la t1, handler
    csrw mtvec, t1
    li t0, ${ABSENT}
    lbu a0, 0(t0)
    lw a1, 0(t0)
    sd t0, 0(t0)
    ${store(0x5555)}
  handler:
    addi a2, a2, 1
    csrr t2, mepc
    addi t2, t2, 4
    csrw mepc, t2
    mret`;
  const policy = (memory: string) => rig(TEXT, { set: [`unsupported.memory=${memory}`] });

  test("faults", () => {
    const made = policy("fault");
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect(x(made, A2)).toBe(3n);
    expect(made.machine.ending).toEqual({ kind: "poweroff" });
  });

  test("reads as all ones", () => {
    const made = policy("ignore");
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect([x(made, A0), x(made, A1), x(made, A2)]).toEqual([0xffn, 2n ** 64n - 1n, 0n]);
  });

  test("ends the run", () => {
    const made = policy("abort");
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect(made.machine.ending).toEqual({
      kind: "aborted",
      message: "1-byte load from 0x30000000, where nothing is",
    });
  });
});

describe("a vdev that throws", () => {
  const TRAPS = `
    la t1, handler
    csrw mtvec, t1
    li t0, ${TEST}
    li s0, 100
  again:
    sw s0, 0(t0)
    lw a1, 4(t0)
    addi s0, s0, -1
    bnez s0, again
    ${store(0x5555)}
  handler:
    addi a0, a0, 1
    csrr t2, mepc
    addi t2, t2, 4
    csrw mepc, t2
    mret`;

  test("in an access: that access faults, the guest goes on, and it is told once", () => {
    const vdev = {
      read: () => {
        throw new Error("off by one");
      },
      write: () => {
        throw new TypeError("not a function");
      },
    };
    const made = rig(TRAPS, { vdev });
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect(x(made, A0)).toBe(200n);
    const at = made.program.labels["again"];
    expect(made.seen.log).toEqual([
      `error test0: write to test+0x0 failed in the vdev: not a function, pc 0x${at.toString(16)}`,
      `error test0: read of test+0x4 failed in the vdev: off by one, pc 0x${(at + 4).toString(16)}`,
    ]);
  });

  test("in a timer: the machine goes on", () => {
    let timer: GuestTimer | undefined;
    const vdev = {
      create(host: VdevHost) {
        timer = host.clock.timer(() => {
          timer?.after(1000);
          throw new Error("late");
        });
      },
      reset: () => timer?.arm(500),
    };
    const made = rig(`li t0, 1000\nagain: addi t0, t0, -1\n bnez t0, again\n ${store(0x5555)}`, { vdev });
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect(made.seen.log).toEqual(["error test0: a timer failed in the vdev: late"]);
  });

  test("on input: whoever feeds the stream does not notice", () => {
    const vdev = {
      create(host: VdevHost) {
        host.stream("stdio").onInput = () => {
          throw new Error("deaf");
        };
      },
    };
    const made = rig(store(0x5555), { vdev });
    made.stdio.push(Uint8Array.of(65));
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect(made.seen.log).toEqual(["error test0: input failed in the vdev: deaf"]);
  });

  test("at the start: there is no machine, and the error names it", () => {
    const create = () => {
      throw new Error("no backend");
    };
    for (const vdev of [{ create }, { reset: create }]) {
      expect(() => rig(store(0x5555), { vdev })).toThrow(VmrunError);
      expect(() => rig(store(0x5555), { vdev })).toThrow("vdev test0 (test) does not start: no backend");
    }
  });

  test("in what it answers: nonsense is a failure like any other", () => {
    const answers = [Number.NaN, -1, 2 ** 40 + 5, 0.5];
    let next = 0;
    const made = rig(`li t0, ${TEST}\n ${"lwu a0, 0(t0)\n sw a0, 0(t0)\n".repeat(4)} ${store(0x5555)}`, {
      vdev: { read: () => answers[next++], write: (_, __, value) => void stored.push(value) },
      set: ["vdev.test0.on_fault=ignore"],
    });
    const stored: number[] = [];
    made.machine.run(LIMIT);
    expect(stored).toEqual(new Array(4).fill(0xffff_ffff));
    expect(made.seen.log).toHaveLength(4);
    expect(made.seen.log[0]).toContain("read of test+0x0 failed in the vdev: it answered NaN, which is no unsigned");
  });

  test("that arms a timer for NaN is told so", () => {
    let timer: GuestTimer | undefined;
    const made = rig(`li t0, ${TEST}\n sw zero, 0(t0)\n ${store(0x5555)}`, {
      vdev: {
        create: (host) => {
          timer = host.clock.timer(() => {});
        },
        write: () => timer?.arm(Number.NaN),
      },
    });
    made.machine.run(1000);
    expect(made.seen.log[0]).toContain("cannot be armed for NaN");
  });
});

describe("guest time", () => {
  test("passes with instructions", () => {
    const made = rig("again: j again");
    made.machine.run(1000);
    expect(made.machine.clock.now()).toBe(10_000);
  });

  // mtime ticks every ten instructions.
  const TIMER = (ticks: number) => `
    la t1, handler
    csrw mtvec, t1
    li t0, ${CLINT + 0x4000}
    li t1, ${ticks}
    sd t1, 0(t0)
    li t1, 0x80
    csrw mie, t1
    csrrsi zero, mstatus, 8
  again:
    addi a0, a0, 1
    j again
  handler:
    csrr a1, mcycle
    csrr a2, time
    ${store(0x5555)}`;

  test.each([3, 100, 12_345])("a timer armed during a run ends it at its instruction: %d ticks", (ticks) => {
    const made = rig(TIMER(ticks));
    expect(made.machine.run(LIMIT)).toBe("ended");
    // The interrupt comes before the first instruction that begins at or behind the deadline.
    expect(x(made, A1)).toBe(BigInt(ticks * 10));
    expect(x(made, A2)).toBe(BigInt(ticks));
  });

  test("a timer of Sstc, too", () => {
    const made = rig(`
      la t1, handler
      csrw mtvec, t1
      li t1, -1
      csrw menvcfg, t1
      li t1, 777
      csrw stimecmp, t1
      li t1, 0x20
      csrw mie, t1
      csrrsi zero, mstatus, 8
    again: j again
    handler:
      csrr a1, mcycle
      csrr a2, mcause
      ${store(0x5555)}`);
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect(x(made, A1)).toBe(7770n);
    expect(x(made, A2)).toBe((1n << 63n) | 5n);
  });

  test("timers of vdevs fire in order, at exact times, also those armed by others", () => {
    const fired: [string, number][] = [];
    let arm = () => {};
    const made = rig("again: j again", {
      vdev: {
        create(host) {
          const note = (name: string) => () => void fired.push([name, host.clock.now()]);
          const inner = host.clock.timer(note("inner"));
          const third = host.clock.timer(note("third"));
          const first = host.clock.timer(note("first"));
          const second = host.clock.timer(() => {
            fired.push(["second", host.clock.now()]);
            inner.arm(250);
          });
          arm = () => {
            third.arm(300);
            first.arm(100);
            second.arm(200);
          };
        },
        reset: () => arm(),
      },
    });
    made.machine.run(100);
    expect(fired).toEqual([
      ["first", 100],
      ["second", 200],
      ["inner", 250],
      ["third", 300],
    ]);
  });

  test("a timer that is always armed for the past does not stop the guest", () => {
    let timer: GuestTimer | undefined;
    const made = rig("again: addi a0, a0, 1\n j again", {
      vdev: {
        create(host) {
          timer = host.clock.timer(() => timer?.arm(0));
        },
        reset: () => timer?.arm(0),
      },
    });
    expect(made.machine.run(1000)).toBe("ran");
    expect(x(made, A0)).toBe(500n);
  });

  test("is the same however a run is divided", () => {
    const run = (slices: readonly number[]) => {
      const made = rig(TIMER(5000));
      for (const slice of slices) made.machine.run(slice);
      return fingerprint(made);
    };
    const whole = run([60_000]);
    expect(run(Array.from({ length: 60 }, () => 1000))).toBe(whole);
    expect(run([1, 2, 3, 49_994, 1, 1, 9998])).toBe(whole);
  });
});

describe("idle", () => {
  test("with a timer: until its deadline, which may be skipped to", () => {
    const made = rig(`
      li t0, ${CLINT + 0x4000}
      li t1, 1000000
      sd t1, 0(t0)
      li t1, 0x80
      csrw mie, t1
      wfi
      ${store(0x5555)}`);
    expect(made.machine.run(LIMIT)).toBe("idle");
    expect(made.machine.deadline).toBe(100_000_000);
    expect(made.machine.run(LIMIT)).toBe("idle");
    made.machine.skipTo(made.machine.deadline);
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect(made.machine.clock.now()).toBeGreaterThanOrEqual(100_000_000);
  });

  test("without one: for ever", () => {
    const made = rig("wfi\n j 0x80000000");
    expect(made.machine.run(LIMIT)).toBe("idle");
    expect(made.machine.deadline).toBe(Number.POSITIVE_INFINITY);
    made.machine.skipTo(5);
    expect(made.machine.run(LIMIT)).toBe("idle");
  });

  test("time never goes back", () => {
    const made = rig("again: j again");
    made.machine.run(1000);
    made.machine.skipTo(1);
    expect(made.machine.clock.now()).toBe(10_000);
  });
});

describe("several harts", () => {
  const harts = (count: number, more: RigOptions = {}): RigOptions => ({ ...more, set: [`cpu.harts=${count}`] });

  test("never see time go back, each alone or through memory", () => {
    // Each hart checks the time against the last one that any of them wrote down.
    const made = rig(
      `
      li s0, ${RAM + 0x2_0000}
    again:
      ld t1, 0(s0)
      csrr t0, time
      bltu t0, t1, wrong
      sd t0, 0(s0)
      addi s1, s1, 1
      j again
    wrong:
      li a0, 1
      ${store(0x1_3333)}`,
      harts(4),
    );
    expect(made.machine.run(500_000)).toBe("ran");
    for (const hart of made.machine.harts) expect(hart.retired).toBeGreaterThan(50_000);
  });

  test("share guest time: one second holds as many instructions of each as of one alone", () => {
    const made = rig("again: j again", harts(4));
    made.machine.run(400_000);
    expect(made.machine.clock.now()).toBeCloseTo(1_000_000, 0);
  });

  test("wake each other", () => {
    const made = rig(
      `
      csrr t0, mhartid
      li t1, 8
      csrw mie, t1
      li s0, ${CLINT}
      bnez t0, sleeper
      li t2, 5000
    delay:
      addi t2, t2, -1
      bnez t2, delay
      li t2, 1
      sw t2, 4(s0)
    wait: j wait
    sleeper:
      wfi
      ${store(0x5555)}`,
      harts(2),
    );
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect(made.machine.ending).toEqual({ kind: "poweroff" });
    // The sleeper had its turn soon after it was woken.
    expect(made.machine.harts[0].retired).toBeLessThan(10_000 + 1000);
  });

  test("count locks right", () => {
    const made = rig(
      `
      li s0, ${RAM + 0x2_0000}
      li s1, 3000
      li s2, 1
    acquire:
      lr.w t0, (s0)
      bnez t0, acquire
      sc.w t0, s2, (s0)
      bnez t0, acquire
      ld t1, 8(s0)
      addi t1, t1, 1
      sd t1, 8(s0)
      amoswap.w zero, zero, (s0)
      addi s1, s1, -1
      bnez s1, acquire
    end: wfi
      j end`,
      harts(4),
    );
    expect(made.machine.run(10 * LIMIT)).toBe("idle");
    expect(made.machine.memory.data.getUint32(made.machine.memory.locate(RAM + 0x2_0008, 4), true)).toBe(12_000);
  });

  test("do the same in every run", () => {
    const run = () => {
      const made = rig(
        `
        li s0, ${RAM + 0x2_0000}
        csrr a0, mhartid
      again:
        amoadd.d t0, a0, (s0)
        csrr t1, time
        add a0, a0, t1
        addi a0, a0, 1
        j again`,
        harts(3),
      );
      made.machine.run(100_000);
      return fingerprint(made);
    };
    expect(run()).toBe(run());
  });
});

describe("the built-in firmware", () => {
  const EXTENSION_SRST = 0x5352_5354;
  test("starts one hart in S-mode and powers off", () => {
    const made = rig(
      `
      mv s0, a0
      mv s1, a1
      li a7, ${EXTENSION_SRST}
      li a6, 0
      li a0, 0
      li a1, 0
      ecall
    end: j end`,
      { mode: "supervisor", set: ["cpu.harts=2"] },
    );
    expect(made.machine.run(LIMIT)).toBe("ended");
    expect(made.machine.ending).toEqual({ kind: "poweroff" });
    expect(x(made, 8)).toBe(0n);
    expect(x(made, 9)).toBe(BigInt(RAM + 0x10_0000));
    expect(made.machine.harts[1].retired).toBe(0);
  });
});

test("boards whose time follows the host", () => {
  let now = 0;
  const made = rig(
    `
    li t0, ${CLINT + 0x4000}
    li t1, 1000
    sd t1, 0(t0)
    li t1, 0x80
    csrw mie, t1
    wfi
    ${store(0x5555)}`,
    { set: ["time.mode=host"], nanoseconds: () => now },
  );
  expect(made.machine.run(LIMIT)).toBe("idle");
  now = 100_000;
  expect(made.machine.run(LIMIT)).toBe("ended");
});
