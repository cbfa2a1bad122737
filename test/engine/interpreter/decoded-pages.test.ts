// Code that changes under the hart's feet: by its own stores, by another page's, by DMA; and pools that run full.
import { beforeEach, describe, expect, test } from "bun:test";
import { DecodedPages, KNOWN_SIZE } from "../../../src/engine/interpreter/decoded-pages.ts";
import { DECODED_PAGE_SIZE, Special } from "../../../src/engine/interpreter/layout.ts";
import { createDecoder } from "../../../src/isa/riscv/decode.ts";
import { encode } from "../../../src/isa/riscv/encode.ts";
import { ENGINE_RESERVED } from "../../../src/isa/riscv/hart.ts";
import { GuestMemory } from "../../../src/memory/guest-memory.ts";
import { register } from "../program.ts";
import { DEVICE, PageTables, PTE_RWX, Pte, RAM, Rig } from "../rig.ts";

const rig = new Rig();
beforeEach(() => rig.reset());

/** `addi a0, a0, n` as a constant that a guest can store. */
const addA0 = (n: number) => encode("addi", { rd: register("a0"), rs1: register("a0"), imm: n });

describe("a guest that rewrites its code", () => {
  // Without FENCE.I stale code would be legal; that it is never seen is this engine's promise. RISC-V Unpriv §6
  for (const fence of ["fence.i", "nop"]) {
    test(`on the same page, with ${fence}`, () => {
      const { labels } = rig.load(`
        la t0, patched
        li t1, ${addA0(100)}
        jal ra, patched
        sw t1, 0(t0)
        ${fence}
        jal ra, patched
      end: j end
      patched:
        addi a0, a0, 1
        ret`);
      rig.runTo(labels.end);
      expect(rig.x("a0")).toBe(101n);
    });

    test(`on another page, with ${fence}`, () => {
      const { labels } = rig.load(`
        li t0, ${RAM + 0x5000}
        li t1, ${addA0(1)}
        li t2, ${encode("jalr", { rd: 0, rs1: 1, imm: 0 })}
        sw t1, 0(t0)
        sw t2, 4(t0)
        jalr ra, 0(t0)
        li t1, ${addA0(100)}
        sw t1, 0(t0)
        ${fence}
        jalr ra, 0(t0)
      end: j end`);
      rig.runTo(labels.end);
      expect(rig.x("a0")).toBe(101n);
    });
  }

  test("the very next instruction", () => {
    const { labels } = rig.load(`
      la t0, next
      li t1, ${addA0(100)}
      li t2, 2
    again:
      sw t1, 0(t0)
    next:
      addi a0, a0, 1
      li t1, ${addA0(7)}
      addi t2, t2, -1
      bnez t2, again
    end: j end`);
    rig.runTo(labels.end);
    expect(rig.x("a0")).toBe(107n);
  });

  test("by a byte, by a half, by a store across two instructions", () => {
    // The third byte of ADDI holds imm[3:0] and rs1[4:1].
    const thirdByte = (n: number) => (n << 4) | (register("a0") >> 1);
    const { labels } = rig.load(`
      la t0, patched
      jal ra, patched
      li t1, ${thirdByte(5)}
      sb t1, 2(t0)
      jal ra, patched
      li t1, ${thirdByte(6)}
      sh t1, 2(t0)
      jal ra, patched
      lwu t2, 2(t0)
      li t3, ${(1 << 4) | ((register("a1") ^ register("a3")) << (7 + 16))}
      xor t2, t2, t3
      sw t2, 2(t0)
      jal ra, patched
    end: j end
    patched:
      addi a0, a0, 1
      addi a1, a1, 1
      ret`);
    rig.runTo(labels.end);
    expect(rig.x("a0")).toBe(1n + 5n + 6n + 7n);
    expect(rig.x("a1")).toBe(3n);
    expect(rig.x("a3")).toBe(4n);
  });

  test("by AMO, SC and CBO.ZERO", () => {
    const { labels } = rig.load(`
      la t0, patched
      la t4, handler
      csrw mtvec, t4
      li t1, ${addA0(100)}
      jal ra, patched
      amoswap.w t2, t1, (t0)
      jal ra, patched
      lr.w t3, (t0)
      sc.w t3, t2, (t0)
      jal ra, patched
      cbo.zero (t0)
      jal ra, patched
    end: j end
    handler:
      csrr s0, mcause
      csrr s1, mepc
      j end
      .org ${RAM + 0x100}
    patched:
      addi a0, a0, 1
      ret`);
    rig.runTo(labels.end);
    expect(rig.x("a0")).toBe(102n);
    // All zeroes are illegal. RISC-V Unpriv §1.5
    expect(rig.x("s0")).toBe(2n);
    expect(rig.x("s1")).toBe(BigInt(labels.patched));
  });

  test("through another virtual address of the same page", () => {
    const tables = new PageTables(rig.memory);
    tables.map(0x40_0000, RAM, PTE_RWX);
    tables.map(0x50_3000, RAM, PTE_RWX & ~Pte.X);
    const { labels } = rig.load(`
      li t0, 0x503800
      li t1, ${addA0(100)}
      lui t2, 0x400
      addi t2, t2, 0x7fc
      addi t2, t2, 4
      jalr ra, 0(t2)
      sw t1, 0(t0)
      fence.i
      jalr ra, 0(t2)
    end: j end
      .org ${RAM + 0x800}
      addi a0, a0, 1
      ret`);
    rig.setCsr("pmpaddr0", (1n << 54n) - 1n);
    rig.setCsr("pmpcfg0", 0x1fn);
    rig.setCsr("satp", tables.satp);
    rig.enter(1);
    rig.hart.pc = 0x40_0000n;
    rig.runTo(labels.end - RAM + 0x40_0000);
    expect(rig.x("a0")).toBe(101n);
  });

  test("over and over, until the page counts as data, and then as code again", () => {
    // Counts in a word of the page that it runs on.
    const { labels } = rig.load(`
      la t0, counter
      li t1, 200
    again:
      lw t2, 0(t0)
      addi t2, t2, 1
      sw t2, 0(t0)
      addi t1, t1, -1
      bnez t1, again
      la t0, patched
      li t1, ${addA0(100)}
      jal ra, patched
      sw t1, 0(t0)
      jal ra, patched
    end: j end
    counter: .word 0
    patched:
      addi a0, a0, 1
      ret`);
    rig.runTo(labels.end);
    expect(rig.memory.data.getUint32(rig.memory.locate(labels.counter, 4), true)).toBe(200);
    expect(rig.x("a0")).toBe(101n);
    expect(rig.memory.codePages[rig.memory.locate(RAM, 1) >>> 12]).toBe(1);
  });

  test("a loop that rewrites itself in every turn", () => {
    const { labels } = rig.load(`
      la t0, patched
      li t1, ${addA0(0)}
      li t2, ${1 << 20}
      li t3, 100
    again:
      add t1, t1, t2
      sw t1, 0(t0)
    patched:
      addi a0, a0, 0
      addi t3, t3, -1
      bnez t3, again
    end: j end`);
    rig.runTo(labels.end);
    expect(rig.x("a0")).toBe(5050n);
  });
});

describe("code rewritten by DMA", () => {
  test("between two runs", () => {
    const { labels } = rig.load("again: addi a0, a0, 1\n j again");
    rig.run(4);
    expect(rig.x("a0")).toBe(2n);
    rig.memory.write(labels.again, new Uint8Array(Uint32Array.of(addA0(100)).buffer));
    rig.run(2);
    expect(rig.x("a0")).toBe(102n);
  });

  test("by a store to a device, on the page that executes", () => {
    const { labels } = rig.load(`
      li t0, ${DEVICE}
      sw zero, 0(t0)
    patched:
      addi a0, a0, 1
    end: j end`);
    // Decoded before the device overwrites it.
    rig.hart.pc = BigInt(labels.patched);
    rig.run(1);
    rig.hart.pc = BigInt(RAM);
    rig.onStore = () => rig.memory.write(labels.patched, new Uint8Array(Uint32Array.of(addA0(100)).buffer));
    rig.runTo(labels.end);
    expect(rig.x("a0")).toBe(101n);
  });

  test("through a window", () => {
    const { labels } = rig.load("again: addi a0, a0, 1\n j again");
    rig.run(2);
    new DataView(rig.memory.mutable(labels.again, 4)!.buffer).setUint32(
      rig.memory.locate(labels.again, 4),
      addA0(10),
      true,
    );
    rig.run(2);
    expect(rig.x("a0")).toBe(11n);
  });
});

describe("an instruction that lies on two pages", () => {
  const LAST = RAM + 0xffe;

  test("executes, and execution goes on behind it", () => {
    rig.load(".half 0\n addi a0, a0, 5\n addi a0, a0, 6", LAST - 2);
    rig.hart.pc = BigInt(LAST);
    rig.run(2);
    expect(rig.x("a0")).toBe(11n);
    expect(rig.hart.pc).toBe(BigInt(LAST + 8));
  });

  test("is not stale when either half changes", () => {
    rig.load(
      `
      addi a0, a0, 1
      jr s0`,
      LAST,
    );
    const call = rig.load(`
      la s0, back
    again:
      li t0, ${LAST}
      jr t0
    back: j again`);
    rig.runTo(call.labels.back);
    expect(rig.x("a0")).toBe(1n);
    const word = (bits: number) => new Uint8Array(Uint32Array.of(bits).buffer);
    rig.memory.write(LAST + 2, word(addA0(9)).subarray(2));
    rig.run(1);
    rig.runTo(call.labels.back);
    expect(rig.x("a0")).toBe(10n);
    rig.memory.write(LAST, word(encode("addi", { rd: 11, rs1: 10, imm: 0 })).subarray(0, 2));
    rig.run(1);
    rig.runTo(call.labels.back);
    expect(rig.x("a1")).toBe(19n);
  });

  const jumps: readonly (readonly [text: string, to: number])[] = [
    [`jal ra, ${LAST - 0xe}`, LAST - 0xe],
    [`jal ra, ${LAST + 0x12}`, LAST + 0x12],
    [`beq zero, zero, ${LAST - 0x10}`, LAST - 0x10],
    [`beq zero, zero, ${LAST + 0x10}`, LAST + 0x10],
    ["jalr ra, 0(t0)", RAM + 0x100],
    ["jalr ra, 0(t1)", RAM + 0x1100],
    ["bne zero, zero, 0x80000f00", LAST + 4],
    ["csrrw zero, mscratch, t0", LAST + 4],
    ["ld a1, 0(t0)", LAST + 4],
    ["fence.i", LAST + 4],
  ];
  test.each(jumps)("%s", (text, to) => {
    rig.load(text, LAST);
    rig.memory.load(RAM + 0x100, new Uint8Array(Uint32Array.of(addA0(1)).buffer));
    rig.hart.setX(register("t0"), BigInt(RAM + 0x100));
    rig.hart.setX(register("t1"), BigInt(RAM + 0x1100));
    rig.memory.load(to, new Uint8Array(Uint32Array.of(addA0(42)).buffer));
    rig.run(2);
    expect(rig.x("a0")).toBe(42n);
    expect(rig.hart.pc).toBe(BigInt(to + 4));
  });

  test("traps at the second page: the instruction's address in mepc, the page's in mtval", () => {
    const tables = new PageTables(rig.memory);
    tables.map(0x40_0000, RAM, PTE_RWX);
    rig.load("addi a0, a0, 5", LAST);
    const { labels } = rig.load("handler: j handler", RAM + 0x4000);
    rig.setCsr("mtvec", BigInt(labels.handler));
    rig.setCsr("pmpaddr0", (1n << 54n) - 1n);
    rig.setCsr("pmpcfg0", 0x1fn);
    rig.setCsr("satp", tables.satp);
    rig.enter(1);
    rig.hart.pc = 0x40_0ffen;
    rig.run(1);
    // RISC-V Priv §3.1.16: mtval is the address of the portion that faulted.
    expect(rig.csr("mcause")).toBe(12n);
    expect(rig.csr("mepc")).toBe(0x40_0ffen);
    expect(rig.csr("mtval")).toBe(0x40_1000n);
    expect(rig.x("a0")).toBe(0n);
    // The page appears, and the instruction goes through.
    tables.map(0x40_1000, RAM + 0x1000, PTE_RWX);
    rig.enter(1);
    rig.hart.pc = 0x40_0ffen;
    rig.run(1);
    expect(rig.x("a0")).toBe(5n);
  });

  test("may have its halves anywhere in physical memory", () => {
    const tables = new PageTables(rig.memory);
    tables.map(0x40_0000, RAM + 0x5000, PTE_RWX);
    tables.map(0x40_1000, RAM + 0x2000, PTE_RWX);
    const bits = addA0(5);
    rig.memory.load(RAM + 0x5ffe, new Uint8Array(Uint16Array.of(bits & 0xffff).buffer));
    rig.memory.load(RAM + 0x2000, new Uint8Array(Uint16Array.of(bits >>> 16).buffer));
    rig.memory.load(RAM + 0x2002, new Uint8Array(Uint32Array.of(addA0(6)).buffer));
    rig.setCsr("pmpaddr0", (1n << 54n) - 1n);
    rig.setCsr("pmpcfg0", 0x1fn);
    rig.setCsr("satp", tables.satp);
    rig.enter(1);
    rig.hart.pc = 0x40_0ffen;
    rig.run(2);
    expect(rig.x("a0")).toBe(11n);
  });
});

describe("an instruction across two pages that is executed again", () => {
  const VIRTUAL = 0x40_0000;
  const [FIRST, SECOND, OTHER] = [RAM + 0x5000, RAM + 0x2000, RAM + 0x9000];
  const half = (at: number, bits: number) => rig.memory.load(at, new Uint8Array(Uint16Array.of(bits).buffer));
  let tables: PageTables;
  beforeEach(() => {
    tables = new PageTables(rig.memory);
    tables.map(VIRTUAL, FIRST, PTE_RWX);
    tables.map(VIRTUAL + 0x1000, SECOND, PTE_RWX);
    half(FIRST + 0xffe, addA0(0) & 0xffff);
    half(SECOND, addA0(5) >>> 16);
    half(OTHER, addA0(7) >>> 16);
    rig.setCsr("pmpaddr0", (1n << 54n) - 1n);
    rig.setCsr("pmpcfg0", 0x1fn);
    rig.setCsr("satp", tables.satp);
    rig.enter(1);
  });

  /** Executes it from its place and what it adds to a0. */
  const added = (): number => {
    rig.hart.setX(register("a0"), 0n);
    rig.hart.pc = BigInt(VIRTUAL + 0xffe);
    rig.run(1);
    return Number(rig.x("a0"));
  };

  test("asks nobody", () => {
    expect([added(), added(), added()]).toEqual([5, 5, 5]);
    const { walks } = rig.hart;
    for (let i = 0; i < 10; i++) added();
    expect(rig.hart.walks).toBe(walks);
    expect(rig.hart.pc).toBe(BigInt(VIRTUAL + 0x1002));
  });

  test("changes with either half", () => {
    added();
    half(SECOND, addA0(6) >>> 16);
    expect([added(), added()]).toEqual([6, 6]);
    half(FIRST + 0xffe, encode("xori", { rd: register("a0"), rs1: register("a0"), imm: 0 }) & 0xffff);
    half(SECOND, addA0(1) >>> 16);
    expect([added(), added()]).toEqual([1, 1]);
    half(FIRST + 0xffe, encode("addi", { rd: register("a1"), rs1: register("a0"), imm: 0 }) & 0xffff);
    expect([added(), added(), Number(rig.x("a1"))]).toEqual([0, 0, 1]);
  });

  test("changes with the second page's mapping", () => {
    added();
    tables.map(VIRTUAL + 0x1000, OTHER, PTE_RWX);
    rig.hart.flushTlbPage(VIRTUAL + 0x1000, 0);
    expect([added(), added()]).toEqual([7, 7]);
    tables.map(VIRTUAL + 0x1000, SECOND, PTE_RWX);
    rig.hart.flushTlbPage(VIRTUAL + 0x1000, 0);
    expect([added(), added()]).toEqual([5, 5]);
    tables.map(VIRTUAL + 0x1000, 0, 0);
    rig.hart.flushTlbPage(VIRTUAL + 0x1000, 0);
    expect(added()).toBe(0);
    expect(rig.csr("mtval")).toBe(BigInt(VIRTUAL + 0x1000));
  });

  test("is found illegal with all its bits", () => {
    half(FIRST + 0xffe, 0xffff);
    half(SECOND, 0xabcd);
    for (let i = 0; i < 3; i++) {
      rig.enter(1);
      added();
      expect([rig.csr("mcause"), rig.csr("mtval"), rig.csr("mepc")]).toEqual([
        2n,
        0xabcdffffn,
        BigInt(VIRTUAL + 0xffe),
      ]);
    }
  });
});

describe("a pool that is too small", () => {
  /** Goes through 40 pages, three times; each adds its number. */
  const tour = (subject: Rig) => {
    subject.reset();
    for (let page = 1; page <= 40; page++) {
      subject.load(`addi a0, a0, ${page}\n jr ra`, RAM + page * 0x1000);
    }
    const { labels } = subject.load(`
      li s1, 3
    again:
      li s0, ${RAM + 0x1000}
      li s2, ${RAM + 41 * 0x1000}
      lui s3, 1
    next:
      jalr ra, 0(s0)
      add s0, s0, s3
      bne s0, s2, next
      addi s1, s1, -1
      bnez s1, again
    end: j end`);
    subject.runTo(labels.end);
    return subject.state();
  };

  test("is emptied and filled again, and the guest does not notice", () => {
    const small = new Rig({ decodedPages: 4 });
    expect(tour(small)).toEqual(tour(rig));
    expect(small.x("a0")).toBe(3n * 820n);
  });

  test("still notices stores into code that was decoded again", () => {
    const small = new Rig({ decodedPages: 3 });
    tour(small);
    small.memory.write(RAM + 0x1000, new Uint8Array(Uint32Array.of(addA0(1000)).buffer));
    small.hart.pc = BigInt(RAM);
    small.hart.setX(10, 0n);
    small.run(5000);
    expect(small.x("a0")).toBe(3n * 1819n);
  });
});

test("what is known of encodings goes with the engine: another one on the same memory may have other instructions", () => {
  const pool = KNOWN_SIZE + 4 * DECODED_PAGE_SIZE;
  const memory = new GuestMemory([{ name: "ram", at: RAM, size: 0x1000 }], { reserved: ENGINE_RESERVED, pool });
  const code = [encode("sh1add", { rd: 10, rs1: 10, rs2: 11 }), addA0(1)];
  memory.write(RAM, new Uint8Array(Uint32Array.from(code).buffer));
  const decoded = (...extensions: string[]) => {
    const pages = new DecodedPages(memory, createDecoder(new Set(["i", "zicsr", "zifencei", ...extensions])));
    const ops = pages.of(memory.locate(RAM, 4));
    pages.decodeFrom(ops);
    return memory.u16[ops >>> 1];
  };
  expect([decoded("zba"), decoded("zba")].includes(Special.illegal)).toBe(false);
  expect(decoded()).toBe(Special.illegal);
});
