import { describe, expect, test } from "bun:test";
import { setPending } from "../../../src/isa/riscv/csr.ts";
import { HartField, Privilege } from "../../../src/isa/riscv/hart.ts";
import { Cause, mayWait, mret, raise, sret, takeInterrupt, wakes } from "../../../src/isa/riscv/trap.ts";
import { enterMode, makeHart, read, set, write } from "./privileged.ts";

const { user: U, supervisor: S, machine: M } = Privilege;
const MODES = [U, S, M] as const;
const PC = 0x8000_1234n;
const field = (value: bigint | undefined, shift: number, width: number): number =>
  Number(((value ?? 0n) >> BigInt(shift)) & ((1n << BigInt(width)) - 1n));

/** A hart with handlers at 0x8100_0000 (M) and 0x8200_0000 (S), at PC. */
function ready(): ReturnType<typeof makeHart> {
  const made = makeHart();
  write(made.hart, "mtvec", 0x8100_0000n);
  write(made.hart, "stvec", 0x8200_0000n);
  made.hart.pc = PC;
  return made;
}

/** CSRs whatever mode the hart is in. */
function peek(hart: ReturnType<typeof makeHart>["hart"], name: string): bigint {
  const { privilege } = hart;
  hart.privilege = M;
  const value = read(hart, name);
  hart.privilege = privilege;
  return value!;
}

describe("exceptions", () => {
  test("every cause from every mode, delegated or not", () => {
    for (const cause of Object.values(Cause)) {
      for (const from of MODES) {
        for (const delegate of [false, true]) {
          for (const enabled of [0n, 0xan]) {
            const { hart } = ready();
            if (delegate) write(hart, "medeleg", 0xffffn);
            write(hart, "mstatus", enabled);
            enterMode(hart, from);
            hart.reservation = 0x1234;
            raise(hart, cause, 0xdead_beef_0000_0001n);
            const toS = delegate && from !== M && cause !== Cause.machineEcall;
            const x = toS ? "s" : "m";
            const status = peek(hart, "mstatus");
            const on = enabled === 0n ? 0 : 1;
            expect({
              privilege: hart.privilege,
              pc: hart.pc,
              epc: peek(hart, `${x}epc`),
              cause: peek(hart, `${x}cause`),
              tval: peek(hart, `${x}tval`),
              trapped: hart.trapped,
              previous: toS ? field(status, 8, 1) : field(status, 11, 2),
              enables: [field(status, 1, 1), field(status, 3, 1), field(status, 5, 1), field(status, 7, 1)],
              reservation: hart.word(HartField.reservation),
            }).toEqual({
              privilege: toS ? S : M,
              pc: toS ? 0x8200_0000n : 0x8100_0000n,
              epc: PC,
              cause: BigInt(cause),
              tval: 0xdead_beef_0000_0001n,
              trapped: 1,
              previous: from,
              enables: toS ? [0, on, on, 0] : [on, 0, 0, on],
              reservation: 0x1234,
            });
          }
        }
      }
    }
  });

  test("exceptions go to BASE in vectored mode too", () => {
    const { hart } = ready();
    write(hart, "mtvec", 0x8100_0001n);
    raise(hart, Cause.illegalInstruction, 0n);
    expect(hart.pc).toBe(0x8100_0000n);
  });

  test("a high-half handler and pc keep their 64 bits", () => {
    const { hart } = ready();
    write(hart, "mtvec", 0xffff_ffff_8000_0000n);
    hart.pc = 0xffff_ffe0_8000_0042n;
    raise(hart, Cause.breakpoint, hart.pc);
    expect(hart.pc).toBe(0xffff_ffff_8000_0000n);
    expect(read(hart, "mepc")).toBe(0xffff_ffe0_8000_0042n);
    expect(read(hart, "mtval")).toBe(0xffff_ffe0_8000_0042n);
  });
});

describe("interrupts", () => {
  test("global enables, privilege and delegation", () => {
    for (const from of MODES) {
      for (const bit of [1, 3, 5, 7, 9, 11]) {
        for (let choice = 0; choice < 8; choice++) {
          const { hart } = ready();
          const delegated = (choice & 1) !== 0 && [1, 5, 9].includes(bit);
          if (choice & 1) write(hart, "mideleg", 0xfffn);
          write(hart, "mstatus", BigInt((choice & 2 ? 2 : 0) | (choice & 4 ? 8 : 0)));
          write(hart, "mie", 1n << BigInt(bit));
          setPending(hart, bit, true);
          enterMode(hart, from);
          const target = delegated ? S : M;
          const open = delegated ? (choice & 2) !== 0 : (choice & 4) !== 0;
          const taken = from < target || (from === target && open);
          expect([from, bit, choice, wakes(hart)]).toEqual([from, bit, choice, true]);
          expect([from, bit, choice, takeInterrupt(hart)]).toEqual([from, bit, choice, taken]);
          expect(hart.privilege).toBe(taken ? target : from);
          expect(hart.trapped).toBe(0);
          if (!taken) {
            expect(hart.pc).toBe(PC);
            continue;
          }
          expect(hart.pc).toBe(delegated ? 0x8200_0000n : 0x8100_0000n);
          expect(peek(hart, delegated ? "scause" : "mcause")).toBe((1n << 63n) | BigInt(bit));
          expect(peek(hart, delegated ? "sepc" : "mepc")).toBe(PC);
          expect(takeInterrupt(hart)).toBe(false);
        }
      }
    }
  });

  test("priority: external, software, timer; the machine's first", () => {
    const { hart } = ready();
    write(hart, "mie", 0xaaan);
    for (const bit of [1, 3, 5, 7, 9, 11]) setPending(hart, bit, true);
    const order: number[] = [];
    for (let i = 0; i < 6; i++) {
      write(hart, "mstatus", 8n);
      expect(takeInterrupt(hart)).toBe(true);
      const bit = Number(read(hart, "mcause")! & 0xffn);
      order.push(bit);
      setPending(hart, bit, false);
    }
    expect(order).toEqual([11, 3, 7, 9, 1, 5]);
  });

  test("what goes to M comes before what is delegated", () => {
    const { hart } = ready();
    write(hart, "mideleg", 0x200n);
    write(hart, "mie", 0xaaan);
    setPending(hart, 9, true);
    set(hart, "mip", 0x20n);
    enterMode(hart, U);
    expect(takeInterrupt(hart)).toBe(true);
    expect(hart.privilege).toBe(M);
    expect(read(hart, "mcause")).toBe((1n << 63n) | 5n);
  });

  test("vectored handlers, also across a 4 GiB boundary", () => {
    const { hart } = ready();
    write(hart, "mie", 0x800n);
    setPending(hart, 11, true);
    for (const [tvec, pc] of [
      [0x8100_0001n, 0x8100_002cn],
      [0xffff_fff1n, 0x1_0000_001cn],
      [0xffff_ffff_ffff_fff1n, 0x1cn],
      [0x8100_0000n, 0x8100_0000n],
    ]) {
      write(hart, "mtvec", tvec);
      write(hart, "mstatus", 8n);
      expect(takeInterrupt(hart)).toBe(true);
      expect(hart.pc).toBe(pc);
    }
  });

  test("a disabled interrupt wakes nobody", () => {
    const { hart } = ready();
    setPending(hart, 11, true);
    expect(wakes(hart)).toBe(false);
    expect(takeInterrupt(hart)).toBe(false);
  });
});

describe("returns", () => {
  test("mret from M to every mode", () => {
    for (const to of MODES) {
      for (const enabled of [0n, 1n]) {
        const { hart } = ready();
        write(hart, "mepc", 0x1234_5678_9abcn);
        write(hart, "mstatus", (BigInt(to) << 11n) | (enabled << 7n) | (1n << 17n));
        write(hart, "mie", 1n << 7n);
        setPending(hart, 7, true);
        hart.setWord(HartField.attention, 0);
        expect(mret(hart)).toBe(true);
        const status = peek(hart, "mstatus");
        expect([hart.privilege, hart.pc]).toEqual([to, 0x1234_5678_9abcn]);
        expect([field(status, 3, 1), field(status, 7, 1), field(status, 11, 2)]).toEqual([Number(enabled), 1, 0]);
        // MPRV ends where the mode is left that it serves. RISC-V Priv §3.1.6.3
        expect(field(status, 17, 1)).toBe(to === M ? 1 : 0);
        expect(hart.word(HartField.attention)).toBe(1);
      }
    }
  });

  test("sret from S and M to S and U", () => {
    for (const from of [S, M]) {
      for (const to of [U, S]) {
        const { hart } = ready();
        write(hart, "sepc", 0xffff_ffff_8000_0000n);
        write(hart, "mstatus", (BigInt(to) << 8n) | (1n << 5n) | (1n << 17n) | (3n << 11n));
        enterMode(hart, from);
        expect(sret(hart)).toBe(true);
        const status = peek(hart, "mstatus");
        expect([hart.privilege, hart.pc]).toEqual([to, 0xffff_ffff_8000_0000n]);
        expect([field(status, 1, 1), field(status, 5, 1), field(status, 8, 1)]).toEqual([1, 1, 0]);
        expect([field(status, 17, 1), field(status, 11, 2)]).toEqual([0, 3]);
      }
    }
  });

  test("who may return", () => {
    const { hart } = ready();
    const legal = (): boolean[][] =>
      MODES.map((mode) => {
        const status = peek(hart, "mstatus");
        enterMode(hart, mode);
        const m = mret(hart);
        enterMode(hart, M);
        write(hart, "mstatus", status);
        enterMode(hart, mode);
        const s = sret(hart);
        enterMode(hart, M);
        write(hart, "mstatus", status);
        return [m, s];
      });
    expect(legal()).toEqual([
      [false, false],
      [false, true],
      [true, true],
    ]);
    set(hart, "mstatus", 1n << 22n);
    expect(legal()).toEqual([
      [false, false],
      [false, false],
      [true, true],
    ]);
  });

  test("an illegal return changes nothing", () => {
    const { hart } = ready();
    enterMode(hart, U);
    const before = peek(hart, "mstatus");
    expect([mret(hart), sret(hart)]).toEqual([false, false]);
    expect([hart.pc, hart.privilege, peek(hart, "mstatus")]).toEqual([PC, U, before]);
  });

  test("a trap and its return leave things as they were", () => {
    for (const from of MODES) {
      const { hart } = ready();
      write(hart, "mstatus", 0x8n);
      enterMode(hart, from);
      raise(hart, Cause.illegalInstruction, 0n);
      mret(hart);
      expect([hart.privilege, hart.pc]).toEqual([from, PC]);
      expect(field(peek(hart, "mstatus"), 3, 1)).toBe(1);
    }
  });
});

test("WFI: never in U, by TW in S", () => {
  const { hart } = ready();
  const modes = (): boolean[] =>
    MODES.map((mode) => {
      enterMode(hart, mode);
      return mayWait(hart);
    });
  expect(modes()).toEqual([false, true, true]);
  enterMode(hart, M);
  set(hart, "mstatus", 1n << 21n);
  expect(modes()).toEqual([false, false, true]);
});
