import { describe, expect, test } from "bun:test";
import { Access } from "../../../src/isa/riscv/fields.ts";
import { type Hart, type HartConfig, Privilege } from "../../../src/isa/riscv/hart.ts";
import { CacheOperation, mayFence, mayManageCache, translate, walk } from "../../../src/isa/riscv/mmu.ts";
import { Chance, EXTENSIONS, enterMode, makeHart, memory, RAM, ROM, set, write } from "./privileged.ts";

const { user: U, supervisor: S, machine: M } = Privilege;
const { load, store, fetch } = Access;
const ACCESSES = [load, store, fetch] as const;
const PAGE_FAULT = [13, 15, 12];
const ACCESS_FAULT = [5, 7, 1];
const [V, R, W, X, PTE_U, A, D] = [1n, 2n, 4n, 8n, 16n, 64n, 128n];
const ALL = (1n << 64n) - 1n;
const MODE = { sv39: 8n, sv48: 9n, sv57: 10n } as const;
const LEVELS = { sv39: 3, sv48: 4, sv57: 5 } as const;

const ROOT = RAM + 0x1000;
const SVADE = new Set([...EXTENSIONS.filter((e) => e !== "svadu"), "svade"]);

const go = (hart: Hart, va: bigint, access: Access, length?: number): number =>
  translate(hart, Number(BigInt.asIntN(32, va)), Number(BigInt.asIntN(32, va >> 32n)), access, length);

const pte = (target: number | bigint, flags: bigint): bigint => ((BigInt(target) >> 12n) << 10n) | flags;
const poke = (at: number, value: bigint): void => memory.data.setBigUint64(memory.locate(at, 8), value, true);
const peek = (at: number): bigint => memory.data.getBigUint64(memory.locate(at, 8), true);

/** A hart in `privilege` with paging on, memory open and empty tables. */
function paged(
  mmu: "sv39" | "sv48" | "sv57" = "sv39",
  privilege: Privilege = S,
  options: Partial<HartConfig> = {},
): Hart {
  const { hart } = makeHart({ mmu, ...options });
  memory.clear();
  write(hart, "pmpaddr0", ALL);
  write(hart, "pmpcfg0", 0x1fn);
  write(hart, "satp", (MODE[mmu] << 60n) | BigInt(ROOT >>> 12));
  enterMode(hart, privilege);
  return hart;
}

/** Maps `va` through tables behind the root down to `level`. Answers where the leaf entry lies. */
function map(mmu: "sv39" | "sv48" | "sv57", va: bigint, leaf: bigint, level = 0): number {
  let table = ROOT;
  for (let i = LEVELS[mmu] - 1; ; i--) {
    const at = table + Number((va >> BigInt(12 + 9 * i)) & 511n) * 8;
    if (i === level) {
      poke(at, leaf);
      return at;
    }
    table = ROOT + (LEVELS[mmu] - i) * 0x1000;
    poke(at, pte(table, V));
  }
}

describe("without translation", () => {
  test("M-mode and Bare take addresses as they are", () => {
    const { hart } = makeHart();
    write(hart, "pmpaddr0", ALL);
    write(hart, "pmpcfg0", 0x1fn);
    for (const privilege of [U, S, M]) {
      enterMode(hart, privilege);
      for (const access of ACCESSES) {
        expect(go(hart, 0x1f_ffff_f765_4321n, access)).toBe(0);
        const global = privilege === M;
        expect(walk).toEqual({ physical: 0x1f_ffff_f765_4000, level: 0, global, cacheable: true });
      }
    }
  });

  test("what no physical address can be is an access fault", () => {
    const { hart } = makeHart({ pmp: 0 });
    for (const va of [0x20_0000_0000_0000n, 0x0100_0000_0000_0000n, ALL]) {
      expect(ACCESSES.map((access) => go(hart, va, access))).toEqual(ACCESS_FAULT);
    }
  });

  test("PMP permits, forbids and splits", () => {
    const { hart } = makeHart();
    write(hart, "pmpaddr0", 0x8000_0800n >> 2n);
    write(hart, "pmpaddr1", 0x8000_2000n >> 2n);
    write(hart, "pmpcfg0", 0x0d_09n);
    enterMode(hart, S);
    expect(go(hart, 0x8000_1234n, load)).toBe(0);
    expect(walk).toEqual({ physical: 0x8000_1000, level: 0, global: false, cacheable: true });
    expect(go(hart, 0x8000_1234n, store)).toBe(7);
    expect(go(hart, 0x8000_2000n, fetch)).toBe(1);
    // Half of the page is readable, half readable and executable: bytes decide, and nothing may be cached.
    expect([go(hart, 0x8000_0000n, fetch), go(hart, 0x8000_0800n, fetch)]).toEqual([1, 0]);
    expect([walk.physical, walk.cacheable]).toEqual([0x8000_0000, false]);
    expect([go(hart, 0x8000_07fen, load, 2), go(hart, 0x8000_07fen, load, 4)]).toEqual([0, 5]);
  });
});

describe.each(["sv39", "sv48", "sv57"] as const)("%s", (mmu) => {
  const bits = BigInt(12 + 9 * LEVELS[mmu]);
  const va = (1n << (bits - 1n)) - 0x1234_5000n + 0x678n;

  test("leaves of every level", () => {
    for (let level = 0; level < LEVELS[mmu]; level++) {
      const hart = paged(mmu);
      const inside = (1n << BigInt(12 + 9 * level)) - 1n;
      map(mmu, va, pte(0, V | R | W | X | A | D), level);
      for (const access of ACCESSES) {
        expect(go(hart, va, access)).toBe(0);
        expect(walk).toEqual({
          physical: Number(va & inside & ~0xfffn),
          level,
          global: false,
          cacheable: true,
        });
      }
    }
  });

  test("misaligned superpages fault", () => {
    for (let level = 1; level < LEVELS[mmu]; level++) {
      for (let bit = 0; bit < 9 * level; bit++) {
        const hart = paged(mmu);
        map(mmu, va, pte(1n << BigInt(12 + bit), V | R | W | X | A | D), level);
        expect([level, bit, go(hart, va, load)]).toEqual([level, bit, 13]);
      }
    }
  });

  test("addresses that are not canonical fault", () => {
    const hart = paged(mmu);
    for (const [va, canonical] of [
      [(1n << (bits - 1n)) - 1n, true],
      [1n << (bits - 1n), false],
      [ALL, true],
      [ALL << (bits - 1n), true],
      [(ALL << (bits - 1n)) - 1n, false],
      [1n << 63n, false],
      [1n << bits, false],
    ] as const) {
      const address = BigInt.asUintN(64, va);
      memory.clear();
      map(mmu, address, pte(RAM, V | R | W | X | A | D));
      expect(ACCESSES.map((access) => go(hart, address, access))).toEqual(canonical ? [0, 0, 0] : PAGE_FAULT);
    }
  });

  test("entries of every level that are no entries fault", () => {
    for (let level = 0; level < LEVELS[mmu]; level++) {
      const bad = [0n, R | W | X | A | D, V | W | A | D, V | W | X | A | D];
      for (let bit = 54n; bit < 64n; bit++) bad.push(V | R | W | X | A | D | (1n << bit));
      // A pointer to another level with D, A, U or reserved bits; at the last level, any pointer.
      for (const bit of [4n, 6n, 7n, 54n, 61n, 63n]) bad.push(V | (1n << bit));
      if (level === 0) bad.push(V);
      for (const entry of bad) {
        const hart = paged(mmu);
        map(mmu, va, entry, level);
        expect([level, entry, ACCESSES.map((access) => go(hart, va, access))]).toEqual([level, entry, PAGE_FAULT]);
      }
    }
  });

  test("tables outside of memory are access faults", () => {
    for (let level = 1; level < LEVELS[mmu]; level++) {
      for (const target of [0n, 0x7000_0000n, BigInt(RAM + (1 << 20)), 0x1f_ffff_ffff_f000n, 0xff_ffff_ffff_f000n]) {
        const hart = paged(mmu);
        map(mmu, va, pte(target, V), level);
        expect(ACCESSES.map((access) => go(hart, va, access))).toEqual(ACCESS_FAULT);
      }
    }
    const hart = paged(mmu);
    enterMode(hart, M);
    write(hart, "satp", (MODE[mmu] << 60n) | ((1n << 44n) - 1n));
    enterMode(hart, S);
    expect(ACCESSES.map((access) => go(hart, va, access))).toEqual(ACCESS_FAULT);
  });

  test("pages beyond the representable are access faults", () => {
    const hart = paged(mmu);
    map(mmu, va, pte(1n << 53n, V | R | W | X | A | D));
    expect(ACCESSES.map((access) => go(hart, va, access))).toEqual(ACCESS_FAULT);
  });
});

describe("permissions", () => {
  const va = 0x4000_1000n;

  test("R, W and X by access, U by mode, SUM and MXR", () => {
    for (let choice = 0; choice < 128; choice++) {
      const flags = BigInt((choice & 7) << 1);
      const user = (choice & 8) !== 0;
      const [sum, mxr, inUser] = [(choice & 16) !== 0, (choice & 32) !== 0, (choice & 64) !== 0];
      if (flags === 0n || (flags & (R | W)) === W) continue;
      const hart = paged("sv39", M);
      write(hart, "mstatus", (sum ? 1n << 18n : 0n) | (mxr ? 1n << 19n : 0n));
      enterMode(hart, inUser ? U : S);
      map("sv39", va, pte(RAM, V | flags | A | D | (user ? PTE_U : 0n)));
      const reachable = inUser ? user : !user || sum;
      const expected = [
        reachable && (flags & (mxr ? R | X : R)) !== 0n,
        reachable && (flags & W) !== 0n,
        inUser === user && (flags & X) !== 0n,
      ];
      expect([choice, ...ACCESSES.map((access) => go(hart, va, access))]).toEqual([
        choice,
        ...expected.map((allowed, access) => (allowed ? 0 : PAGE_FAULT[access])),
      ]);
    }
  });

  test("MPRV lends the mode of MPP to loads and stores, not to fetches", () => {
    const hart = paged("sv39", M);
    map("sv39", va, pte(RAM + 0x5000, V | R | W | A | D | PTE_U));
    expect([go(hart, va, load), walk.physical]).toEqual([0, Number(va)]);
    write(hart, "mstatus", 1n << 17n);
    expect([go(hart, va, load), walk.physical]).toEqual([0, RAM + 0x5000]);
    expect([go(hart, va, fetch), walk.physical]).toEqual([0, Number(va)]);
    write(hart, "mstatus", (1n << 17n) | (1n << 11n));
    expect(go(hart, va, store)).toBe(15);
    set(hart, "mstatus", 1n << 18n);
    expect(go(hart, va, store)).toBe(0);
  });
});

describe("accessed and dirty", () => {
  const va = 0x4000_1000n;

  test("Svade faults", () => {
    for (const [bits, faults] of [
      [0n, PAGE_FAULT],
      [D, PAGE_FAULT],
      [A, [0, 15, 0]],
      [A | D, [0, 0, 0]],
    ] as const) {
      const hart = paged("sv39", S, { extensions: SVADE });
      const at = map("sv39", va, pte(RAM, V | R | W | X | bits));
      expect(ACCESSES.map((access) => go(hart, va, access))).toEqual([...faults]);
      expect(peek(at)).toBe(pte(RAM, V | R | W | X | bits));
    }
  });

  test("Svadu sets them, and D for stores only", () => {
    const hart = paged();
    const at = map("sv39", va, pte(RAM, V | R | W | X));
    for (const [access, bits] of [
      [load, A],
      [fetch, A],
      [store, A | D],
      [load, A | D],
    ] as const) {
      expect(go(hart, va, access)).toBe(0);
      expect(peek(at)).toBe(pte(RAM, V | R | W | X | bits));
    }
  });

  test("who only looks sets none, and finds no translation where one would have to be", () => {
    const hart = paged();
    write(hart, "menvcfg", 1n << 61n);
    const at = map("sv39", 0x1000n, pte(RAM + 0x8000, V | R | X));
    expect(translate(hart, 0x1000, 0, fetch, 2, "looks")).toBe(PAGE_FAULT[fetch]);
    expect(peek(at) & A).toBe(0n);
    expect(go(hart, 0x1000n, fetch, 2)).toBe(0);
    expect(peek(at) & A).toBe(A);
    expect(translate(hart, 0x1000, 0, fetch, 2, "looks")).toBe(0);
  });

  test("Svadu obeys menvcfg.ADUE; a hart that claims neither updates", () => {
    const off = paged("sv39", M);
    write(off, "menvcfg", 0n);
    enterMode(off, S);
    map("sv39", va, pte(RAM, V | R));
    expect(go(off, va, load)).toBe(13);
    const neither = paged("sv39", S, { extensions: new Set(["i"]) });
    const at = map("sv39", va, pte(RAM, V | R));
    expect([go(neither, va, load), peek(at)]).toEqual([0, pte(RAM, V | R | A)]);
  });

  test("a refused access leaves the entry alone", () => {
    const hart = paged("sv39", M);
    // Everything but the page at RAM + 0x5000 is open.
    write(hart, "pmpcfg0", 0n);
    write(hart, "pmpaddr0", BigInt(RAM + 0x5000) / 4n + 0x1ffn);
    write(hart, "pmpaddr1", ALL);
    write(hart, "pmpcfg0", 0x1f_18n);
    enterMode(hart, S);
    const at = map("sv39", va, pte(RAM + 0x5000, V | R | W));
    expect([go(hart, va, store), go(hart, va, load)]).toEqual([7, 5]);
    expect(peek(at)).toBe(pte(RAM + 0x5000, V | R | W));
    expect(go(hart, va, fetch)).toBe(12);
    expect(peek(at)).toBe(pte(RAM + 0x5000, V | R | W));
  });

  test("tables in ROM can be read and not updated", () => {
    const hart = paged("sv39", M);
    const entries = new Uint8Array(4096);
    const view = new DataView(entries.buffer);
    view.setBigUint64(0, pte(0x4000_0000n, V | R | W | A), true);
    view.setBigUint64(8, pte(0x4000_0000n, V | R | W), true);
    memory.load(ROM, entries);
    write(hart, "satp", (8n << 60n) | BigInt(ROM >> 12));
    enterMode(hart, S);
    expect([go(hart, 0n, load), go(hart, 0n, store), go(hart, 1n << 30n, load)]).toEqual([0, 7, 5]);
  });

  test("PMP judges the walk as S-mode accesses", () => {
    for (const [config, expected] of [
      [0x18n, [5, 7, 1]],
      [0x19n, [5, 7, 1]],
      [0x1bn, [0, 0, 0]],
    ] as const) {
      const hart = paged("sv39", M);
      write(hart, "pmpcfg0", 0n);
      // The table with the leaf.
      write(hart, "pmpaddr0", BigInt(ROOT + 0x2000) / 4n + 0x1ffn);
      write(hart, "pmpaddr1", ALL);
      write(hart, "pmpcfg0", 0x1f_00n | config);
      enterMode(hart, U);
      map("sv39", va, pte(RAM, V | R | W | X | PTE_U));
      expect(ACCESSES.map((access) => go(hart, va, access))).toEqual([...expected]);
    }
  });

  test("an update of a page with decoded code is announced", () => {
    const hart = paged();
    const at = map("sv39", va, pte(RAM, V | R | W));
    const page = memory.locate(at, 8) >>> 12;
    const told: number[] = [];
    memory.onCodeWrite = (p) => told.push(p);
    memory.codePages[page] = 1;
    go(hart, va, load);
    go(hart, va, load);
    memory.codePages[page] = 0;
    memory.onCodeWrite = () => {};
    expect(told).toEqual([page]);
  });
});

/** The translation process as the specification numbers it, in BigInt. Answers the cause, or minus the page. */
function reference(
  mmu: "sv39" | "sv48" | "sv57",
  va: bigint,
  access: Access,
  privilege: Privilege,
  sum: boolean,
): bigint {
  const levels = LEVELS[mmu];
  if (BigInt.asUintN(64, BigInt.asIntN(12 + 9 * levels, va)) !== va) return BigInt(PAGE_FAULT[access]);
  let a = BigInt(ROOT);
  for (let i = levels - 1; i >= 0; i--) {
    const at = a + ((va >> BigInt(12 + 9 * i)) & 511n) * 8n;
    if (at < BigInt(RAM) || at + 8n > BigInt(RAM + (1 << 20))) return BigInt(ACCESS_FAULT[access]);
    const entry = peek(Number(at));
    const [v, r, w, x, u] = [0n, 1n, 2n, 3n, 4n].map((bit) => (entry >> bit) & 1n);
    if (v === 0n || (r === 0n && w === 1n) || entry >> 54n !== 0n) return BigInt(PAGE_FAULT[access]);
    const ppn = (entry >> 10n) & ((1n << 44n) - 1n);
    if (r === 0n && x === 0n) {
      if (entry & 0xd0n) return BigInt(PAGE_FAULT[access]);
      a = ppn * 4096n;
      continue;
    }
    const wanted = [r, w, x][access];
    const reach = privilege === U ? u === 1n : u === 0n || (sum && access !== fetch);
    if (wanted === 0n || !reach) return BigInt(PAGE_FAULT[access]);
    const mask = (1n << BigInt(9 * i)) - 1n;
    if (ppn & mask) return BigInt(PAGE_FAULT[access]);
    if (!(entry & A) || (access === store && !(entry & D))) return BigInt(PAGE_FAULT[access]);
    const page = (ppn | ((va >> 12n) & mask)) * 4096n;
    return page >= 2n ** 53n ? BigInt(ACCESS_FAULT[access]) : -page;
  }
  return BigInt(PAGE_FAULT[access]);
}

test.each(["sv39", "sv48", "sv57"] as const)("%s agrees with the specification on tables of chance", (mmu) => {
  const chance = new Chance(39);
  const seen = new Map<string, number>();
  for (let round = 0; round < 12; round++) {
    const hart = paged(mmu, M, { extensions: SVADE });
    // Eight tables, of which every slot has something: mostly pointers to each other, leaves, noise.
    for (let slot = 0; slot < 8 * 512; slot++) {
      const table = BigInt(ROOT + chance.below(8) * 4096);
      const flags = BigInt(chance.below(256)) | V;
      const kind = chance.below(16);
      let entry: bigint;
      if (kind < 8) entry = pte(table, V);
      else if (kind < 12)
        entry = pte((chance.wide() & 0xff_ffff_ffffn) << BigInt(chance.pick([0, 12, 21, 30])), flags | A);
      else if (kind < 14) entry = pte((chance.wide() & 0x3fn) << BigInt(chance.pick([21, 30, 39, 48])), flags | A | D);
      else entry = chance.wide();
      poke(ROOT + slot * 8, kind < 14 && chance.below(50) !== 0 ? entry & ((1n << 54n) - 1n) : entry);
    }
    const sum = chance.below(2) === 1;
    write(hart, "mstatus", sum ? 1n << 18n : 0n);
    for (let i = 0; i < 1500; i++) {
      const canonical = BigInt.asUintN(64, BigInt.asIntN(12 + 9 * LEVELS[mmu], chance.wide()));
      const va = chance.below(20) === 0 ? chance.wide() : canonical;
      const access = chance.pick(ACCESSES);
      const privilege = chance.pick([U, S]);
      enterMode(hart, privilege);
      const cause = go(hart, va, access);
      const outcome = cause === 0 ? -BigInt(walk.physical) : BigInt(cause);
      expect([va, access, privilege, outcome]).toEqual([
        va,
        access,
        privilege,
        reference(mmu, va, access, privilege, sum),
      ]);
      const kind = cause === 0 ? "page" : PAGE_FAULT.includes(cause) ? "page fault" : "access fault";
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
    }
  }
  // The comparison is worth something only if every outcome occurs.
  for (const kind of ["page", "page fault", "access fault"])
    expect([kind, (seen.get(kind) ?? 0) > 100]).toEqual([kind, true]);
});

test("tables of noise, registers of noise: an answer for every address", () => {
  const chance = new Chance(57);
  const { hart } = makeHart();
  const causes = new Set([0, ...PAGE_FAULT, ...ACCESS_FAULT]);
  for (let round = 0; round < 60; round++) {
    for (let i = 0; i < 1 << 13; i++) poke(RAM + i * 8, chance.wide());
    enterMode(hart, M);
    write(
      hart,
      "satp",
      (BigInt(chance.pick([0, 8, 9, 10])) << 60n) | BigInt(chance.pick([ROOT >>> 12, chance.word()])),
    );
    write(hart, "mstatus", chance.wide());
    for (let i = 0; i < 4; i++) write(hart, `pmpaddr${i}`, chance.wide() >> BigInt(chance.below(40)));
    write(hart, "pmpcfg0", chance.wide() & 0x7f7f_7f7fn);
    for (let i = 0; i < 200; i++) {
      enterMode(hart, chance.pick([U, S, M]));
      const cause = go(
        hart,
        chance.wide() >> BigInt(chance.below(40)),
        chance.pick(ACCESSES),
        chance.pick([1, 2, 4, 8]),
      );
      expect(causes.has(cause)).toBe(true);
      if (cause === 0) expect(walk.physical % 4096 === 0 && walk.physical < 2 ** 53).toBe(true);
    }
  }
});

test("SFENCE.VMA: never in U, by TVM in S", () => {
  const { hart } = makeHart();
  const modes = (): boolean[] =>
    [U, S, M].map((mode) => {
      enterMode(hart, mode);
      return mayFence(hart);
    });
  expect(modes()).toEqual([false, true, true]);
  enterMode(hart, M);
  set(hart, "mstatus", 1n << 20n);
  expect(modes()).toEqual([false, false, true]);
});

test("cache-block instructions need menvcfg in S, and senvcfg too in U", () => {
  for (const [operation, bits] of [
    [CacheOperation.invalidate, 0x10n],
    [CacheOperation.clean, 0x40n],
    [CacheOperation.zero, 0x80n],
  ] as const) {
    for (let choice = 0; choice < 4; choice++) {
      const { hart } = makeHart();
      if (choice & 1) write(hart, "menvcfg", bits);
      if (choice & 2) write(hart, "senvcfg", bits);
      const legal = [U, S, M].map((mode) => {
        enterMode(hart, mode);
        return mayManageCache(hart, operation);
      });
      expect(legal).toEqual([choice === 3, (choice & 1) !== 0, true]);
    }
  }
});
