// What the TLB forgets, and what it keeps, by the flags of its entries.

import { beforeEach, describe, expect, test } from "bun:test";
import {
  type Hart,
  HartField,
  REALM_EPOCH,
  REALM_SIZE,
  REMEMBERED_BITS,
  Realm,
  Remembered,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_REALMS,
  TlbFlag,
} from "../../../src/isa/riscv/hart.ts";
import { makeHart, memory, write } from "./privileged.ts";

const MIB = 2 ** 20;
const TABLES = [HartField.tlbRead, HartField.tlbWrite, HartField.tlbFetch];

let hart: Hart;
beforeEach(() => {
  hart = makeHart().hart;
});

/** Enters a page below 2 GiB into all tables in force. */
function enter(page: number, flags = 0, level = 0): void {
  for (const field of TABLES) {
    const table = hart.word(field);
    const entry = (table + ((page >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE) >> 2;
    memory.i32.set([page, 0, 0, flags], entry);
    hart.noteFill(table, (flags & TlbFlag.global) !== 0);
  }
  if (level > 0) hart.noteSuperpage(page, 0, level);
}

/** In how many tables a page is. */
function found(page: number): number {
  return TABLES.filter((field) => {
    const entry = (hart.word(field) + ((page >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE) >> 2;
    return memory.i32[entry] === page && memory.i32[entry + 1] === 0;
  }).length;
}

describe("one page", () => {
  test("is forgotten alone", () => {
    enter(0x5000);
    enter(0x6000, TlbFlag.global);
    hart.flushTlbPage(0x5123, 0);
    expect([found(0x5000), found(0x6000)]).toEqual([0, 3]);
  });

  test("of a megapage takes the megapage's other entries along, and no others", () => {
    enter(2 * MIB, TlbFlag.megapage, 1);
    enter(4 * MIB - 0x1000, TlbFlag.megapage | TlbFlag.global, 1);
    enter(2 * MIB + 0x3000);
    enter(5 * MIB, TlbFlag.megapage, 1);
    hart.flushTlbPage(3 * MIB, 0);
    expect([2 * MIB, 4 * MIB - 0x1000, 2 * MIB + 0x3000, 5 * MIB].map(found)).toEqual([0, 0, 3, 3]);
  });

  test.each([0xffff_ffd6, 0xffff_af80, 0xff60_0000])(
    "leaves megapages alone that only have the same mark: %d",
    (high) => {
      enter(2 * MIB, TlbFlag.megapage, 1);
      hart.flushTlbPage(2 * MIB, high | 0);
      // It is in the entry's place, not of the megapage.
      expect(found(2 * MIB)).toBe(0);
      enter(2 * MIB + 0x1000, TlbFlag.megapage, 1);
      hart.flushTlbPage(2 * MIB, high | 0);
      expect(found(2 * MIB + 0x1000)).toBe(3);
      hart.flushTlbPage(2 * MIB, 0);
      expect(found(2 * MIB + 0x1000)).toBe(0);
    },
  );

  test("of one of several megapages that have the same mark takes all of their entries along", () => {
    enter(2 * MIB + 0x1000, TlbFlag.megapage, 1);
    hart.noteSuperpage(2 * MIB, 0xff60_0000 | 0, 1);
    hart.flushTlbPage(2 * MIB, 0xff60_0000 | 0);
    expect(found(2 * MIB + 0x1000)).toBe(0);
  });

  test("of a larger leaf takes all entries from such leaves along", () => {
    enter(0x1000_0000, TlbFlag.gigapage, 2);
    enter(0x2000_1000, TlbFlag.gigapage, 2);
    enter(0x3000_2000);
    hart.flushTlbPage(0x0003_0000, 0);
    expect([0x1000_0000, 0x2000_1000, 0x3000_2000].map(found)).toEqual([0, 0, 3]);
  });
});

describe("an address space", () => {
  const both = () => {
    enter(0x5000);
    enter(0x6000, TlbFlag.global);
  };
  const left = () => [found(0x5000), found(0x6000)];
  const satp = (mode: bigint, asid: bigint, root: bigint) => write(hart, "satp", (mode << 60n) | (asid << 44n) | root);

  test("goes without what is global", () => {
    both();
    hart.flushAddressSpace();
    expect(left()).toEqual([0, 3]);
  });

  test("is left by another ASID, and by another root", () => {
    for (const next of [() => satp(8n, 2n, 0x80000n), () => satp(8n, 1n, 0x80001n)]) {
      satp(8n, 1n, 0x80000n);
      both();
      next();
      expect(left()).toEqual([0, 3]);
    }
  });

  test("is not left by writing what is there", () => {
    satp(8n, 1n, 0x80000n);
    both();
    satp(8n, 1n, 0x80000n);
    expect(left()).toEqual([3, 3]);
  });

  test("of another kind shares nothing with it", () => {
    satp(8n, 1n, 0x80000n);
    both();
    satp(9n, 1n, 0x80000n);
    expect(left()).toEqual([0, 0]);
  });
});

test("every way to forget is a new epoch", () => {
  const ways = [
    () => hart.flushTlb(),
    () => hart.flushAddressSpace(),
    () => hart.flushTlbPage(0, 0),
    () => hart.flushTlbWrites(),
    () => hart.flushTlbFetches(),
  ];
  for (const forget of ways) {
    const before = hart.epoch;
    forget();
    expect(hart.epoch).toBeGreaterThan(before);
  }
});

describe("what others remember", () => {
  const start = (realm: Realm) => hart.word(HartField.tlb) + TLB_REALMS + realm * REALM_SIZE;
  const epochs = () => Object.values(Realm).map((realm) => memory.i32[(start(realm) + REALM_EPOCH) >> 2]);
  /** By page number, of fewer bits than there are marks. */
  const mark = (realm: Realm, page: number) => start(realm) + page;
  const marks = (page: number) => Object.values(Realm).map((realm) => memory.u8[mark(realm, page)]);
  const remember = (page: number, ...realms: readonly Realm[]) => {
    for (const realm of realms) memory.u8[mark(realm, page)] = Remembered.yes;
  };
  /** In which realms that is forgotten, by their numbers. */
  const forgotten = (change: () => void): readonly number[] => {
    const before = epochs();
    change();
    return epochs().flatMap((epoch, realm) => (epoch === before[realm] ? [] : [realm]));
  };
  const { supervisor, others } = Realm;
  const { never, no } = Remembered;

  beforeEach(() => {
    hart.flushTlb();
    // Tables are known to have nothing of one address space.
    hart.flushAddressSpace();
  });

  test("is forgotten with the page, where it is remembered", () => {
    expect(forgotten(() => hart.flushTlbPage(0x5000, 0))).toEqual([]);
    remember(5, supervisor);
    remember(6, others);
    expect(forgotten(() => hart.flushTlbPage(0x4000, 0))).toEqual([]);
    expect(forgotten(() => hart.flushTlbPage(0x5fff, 0))).toEqual([supervisor]);
    expect(forgotten(() => hart.flushTlbPage(0x6123, 0))).toEqual([others]);
  });

  test("is not remembered again, until all is forgotten", () => {
    remember(5, supervisor, others);
    remember(7, supervisor, others);
    hart.flushTlbPage(0x5000, 0);
    expect([marks(5), marks(7)]).toEqual([
      [never, never],
      [no, no],
    ]);
    expect(forgotten(() => hart.flushTlbPage(0x5000, 0))).toEqual([]);
    hart.flushTlbWrites();
    expect(marks(5)).toEqual([no, no]);
  });

  test("has marks by all bits of an address that pages differ in", () => {
    remember(5 ^ 9, supervisor);
    expect(forgotten(() => hart.flushTlbPage(0x5000 + 9 * 0x1000 * 2 ** REMEMBERED_BITS, 0))).toEqual([supervisor]);
    remember(5 ^ (3 << (20 - REMEMBERED_BITS)), others);
    expect(forgotten(() => hart.flushTlbPage(0x5000, 3))).toEqual([others]);
  });

  test("has epochs whose lower halves are never 0, and come again when no entry has them", () => {
    for (const realm of [supervisor, others]) {
      enter(0x5000, TlbFlag.global);
      memory.i32[(start(realm) + REALM_EPOCH) >> 2] = 0x1fffe;
      for (const [epoch, entries] of [
        [0x1ffff, 3],
        [0x20001, 0],
      ]) {
        remember(7, realm);
        hart.flushTlbPage(0x7000, 0);
        remember(7, realm);
        expect([epochs()[realm], found(0x5000)]).toEqual([epoch, entries]);
      }
    }
    for (const realm of [supervisor, others]) memory.i32[(start(realm) + REALM_EPOCH) >> 2] = 0;
    makeHart();
    expect(epochs().every((epoch) => epoch > 0)).toBe(true);
  });

  test("is forgotten in both realms with what is larger than the page", () => {
    enter(2 * MIB, TlbFlag.megapage | TlbFlag.global, 1);
    expect(forgotten(() => hart.flushTlbPage(2 * MIB + 0x1000, 0))).toEqual([supervisor, others]);
    expect(forgotten(() => hart.flushTlbPage(2 * MIB + 0x1000, 0))).toEqual([]);
    enter(0x4000_0000, TlbFlag.gigapage | TlbFlag.global, 2);
    expect(forgotten(() => hart.flushTlbPage(0x5000, 0))).toEqual([supervisor, others]);
  });

  test("of a supervisor is forgotten with the address space if that may have had any of it", () => {
    expect(forgotten(() => hart.flushAddressSpace())).toEqual([others]);
    for (const flags of [TlbFlag.global, 0]) {
      for (const set of [0, 1, 2, 3]) {
        for (const kind of [0, 4, 8]) {
          const table = hart.word(HartField.tlb) + (set + kind) * TLB_ENTRIES * TLB_ENTRY_SIZE;
          hart.noteFill(table, flags === TlbFlag.global);
          const expected = set === 1 && flags === 0 ? [supervisor, others] : [others];
          expect({ set, kind, flags, realms: forgotten(() => hart.flushAddressSpace()) }).toEqual({
            ...{ set, kind, flags },
            realms: expected,
          });
        }
      }
    }
  });

  test("is forgotten in both with everything", () => {
    for (const forget of [() => hart.flushTlb(), () => hart.flushTlbWrites(), () => hart.flushTlbFetches()]) {
      remember(5, supervisor, others);
      expect(forgotten(forget)).toEqual([supervisor, others]);
      expect(marks(5)).toEqual([no, no]);
    }
  });
});
