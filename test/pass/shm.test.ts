// Device models in another process, and real guests: what the guest does is what the model sees, on every engine.
import { afterAll, describe, expect, test } from "bun:test";
import type { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { Runner } from "../../src/machine/runner.ts";
import { type ModelProcess, passRig, startModel } from "./support.ts";

const AT = 0x1900_0000;
const END = `
    li t2, 0x100000
    li t3, 0x5555
    sw t3, 0(t2)
  wait: j wait`;

const models: ModelProcess[] = [];
/** For tests that leave it as it is. */
let other: ModelProcess | undefined;
afterAll(async () => {
  for (const model of models) await model.kill();
});
async function recorder(): Promise<ModelProcess> {
  const model = await startModel("recorder.ts");
  models.push(model);
  return model;
}
const passed = ({ name }: ModelProcess, more = "") =>
  `[[pass]]\nname = "it"\nat = ${AT}\nsize = "4KiB"\nhost = "shm:${name}"\n${more}`;

describe("every access has the guest's width, order and count", () => {
  const ACCESSES = `
    li s0, ${AT}
    lw a0, 0(s0)
    lw a0, 0(s0)
    lw zero, 0(s0)
    li t0, 0x1122334455667788
    sd t0, 8(s0)
    ld a1, 8(s0)
    lw a2, 12(s0)
    lhu a3, 10(s0)
    lb a4, 15(s0)
    sw t0, 0x40(s0)
    sw t0, 0x40(s0)
    sh t0, 0x44(s0)
    sb t0, 0x47(s0)
    li s1, 3
  again:
    lw a5, 0(s0)
    addi s1, s1, -1
    bnez s1, again
    ${END}`;
  test.each(["interpreter", "translator", "forced", "native"] as const)("%s", async (engine) => {
    const model = await recorder();
    const { machine, run } = passRig(ACCESSES, passed(model), { engine });
    expect(run()).toBe("poweroff");
    const [hart] = machine.harts;
    expect([11, 12, 13, 14, 15].map((x) => hart!.x(x))).toEqual([0x1122334455667788n, 0x11223344n, 0x5566n, 0x11n, 6n]);
    machine.terminate();
    await model.said("load 0 4");
    await model.kill();
    expect(model.lines.slice(1)).toEqual([
      ...[
        "reset",
        "load 0 4",
        "load 0 4",
        "load 0 4",
        "store 8 8 1122334455667788",
        "load 8 8",
        "load 12 4",
        "load 10 2",
      ],
      ...["load 15 1", "store 64 4 55667788", "store 64 4 55667788", "store 68 2 7788", "store 71 1 88"],
      ...["load 0 4", "load 0 4", "load 0 4"],
    ]);
  });
});

describe("a window", () => {
  test("where the model throws is a bus error, and so is a store to what is passed for reading", async () => {
    const model = await recorder();
    const { machine, run, log } = passRig(
      `
      la t0, handler
      csrw mtvec, t0
      li s0, ${AT}
      lw a0, 0x20(s0)
      sw a0, 0x40(s0)
      lw a1, 0(s0)
      ${END}
    handler:
      addi s11, s11, 1
      csrr t0, mepc
      addi t0, t0, 4
      csrw mepc, t0
      mret`,
      passed(model, 'access = "r"\n'),
    );
    expect(run()).toBe("poweroff");
    expect([machine.harts[0]!.x(27), machine.harts[0]!.x(11)]).toEqual([2n, 1n]);
    expect(log.filter((line) => line.startsWith("error"))).toEqual([]);
    machine.terminate();
  });

  test("of memory is the model's own, and the doorbell tells it of stores", async () => {
    const model = await recorder();
    const { machine, run } = passRig(
      `
      li s0, ${AT}
      lw a0, 8(s0)
      li t0, 0xabcd
      sw t0, 0(s0)
      ${END}`,
      passed(model, 'window = "ram"\n'),
    );
    expect(run()).toBe("poweroff");
    expect(machine.harts[0]!.x(10)).toBe(0x600d_f00dn);
    await model.said("doorbell abcd");
    machine.terminate();
  });

  test("of memory is mapped into the guest's where it is cached, and stays there over a reset", async () => {
    const model = await recorder();
    const { machine, run } = passRig(
      `
      li s0, ${AT}
      lw a0, 8(s0)
      addi a0, a0, 1
      sw a0, 8(s0)
      amoadd.w a1, a0, (s0)
      ${END}`,
      passed(model, 'window = "ram"\nmemory = "cached"\n'),
    );
    expect(run()).toBe("poweroff");
    expect([machine.harts[0]!.x(10), machine.bus.exits]).toEqual([0x600d_f00en, 1]);
    machine.reboot();
    expect(run()).toBe("poweroff");
    expect(machine.harts[0]!.x(10)).toBe(0x600d_f00fn);
    machine.terminate();
  });

  test.each([
    ['window = "nothing"', 'has no window "nothing"'],
    ["window = 2", "has no window 2"],
    ["offset = 0x100", "the profile wants"],
    ['memory = "cached"', "cannot be cached memory"],
    ["dma = true", "another process can map"],
    ['irq = ["plic:1", "plic:2", "plic:3"]', "has 2 interrupts, not 3"],
  ])("that the model does not have is refused: %s", async (more, message) => {
    other ??= await recorder();
    expect(() => passRig(END, passed(other!, `${more}\n`))).toThrow(message);
  });

  test("of nobody is refused with what to do", () => {
    try {
      passRig(END, `[[pass]]\nsize = 4096\nhost = "shm:nobody-at-all"\n`);
      expect.unreachable();
    } catch (error) {
      const [found] = (error as VmrunError).diagnostics;
      expect([found!.code, found!.hint?.slice(0, 15)]).toEqual(["pass/no-model", "start it first:"]);
    }
  });
});

/** Counts interrupts of PLIC line 5 in s11 and quiets the device, until there were a1 of them. */
const COUNTING = (start: string, handle: string) => `
    la t0, handler
    csrw mtvec, t0
    li s0, ${AT}
    li s1, 0x0c000000
    li t0, 1
    sw t0, 20(s1)
    li t1, 0x0c002000
    li t0, 32
    sw t0, 0(t1)
    li s2, 0x0c200000
    sw zero, 0(s2)
    li t0, 0x800
    csrw mie, t0
    li t0, 8
    csrs mstatus, t0
    ${start}
  sleep:
    wfi
    blt s11, a1, sleep
    ${END}
  handler:
    lw t0, 4(s2)
    addi s11, s11, 1
    ${handle}
    sw t0, 4(s2)
    mret`;

describe("an interrupt", () => {
  test("of a level stays until the guest quiets the device, and comes again while it does not", async () => {
    const model = await recorder();
    // The third time it is quieted.
    const { machine, run } = passRig(
      COUNTING("li a1, 3\nli t0, 1\nsw t0, 0x10(s0)", "li t5, 3\nblt s11, t5, not_yet\nsw zero, 0x10(s0)\nnot_yet:"),
      passed(model, 'irq = "plic:5"\n'),
    );
    expect(run()).toBe("poweroff");
    const status = machine.status().find(({ name }) => name === "it")!.status;
    expect([machine.harts[0]!.x(27), status["interrupts"], status["masked"]]).toEqual([3n, 3, false]);
    machine.terminate();
  });

  test("wakes a guest that sleeps, in the event loop, and nothing turns meanwhile", async () => {
    const model = await recorder();
    const { machine } = passRig(
      COUNTING("li a1, 2\nli t0, 60\nsw t0, 0x50(s0)", "sw zero, 0x10(s0)\nli t4, 60\nsw t4, 0x50(s0)"),
      passed(model, 'irq = "plic:5"\n'),
    );
    let slices = 0;
    const runner = new Runner(machine, {
      listening: () => false,
      between: () => {
        slices++;
        return false;
      },
    });
    expect(await runner.run()).toEqual({ kind: "poweroff" });
    expect(machine.harts[0]!.x(27)).toBe(2n);
    expect(slices).toBeLessThan(50);
    machine.terminate();
  });

  test("storm of a million is survived, merged and counted", async () => {
    const model = await recorder();
    const { machine, run } = passRig(
      COUNTING(`li a1, 2\nli t0, 100000\n${"sw t0, 0x18(s0)\n".repeat(10)}`, "lw a2, 0(s0)"),
      passed(model, 'irq = ["none", "plic:5"]\ntrigger = "edge"\n'),
    );
    // A tenth of it at a time: who takes too long for a store counts as gone. The last store returns when the storm is over; its
    // million waits in the kernel.
    machine.run(50_000);
    const count = () => machine.status().find(({ name }) => name === "it")!.status;
    for (let i = 0; i < 100 && count()["interrupts"] !== 1_000_000; i++) machine.run(50_000);
    expect(count()).toMatchObject({ interrupts: 1_000_000, merged: 999_999, masked: false });
    expect(machine.harts[0]!.x(27)).toBe(1n);
    expect(run(20)).toBe("limit");
    machine.terminate();
  });
});

test("a model that ends is a bus error from then on, told once; the guest goes on", async () => {
  const model = await recorder();
  const { machine, run, log } = passRig(
    `
    la t0, handler
    csrw mtvec, t0
    li s0, ${AT}
    sw zero, 0x30(s0)
    lw a0, 0(s0)
    lw a0, 0(s0)
    ${END}
  handler:
    addi s11, s11, 1
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret`,
    passed(model, 'irq = "plic:5"\n'),
  );
  expect(run()).toBe("poweroff");
  expect(machine.harts[0]!.x(27)).toBe(3n);
  expect(log.filter((line) => line.includes("is gone"))).toEqual([
    `error it: shm:${model.name} is gone: its process has ended`,
  ]);
  expect(machine.listening).toBe(false);
  machine.terminate();
});

test("a group ends with the first of its parts, and what is left goes back to the host", async () => {
  const [codec, i2s] = [await recorder(), await recorder()];
  const profile = ["codec", "i2s"].map((name, i) => {
    const host = [codec, i2s][i]!.name;
    return `[[pass]]\nname = "${name}"\nat = ${AT + i * 0x1000}\nsize = "4KiB"\nhost = "shm:${host}"\ngroup = "audio"\n`;
  });
  const { machine, run, log } = passRig(
    `
    la t0, handler
    csrw mtvec, t0
    li s0, ${AT}
    li s1, ${AT + 0x1000}
    lw a0, 0(s1)
    sw zero, 0x30(s0)
    lw a1, 0(s1)
    ${END}
  handler:
    addi s11, s11, 1
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret`,
    `[[group]]\nname = "audio"\nmembers = ["codec", "i2s"]\n${profile.join("")}`,
  );
  expect(run()).toBe("poweroff");
  expect([machine.harts[0]!.x(10), machine.harts[0]!.x(27)]).toEqual([1n, 2n]);
  expect(log.filter((line) => line.includes("is gone"))).toEqual([
    `error codec: shm:${codec.name} is gone: its process has ended`,
    `error i2s: shm:${i2s.name} is gone: codec of group audio: its process has ended`,
  ]);
  expect(machine.status().filter(({ group }) => group === "audio")).toHaveLength(2);
  // Somebody else may have the part that lives.
  const other = passRig(END, passed(i2s));
  expect(other.run()).toBe("poweroff");
  other.machine.terminate();
  machine.terminate();
});
