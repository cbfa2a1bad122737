// Exits are counted exactly, whoever runs the guest, and told apart by what a person would ask for.
import { describe, expect, test } from "bun:test";
import type { EngineKind } from "../../src/engine/engine.ts";
import type { ExitRow } from "../../src/observe/exits.ts";
import { type Detail, Recorder } from "../../src/observe/recorder.ts";
import { CLINT, POWER, RAM, type RigOptions, rig, TEST, UART } from "../machine/rig.ts";

const END = `li t0, 0x5555
  li t1, ${POWER}
  sw t0, 0(t1)
stay: j stay`;

function observed(text: string, options: RigOptions & { readonly detail?: Detail; readonly walks?: boolean } = {}) {
  let recorder!: Recorder;
  const made = rig(`${text}\n${END}`, {
    ...options,
    observe: (board, registry) => {
      recorder = new Recorder(board, registry, options.detail, options.walks);
      return recorder;
    },
  });
  return { ...made, recorder };
}

/** `write uart0.THR/1`: how many. */
function counts(rows: readonly ExitRow[]): Record<string, number> {
  const name = ({ kind, vdev, register, event, width }: ExitRow) =>
    `${kind} ${[vdev, register ?? event].filter(Boolean).join(".")}${width ? `/${width}` : ""}`;
  return Object.fromEntries(rows.map((row) => [name(row), row.count]));
}

const REGISTERS = ["kind", "vdev", "register", "event", "width"] as const;

const EVERY_KIND = `
  li s0, ${UART}
  li s1, 7
chars: li a0, 0x41
  sb a0, 0(s0)
  addi s1, s1, -1
  bnez s1, chars
  # The divisor latch lies over the same bytes.
  li a0, 0x83
  sb a0, 3(s0)
  sb zero, 0(s0)
  sb zero, 1(s0)
  sb zero, 0(s0)
  li a0, 3
  sb a0, 3(s0)
  lbu a0, 5(s0)
  lbu a0, 5(s0)
  # 64 bits are two halves; both elements of the array have one name.
  li s0, ${CLINT}
  li t2, 0x4000
  add t2, s0, t2
  li a0, -1
  sd a0, 0(t2)
  lw a0, 4(t2)
  # An instruction that nobody has, and a register.
  la t2, trap
  csrw mtvec, t2
  .word 0
  csrr a0, 0x5c0
  # Its own software interrupt, from a wait.
  li a0, 8
  csrw mie, a0
  li a0, 1
  sw a0, 0(s0)
  wfi
  csrrsi zero, mstatus, 8
  li s0, ${TEST}
  lh a0, 0x10(s0)
  sw a0, 0x10(s0)
  li s0, 0x30000000
  lw a0, 0(s0)
  j over
  .org ${RAM + 0x400}
trap: csrr a0, mcause
  bge a0, zero, skip
  li a0, ${CLINT}
  sw zero, 0(a0)
  mret
skip: csrr a0, mepc
  addi a0, a0, 4
  csrw mepc, a0
  mret
over: nop`;

describe("counts", () => {
  for (const engine of ["interpreter", "translator", "forced", "native"] as const satisfies readonly EngineKind[]) {
    test(`are exact on the ${engine}`, () => {
      const { machine, recorder } = observed(EVERY_KIND, { vdev: {}, engine });
      expect(machine.run(10_000)).toBe("ended");
      const exits = recorder.exits();
      expect(counts(exits.by(...REGISTERS))).toEqual({
        "write uart0.THR/1": 7,
        "write uart0.LCR/1": 2,
        "write uart0.DLL/1": 2,
        "write uart0.DLM/1": 1,
        "read uart0.LSR/1": 2,
        "write clint.MTIMECMP[]/4": 2,
        "read clint.MTIMECMP[]/4": 1,
        "unsupported instruction 0x0": 1,
        "unsupported CSR 0x5c0": 1,
        "write clint.MSIP[]/4": 2,
        "interrupt machine software": 1,
        "read test0.+0x10/2": 1,
        "write test0.+0x10/4": 1,
        "read /4": 1,
        "write power.FINISHER/4": 1,
      });
      const accesses = exits.count({ kind: "read" }) + exits.count({ kind: "write" });
      expect(accesses).toBe(machine.bus.exits);
    });
  }

  test("say which instruction it was, and which hart", () => {
    const made = observed(
      `
      csrr a0, mhartid
      li s0, ${UART}
      beqz a0, first
      second: lbu a1, 5(s0)
      wait: wfi
      j wait
      first: li t0, 30000
      again: addi t0, t0, -1
      bnez t0, again
      read: lbu a1, 5(s0)`,
      { set: ["cpu.harts=2"] },
    );
    expect(made.machine.run(100_000)).toBe("ended");
    const { labels } = made.program;
    const rows = made.recorder.exits().where({ register: "LSR" }).by("hart", "pc", "address");
    expect(rows).toEqual([
      { hart: 0, pc: BigInt(labels["read"]), address: UART + 5, count: 1 },
      { hart: 1, pc: BigInt(labels["second"]), address: UART + 5, count: 1 },
    ]);
    expect(made.recorder.exits().count({ kind: "wfi", hart: 1 })).toBe(1);
  });

  test("know firmware calls by name, and timers by whose they are", () => {
    const call = (extension: number, number: number) => `li a7, ${extension}\nli a6, ${number}\necall\n`;
    const made = observed(
      `li a0, 10\n${call(0x54494d45, 0)}${call(0x10, 3)}${call(0x10, 3)}${call(0x0777_0000, 2)}
       li t0, 10000\nagain: addi t0, t0, -1\nbnez t0, again`,
      { mode: "supervisor" },
    );
    expect(made.machine.run(100_000)).toBe("ended");
    const exits = made.recorder.exits();
    expect(counts(exits.where({ kind: "sbi" }).by("kind", "event"))).toEqual({
      "sbi TIME.set_timer": 1,
      "sbi BASE.probe_extension": 2,
      "sbi 0x7770000.2": 1,
    });
    expect(counts(exits.where({ kind: "timer" }).by("kind", "vdev"))).toEqual({ "timer hart0": 1 });
  });

  test("stay exact when a guest makes more different exits than can be kept apart", () => {
    // 1023 words of the test's vdev from 40 places each, and the mode register of the UART from as many.
    const places = Array.from({ length: 40 }, () => "lw a0, 0(s0)\nlbu a0, 5(s2)\n").join("");
    const made = observed(
      `li s0, ${TEST}\nli s1, 1023\nli s2, ${UART}
       again: ${places} addi s0, s0, 4\naddi s1, s1, -1\nbeqz s1, done\nj again\ndone: nop`,
      { vdev: {} },
    );
    expect(made.machine.run(1_000_000)).toBe("ended");
    const exits = made.recorder.exits();
    expect(exits.records.length).toBeLessThan(32_768);
    expect(exits.count({ vdev: "test0", kind: "read" })).toBe(40 * 1023);
    expect(exits.count({ vdev: "uart0", register: "LSR" })).toBe(40 * 1023);
    expect(exits.count({ kind: "read" })).toBe(80 * 1023);
  });
});

test("page-table walks count where they are asked for", () => {
  // Sv39 with one gigapage onto itself: a walk for the page of the code, and one for each page that is read.
  const guest = `
    li t0, ${RAM + 0x10_0000}
    li t1, 0x200000cf
    sd t1, 16(t0)
    srli t0, t0, 12
    li t1, 8
    slli t1, t1, 60
    or t0, t0, t1
    csrw satp, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    la t0, paged
    csrw mepc, t0
    li t0, 0x800
    csrw mstatus, t0
    la t0, over
    csrw mtvec, t0
    mret
  paged: li t0, ${RAM + 0x2_0000}
    lw a0, 0(t0)
    lw a0, 4(t0)
    li t1, 0x1000
    add t0, t0, t1
    lw a0, 0(t0)
    ecall
    .org ${RAM + 0x200}
  over: nop`;
  const asked = observed(guest, { walks: true });
  expect(asked.machine.run(10_000)).toBe("ended");
  expect(
    asked.recorder
      .exits()
      .by("kind", "event")
      .find(({ kind }) => kind === "walk"),
  ).toEqual({
    kind: "walk",
    event: "page-table walk",
    count: 3,
  });
  const other = observed(guest);
  expect(other.machine.run(10_000)).toBe("ended");
  expect(other.recorder.exits().count({ kind: "walk" })).toBe(0);
});

describe("costs", () => {
  test("are what the clock says, less what looking at it takes", () => {
    let now = 0;
    const made = observed(`li s0, ${TEST}\n${"lw a0, 0(s0)\n".repeat(20)}lw a0, 4(s0)`, {
      detail: "costs",
      // Each look takes 5 ns.
      nanoseconds: () => {
        now += 5;
        return now;
      },
      vdev: {
        read: (offset) => {
          now += offset === 0 ? 100 : 7000;
          return 0;
        },
      },
    });
    expect(made.machine.run(10_000)).toBe("ended");
    const [slow, quick] = made.recorder.exits().where({ vdev: "test0" }).by("register");
    expect(slow).toMatchObject({ register: "+0x4", count: 1, ns: 7000 });
    expect(slow.cost).toMatchObject({ min: 7000, median: 7000, p99: 7000, max: 7000, timed: 1 });
    expect(quick).toMatchObject({ register: "+0x0", count: 20, ns: 2000 });
    expect(quick.cost).toMatchObject({ min: 100, median: 100, max: 100, timed: 20 });
    const { time } = made.recorder.exits();
    expect(time.exits).toBeGreaterThanOrEqual(9000);
    expect(time.running).toBeGreaterThan(time.exits!);
    expect(time.total).toBeGreaterThanOrEqual(time.running);
  });

  test("of many are taken from a few of them", () => {
    let now = 0;
    const made = observed(`li s0, ${TEST}\nli s1, 4000\nagain: lw a0, 0(s0)\naddi s1, s1, -1\nbnez s1, again`, {
      detail: "costs",
      nanoseconds: () => now,
      vdev: {
        read: () => {
          now += 50;
          return 0;
        },
      },
    });
    expect(made.machine.run(100_000)).toBe("ended");
    const [row] = made.recorder.exits().where({ vdev: "test0" }).by("register");
    expect(row).toMatchObject({ count: 4000, ns: 200_000 });
    expect(row.cost!.timed).toBeGreaterThan(150);
    expect(row.cost!.timed).toBeLessThan(1000);
  });

  test("do not change what happens", () => {
    const run = (detail?: Detail) => {
      const made = observed(EVERY_KIND, { vdev: {}, detail });
      made.machine.run(10_000);
      return [made.machine.instructions, made.machine.clock.now(), made.seen.output, made.recorder.exits().total];
    };
    expect(run("costs")).toEqual(run("counts"));
  });
});
