// The engine's contract: budgets, precise state, interrupts between two instructions, WFI, several harts.
import { beforeEach, describe, expect, test } from "bun:test";
import { RunReason } from "../../../src/engine/engine.ts";
import { register } from "../program.ts";
import { DEVICE, PageTables, PTE_RWX, RAM, Rig } from "../rig.ts";

const rig = new Rig({ harts: 2 });
beforeEach(() => rig.reset());

const MSIP = 3;
const MTIP = 7;
const SEIP = 9;

/** Computes, stores, branches, calls, traps, touches the device, and goes on for ever. */
const BUSY = `
    la t0, handler
    csrw mtvec, t0
    li s0, ${RAM + 0x8000}
    li s1, ${DEVICE}
    li s2, 0x6000
    csrs mstatus, s2
  again:
    addi a0, a0, 1
    c.addi a1, a1, 3
    mul a2, a0, a1
    sd a2, 0(s0)
    ld a3, 4(s0)
    amoadd.d a4, a0, (s0)
    fcvt.d.l fa0, a2
    fmul.d fa1, fa0, fa0
    csrrw a5, mscratch, a2
    csrr a6, minstret
    andi t1, a0, 7
    bnez t1, skip
    ecall
    .word 0
  skip:
    lw a7, 0(s1)
    sw a0, 4(s1)
    jal ra, routine
    andi s0, s0, -256
    j again
    .org ${RAM + 0xffe}
  routine:
    addi s0, s0, 9
    ret
  handler:
    csrr t2, mepc
    addi t2, t2, 4
    csrw mepc, t2
    mret`;

describe("a budget", () => {
  const after = (steps: readonly number[]) => {
    rig.reset();
    let ticks = 0;
    rig.onLoad = () => ++ticks;
    rig.load(BUSY);
    for (const step of steps) {
      expect(rig.run(step)).toBe(RunReason.budget);
      expect(rig.engine.executed).toBe(step);
    }
    return { ...rig.state(), exits: rig.exits };
  };

  test("is exact, however it is divided", () => {
    const total = 2000;
    const whole = after([total]);
    expect(after(Array.from({ length: total }, () => 1))).toEqual(whole);
    expect(after([1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 405])).toEqual(whole);
    expect(after([1999, 1])).toEqual(whole);
    expect(after([1998, 2])).not.toEqual(after([1999]));
  });

  test("counts what retires in minstret, and not what traps", () => {
    rig.load(`
      la t0, handler
      csrw mtvec, t0
      csrr a0, minstret
      ecall
    handler:
      csrr a1, minstret
      csrr a2, minstret
      csrw minstret, zero
      csrr a3, minstret`);
    rig.run(9);
    // ECALL does not retire. RISC-V Priv §3.3.1
    expect(rig.x("a1") - rig.x("a0")).toBe(1n);
    expect(rig.x("a2") - rig.x("a1")).toBe(1n);
    // A write takes the place of the writing instruction's own increment. §2.2
    expect(rig.x("a3")).toBe(0n);
    expect(rig.engine.executed).toBe(9);
  });

  test("counts in minstret what retired before the reading instruction", () => {
    rig.load("nop\n nop\n csrr a0, minstret");
    rig.run(3);
    expect(rig.x("a0")).toBe(2n);
  });

  test("is spent by a guest whose trap handler faults for ever", () => {
    rig.setCsr("mtvec", 0x4000_0000n);
    rig.hart.pc = 0x4000_0000n;
    expect(rig.run(1000)).toBe(RunReason.budget);
    expect(rig.engine.executed).toBe(1000);
    expect(rig.csr("mcause")).toBe(1n);
  });

  // A jump that spends the last instruction of a budget still takes the fetch trap at its target.
  test("ends between a jump and the fault at its target", () => {
    rig.load("jalr zero, 0(t0)");
    rig.hart.setX(register("t0"), 0x4000_0000n);
    rig.run(1);
    expect(rig.engine.executed).toBe(1);
    expect(rig.hart.pc).toBe(0x4000_0000n);
  });

  test("may be shortened from inside", () => {
    rig.load(`li t0, ${DEVICE}\n sw zero, 0(t0)\n again: addi a0, a0, 1\n j again`);
    rig.onStore = () => {
      rig.engine.shorten(10);
      return true;
    };
    rig.run(1000);
    const upToStore = 2;
    expect(rig.engine.executed).toBe(upToStore + 10);
    expect(rig.x("a0")).toBe(5n);
    // Later: no effect.
    rig.run(100);
    expect(rig.engine.executed).toBe(100);
  });

  test("cannot be lengthened from inside", () => {
    rig.load(`li t0, ${DEVICE}\n sw zero, 0(t0)\n again: j again`);
    rig.onStore = () => {
      rig.engine.shorten(1_000_000);
      return true;
    };
    rig.run(20);
    expect(rig.engine.executed).toBe(20);
  });

  test("knows what was executed at any moment", () => {
    rig.load(`li t0, ${DEVICE}\n nop\n lw a0, 0(t0)\n nop\n lw a0, 0(t0)\n end: j end`);
    const seen: number[] = [];
    rig.onLoad = () => seen.push(rig.engine.executed);
    rig.run(20);
    expect(seen).toEqual([3, 5]);
  });

  test("ends at once when the machine asks for it", () => {
    rig.load(`li t0, ${DEVICE}\n sw zero, 0(t0)\n again: addi a0, a0, 1\n j again`);
    rig.onStore = () => {
      rig.engine.requestStop();
      return true;
    };
    expect(rig.run(1000)).toBe(RunReason.stop);
    expect(rig.engine.executed).toBe(2);
    expect(rig.x("a0")).toBe(0n);
    expect(rig.run(3)).toBe(RunReason.budget);
    expect(rig.x("a0")).toBe(2n);
  });
});

describe("an interrupt", () => {
  const prepare = () => {
    const { labels } = rig.load(`
      li t0, ${DEVICE}
    store:
      sw zero, 0(t0)
    behind:
      addi a0, a0, 1
      j behind
    handler:
      csrr a1, mepc
      csrr a2, mcause
      wfi
      j handler`);
    rig.setCsr("mtvec", BigInt(labels.handler));
    rig.setCsr("mie", (1n << BigInt(MSIP)) | (1n << BigInt(MTIP)));
    rig.setCsr("mstatus", 8n);
    return labels;
  };

  test("that a store causes is taken before the next instruction", () => {
    const labels = prepare();
    rig.onStore = () => {
      rig.engine.setPending(0, MSIP, true);
      return true;
    };
    rig.run(4);
    expect(rig.x("a0")).toBe(0n);
    expect(rig.x("a1")).toBe(BigInt(labels.behind));
    expect(rig.x("a2")).toBe((1n << 63n) | BigInt(MSIP));
  });

  test("from between two runs is taken before the first instruction of the second", () => {
    const labels = prepare();
    rig.run(3);
    const between = rig.hart.pc;
    expect(between).toBe(BigInt(labels.behind + 4));
    rig.engine.setPending(0, MTIP, true);
    rig.run(1);
    expect(rig.x("a1")).toBe(between);
    expect(rig.x("a0")).toBe(1n);
  });

  test("that is masked waits until CSR, MRET or SRET opens the way", () => {
    const { labels } = rig.load(`
      csrrci zero, mstatus, 8
      addi a0, a0, 1
      csrrsi zero, mstatus, 8
    opened:
      addi a0, a0, 1
      j opened
    handler: csrr a1, mepc
    end: j end`);
    rig.setCsr("mtvec", BigInt(labels.handler));
    rig.setCsr("mie", 1n << BigInt(MTIP));
    rig.engine.setPending(0, MTIP, true);
    rig.run(5);
    expect(rig.x("a0")).toBe(1n);
    expect(rig.x("a1")).toBe(BigInt(labels.opened));
  });

  test("goes to S-mode where it is delegated", () => {
    const { labels } = rig.load("again: j again\nhandler: csrr a1, scause\nend: j end");
    rig.setCsr("pmpaddr0", (1n << 54n) - 1n);
    rig.setCsr("pmpcfg0", 0x1fn);
    rig.setCsr("stvec", BigInt(labels.handler));
    rig.setCsr("mideleg", 1n << BigInt(SEIP));
    rig.setCsr("mie", 1n << BigInt(SEIP));
    rig.enter(0);
    rig.run(10);
    rig.engine.setPending(0, SEIP, true);
    rig.run(1);
    expect(rig.x("a1")).toBe((1n << 63n) | BigInt(SEIP));
    expect(rig.hart.privilege).toBe(1);
  });
});

describe("WFI", () => {
  test("comes back, behind the instruction", () => {
    const { labels } = rig.load("addi a0, a0, 1\n wfi\nbehind: addi a0, a0, 1\nend: j end");
    expect(rig.run(1000)).toBe(RunReason.wfi);
    expect(rig.engine.executed).toBe(2);
    expect(rig.hart.pc).toBe(BigInt(labels.behind));
    expect(rig.engine.wakes(0)).toBe(false);
    rig.setCsr("mie", 1n << BigInt(MTIP));
    rig.engine.setPending(0, MTIP, true);
    expect(rig.engine.wakes(0)).toBe(true);
  });

  test("does not wait where something is pending, taken or not", () => {
    rig.load("wfi\n addi a0, a0, 1\nend: j end");
    rig.setCsr("mie", 1n << BigInt(MTIP));
    rig.engine.setPending(0, MTIP, true);
    expect(rig.run(10)).toBe(RunReason.budget);
    expect(rig.x("a0")).toBe(1n);
  });

  test("is illegal in U-mode", () => {
    const { labels } = rig.load("wfi\nhandler: csrr a0, mcause\nend: j end");
    rig.setCsr("pmpaddr0", (1n << 54n) - 1n);
    rig.setCsr("pmpcfg0", 0x1fn);
    rig.setCsr("mtvec", BigInt(labels.handler));
    rig.enter(0);
    expect(rig.run(3)).toBe(RunReason.budget);
    expect(rig.x("a0")).toBe(2n);
  });
});

describe("several harts", () => {
  test("share memory and nothing else", () => {
    rig.load(`li t0, ${RAM + 0x100}\nagain: amoadd.d zero, a0, (t0)\n j again`);
    rig.engine.harts[1].pc = BigInt(RAM);
    rig.engine.harts[0].setX(10, 1n);
    rig.engine.harts[1].setX(10, 1000n);
    for (let i = 0; i < 10; i++) {
      rig.run(2, 0);
      rig.run(2, 1);
    }
    expect(rig.memory.data.getBigUint64(rig.memory.locate(RAM + 0x100, 8), true)).toBeGreaterThan(9000n);
    expect(rig.engine.harts[0].x(10)).toBe(1n);
    expect(rig.engine.harts[1].x(10)).toBe(1000n);
    expect(rig.engine.harts[0].retired).toBe(20);
  });

  test("an SC fails after another hart had a turn", () => {
    rig.load(`
      li t0, ${RAM + 0x100}
      lr.w a0, (t0)
      sc.w a1, t0, (t0)
      lr.w a0, (t0)
      sc.w a2, t0, (t0)
    end: j end`);
    rig.engine.harts[1].pc = BigInt(RAM + 0x800);
    rig.memory.load(RAM + 0x800, Uint8Array.of(0x6f, 0, 0, 0));
    const upToReservation = 4;
    rig.run(upToReservation);
    expect(rig.hart.pc).toBe(BigInt(RAM + 4 * upToReservation));
    rig.run(1, 1);
    rig.run(10);
    expect(rig.x("a1")).toBe(1n);
    expect(rig.x("a2")).toBe(0n);
  });

  test("an SC succeeds across runs of the same hart", () => {
    rig.load(`li t0, ${RAM + 0x100}\n lr.w a0, (t0)\n sc.w a1, t0, (t0)\nend: j end`);
    rig.hart.setX(register("a1"), 9n);
    for (let i = 0; i < 10; i++) rig.run(1);
    expect(rig.x("a1")).toBe(0n);
  });

  test("have translations of their own", () => {
    const tables = [new PageTables(rig.memory), new PageTables(rig.memory, RAM + 0x30_0000)];
    rig.load(`lui t0, 0x700\nagain: ld a0, 0(t0)\n j again`);
    tables.forEach((table, hart) => {
      table.map(0x40_0000, RAM, PTE_RWX);
      table.map(0x70_0000, RAM + 0x1_0000 * (hart + 1), PTE_RWX);
      rig.memory.write(RAM + 0x1_0000 * (hart + 1), Uint8Array.of(hart + 1));
      rig.engine.harts[hart].pc = 0x40_0000n;
      rig.setCsr("pmpaddr0", (1n << 54n) - 1n, hart);
      rig.setCsr("pmpcfg0", 0x1fn, hart);
      rig.setCsr("satp", table.satp, hart);
      rig.enter(1, hart);
    });
    for (let i = 0; i < 5; i++) {
      rig.run(7, 0);
      rig.run(7, 1);
    }
    expect(rig.x("a0", 0)).toBe(1n);
    expect(rig.x("a0", 1)).toBe(2n);
  });

  test("see each other's rewritten code", () => {
    // Hart 1 executes what hart 0 overwrites.
    rig.load(`
      la t0, patched
      li t1, ${0x0640_0513 /* addi a0, zero, 100 */}
      sw t1, 0(t0)
    end: j end
      .org ${RAM + 0x200}
    patched:
      addi a0, zero, 1
      j patched`);
    rig.engine.harts[1].pc = BigInt(RAM + 0x200);
    rig.run(10, 1);
    expect(rig.x("a0", 1)).toBe(1n);
    rig.run(10, 0);
    rig.run(2, 1);
    expect(rig.x("a0", 1)).toBe(100n);
  });
});

test("what the harts' reset forgets: no decoded code, no translations", () => {
  rig.load("again: addi a0, a0, 1\n j again");
  rig.run(10);
  expect(rig.memory.codePages[rig.memory.locate(RAM, 1) >>> 12]).toBe(1);
  rig.engine.reset();
  expect(rig.memory.codePages.some((page) => page !== 0)).toBe(false);
  rig.run(10);
  expect(rig.x("a0")).toBe(10n);
});
