import { describe, expect, test } from "bun:test";
import { Access } from "../../../src/isa/riscv/fields.ts";
import { type Hart, Privilege } from "../../../src/isa/riscv/hart.ts";
import { check, PmpConfig, uniform } from "../../../src/isa/riscv/pmp.ts";
import { Chance, makeHart, read, write } from "./privileged.ts";

const { user: U, supervisor: S, machine: M } = Privilege;
const { R, W, X, TOR, NA4, NAPOT, L } = PmpConfig;
const { load, store, fetch } = Access;
const ALL = (1n << 64n) - 1n;

/** Sets entries from 0 on: configuration byte and pmpaddr. */
function protect(hart: Hart, entries: readonly (readonly [config: number, address: bigint])[]): void {
  for (const [i, [, address]] of entries.entries()) write(hart, `pmpaddr${i}`, address);
  for (const register of [0, 8]) {
    const value = entries
      .slice(register, register + 8)
      .reduce((sum, [config], i) => sum | (BigInt(config) << BigInt(8 * i)), 0n);
    write(hart, `pmpcfg${register / 4}`, value);
  }
}

const may = (hart: Hart, privilege: Privilege, address: number, length = 4): string =>
  [load, store, fetch].map((a) => (check(hart, address, length, a, privilege) ? "rwx"[a] : "-")).join("");

describe("matching", () => {
  test("NA4", () => {
    const { hart } = makeHart();
    protect(hart, [[NA4 | R, 0x8000_1000n >> 2n]]);
    expect(may(hart, S, 0x8000_1000)).toBe("r--");
    expect(may(hart, S, 0x8000_1003, 1)).toBe("r--");
    expect(may(hart, S, 0x8000_0fff, 1)).toBe("---");
    expect(may(hart, S, 0x8000_1004)).toBe("---");
    expect(may(hart, S, 0x8000_1000, 8)).toBe("---");
  });

  test("NAPOT of every size", () => {
    const { hart } = makeHart();
    for (let power = 3; power <= 51; power++) {
      const size = 2n ** BigInt(power);
      const base = size * 3n;
      protect(hart, [[NAPOT | R | W, (base >> 2n) | (size / 8n - 1n)]]);
      const [low, high] = [Number(base), Number(base + size)];
      if (high >= 2 ** 53) continue;
      expect([power, may(hart, U, low, 1), may(hart, U, high - 1, 1)]).toEqual([power, "rw-", "rw-"]);
      expect([power, may(hart, U, low - 1, 1), may(hart, U, high, 1)]).toEqual([power, "---", "---"]);
    }
    protect(hart, [[NAPOT | R | W | X, ALL]]);
    expect([may(hart, S, 0), may(hart, S, 2 ** 53 - 8)]).toEqual(["rwx", "rwx"]);
  });

  test("TOR takes its bottom from the entry before, whatever that one does", () => {
    const { hart } = makeHart();
    protect(hart, [
      [TOR | X, 0x1000n >> 2n],
      [0, 0x2000n >> 2n],
      [TOR | R, 0x3000n >> 2n],
    ]);
    expect(may(hart, S, 0)).toBe("--x");
    expect(may(hart, S, 0xffc)).toBe("--x");
    expect(may(hart, S, 0x1000)).toBe("---");
    expect(may(hart, S, 0x1ffc)).toBe("---");
    expect(may(hart, S, 0x2000)).toBe("r--");
    expect(may(hart, S, 0x2ffc)).toBe("r--");
    expect(may(hart, S, 0x2ffe)).toBe("---");
    // A top not above its bottom matches nothing.
    write(hart, "pmpaddr2", 0x2000n >> 2n);
    expect(may(hart, S, 0x2000)).toBe("---");
  });

  test("the lowest entry decides, and must match every byte", () => {
    const { hart } = makeHart();
    protect(hart, [
      [NA4 | R, 0x1004n >> 2n],
      [NAPOT | R | W | X, ALL],
    ]);
    expect(may(hart, S, 0x1000)).toBe("rwx");
    expect(may(hart, S, 0x1004)).toBe("r--");
    expect(may(hart, S, 0x1000, 8)).toBe("---");
    // "irrespective of the L, R, W, and X bits": for M as well. §3.7.1.3
    expect(may(hart, M, 0x1000, 8)).toBe("---");
    expect(may(hart, M, 0x1004)).toBe("rwx");
  });

  test("without a match: M may, others may where no entry is implemented", () => {
    const { hart } = makeHart();
    expect([may(hart, M, 0x1000), may(hart, S, 0x1000), may(hart, U, 0x1000)]).toEqual(["rwx", "---", "---"]);
    const none = makeHart({ pmp: 0 }).hart;
    expect([may(none, M, 0x1000), may(none, S, 0x1000), may(none, U, 0x1000)]).toEqual(["rwx", "rwx", "rwx"]);
    expect(read(none, "pmpaddr0")).toBeUndefined();
    expect(write(none, "pmpcfg0", 0n)).toBe(false);
  });

  test("a locked entry binds M", () => {
    const { hart } = makeHart();
    protect(hart, [[NA4 | R | L, 0x1000n >> 2n]]);
    expect([may(hart, M, 0x1000), may(hart, M, 0x1004)]).toEqual(["r--", "rwx"]);
  });
});

describe("registers", () => {
  test("reserved bits read zero, W without R is no permission, pmpaddr has 54 bits", () => {
    const { hart } = makeHart();
    write(hart, "pmpcfg0", 0x60_02_06_00n);
    expect(read(hart, "pmpcfg0")).toBe(0x00_00_04_00n);
    write(hart, "pmpaddr15", ALL);
    expect(read(hart, "pmpaddr15")).toBe((1n << 54n) - 1n);
  });

  test("entries beyond those implemented are zero", () => {
    const { hart } = makeHart({ pmp: 3 });
    write(hart, "pmpcfg0", 0x1f1f_1f1f_1f1fn);
    write(hart, "pmpcfg2", 0x1fn);
    write(hart, "pmpaddr3", ALL);
    expect([read(hart, "pmpcfg0"), read(hart, "pmpcfg2"), read(hart, "pmpaddr3")]).toEqual([0x1f_1f1fn, 0n, 0n]);
  });

  test("locks hold until reset, and TOR locks the address below", () => {
    const { hart } = makeHart();
    protect(hart, [
      [0, 0x100n],
      [TOR | R | L, 0x200n],
      [NA4 | R | L, 0x300n],
      [NA4 | R, 0x400n],
      [NA4 | R | L, 0x500n],
    ]);
    const config = read(hart, "pmpcfg0");
    write(hart, "pmpcfg0", 0x1f00_0000n);
    expect(read(hart, "pmpcfg0")).toBe(config! | 0x1f00_0000n);
    for (let i = 0; i < 5; i++) write(hart, `pmpaddr${i}`, 0x555n);
    expect([0, 1, 2, 3, 4].map((i) => read(hart, `pmpaddr${i}`))).toEqual([0x100n, 0x200n, 0x300n, 0x555n, 0x500n]);
  });

  test("a locked entry that is off is locked too", () => {
    const { hart } = makeHart();
    protect(hart, [[L, 0x100n]]);
    write(hart, "pmpcfg0", 0x1fn);
    write(hart, "pmpaddr0", 0x200n);
    expect([read(hart, "pmpcfg0"), read(hart, "pmpaddr0")]).toEqual([0x80n, 0x100n]);
  });
});

/** The rules again, byte by byte and without ranges. */
function reference(hart: Hart, at: number, length: number, access: Access, privilege: Privilege): boolean {
  const configOf = (i: number): number =>
    Number((read(hart, i < 8 ? "pmpcfg0" : "pmpcfg2")! >> BigInt((i & 7) * 8)) & 0xffn);
  const matches = (i: number, byte: bigint): boolean => {
    const top = read(hart, `pmpaddr${i}`)!;
    const word = byte >> 2n;
    switch (configOf(i) & PmpConfig.A) {
      case TOR:
        return word >= (i === 0 ? 0n : read(hart, `pmpaddr${i - 1}`)!) && word < top;
      case NA4:
        return word === top;
      case NAPOT: {
        let ones = 0n;
        while ((top >> ones) & 1n) ones++;
        return word >> (ones + 1n) === top >> (ones + 1n);
      }
      default:
        return false;
    }
  };
  const bytes = Array.from({ length }, (_, i) => BigInt(at + i));
  for (let i = 0; i < 16; i++) {
    const hits = bytes.filter((byte) => matches(i, byte)).length;
    if (hits === 0) continue;
    if (hits < length) return false;
    if (privilege === M && !(configOf(i) & L)) return true;
    return (configOf(i) & [R, W, X][access]) !== 0;
  }
  return privilege === M;
}

test("agrees with the rules, byte by byte", () => {
  const chance = new Chance(7);
  for (let round = 0; round < 250; round++) {
    const { hart } = makeHart();
    const used = chance.below(16);
    protect(
      hart,
      Array.from({ length: used }, () => [
        chance.below(256) & (chance.below(8) === 0 ? 0xff : 0x7f),
        BigInt((chance.below(64) << 6) | chance.pick([0, 1, 3, 7, 15, 31, 63, chance.below(64)])),
      ]),
    );
    for (let i = 0; i < 12; i++) {
      const length = chance.pick([1, 2, 4, 8]);
      const at = chance.below(0x4100 / length) * length;
      const access = chance.pick([load, store, fetch]);
      const privilege = chance.pick([U, S, M]);
      expect(check(hart, at, length, access, privilege)).toBe(reference(hart, at, length, access, privilege));
    }
    // A page that is said to be uniform decides alike for every word in it.
    const page = chance.below(5) * 4096;
    if (uniform(hart, page)) {
      for (let i = 0; i < 24; i++) {
        const [access, privilege] = [chance.pick([load, store, fetch]), chance.pick([U, S, M])];
        expect(check(hart, page + chance.below(512) * 8, 8, access, privilege)).toBe(
          check(hart, page, 4096, access, privilege),
        );
      }
    }
  }
});

test("uniform pages", () => {
  const { hart } = makeHart();
  expect(uniform(hart, 0x1000)).toBe(true);
  protect(hart, [
    [NAPOT | R, 0x1000n / 4n + 0x1ffn],
    [NA4 | R, 0x2000n / 4n],
    [NA4 | R, 0x1000n / 4n],
  ]);
  // Entry 0 covers the first page wholly, so what entry 2 says of it does not matter.
  expect([0, 0x1000, 0x2000, 0x3000].map((page) => uniform(hart, page))).toEqual([true, true, false, true]);
});
