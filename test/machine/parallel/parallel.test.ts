// Harts on threads of their own, with a guest of a few instructions: what they share, what they ask of the machine and of
// each other, and how they end. Skipped where the host cannot map memory.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { resolve } from "node:path";
import { canMap } from "../../../src/host/mapping.ts";
import { boot } from "../../../src/index.ts";
import { POWER, RAM, type Rig, type RigOptions, rig, TEST, UART } from "../rig.ts";

const PATIENCE = 20_000;
const SHUTDOWN = 0x5555;
setDefaultTimeout(2 * PATIENCE);
const machines: Rig["machine"][] = [];

afterEach(() => {
  for (const machine of machines.splice(0)) machine.terminate();
});

if (!canMap()) console.warn("skipped: parallel harts, since this host cannot map memory");

function parallel(text: string, { set = [], ...options }: RigOptions = {}): Rig {
  const made = rig(text, {
    ...options,
    set: ["cpu.harts=2", "cpu.parallel=true", "time.mode=host", ...set],
    nanoseconds: () => Bun.nanoseconds(),
  });
  machines.push(made.machine);
  return made;
}

/** Serves the harts until the machine ends, or until it is so. */
async function serve({ machine }: Rig, until: () => boolean = () => false): Promise<void> {
  const begun = Bun.nanoseconds();
  while (machine.run(0) !== "ended" && !until()) {
    if (Bun.nanoseconds() - begun > PATIENCE * 1e6) throw new Error("the guest does not get there");
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 5);
      machine.awaitHardware(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
  machine.streams.flush();
}

const word = ({ machine }: Rig, at: number) => machine.memory.data.getUint32(machine.memory.locate(at, 4), true);

const DATA = RAM + 0x1000;
const POWER_OFF = `li t0, ${POWER}\n li t1, ${SHUTDOWN}\n sw t1, 0(t0)\n`;

describe.skipIf(!canMap())("in M-mode", () => {
  test("both begin at the entry, and add to one word", async () => {
    const made = parallel(
      `
      li s0, ${DATA}
      li s1, 20000
    again:
      amoadd.w zero, s1, (s0)
      amoadd.w zero, a0, 4(s0)
      addi s1, s1, -1
      bnez s1, again
      li t0, 1
      addi s2, s0, 8
      amoadd.w t1, t0, (s2)
      bnez a0, wait
    other:
      lw t1, 8(s0)
      addi t1, t1, -2
      bnez t1, other
      ${POWER_OFF}
    wait: wfi
      j wait`
        .replace("4(s0)\n", "(s3)\n")
        .replace("li s1, 20000", `li s1, 20000\n li s3, ${DATA + 4}`),
    );
    await serve(made);
    expect(made.machine.ending).toEqual({ kind: "poweroff" });
    expect([word(made, DATA), word(made, DATA + 4)]).toEqual([2 * ((20000 * 20001) / 2), 20000]);
    expect(made.machine.instructions).toBeGreaterThan(160_000);
  });

  test("a device sees accesses of every width, and where they come from", async () => {
    const seen: string[] = [];
    const made = parallel(
      `
      beqz a0, wait
      li s0, ${TEST}
      lbu a1, 1(s0)
      lhu a2, 2(s0)
      lw a3, 4(s0)
      ld a4, 8(s0)
      sb a1, 1(s0)
      sh a2, 2(s0)
      sw a3, 4(s0)
      sd a4, 8(s0)
      ${POWER_OFF}
    wait: wfi
      j wait`,
      {
        vdev: {
          read: (offset, width) => {
            seen.push(`read ${width} at ${offset}`);
            return (0xf1f2f3f4 + offset) % 2 ** (8 * width);
          },
          write: (offset, width, value) => void seen.push(`write ${width} at ${offset}: ${value.toString(16)}`),
        },
      },
    );
    await serve(made);
    expect(seen).toEqual([
      ...["read 1 at 1", "read 2 at 2", "read 4 at 4", "read 4 at 8", "read 4 at 12"],
      ...["write 1 at 1: f5", "write 2 at 2: f3f6", "write 4 at 4: f1f2f3f8"],
      ...["write 4 at 8: f1f2f3fc", "write 4 at 12: f1f2f400"],
    ]);
    expect(made.machine.bus.exits).toBe(11);
  });

  test("what is there no more, or never was, faults", async () => {
    const made = parallel(
      `
      bnez a0, wait
      la t0, handler
      csrw mtvec, t0
      li s0, ${TEST}
      lw a1, 0(s0)
      addi a2, zero, 1
      ld a1, 0(s0)
      sw a1, 0(s0)
      ${POWER_OFF}
    wait: wfi
      j wait
      .balign 4
    handler:
      li t2, ${DATA}
      lw t3, 0(t2)
      addi t3, t3, 1
      sw t3, 0(t2)
      csrr t3, mepc
      addi t3, t3, 4
      csrw mepc, t3
      mret`.replace(/^ *\.balign.*$/m, ""),
    );
    await serve(made);
    expect(word(made, DATA)).toBe(3);
  });

  test("one interrupts the other through the device, and wakes it", async () => {
    const made = parallel(`
      li s0, ${0x200_0000}
      li s1, ${DATA}
      bnez a0, second
    wait:
      lw t0, 0(s1)
      bnez t0, begun
      fence 3, 3
      j wait
    begun:
      li t0, 1
      sw t0, 4(s0)
    until:
      lw t0, 4(s1)
      fence 3, 3
      beqz t0, until
      ${POWER_OFF}
    second:
      li t0, 8
      csrw mie, t0
      sw t0, 0(s1)
      wfi
      sw zero, 4(s0)
      csrr t0, mip
      andi t0, t0, 8
      sw t0, 8(s1)
      li t0, 1
      fence 3, 3
      sw t0, 4(s1)
    stay: wfi
      j stay`);
    await serve(made);
    expect(made.machine.ending?.kind).toBe("poweroff");
    // Lowered by the hart itself before it looked.
    expect(word(made, DATA + 8)).toBe(0);
  });

  test("time is one for both, also when one has shifted it", async () => {
    const made = parallel(`
      li s1, ${DATA}
      bnez a0, second
      li t0, ${0x200_bff8}
      li t1, 0x100000000000
      sd t1, 0(t0)
      csrr t2, time
      sub t2, t2, t1
      sw t2, 0(s1)
      fence 3, 3
      li t1, 1
      sw t1, 4(s1)
    until:
      lw t0, 8(s1)
      fence 3, 3
      beqz t0, until
      ${POWER_OFF}
    second:
      lw t0, 4(s1)
      fence 3, 3
      beqz t0, second
      li t3, 2000
    delay:
      addi t3, t3, -1
      bnez t3, delay
    later:
      csrr t2, time
      srli t2, t2, 32
      beqz t2, later
      li t1, 1
      sw t1, 8(s1)
    stay: wfi
      j stay`);
    await serve(made);
    expect(made.machine.ending?.kind).toBe("poweroff");
    // Ticks of 100 ns since it was set, on the hart that did so.
    expect(word(made, DATA)).toBeLessThan(50_000_000);
  });

  test("a reset starts both over, with memory as at power-on", async () => {
    const made = parallel(
      `
      li s0, ${DATA}
      li t0, 1
      amoadd.w t1, t0, (s0)
      bnez a0, spin
    until:
      lw t1, 0(s0)
      addi t1, t1, -2
      bnez t1, until
      li s2, ${TEST}
      sw zero, 0(s2)
    spin: j spin`,
      { vdev: { write: () => void asked++ } },
    );
    let asked = 0;
    await serve(made, () => asked === 1);
    expect(word(made, DATA)).toBe(2);
    made.machine.reset();
    await serve(made, () => asked === 2);
    expect(word(made, DATA)).toBe(2);
    const { instructions } = made.machine;
    expect(instructions).toBeGreaterThan(0);
  });

  test("when all wait and nothing will come, that is known", async () => {
    const made = parallel("wait: wfi\n j wait");
    expect(made.machine.listening).toBe(true);
    await serve(made, () => !made.machine.listening);
    expect(made.machine.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test("what the profile does not let pass ends the run, with its place", async () => {
    const made = parallel("bnez a0, bad\nwait: j wait\nbad: .word 0xffffffff", {
      profile: '[unsupported]\ninstruction = "abort"\n',
    });
    await serve(made);
    expect(made.machine.ending).toEqual({
      kind: "aborted",
      message: "instruction 0xffffffff, which the board does not have, pc 0x80000008",
    });
  });

  test("a vdev that fails is told of with the hart's pc", async () => {
    const made = parallel(`li s0, ${TEST}\n bnez a0, wait\n lw a0, 0(s0)\n${POWER_OFF}\nwait: j wait`, {
      vdev: {
        read: () => {
          throw new Error("no such luck");
        },
      },
    });
    await serve(made, () => made.seen.log.length > 0);
    expect(made.seen.log.join()).toMatch(/no such luck.*pc 0x8000000[0-9a-f]/);
  });

  test("a machine can end before its harts have come, and while they are busy", async () => {
    parallel("spin: j spin").machine.terminate();
    machines.pop();
    const busy = parallel("spin: addi a1, a1, 1\n addi a2, a2, 1\n addi a3, a3, 1\n j spin");
    await serve(busy, () => busy.machine.instructions > 20_000_000);
    busy.machine.terminate();
    machines.pop();
    const { instructions } = busy.machine;
    await Bun.sleep(20);
    expect(busy.machine.instructions).toBe(instructions);
    const { interpreter, quick, thorough } = busy.machine.engineStatistics.found;
    expect(interpreter + quick + thorough).toBeGreaterThan(10);
  });
});

describe.skipIf(!canMap())("on vmrun's own SBI", () => {
  const IPI = 0x735049;
  const RFENCE = 0x52464e43;
  const HSM = 0x48534d;
  const RESET = 0x53525354;
  const CONSOLE = 0x4442434e;
  const call = (extension: number, func: number) => `li a7, ${extension}\n li a6, ${func}\n ecall\n`;

  test("one starts the other, which prints, is interrupted, fences and stops; then it is started again", async () => {
    const made = parallel(
      `
      li s1, ${DATA}
      la s2, second
      li s3, 2
    round:
      li a0, 1
      mv a1, s2
      mv a2, s3
      ${call(HSM, 0)}
      bnez a0, bad
      li a0, 1
      mv a1, s2
      ${call(HSM, 0)}
      addi a0, a0, 6
      bnez a0, bad
    begun:
      lw t0, 0(s1)
      fence 3, 3
      bne t0, s3, begun
      li a0, 2
      li a1, 0
      ${call(IPI, 0)}
      li a0, 0
      li a1, -1
      ${call(RFENCE, 0)}
      li a0, 3
      li a1, 0
      li a2, ${RAM}
      li a3, 0x1000
      ${call(RFENCE, 1)}
    stopped:
      li a0, 1
      ${call(HSM, 2)}
      li t0, 1
      bne a1, t0, stopped
      addi s3, s3, 1
      li t0, 5
      bne s3, t0, round
      li a0, 0
      li a1, 0
      ${call(RESET, 0)}
    bad: li a0, 0
      li a1, 1
      ${call(RESET, 0)}
    second:
      mv s3, a1
      li s1, ${DATA}
      addi a0, a1, 48
      ${call(CONSOLE, 2)}
      li t0, 2
      csrw sie, t0
      sw s3, 0(s1)
      wfi
      csrr t0, sip
      andi t0, t0, 2
      beqz t0, bad
      csrci sip, 2
      li a0, 1
      li a1, 0
      ${call(RFENCE, 0)}
      ${call(HSM, 1)}
      j bad`.replaceAll("csrci sip, 2", "csrrci zero, sip, 2"),
      { mode: "supervisor" },
    );
    await serve(made);
    expect(made.machine.ending).toEqual({ kind: "poweroff" });
    expect(made.seen.output).toBe("234");
  });

  test("the hart's own timer wakes it", async () => {
    const made = parallel(
      `
      li t0, 32
      csrw sie, t0
      csrr t0, time
      li t1, 50000
      add t0, t0, t1
      csrw stimecmp, t0
      wfi
      csrr t1, time
      sltu a1, t1, t0
      li a0, 0
      ${call(RESET, 0)}`,
      { mode: "supervisor" },
    );
    await serve(made);
    expect(made.machine.ending).toEqual({ kind: "poweroff" });
  });

  test("text of any length is printed whole", async () => {
    const made = parallel(
      `
      li a0, 40000
      li a1, ${RAM + 0x2000}
      li a2, 0
      ${call(CONSOLE, 0)}
      mv a1, zero
      li t0, 40000
      li a0, 0
      ${call(RESET, 0)}`,
      { mode: "supervisor" },
    );
    made.machine.memory.write(RAM + 0x2000, new Uint8Array(40000).fill(0x61));
    await serve(made);
    expect(made.seen.output).toBe("a".repeat(40000));
  });
});

test.skipIf(!canMap())("nobody can watch it", () => {
  const observer = { attach: () => undefined as never, enter() {}, leave() {}, timer() {}, powerOn() {} };
  expect(() => parallel("spin: j spin", { observe: () => observer })).toThrow("not counted or traced");
  expect(UART).toBeGreaterThan(0);
});

test.skipIf(!canMap())("a program can run it to what it prints, to its end, and for a time", () => {
  const profile = resolve(import.meta.dir, "../../../profiles/virt-rv64.toml");
  using guest = boot(profile, { set: ["cpu.harts=2", "cpu.parallel=true", "time.mode=host"] });
  expect(guest.runUntil({ text: "> ", guestTime: 20 })).toBe("text");
  const begun = Bun.nanoseconds();
  // The monitor waits for input, and knows no time that it could wait for.
  expect(guest.runUntil({ text: "never", guestTime: 0.3 })).toBe("limit");
  expect(Bun.nanoseconds() - begun).toBeGreaterThan(0.2e9);
  guest.type("poweroff\n");
  expect(guest.runUntil({ guestTime: 20 })).toBe("ended");
  expect(guest.ending).toEqual({ kind: "poweroff" });
});
