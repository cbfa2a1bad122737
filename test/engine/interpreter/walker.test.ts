// The walker in WebAssembly beside mmu.ts: it fills what that would have filled, and leaves everything else alone.
import { beforeEach, expect, test } from "bun:test";
import { defineWalker } from "../../../src/engine/interpreter/walker.ts";
import { Access, Status } from "../../../src/isa/riscv/fields.ts";
import {
  CsrSlot,
  type Hart,
  HartField,
  MEGAPAGES,
  Privilege,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_MEGAPAGES,
  TlbFlag,
} from "../../../src/isa/riscv/hart.ts";
import { translate, walk } from "../../../src/isa/riscv/mmu.ts";
import { findWindow } from "../../../src/isa/riscv/window.ts";
import { ModuleWriter } from "../../../src/wasm/module.ts";
import { Chance, EXTENSIONS, enterMode, makeHart, memory, RAM, ROM, write } from "../../isa/riscv/privileged.ts";

const PAGE = 4096;
const RAM_PAGES = 256;
const ALL = (1n << 64n) - 1n;
const TABLES = [HartField.tlbRead, HartField.tlbWrite, HartField.tlbFetch];
const ACCESSES = [Access.load, Access.store, Access.fetch] as const;
/** Where the test keeps what decoded pages there are: in the pool, of which nobody else makes use here. */
const DECODED = memory.poolOffset;
const ram = memory.locate(RAM, 1);

const fill = (() => {
  const module = new ModuleWriter();
  const pages = memory.memory.buffer.byteLength / 65536;
  module.importMemory("env", "memory", pages, pages);
  module.export("walk", defineWalker(module, { codePages: memory.codePagesOffset, decodedPages: DECODED }));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {
    env: { memory: memory.memory },
  });
  return exports.walk as (address: bigint, access: number) => number;
})();

let hart: Hart;
let chance: Chance;

beforeEach(() => {
  chance = new Chance(2026);
  memory.clear();
  memory.codePages.fill(0);
  memory.u8.fill(0, DECODED, DECODED + memory.poolSize);
  // Where A or D is not set, this one faults: that is TypeScript's, as setting them would be.
  ({ hart } = makeHart({ extensions: new Set([...EXTENSIONS.filter((e) => e !== "svadu"), "svade"]) }));
  hart.makeResident(undefined);
  openAll();
});

function openAll(): void {
  write(hart, "pmpaddr0", ALL);
  write(hart, "pmpcfg0", 0x1fn);
  findWindow(hart);
}

/** The entry of the TLB for an address, if it is the address's. */
function entryOf(address: bigint, access: Access): { addend: number; flags: number } | undefined {
  const table = hart.word(TABLES[access]);
  const at = table + Number((address >> 12n) & BigInt(TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE;
  if (memory.data.getBigUint64(at, true) !== (address & ~0xfffn)) return undefined;
  return { addend: memory.i32[(at >> 2) + 2], flags: memory.i32[(at >> 2) + 3] };
}

const wasm = (address: bigint, access: Access) => fill(BigInt.asIntN(64, address), access) === 1;

/** What mmu.ts says; `undefined` where that is nothing for generated code. */
function expected(address: bigint, access: Access): { addend: number; flags: number } | undefined {
  const [low, high] = [Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n))];
  if (translate(hart, low, high, access, 1) !== 0 || !walk.cacheable) return undefined;
  const offset =
    walk.physical >= RAM && walk.physical < RAM + RAM_PAGES * PAGE ? memory.locate(walk.physical, PAGE) : -1;
  if (offset < 0 || (access === Access.store && memory.codePages[offset >>> 12] !== 0)) return undefined;
  const decoded = memory.i32[(DECODED >> 2) + (offset >>> 12)];
  if (access === Access.fetch && decoded === 0) return undefined;
  const larger = walk.level === 1 ? TlbFlag.megapage : TlbFlag.gigapage;
  return {
    addend: access === Access.fetch ? decoded : (offset - (low & -PAGE)) | 0,
    flags:
      (walk.level === 0 ? 0 : larger) |
      (walk.level > 0 || !isPaged() ? TlbFlag.wide : 0) |
      (walk.global ? TlbFlag.global : 0),
  };
}

function isPaged(): boolean {
  return hart.csr(CsrSlot.satp) >> 60n !== 0n && hart.privilege !== Privilege.machine;
}

/** Where megapages were. */
function marks(): Uint8Array {
  const start = hart.word(HartField.tlb) + TLB_MEGAPAGES;
  return memory.u8.slice(start, start + MEGAPAGES);
}

/** Asks both about an address; answers whether it was filled. */
function compare(address: bigint, access: Access): boolean {
  const { walks } = hart;
  const filled = wasm(address, access);
  const walked = hart.walks - walks;
  const known = filled ? entryOf(address, access) : undefined;
  const right = expected(address, access);
  const of = { address: address.toString(16), access, satp: hart.csr(CsrSlot.satp).toString(16), mode: hart.privilege };
  expect({ ...of, known }).toEqual({ ...of, known: right });
  if (filled) {
    expect(walked).toBe(isPaged() ? 1 : 0);
    // A flush has to find it: by its table, by its address, and by what it may be a part of.
    hart.flushTlbPage(Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n)));
    expect(entryOf(address, access)).toBeUndefined();
    expect(wasm(address, access)).toBe(true);
    hart.flushTlb();
    expect(entryOf(address, access)).toBeUndefined();
    const megapage = (right!.flags & TlbFlag.megapage) !== 0;
    const [low, high] = [Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n))];
    // Alone, and with another one that has the same mark.
    for (const others of [[], [high ^ 0x5a5a_0000]]) {
      const begin = () => {
        hart.flushTlb();
        for (const other of others) hart.noteSuperpage(low, other, 1);
      };
      begin();
      expect(wasm(address, access)).toBe(true);
      const marked = marks();
      begin();
      if (megapage) hart.noteSuperpage(low, high, 1);
      expect(Buffer.compare(marked, marks())).toBe(0);
    }
    hart.flushTlb();
  } else expect(walked).toBe(0);
  return filled;
}

/** A word that is mostly a sound entry, and sometimes anything; the more levels, the more pointers. */
function entry(levels: number): bigint {
  if (chance.below(40) === 0) return chance.wide();
  let target = BigInt((RAM >>> 12) + chance.below(RAM_PAGES));
  if (chance.below(30) === 0) target = BigInt((ROM >>> 12) + chance.below(16));
  if (chance.below(30) === 0) target = 0x1_0000_0000n;
  // Aligned for superpages, more often than chance would have it.
  if (chance.below(3) === 0) target &= -512n;
  const pointer = chance.below(levels) > 0;
  let flags = pointer
    ? 1n
    : BigInt(chance.pick([0xcf, 0xcf, 0xdf, 0xdf, 0xc7, 0x47, 0x4f, 0x5f, 0xcb, 0xd9, 0x8f, 0x45]));
  if (chance.below(5) === 0) flags |= 0x20n;
  if (chance.below(20) === 0) flags ^= 1n << BigInt(chance.below(8));
  if (chance.below(40) === 0) flags |= 1n << BigInt(54 + chance.below(10));
  return flags | (target << 10n);
}

/** Fills RAM with tables in which every chain of pointers stays. */
function makeTables(levels: number): void {
  for (let at = 0; at < (RAM_PAGES * PAGE) / 8; at++) memory.data.setBigUint64(ram + at * 8, entry(levels), true);
}

function address(levels: number): bigint {
  const bits = BigInt(12 + 9 * levels);
  const random = chance.wide();
  return chance.below(8) === 0 ? random : BigInt.asUintN(64, BigInt.asIntN(Number(bits), random));
}

for (const [mode, levels] of [
  [8n, 3],
  [9n, 4],
  [10n, 5],
] as const) {
  test(`random tables of ${levels} levels`, () => {
    const found = [0, 0, 0];
    let refused = 0;
    makeTables(levels);
    for (let i = 0; i < RAM_PAGES; i++) {
      if (chance.below(3) === 0) memory.codePages[(ram >>> 12) + i] = 1;
      if (chance.below(3) > 0) memory.i32[(DECODED >> 2) + (ram >>> 12) + i] = 0x20_0000 + i * 16;
    }
    for (let round = 0; round < 700; round++) {
      const root = BigInt((RAM >>> 12) + chance.below(RAM_PAGES));
      write(hart, "satp", (mode << 60n) | (BigInt(chance.below(4)) << 44n) | root);
      write(hart, "mstatus", BigInt((chance.below(2) * Status.SUM) | (chance.below(2) * Status.MXR)));
      enterMode(hart, chance.pick([Privilege.user, Privilege.supervisor, Privilege.supervisor]));
      for (let i = 0; i < 12; i++) {
        const access = chance.pick(ACCESSES);
        if (compare(address(levels), access)) found[access]++;
        else refused++;
      }
      enterMode(hart, Privilege.machine);
    }
    // Otherwise it would be worth nothing.
    for (const count of found) expect(count).toBeGreaterThan(10);
    expect(refused).toBeGreaterThan(500);
  });
}

test("without paging", () => {
  const addresses = [RAM, RAM + 0x1234, RAM + RAM_PAGES * PAGE - 1, RAM + RAM_PAGES * PAGE, RAM - 1, ROM, 0].map(
    BigInt,
  );
  for (const privilege of [Privilege.user, Privilege.supervisor, Privilege.machine]) {
    enterMode(hart, privilege);
    for (const access of ACCESSES) for (const at of [...addresses, (1n << 63n) | BigInt(RAM)]) compare(at, access);
  }
  expect(wasm(BigInt(RAM), Access.load)).toBe(true);
});

test("a lent privilege is for TypeScript", () => {
  write(hart, "mstatus", BigInt(Status.MPRV));
  enterMode(hart, Privilege.machine);
  memory.i32[(DECODED >> 2) + (ram >>> 12)] = 0x20_0000;
  expect(ACCESSES.map((access) => wasm(BigInt(RAM), access))).toEqual([false, false, true]);
});

test("nothing is filled before the window is known, nor after PMP has changed", () => {
  enterMode(hart, Privilege.supervisor);
  hart.forgetWindow();
  expect(wasm(BigInt(RAM), Access.load)).toBe(false);
  findWindow(hart);
  expect(wasm(BigInt(RAM), Access.load)).toBe(true);
  enterMode(hart, Privilege.machine);
  write(hart, "pmpcfg0", 0x19n);
  enterMode(hart, Privilege.supervisor);
  expect(wasm(BigInt(RAM), Access.load)).toBe(false);
});

test("the window is what PMP leaves open, in whole pages", () => {
  const window = () => {
    findWindow(hart);
    const { data } = memory;
    const size = Number(data.getBigUint64(hart.base + HartField.windowSize, true));
    if (size === 0) return undefined;
    const start = Number(data.getBigUint64(hart.base + HartField.windowStart, true));
    return [start - RAM, size, hart.word(HartField.windowPrivilege)];
  };
  const size = RAM_PAGES * PAGE;
  expect(window()).toEqual([0, size, Privilege.user]);
  // Firmware keeps 0x20000 bytes and leaves the rest.
  write(hart, "pmpaddr0", BigInt((RAM >>> 2) | 0x3fff));
  write(hart, "pmpaddr1", ALL);
  write(hart, "pmpcfg0", 0x1f18n);
  expect(window()).toEqual([0x2_0000, size - 0x2_0000, Privilege.user]);
  // Two neighbours that meet inside a page, and two that meet between pages.
  write(hart, "pmpaddr0", BigInt(RAM + 0x9800) >> 2n);
  write(hart, "pmpcfg0", 0x1f0fn);
  expect(window()).toEqual([0xa000, size - 0xa000, Privilege.user]);
  write(hart, "pmpaddr0", BigInt(RAM + 0x9000) >> 2n);
  expect(window()).toEqual([0, size, Privilege.user]);
  // Locked entries bind M-mode, too; without entries there is M-mode alone.
  write(hart, "pmpcfg0", 0n);
  expect(window()).toEqual([0, size, Privilege.machine]);
  write(hart, "pmpaddr0", ALL);
  write(hart, "pmpcfg0", 0x99n);
  expect(window()).toBeUndefined();
});
