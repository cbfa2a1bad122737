// Loads, stores and atomics where generated code needs help: misaligned, across pages, devices, ROM, changing page tables.
import { beforeEach, describe, expect, test } from "bun:test";
import { Cause } from "../../../src/isa/riscv/trap.ts";
import { register } from "../program.ts";
import { DEVICE, PageTables, PTE_RWX, Pte, RAM, RAM_SIZE, Rig, ROM } from "../rig.ts";

const rig = new Rig();
/** A trap handler that loops for ever. */
const HANDLER = RAM + 0x8000;
beforeEach(() => {
  rig.reset();
  rig.memory.load(HANDLER, Uint8Array.of(0x6f, 0, 0, 0));
});

/** Everything for S and U, so that only page tables judge. */
function openPmp(): void {
  rig.setCsr("pmpaddr0", (1n << 54n) - 1n);
  rig.setCsr("pmpcfg0", 0x1fn);
}

/** Runs one instruction with registers as given; answers the trap, if there was one. */
function step(text: string, registers: Readonly<Record<string, number | bigint>>) {
  const at = Number(rig.hart.pc);
  rig.load(text);
  rig.hart.pc = BigInt(at);
  rig.setCsr("mtvec", BigInt(HANDLER));
  rig.setCsr("mcause", 0n);
  for (const [name, value] of Object.entries(registers)) rig.hart.setX(register(name), BigInt(value));
  rig.run(1);
  if (rig.hart.pc !== BigInt(HANDLER)) return undefined;
  return { cause: Number(rig.csr("mcause")), tval: rig.csr("mtval") };
}

const bytesAt = (at: number, length: number) => [...rig.memory.view(at, length)!];
const PATTERN = Uint8Array.from({ length: 32 }, (_, i) => 0x81 + i);

/** Where S-mode's code and data lie under Sv39: two data pages, apart and in the other order in physical memory. */
const CODE = 0x40_0000;
const DATA = 0x50_0000;
const physicalOf = (virtual: number) => (virtual < DATA + 0x1000 ? RAM + 0x2_0000 : RAM + 0x1_0000) + (virtual & 0xfff);

function paged(): PageTables {
  const tables = new PageTables(rig.memory);
  tables.map(CODE, RAM, PTE_RWX);
  tables.map(DATA, RAM + 0x2_0000, PTE_RWX & ~Pte.X);
  tables.map(DATA + 0x1000, RAM + 0x1_0000, PTE_RWX & ~Pte.X);
  openPmp();
  rig.setCsr("satp", tables.satp);
  rig.enter(1);
  rig.hart.pc = BigInt(CODE);
  return tables;
}

const LOADS: readonly (readonly [name: string, width: number, signed: boolean])[] = [
  ["lb", 1, true],
  ["lbu", 1, false],
  ["lh", 2, true],
  ["lhu", 2, false],
  ["lw", 4, true],
  ["lwu", 4, false],
  ["ld", 8, true],
];
const STORES: readonly (readonly [name: string, width: number])[] = [
  ["sb", 1],
  ["sh", 2],
  ["sw", 4],
  ["sd", 8],
];

function loaded(bytes: readonly number[], signed: boolean): bigint {
  const value = bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return BigInt.asUintN(64, signed ? BigInt.asIntN(bytes.length * 8, value) : value);
}

describe("loads and stores at every offset, also across a page", () => {
  const START = 0xfe0;

  test.each(LOADS)("%s in Bare mode", (name, width, signed) => {
    rig.memory.write(RAM + 0x1_0000 + START, new Uint8Array([...PATTERN, ...PATTERN]));
    // Twice: the second time the TLB knows the pages.
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 56; i++) {
        const at = RAM + 0x1_0000 + START + i;
        expect(step(`${name} a0, 0(t0)`, { t0: at })).toBeUndefined();
        expect(rig.x("a0")).toBe(loaded(bytesAt(at, width), signed));
        rig.hart.pc = BigInt(RAM);
      }
    }
  });

  test.each(LOADS)("%s under Sv39", (name, width, signed) => {
    paged();
    for (let i = 0; i < 64; i++) rig.memory.write(physicalOf(DATA + START + i), Uint8Array.of(0x71 + 5 * i));
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 56; i++) {
        const virtual = DATA + START + i;
        expect(step(`${name} a0, 0(t0)`, { t0: virtual })).toBeUndefined();
        const bytes = Array.from({ length: width }, (_, j) => bytesAt(physicalOf(virtual + j), 1)[0]);
        expect(rig.x("a0")).toBe(loaded(bytes, signed));
        rig.hart.pc = BigInt(CODE);
      }
    }
  });

  test.each(STORES)("%s under Sv39", (name, width) => {
    paged();
    const value = 0x8877_6655_4433_2211n;
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 56; i++) {
        for (let j = 0; j < 64; j++) rig.memory.write(physicalOf(DATA + START + j), Uint8Array.of(0));
        expect(step(`${name} a0, 0(t0)`, { t0: DATA + START + i, a0: value })).toBeUndefined();
        const stored = Array.from({ length: 64 }, (_, j) => bytesAt(physicalOf(DATA + START + j), 1)[0]);
        const wanted = Array.from({ length: 64 }, (_, j) =>
          j >= i && j < i + width ? Number((value >> BigInt(8 * (j - i))) & 0xffn) : 0,
        );
        expect(stored).toEqual(wanted);
        rig.hart.pc = BigInt(CODE);
      }
    }
  });

  test("that reach into a missing page trap there, and a store stores nothing", () => {
    paged();
    const edge = DATA + 0x2000;
    rig.memory.write(physicalOf(edge - 4), Uint8Array.of(1, 2, 3, 4));
    expect(step("ld a0, 0(t0)", { t0: edge - 4, a0: 77 })).toEqual({ cause: Cause.loadPage, tval: BigInt(edge) });
    expect(rig.x("a0")).toBe(77n);
    rig.enter(1);
    rig.hart.pc = BigInt(CODE);
    expect(step("sd a0, 0(t0)", { t0: edge - 4, a0: -1 })).toEqual({ cause: Cause.storePage, tval: BigInt(edge) });
    expect(bytesAt(physicalOf(edge - 4), 4)).toEqual([1, 2, 3, 4]);
  });

  test("that reach beyond RAM fault", () => {
    const end = RAM + RAM_SIZE;
    expect(step("ld a0, 0(t0)", { t0: end - 4 })).toEqual({ cause: Cause.loadAccess, tval: BigInt(end) });
    rig.hart.pc = BigInt(RAM);
    expect(step("ld a0, 0(t0)", { t0: end - 8 })).toBeUndefined();
    rig.hart.pc = BigInt(RAM);
    expect(step("sw a0, 0(t0)", { t0: end })).toEqual({ cause: Cause.storeAccess, tval: BigInt(end) });
  });

  test.each([
    ["at the end of the address space", 0xffff_ffff_ffff_fffcn],
    ["beyond what a number can hold", 0x0100_0000_8000_0000n],
    ["at 0", 0n],
  ])("%s fault", (_, address) => {
    expect(step("ld a0, 0(t0)", { t0: address })?.cause).toBe(Cause.loadAccess);
    rig.hart.pc = BigInt(RAM);
    expect(step("sd a0, 0(t0)", { t0: address })?.cause).toBe(Cause.storeAccess);
    rig.hart.pc = BigInt(RAM);
    expect(step("amoadd.w a0, a1, (t0)", { t0: address })?.cause).toBe(Cause.storeAccess);
  });
});

describe("devices", () => {
  test("see width and value, unsigned", () => {
    rig.load(`
      li t0, ${DEVICE}
      li a0, -2
      sb a0, 1(t0)
      sh a0, 2(t0)
      sw a0, 4(t0)
      lb a1, 1(t0)
      lhu a2, 2(t0)
      lw a3, 4(t0)
      lwu a4, 4(t0)`);
    rig.onLoad = (_, width) => (width === 4 ? 0xfedc_ba98 : width === 2 ? 0xfedc : 0xfe);
    rig.run(9);
    expect(rig.exits).toEqual([
      ["store", 1, 1, 0xfe],
      ["store", 2, 2, 0xfffe],
      ["store", 4, 4, 0xffff_fffe],
      ["load", 1, 1, 0xfe],
      ["load", 2, 2, 0xfedc],
      ["load", 4, 4, 0xfedc_ba98],
      ["load", 4, 4, 0xfedc_ba98],
    ]);
    expect(rig.x("a1")).toBe(BigInt.asUintN(64, -2n));
    expect(rig.x("a2")).toBe(0xfedcn);
    expect(rig.x("a3")).toBe(0xffff_ffff_fedc_ba98n);
    expect(rig.x("a4")).toBe(0xfedc_ba98n);
  });

  test("get 8-byte accesses as two halves, low half first", () => {
    rig.load(`li t0, ${DEVICE}\n li a0, 0x1122334455667788\n sd a0, 8(t0)\n ld a1, 8(t0)\nend: j end`);
    rig.onLoad = (offset) => (offset === 8 ? 0x89ab_cdef : 0x0123_4567);
    rig.run(20);
    expect(rig.exits).toEqual([
      ["store", 8, 4, 0x5566_7788],
      ["store", 12, 4, 0x1122_3344],
      ["load", 8, 4, 0x89ab_cdef],
      ["load", 12, 4, 0x0123_4567],
    ]);
    expect(rig.x("a1")).toBe(0x0123_4567_89ab_cdefn);
  });

  test("take aligned accesses only", () => {
    expect(step("lw a0, 2(t0)", { t0: DEVICE })).toEqual({ cause: Cause.loadAccess, tval: BigInt(DEVICE + 2) });
    rig.hart.pc = BigInt(RAM);
    expect(step("sd a0, 4(t0)", { t0: DEVICE })).toEqual({ cause: Cause.storeAccess, tval: BigInt(DEVICE + 4) });
    expect(rig.exits).toEqual([]);
  });

  test("refuse atomics, block zeroing and code", () => {
    for (const [text, cause] of [
      ["amoadd.w a0, a1, (t0)", Cause.storeAccess],
      ["amoswap.d a0, a1, (t0)", Cause.storeAccess],
      ["lr.w a0, (t0)", Cause.loadAccess],
      ["sc.w a0, a1, (t0)", Cause.storeAccess],
      ["cbo.zero (t0)", Cause.storeAccess],
    ] as const) {
      rig.hart.pc = BigInt(RAM);
      expect(step(text, { t0: DEVICE })).toEqual({ cause, tval: BigInt(DEVICE) });
    }
    rig.hart.pc = BigInt(RAM);
    rig.load("jalr zero, 0(t0)");
    rig.run(3);
    expect(rig.csr("mcause")).toBe(BigInt(Cause.fetchAccess));
    expect(rig.csr("mepc")).toBe(BigInt(DEVICE));
    expect(rig.exits).toEqual([]);
  });

  test("may refuse: the access faults, the register keeps what it had", () => {
    rig.onLoad = () => -1;
    expect(step("lw a0, 0(t0)", { t0: DEVICE, a0: 5 })).toEqual({ cause: Cause.loadAccess, tval: BigInt(DEVICE) });
    expect(rig.x("a0")).toBe(5n);
    rig.onStore = () => false;
    rig.hart.pc = BigInt(RAM);
    expect(step("sw a0, 0(t0)", { t0: DEVICE })).toEqual({ cause: Cause.storeAccess, tval: BigInt(DEVICE) });
  });

  test("are reached through page tables, time after time", () => {
    const tables = paged();
    tables.map(0x60_0000, DEVICE, PTE_RWX & ~Pte.X);
    for (let i = 0; i < 3; i++) {
      rig.hart.pc = BigInt(CODE);
      expect(step("sw a0, 16(t0)", { t0: 0x60_0000, a0: i })).toBeUndefined();
    }
    expect(rig.exits).toEqual([0, 1, 2].map((i) => ["store", 16, 4, i] as const));
  });
});

describe("misaligned atomics", () => {
  test.each(["amoadd.w a0, a1, (t0)", "sc.w a0, a1, (t0)", "amoor.d a0, a1, (t0)"])("%s", (text) => {
    const at = RAM + 0x1_0002;
    expect(step(text, { t0: at })).toEqual({ cause: Cause.storeMisaligned, tval: BigInt(at) });
  });
  test("lr.d a0, (t0)", () => {
    const at = RAM + 0x1_0004;
    expect(step("lr.d a0, (t0)", { t0: at })).toEqual({ cause: Cause.loadMisaligned, tval: BigInt(at) });
  });
});

describe("ROM", () => {
  test("is read and executed", () => {
    rig.memory.load(ROM, new Uint8Array(Uint32Array.of(0x0050_0513, 0x0000_006f).buffer));
    rig.hart.pc = BigInt(ROM);
    rig.run(2);
    expect(rig.x("a0")).toBe(5n);
    rig.hart.pc = BigInt(RAM);
    step("lwu a1, 0(t0)", { t0: ROM });
    expect(rig.x("a1")).toBe(0x0050_0513n);
  });

  test.each([
    ["sb a0, 0(t0)", ROM],
    ["sd a0, 0(t0)", ROM + 3],
    ["sd a0, 0(t0)", ROM + 0xffc],
    ["amoadd.w a1, a0, (t0)", ROM],
    ["cbo.zero (t0)", ROM],
  ])("refuses %s", (text, at) => {
    rig.memory.load(ROM, PATTERN);
    // After a load, too, when the TLB knows the page for reading.
    step("lwu a1, 0(t0)", { t0: at & ~7 });
    rig.hart.pc = BigInt(RAM);
    expect(step(text, { t0: at, a0: -1 })?.cause).toBe(Cause.storeAccess);
    expect(bytesAt(ROM, 32)).toEqual([...PATTERN]);
    expect(bytesAt(ROM + 0xffc, 8)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe("page tables that change", () => {
  test("W^X: a page is written, then executed, then written again", () => {
    const tables = paged();
    const page = 0x60_0000;
    const physical = RAM + 0x3_0000;
    const entry = rig.memory.locate;
    tables.map(page, physical, Pte.V | Pte.R | Pte.W | Pte.A | Pte.D);
    const at = tables.entryOf(page);
    const setFlags = (flags: number) => {
      const offset = entry.call(rig.memory, at, 8);
      rig.memory.data.setBigUint64(offset, (BigInt(physical / 4096) << 10n) | BigInt(flags), true);
    };
    rig.load(`
      sw a0, 0(s0)
      sw a1, 4(s0)
      jalr ra, 0(s0)
    end: j end`);
    rig.hart.pc = BigInt(CODE);
    rig.setCsr("mtvec", BigInt(HANDLER));
    rig.hart.setX(register("s0"), BigInt(page));
    rig.hart.setX(register("a0"), 0x02a0_0613n); // li a2, 42
    rig.hart.setX(register("a1"), 0x0000_8067n); // ret
    rig.run(4);
    expect(Number(rig.csr("mcause"))).toBe(Cause.fetchPage);
    expect(rig.csr("mepc")).toBe(BigInt(page));
    setFlags(Pte.V | Pte.R | Pte.X | Pte.A);
    rig.hart.flushTlb();
    rig.enter(1);
    rig.hart.pc = BigInt(page);
    rig.hart.setX(1, BigInt(CODE));
    rig.run(2);
    expect(rig.x("a2")).toBe(42n);
    rig.run(1);
    expect(Number(rig.csr("mcause"))).toBe(Cause.storePage);
    expect(rig.csr("mtval")).toBe(BigInt(page));
    setFlags(Pte.V | Pte.R | Pte.W | Pte.A | Pte.D);
    rig.hart.flushTlb();
    rig.enter(1);
    rig.hart.pc = BigInt(CODE);
    rig.hart.setX(register("a0"), 0x02b0_0613n); // li a2, 43
    rig.run(3);
    rig.run(1);
    expect(Number(rig.csr("mcause"))).toBe(Cause.fetchPage);
    setFlags(Pte.V | Pte.R | Pte.X | Pte.A);
    rig.hart.flushTlb();
    rig.enter(1);
    rig.hart.pc = BigInt(page);
    rig.run(1);
    expect(rig.x("a2")).toBe(43n);
  });

  test("SFENCE.VMA makes them seen, of one page and of all", () => {
    const tables = paged();
    tables.map(0x60_0000, tables.root, PTE_RWX & ~Pte.X);
    for (const [fence, other] of [
      ["sfence.vma t0, zero", RAM + 0x4_0000],
      ["sfence.vma zero, zero", RAM + 0x5_0000],
    ] as const) {
      tables.map(0x70_0000, RAM + 0x3_0000, PTE_RWX);
      rig.memory.write(RAM + 0x3_0000, Uint8Array.of(3));
      rig.memory.write(other, Uint8Array.of(9));
      rig.hart.flushTlb();
      const { labels } = rig.load(`lbu a0, 0(t0)\n nop\n ${fence}\n lbu a1, 0(t0)\nend: j end`);
      rig.hart.pc = BigInt(CODE);
      rig.hart.setX(register("t0"), 0x70_0000n);
      rig.run(2);
      tables.map(0x70_0000, other, PTE_RWX);
      rig.runTo(CODE + labels.end - RAM);
      expect([rig.x("a0"), rig.x("a1")]).toEqual([3n, 9n]);
    }
  });

  test("a code page that is mapped anew executes what is there now", () => {
    const tables = paged();
    const code = (n: number) => new Uint8Array(Uint32Array.of(((n << 20) | 0x513) >>> 0, 0x0000_8067).buffer);
    rig.memory.write(RAM + 0x3_0000, code(1));
    rig.memory.write(RAM + 0x4_0000, code(2));
    tables.map(0x60_0000, RAM + 0x3_0000, PTE_RWX);
    const { labels } = rig.load("again: jalr ra, 0(s0)\n sfence.vma zero, zero\n j again");
    rig.hart.setX(register("s0"), 0x60_0000n);
    rig.hart.pc = BigInt(CODE);
    rig.run(3);
    expect(rig.x("a0")).toBe(1n);
    tables.map(0x60_0000, RAM + 0x4_0000, PTE_RWX);
    rig.runTo(CODE + labels.again - RAM);
    rig.run(3);
    expect(rig.x("a0")).toBe(2n);
  });
});
