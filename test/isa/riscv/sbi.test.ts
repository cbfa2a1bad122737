import { describe, expect, test } from "bun:test";
import { setPending } from "../../../src/isa/riscv/csr.ts";
import { csrs } from "../../../src/isa/riscv/csr-table.ts";
import { type Hart, HartField, Privilege } from "../../../src/isa/riscv/hart.ts";
import { translate } from "../../../src/isa/riscv/mmu.ts";
import { createSbi, enterSupervisor, type Sbi } from "../../../src/isa/riscv/sbi.ts";
import { Cause, raise, takeInterrupt } from "../../../src/isa/riscv/trap.ts";
import { Chance, EXTENSIONS, enterMode, makeHart, memory, RAM, ROM, read, set, write } from "./privileged.ts";

const { user: U, supervisor: S, machine: M } = Privilege;
const ALL = (1n << 64n) - 1n;
const PC = 0x8000_0100n;
const [NOT_SUPPORTED, INVALID, BAD_ADDRESS, ALREADY] = [-2n, -3n, -5n, -6n];
const BASE = 0x10n;
const TIME = 0x54494d45n;
const IPI = 0x735049n;
const RFENCE = 0x52464e43n;
const HSM = 0x48534dn;
const SRST = 0x53525354n;
const DBCN = 0x4442434en;

interface Bench {
  readonly harts: Hart[];
  readonly timers: (readonly [hart: number, ticks: number])[];
  readonly log: string[];
  output: string;
  input: string;
  readonly sbi: Sbi;
  /** Calls from a hart; answers error and value, or `undefined` where the hart did not return. */
  call(extension: bigint, func: bigint, args?: readonly bigint[], hart?: number): [bigint, bigint] | undefined;
}

function bench(count = 3, extensions: readonly string[] = EXTENSIONS, beside = false): Bench {
  const harts = Array.from({ length: count }, (_, index) => {
    return makeHart({ index, extensions: new Set(extensions) }).hart;
  });
  const started = harts.map((_, i) => i === 0);
  const it: Bench = {
    harts,
    timers: [],
    log: [],
    output: "",
    input: "",
    sbi: createSbi(harts, {
      setTimer: (hart, ticks) => it.timers.push([hart, ticks]),
      power: (action, code) => it.log.push(code === undefined ? action : `${action} ${code}`),
      console: {
        write: (byte) => {
          it.output += String.fromCharCode(byte);
        },
        read: () => {
          const byte = it.input.length ? it.input.charCodeAt(0) : -1;
          it.input = it.input.slice(1);
          return byte;
        },
      },
      started: (hart) => started[hart],
      startHart: (hart, pc, opaque) => {
        started[hart] = true;
        it.log.push(`start ${hart} ${pc.toString(16)} ${opaque}`);
        return !beside;
      },
      stopHart: (hart) => {
        started[hart] = false;
        it.log.push(`stop ${hart}`);
      },
      suspendHart: (hart) => it.log.push(`suspend ${hart}`),
      remote: beside
        ? {
            interrupt: (hart) => it.log.push(`interrupt ${hart}`),
            fence: (harts, what) =>
              it.log.push(`fence ${harts} ${what === "instructions" ? what : `${what.start} ${what.size}`}`),
          }
        : undefined,
    }),
    call(extension, func, args = [], index = 0) {
      const hart = harts[index];
      hart.pc = PC;
      for (let i = 0; i < 6; i++) hart.setX(10 + i, args[i] ?? 0n);
      hart.setX(16, func);
      hart.setX(17, extension);
      it.sbi.handle(hart);
      if (hart.pc === PC) return undefined;
      expect(hart.pc).toBe(PC + 4n);
      return [BigInt.asIntN(64, hart.x(10)), hart.x(11)];
    },
  };
  for (const hart of harts) enterSupervisor(hart, 0x8020_0000n, BigInt(hart.index), 0n);
  return it;
}

function peek(hart: Hart, name: string): bigint {
  const { privilege } = hart;
  hart.privilege = M;
  const value = read(hart, name);
  hart.privilege = privilege;
  return value!;
}

describe("entering the supervisor", () => {
  test("what a kernel finds", () => {
    const { hart } = makeHart();
    for (const { name } of csrs) if (!name.startsWith("pmp")) write(hart, name, ALL);
    enterSupervisor(hart, 0x8020_0000n, 7n, 0x8800_0000n);
    expect([hart.privilege, hart.pc, hart.x(10), hart.x(11)]).toEqual([S, 0x8020_0000n, 7n, 0x8800_0000n]);
    expect(read(hart, "satp")).toBe(0n);
    expect(read(hart, "sstatus")).toBe((2n << 32n) | (1n << 13n));
    expect([read(hart, "sie"), read(hart, "sip"), read(hart, "stvec")]).toEqual([0n, 0n, 0n]);
    for (const name of ["cycle", "time", "instret", "stimecmp"]) expect(read(hart, name)).toBeDefined();
    expect(translate(hart, RAM | 0, 0, 2)).toBe(0);
    expect(peek(hart, "menvcfg")).toBe((1n << 63n) | (1n << 61n) | 0xf0n);
    enterMode(hart, U);
    for (const name of ["cycle", "time", "instret"]) expect(read(hart, name)).toBeDefined();
  });

  test("everything is delegated but the supervisor's own call", () => {
    const { hart } = makeHart();
    for (const cause of Object.values(Cause)) {
      enterSupervisor(hart, PC, 0n, 0n);
      raise(hart, cause, 0n);
      const machine = cause === Cause.supervisorEcall || cause === Cause.machineEcall;
      expect([cause, hart.privilege]).toEqual([cause, machine ? M : S]);
    }
  });

  test("a hart without PMP, float and Sstc enters too, and locked entries do not outlive it", () => {
    const { hart } = makeHart({ pmp: 0, extensions: new Set(["i", "svade", "svadu"]) });
    enterSupervisor(hart, PC, 0n, 0n);
    expect(translate(hart, RAM | 0, 0, 2)).toBe(0);
    expect([peek(hart, "menvcfg"), read(hart, "sstatus")]).toEqual([0n, 2n << 32n]);
    const locked = makeHart().hart;
    write(locked, "pmpaddr0", ALL);
    write(locked, "pmpcfg0", 0x98n);
    enterSupervisor(locked, PC, 0n, 0n);
    expect(translate(locked, RAM | 0, 0, 2)).toBe(0);
  });
});

test("base", () => {
  const it = bench();
  expect(it.call(BASE, 0n)).toEqual([0n, 2n << 24n]);
  expect(it.call(BASE, 1n)).toEqual([0n, 0x766d72n]);
  for (const extension of [BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, 0n, 1n, 2n, 3n, 8n]) {
    expect([extension, it.call(BASE, 3n, [extension])]).toEqual([extension, [0n, 1n]]);
  }
  for (const extension of [4n, 9n, 0x504d55n, ALL, 1n << 32n]) expect(it.call(BASE, 3n, [extension])).toEqual([0n, 0n]);
  for (const id of [4n, 5n, 6n]) expect(it.call(BASE, id)).toEqual([0n, 0n]);
});

test("what is not there is not supported", () => {
  const it = bench();
  for (const extension of [BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN]) {
    for (const func of [7n, 0xffffn, 0x1_0000n, 1n << 32n, ALL]) {
      expect(it.call(extension, func)).toEqual([NOT_SUPPORTED, 0n]);
    }
  }
  for (const extension of [4n, 0x0fn, 0x504d55n, ALL]) expect(it.call(extension, 0n)).toEqual([NOT_SUPPORTED, 0n]);
  expect(it.log).toEqual([]);
});

describe("time", () => {
  test("through stimecmp where there is Sstc", () => {
    const it = bench();
    expect(it.call(TIME, 0n, [1234n])).toEqual([0n, 0n]);
    expect(read(it.harts[0], "stimecmp")).toBe(1234n);
    expect(it.timers).toEqual([]);
  });

  test("through the machine where there is not; setting clears what is pending", () => {
    const it = bench(
      1,
      EXTENSIONS.filter((e) => e !== "sstc"),
    );
    const [hart] = it.harts;
    setPending(hart, 5, true);
    expect(read(hart, "sip")).toBe(0x20n);
    expect(it.call(TIME, 0n, [1234n])).toEqual([0n, 0n]);
    expect(read(hart, "sip")).toBe(0n);
    expect(it.call(TIME, 0n, [ALL])).toEqual([0n, 0n]);
    expect(it.call(0n, 0n, [99n])?.[0]).toBe(0n);
    expect(it.timers).toEqual([
      [0, 1234],
      [0, Number.POSITIVE_INFINITY],
      [0, 99],
    ]);
  });
});

describe("harts of a mask", () => {
  test("an IPI reaches those named, and is taken", () => {
    const it = bench();
    expect(it.call(IPI, 0n, [0b11n, 1n])).toEqual([0n, 0n]);
    expect(it.harts.map((hart) => read(hart, "sip"))).toEqual([0n, 2n, 2n]);
    const [, target] = it.harts;
    expect(target.word(HartField.attention)).toBe(1);
    write(target, "stvec", 0x8030_0000n);
    write(target, "sie", 2n);
    set(target, "sstatus", 2n);
    expect(takeInterrupt(target)).toBe(true);
    expect([target.pc, read(target, "scause")]).toEqual([0x8030_0000n, (1n << 63n) | 1n]);
    // The supervisor clears it itself.
    write(target, "sip", 0n);
    expect(read(target, "sip")).toBe(0n);
  });

  test("a base of all ones is every hart", () => {
    const it = bench();
    expect(it.call(IPI, 0n, [0n, ALL])).toEqual([0n, 0n]);
    expect(it.harts.map((hart) => read(hart, "sip"))).toEqual([2n, 2n, 2n]);
  });

  test("one that does not exist: an error, and nobody is reached", () => {
    const it = bench();
    for (const [mask, base] of [
      [0b1001n, 0n],
      [1n, 3n],
      [ALL, 0n],
      [1n << 63n, ALL - 1n],
      [1n, 1n << 63n],
    ]) {
      expect(it.call(IPI, 0n, [mask, base])).toEqual([INVALID, 0n]);
      expect(it.call(RFENCE, 1n, [mask, base, 0n, ALL])).toEqual([INVALID, 0n]);
    }
    expect(it.harts.map((hart) => read(hart, "sip"))).toEqual([0n, 0n, 0n]);
    expect(it.call(IPI, 0n, [0n, 77n])).toEqual([0n, 0n]);
  });

  test("legacy: an IPI can be taken back", () => {
    const it = bench();
    it.call(IPI, 0n, [1n, 0n]);
    expect(read(it.harts[0], "sip")).toBe(2n);
    expect(it.call(3n, 0n)?.[0]).toBe(0n);
    expect(read(it.harts[0], "sip")).toBe(0n);
  });
});

describe("remote fences", () => {
  /** Which of a hart's pages are in the read TLB after a call, when all were before. */
  function left(it: Bench, hart: Hart, pages: readonly number[], call: () => unknown): boolean[] {
    const entry = (page: number): number => hart.word(HartField.tlbRead) + (page & 511) * 16;
    for (const page of pages) memory.data.setBigUint64(entry(page), BigInt(page), true);
    hart.noteFill(hart.word(HartField.tlbRead), false);
    call();
    expect(it.harts.length).toBeGreaterThan(hart.index);
    return pages.map((page) => memory.data.getBigUint64(entry(page), true) === BigInt(page));
  }

  test("forget single pages, or everything", () => {
    const it = bench();
    const [, target] = it.harts;
    const cases = [
      [0x5000n, 0x1000n, [true, false, true, true]],
      [0x5fffn, 2n, [true, false, false, true]],
      [0x4000n, 0x3000n, [false, false, false, true]],
      [0x5000n, 0x40_0000n, [false, false, false, false]],
      [0n, 0n, [false, false, false, false]],
      [0n, ALL, [false, false, false, false]],
      [ALL, ALL - 1n, [false, false, false, false]],
    ] as const;
    for (const func of [1n, 2n]) {
      for (const [start, size, expected] of cases) {
        const call = (): unknown => it.call(RFENCE, func, [2n, 0n, start, size, 0n]);
        expect([start, size, left(it, target, [4, 5, 6, 100], call)]).toEqual([start, size, [...expected]]);
      }
    }
  });

  test("only of the harts named", () => {
    const it = bench();
    expect(left(it, it.harts[2], [5], () => it.call(RFENCE, 1n, [2n, 0n, 0n, ALL]))).toEqual([true]);
  });

  test("instructions, and no hypervisor", () => {
    const it = bench();
    expect(it.call(RFENCE, 0n, [0b110n, 0n])).toEqual([0n, 0n]);
    for (const func of [3n, 4n, 5n, 6n]) expect(it.call(RFENCE, func, [1n, 0n])).toEqual([NOT_SUPPORTED, 0n]);
  });
});

describe("harts that run beside the caller", () => {
  test("are asked, and nothing of theirs is touched", () => {
    const it = bench(3, EXTENSIONS, true);
    expect(it.call(IPI, 0n, [0b110n, 0n])).toEqual([0n, 0n]);
    expect(it.call(RFENCE, 0n, [0b11n, 1n])).toEqual([0n, 0n]);
    expect(it.call(RFENCE, 1n, [0n, ALL, 0x5000n, 0x1000n])).toEqual([0n, 0n]);
    expect(it.log).toEqual(["interrupt 1", "interrupt 2", "fence 1,2 instructions", "fence 0,1,2 20480 4096"]);
    expect(it.harts.map((hart) => read(hart, "sip"))).toEqual([0n, 0n, 0n]);
  });

  test("may have been started by another of them", () => {
    const it = bench(3, EXTENSIONS, true);
    expect(it.call(HSM, 0n, [1n, BigInt(RAM), 5n])).toEqual([-6n, 0n]);
  });
});

describe("hart state management", () => {
  test("start, status, stop", () => {
    const it = bench();
    expect(it.call(HSM, 2n, [0n])).toEqual([0n, 0n]);
    expect(it.call(HSM, 2n, [1n])).toEqual([0n, 1n]);
    expect(it.call(HSM, 0n, [1n, BigInt(RAM + 0x2000), 42n])).toEqual([0n, 0n]);
    expect(it.call(HSM, 2n, [1n])).toEqual([0n, 0n]);
    expect(it.call(HSM, 0n, [1n, BigInt(RAM), 0n])).toEqual([ALREADY, 0n]);
    expect(it.call(HSM, 1n, [], 1)).toBeUndefined();
    expect(it.call(HSM, 2n, [1n])).toEqual([0n, 1n]);
    expect(it.log).toEqual([`start 1 ${(RAM + 0x2000).toString(16)} 42`, "stop 1"]);
  });

  test("refuses harts and addresses that are not there", () => {
    const it = bench();
    for (const hart of [3n, 1n << 32n, ALL]) {
      expect(it.call(HSM, 0n, [hart, BigInt(RAM), 0n])).toEqual([INVALID, 0n]);
      expect(it.call(HSM, 2n, [hart])).toEqual([INVALID, 0n]);
    }
    for (const entry of [0n, BigInt(RAM + 1), BigInt(RAM + (1 << 20)), 1n << 53n, ALL - 1n]) {
      expect(it.call(HSM, 0n, [1n, entry, 0n])).toEqual([BAD_ADDRESS, 0n]);
    }
    expect(it.log).toEqual([]);
  });

  test("suspend: retentive waits, others are refused", () => {
    const it = bench();
    expect(it.call(HSM, 3n, [0n])).toEqual([0n, 0n]);
    expect(it.log).toEqual(["suspend 0"]);
    for (const type of [0x8000_0000n, 0x1000_0000n, 0x9000_0000n, 0xffff_ffffn]) {
      expect(it.call(HSM, 3n, [type])).toEqual([NOT_SUPPORTED, 0n]);
    }
    for (const type of [1n, 0x0fff_ffffn, 0x8000_0001n]) expect(it.call(HSM, 3n, [type])).toEqual([INVALID, 0n]);
    expect(it.log).toEqual(["suspend 0"]);
  });
});

test("system reset", () => {
  const it = bench();
  for (const [type, reason] of [
    [0n, 0n],
    [0n, 1n],
    [1n, 0n],
    [2n, 1n],
    // Only the low 32 bits count.
    [1n << 32n, 1n << 40n],
  ]) {
    expect(it.call(SRST, 0n, [type, reason])).toBeUndefined();
  }
  expect(it.call(8n, 0n)).toBeUndefined();
  expect(it.log).toEqual(["poweroff", "fail 1", "reboot", "reboot", "poweroff", "poweroff"]);
  for (const [type, reason] of [
    [3n, 0n],
    [0xf000_0000n, 0n],
    [0n, 2n],
    [0n, 0xe000_0000n],
  ]) {
    expect(it.call(SRST, 0n, [type, reason])).toEqual([INVALID, 0n]);
  }
  expect(it.log.length).toBe(6);
});

describe("console", () => {
  const TEXT = RAM + 0x3000;

  test("writes what is in memory", () => {
    const it = bench();
    memory.write(TEXT, new TextEncoder().encode("vmrun"));
    expect(it.call(DBCN, 0n, [5n, BigInt(TEXT), 0n])).toEqual([0n, 5n]);
    expect(it.call(DBCN, 0n, [0n, BigInt(TEXT), 0n])).toEqual([0n, 0n]);
    expect(it.call(DBCN, 2n, [0x121n])).toEqual([0n, 0n]);
    expect(it.call(1n, 0n, [0x3fn])?.[0]).toBe(0n);
    expect(it.output).toBe("vmrun!?");
  });

  test("a call moves a bounded amount, and says how much", () => {
    const it = bench();
    expect(it.call(DBCN, 0n, [1n << 20n, BigInt(RAM), 0n])).toEqual([0n, 65536n]);
    expect(it.output.length).toBe(65536);
  });

  test("reads what is there, and no more than fits", () => {
    const it = bench();
    memory.write(TEXT, new Uint8Array(8));
    expect(it.call(DBCN, 1n, [8n, BigInt(TEXT), 0n])).toEqual([0n, 0n]);
    it.input = "abcdef";
    expect(it.call(DBCN, 1n, [4n, BigInt(TEXT), 0n])).toEqual([0n, 4n]);
    expect(new TextDecoder().decode(memory.read(TEXT, 5))).toBe("abcd\0");
    expect([it.call(2n, 0n)?.[0], it.call(2n, 0n)?.[0], it.call(2n, 0n)?.[0]]).toEqual([0x65n, 0x66n, -1n]);
  });

  test("refuses what is not memory, and never reads into ROM", () => {
    const it = bench();
    it.input = "x";
    const end = BigInt(RAM + (1 << 20));
    for (const [length, low, high] of [
      [1n, 0n, 0n],
      [1n, end, 0n],
      [2n, end - 1n, 0n],
      [ALL, BigInt(RAM), 0n],
      [1n << 53n, BigInt(RAM), 0n],
      [1n, BigInt(RAM), 1n],
      [1n, ALL, 0n],
      [ALL, ALL, ALL],
    ]) {
      expect(it.call(DBCN, 0n, [length, low, high])).toEqual([INVALID, 0n]);
      expect(it.call(DBCN, 1n, [length, low, high])).toEqual([INVALID, 0n]);
    }
    expect(it.call(DBCN, 1n, [1n, BigInt(ROM), 0n])).toEqual([INVALID, 0n]);
    expect(it.call(DBCN, 0n, [1n, BigInt(ROM), 0n])).toEqual([0n, 1n]);
    expect(it.input).toBe("x");
  });
});

test("legacy calls leave a1 alone", () => {
  const it = bench();
  expect(it.call(1n, 0n, [0x41n, 0x1234n])).toEqual([0n, 0x1234n]);
});

test("any call with any arguments answers, by a standard error or not at all", () => {
  const chance = new Chance(11);
  const it = bench();
  const values = [0n, 1n, 2n, 3n, ALL, 1n << 63n, BigInt(RAM), BigInt(RAM) + 0xffff0n, 4096n, 1n << 32n];
  for (let i = 0; i < 5000; i++) {
    const id = chance.pick([BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, BigInt(chance.below(16)), chance.wide()]);
    const args = Array.from({ length: 6 }, () => (chance.below(4) ? chance.pick(values) : chance.wide()));
    const answer = it.call(id, chance.below(10) ? BigInt(chance.below(8)) : chance.wide(), args, chance.below(3));
    if (answer !== undefined && id >= 16n) expect([0n, -2n, -3n, -5n, -6n]).toContain(answer[0]);
  }
});
