// Memory that other threads have, too: what they store is seen by atomic accesses at once, and in code behind a fence.
import { describe, expect, test } from "bun:test";
import { encode } from "../../src/isa/riscv/encode.ts";
import { register } from "./program.ts";
import { PageTables, Pte, RAM, Rig } from "./rig.ts";

const CODE = RAM + 0x4000;
const DATA = RAM + 0x8000;
const A0 = register("a0");
const addA0 = (n: number) => encode("addi", { rd: A0, rs1: A0, imm: n });
const RETURN = encode("jalr", { rd: 0, rs1: 1, imm: 0 });

for (const [name, threshold] of [
  ["interpreted", 0],
  ["translated", 1],
] as const) {
  describe(name, () => {
    const rig = new Rig({ shared: true, threshold });
    const word = (at: number) => rig.memory.data.getUint32(rig.memory.locate(at, 4), true);
    /** A store of another thread: nobody is told. */
    const storeElsewhere = (at: number, value: number) => {
      rig.memory.data.setUint32(rig.memory.locate(at, 4), value, true);
    };

    describe("store-conditional", () => {
      const source = (width: "w" | "d", between: string) => `
        li t0, ${DATA}
        li t1, 7
        lr.${width} a0, (t0)
        ${between}
      middle: sc.${width} a1, t1, (t0)
      end: j end`;
      for (const width of ["w", "d"] as const) {
        test(`${width} stores where nobody else did`, () => {
          rig.reset();
          const { labels } = rig.load(source(width, ""));
          storeElsewhere(DATA, 0x8000_0001);
          rig.runTo(labels.end);
          expect(rig.x("a1")).toBe(0n);
          expect(rig.x("a0")).toBe(width === "w" ? 0xffff_ffff_8000_0001n : 0x8000_0001n);
          expect(word(DATA)).toBe(7);
        });

        test(`${width} fails where another thread came between`, () => {
          rig.reset();
          const { labels } = rig.load(source(width, "nop"));
          rig.runTo(labels.middle);
          storeElsewhere(DATA, 5);
          rig.runTo(labels.end);
          expect(rig.x("a1")).toBe(1n);
          expect(word(DATA)).toBe(5);
        });
      }

      test("fails without a reservation, and after one was used", () => {
        rig.reset();
        const { labels } = rig.load(`
          li t0, ${DATA}
          sc.w a0, t0, (t0)
          lr.w a1, (t0)
          sc.w a2, t0, (t0)
          lr.w a1, (t0)
          addi t1, t0, 8
          sc.w a3, t0, (t1)
          sc.w a4, t0, (t0)
        end: j end`);
        rig.runTo(labels.end);
        expect(["a0", "a2", "a3", "a4"].map((x) => rig.x(x))).toEqual([1n, 0n, 1n, 1n]);
      });
    });

    describe("code that another thread has stored", () => {
      const source = `
        li s0, ${CODE}
        li s1, 3
      again:
        jalr ra, 0(s0)
      between:
        fence.i
        addi s1, s1, -1
        bnez s1, again
      end: j end`;

      test("is run behind a fence.i, from the changed page alone", () => {
        rig.reset();
        const { labels } = rig.load(source);
        storeElsewhere(CODE, addA0(1));
        storeElsewhere(CODE + 4, RETURN);
        for (const n of [10, 100]) {
          rig.runTo(labels.between);
          storeElsewhere(CODE, addA0(n));
          rig.run(1);
        }
        rig.runTo(labels.end);
        expect(rig.x("a0")).toBe(111n);
      });

      test("is run behind a fence that was asked for on its behalf", () => {
        rig.reset();
        const { labels } = rig.load(source.replace("fence.i", "nop"));
        storeElsewhere(CODE, addA0(1));
        storeElsewhere(CODE + 4, RETURN);
        rig.runTo(labels.between);
        storeElsewhere(CODE, addA0(10));
        rig.engine.fenceFetches();
        rig.runTo(labels.end);
        expect(rig.x("a0")).toBe(21n);
      });

      test("is not run half: what was decoded before the fence is of one page's copy", () => {
        rig.reset();
        const { labels } = rig.load(source);
        storeElsewhere(CODE, addA0(1));
        // Not decoded at first: the branch over it is taken.
        storeElsewhere(CODE + 4, encode("beq", { rs1: 0, rs2: 0, imm: 8 }));
        storeElsewhere(CODE + 8, addA0(1000));
        storeElsewhere(CODE + 12, RETURN);
        rig.runTo(labels.between);
        storeElsewhere(CODE + 8, addA0(500));
        storeElsewhere(CODE + 4, addA0(0));
        rig.run(1);
        rig.runTo(labels.end);
        expect(rig.x("a0")).toBe(1n + 2n * 501n);
      });
    });

    test("a fence of accesses costs an instruction and does nothing else", () => {
      rig.reset();
      const { labels } = rig.load("fence 3, 3\n fence.i\n li a0, 1\nend: j end");
      rig.runTo(labels.end, 4);
      expect(rig.hart.retired).toBe(3);
    });

    test("8 bytes that the TLB misses are read and written whole", () => {
      rig.reset();
      const { labels } = rig.load(`
        li t0, ${DATA}
        ld a0, 0(t0)
        li t1, 0x123456789abcdef0
        li t2, ${DATA + 0x1000}
        sd t1, 8(t2)
      end: j end`);
      storeElsewhere(DATA, 0xfffe_fdfc);
      storeElsewhere(DATA + 4, 0x8182_8384);
      rig.runTo(labels.end);
      expect(rig.x("a0")).toBe(0x8182_8384_fffe_fdfcn);
      expect([word(DATA + 0x1008), word(DATA + 0x100c)]).toEqual([0x9abc_def0, 0x1234_5678]);
    });

    test("the bits of a page table entry are set without losing what others set", () => {
      rig.reset();
      const tables = new PageTables(rig.memory);
      tables.map(0x1000, DATA, Pte.V | Pte.R | Pte.W);
      tables.map(RAM, RAM, Pte.V | Pte.R | Pte.W | Pte.X | Pte.A | Pte.D);
      const { labels } = rig.load("li t0, 0x1000\n sd t0, 0(t0)\nend: j end");
      rig.setCsr("satp", tables.satp);
      rig.setCsr("menvcfg", 1n << 61n);
      rig.setCsr("pmpaddr0", (1n << 54n) - 1n);
      rig.setCsr("pmpcfg0", 0x1fn);
      rig.enter(1);
      rig.runTo(labels.end);
      expect(word(tables.entryOf(0x1000)) & 0xff).toBe(Pte.V | Pte.R | Pte.W | Pte.A | Pte.D);
    });
  });
}
