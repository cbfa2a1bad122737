// Native code is forgotten with the bytes that it was made from, makes room for itself, and sees memory as the interpreter does.
import { describe, expect, test } from "bun:test";
import { LARGEST } from "../../../src/engine/native/native-code.ts";
import { encode } from "../../../src/isa/riscv/encode.ts";
import { PTE_RWX, Pte, RAM, type Rig } from "../rig.ts";
import {
  CrampedRig,
  compare,
  DATA,
  hasNative,
  interpreted,
  mapData,
  native,
  PTE_RW,
  paged,
  physicalOf,
  skipTraps,
  WHY_NOT,
} from "./native-rig.ts";

/** Runs end at odd places. */
const BUDGETS = [1, 997, 13, 4099, 100, 20_011, 300_007, 5_000_000];

if (!hasNative) test.skip(`native code (${WHY_NOT})`, () => {});

describe.if(hasNative)("code that is stored over", () => {
  const FUNCTION = RAM + 0x2000;
  const adds = (n: number) => encode("addi", { rd: 10, rs1: 10, imm: n });

  /** Calls a function on another page again and again, each time after it has been given another instruction. */
  const program = (where: string, to: string, fence: string) => `
      li   s0, ${where}
      li   s1, ${to}
      li   s3, 40
    again:
      addi s3, s3, -1
      slli t1, s3, 20
      li   t0, ${adds(1)}
      add  t0, t0, t1
      sw   t0, 4(s1)
      ${fence}
      li   s2, 30
    call:
      jalr ra, 0(s0)
      addi s2, s2, -1
      bnez s2, call
      bnez s3, again
    done:
      j done
  `;
  const FUNCTION_TEXT = "addi a1, a1, 1\n addi a0, a0, 0\n ret";
  /** Each round adds 1 more than how many rounds are left. */
  const SUM = (30 * (40 * 41)) / 2;

  const check = (rig: Rig) => expect([rig.x("a0"), rig.x("a1")]).toEqual([BigInt(SUM), 1200n]);

  test("is forgotten, with jumps that remember it", () => {
    compare((rig) => {
      rig.load(FUNCTION_TEXT, FUNCTION);
      return rig.load(program(`${FUNCTION}`, `${FUNCTION}`, "fence.i"));
    }, BUDGETS);
    check(native);
  });

  test("is forgotten by way of other addresses, too", () => {
    const [code, alias] = [0x40_0000, 0x50_0000];
    compare((rig) => {
      rig.load(FUNCTION_TEXT, FUNCTION);
      const loaded = rig.load(program(`${code}`, `${alias}`, "fence.i"));
      paged(rig, (tables) => {
        tables.map(code, FUNCTION, PTE_RWX & ~Pte.W);
        tables.map(alias, FUNCTION, PTE_RW);
      });
      return loaded;
    }, BUDGETS);
    check(native);
  });

  test("is forgotten on the page that stores", () => {
    const at = RAM + 0x400;
    compare((rig) => {
      rig.load(FUNCTION_TEXT, at);
      return rig.load(program(`${at}`, `${at}`, "fence.i"));
    }, BUDGETS);
    check(native);
  });

  test("is forgotten when the page's bytes change from outside", () => {
    const rounds = 5;
    for (const rig of [interpreted, native]) {
      rig.reset();
      rig.load(FUNCTION_TEXT, FUNCTION);
      const { labels } = rig.load(`li s0, ${FUNCTION}\n li s2, 100\n call: jalr ra, 0(s0)\n done: j call`);
      for (let n = 1; n <= rounds; n++) {
        rig.runTo(labels.done);
        rig.memory.write(FUNCTION + 4, new Uint8Array(Uint32Array.of(adds(n)).buffer));
        rig.engine.fenceFetches();
        rig.run(4 * 1000);
      }
    }
    expect(native.state()).toEqual(interpreted.state());
  });
});

test.if(hasNative)("a page that lies at several addresses leads to what follows it at each", () => {
  const [one, other] = [0x40_0000, 0x50_0000];
  const [shared, first, second] = [RAM + 0x2000, RAM + 0x5000, RAM + 0x7000];
  compare((rig) => {
    // Jumps and calls to the next page, and from there back to who called.
    const there = (at: number) => shared + at + 0x1000;
    rig.load(`mv t2, ra\n jal ra, ${there(4)}\n addi a2, a2, 1\n mv ra, t2\n j ${there(16)}`, shared);
    for (const [at, sum] of [
      [first, "a0"],
      [second, "a1"],
    ] as const)
      rig.load(`nop\n addi ${sum}, ${sum}, 3\n ret\n nop\n addi ${sum}, ${sum}, 5\n ret`, at);
    const loaded = rig.load(`
        li   s0, ${one}
        li   s1, ${other}
        li   s3, 400
      again:
        jalr ra, 0(s0)
        jalr ra, 0(s1)
        addi s3, s3, -1
        bnez s3, again
      done:
        j done
    `);
    paged(rig, (tables) => {
      for (const [at, next] of [
        [one, first],
        [other, second],
      ]) {
        tables.map(at, shared, PTE_RWX);
        tables.map(at + 0x1000, next, PTE_RWX);
      }
    });
    return loaded;
  }, BUDGETS);
  expect([native.x("a0"), native.x("a1"), native.x("a2")]).toEqual([3200n, 3200n, 800n]);
});

describe.if(hasNative)("cbo.zero", () => {
  const zero = (base: number) => `.word ${encode("cbo.zero", { rs1: base })}`;
  /** Makes blocks zero from the middle of a page over to the next, from odd places, with what else the program stores. */
  const program = `
      li   s0, ${DATA + 0xe05}
      li   s1, 24
    again:
      sd   s1, 16(s0)
      ${zero(8)}
      ld   a0, 16(s0)
      add  a1, a1, a0
      ld   a0, 72(s0)
      add  a1, a1, a0
      addi s0, s0, 40
      addi s1, s1, -1
      bnez s1, again
    done:
      j done
  `;
  const CBZE = 0x80n;
  const [FORBIDDEN, ALLOWED] = [0n, CBZE];

  test.each([
    ["in M-mode", 3, FORBIDDEN, FORBIDDEN],
    ["in M-mode, where others may", 3, ALLOWED, FORBIDDEN],
    ["in S-mode", 1, ALLOWED, FORBIDDEN],
    ["in S-mode, where it may not", 1, FORBIDDEN, ALLOWED],
    ["in U-mode", 0, ALLOWED, ALLOWED],
    ["in U-mode, where S-mode does not let it", 0, ALLOWED, FORBIDDEN],
    ["in U-mode, where M-mode lets nobody", 0, FORBIDDEN, ALLOWED],
  ] as const)("%s", (_, privilege, machine, supervisor) => {
    const isUser = privilege === 0;
    for (const second of [PTE_RW, PTE_RW & ~Pte.W, 0]) {
      compare((rig) => {
        for (let at = 0; at < 0x1000; at += 8)
          rig.memory.load(physicalOf(DATA) + at, Uint8Array.of(at, 1, 2, 3, at >> 8));
        paged(rig, (tables) => {
          const user = isUser ? Pte.U : 0;
          mapData(tables, PTE_RW | user, second === 0 ? 0 : second | user);
          if (isUser) tables.map(0x40_0000, RAM, PTE_RWX | Pte.U);
        });
        rig.setCsr("menvcfg", machine);
        rig.setCsr("senvcfg", supervisor);
        skipTraps(rig);
        const { labels } = rig.load(program);
        rig.enter(privilege);
        if (!isUser) return { labels };
        rig.hart.pc = 0x40_0000n;
        return { labels: { done: labels.done - RAM + 0x40_0000 } };
      }, BUDGETS);
    }
  });
});

describe.if(hasNative)("code space", () => {
  const EXTENSIONS = "i m a f d c zicsr zifencei zicntr zba zbb zbs zicbom zicboz sstc svadu".split(" ");
  const PAGES = 48;
  const ROUNDS = 5;

  /** Functions on many pages, with a hundred instructions each, called in turns. */
  function manyFunctions(rig: Rig) {
    const names = Array.from({ length: PAGES }, (_, i) => RAM + 0x1_0000 + i * 0x1000);
    names.forEach((at, i) => {
      const lines = Array.from({ length: 60 }, (_, n) => `ld t0, ${8 * (n % 9)}(s1)\n xori t1, t0, ${i * 31 + n}`);
      rig.load(`${lines.join("\n sd t1, 16(s1)\n")}\n add a0, a0, t1\n ret`, at);
    });
    return rig.load(`
        li   s1, ${DATA}
        li   s2, ${ROUNDS}
      again:
        li   s0, ${names[0]}
        li   s3, ${PAGES}
      call:
        jalr ra, 0(s0)
        addi s0, s0, 1024
        addi s0, s0, 1024
        addi s0, s0, 1024
        addi s0, s0, 1024
        addi s3, s3, -1
        bnez s3, call
        addi s2, s2, -1
        bnez s2, again
      done:
        j done
    `);
  }

  test("that is full is let go, and used anew", () => {
    const room = 0x1_0000;
    const cramped = new CrampedRig(LARGEST + room, EXTENSIONS);
    compare(manyFunctions, BUDGETS, [interpreted, cramped]);
    // It has been full a few times.
    expect(cramped.engine.regions!.native!.statistics.bytes).toBeGreaterThan(4 * room);
  });

  test("that never holds more than one find is enough", () => {
    const cramped = new CrampedRig(LARGEST + 0x2000, EXTENSIONS);
    compare(manyFunctions, [50_000, 100_003], [interpreted, cramped]);
  });

  test("that has all its slots taken is let go, and used anew", () => {
    /** To the next halfword, which is a block of its own. */
    const JUMP = 0xa009;
    const SLOTS = 65_535;
    for (const rig of [interpreted, native]) {
      rig.reset();
      rig.memory.load(RAM, new Uint8Array(new Uint16Array(SLOTS + 5000).fill(JUMP).buffer));
      for (let round = 0; round < 3; round++) {
        rig.hart.pc = BigInt(RAM);
        rig.run(SLOTS + 5000);
      }
    }
    expect(native.state()).toEqual(interpreted.state());
    expect(native.engine.statistics.native!.blocks).toBeGreaterThan(2 * SLOTS);
  });

  test("has room for the largest find: branches to everywhere, and the longest instructions", () => {
    const tree = (i: number): string =>
      i >= 8 ? `n${i}: bnez a0, r${i - 8}\n j done\n` : `n${i}: bnez a0, n${2 * i}\n${tree(2 * i + 1)}${tree(2 * i)}`;
    const run = "amomax.w t0, t1, (s1)\n".repeat(122);
    const runs = Array.from({ length: 8 }, (_, k) => `r${k}: ${run}`).join("\n");
    const cramped = new CrampedRig(LARGEST + 0x2000, EXTENSIONS);
    const prepare = (rig: Rig) => {
      rig.load(`${tree(1)}\n done: j done\n${runs}`);
      rig.hart.setX(10, 1n);
      rig.hart.setX(9, BigInt(RAM + 0x10_0000));
    };
    for (const rig of [interpreted, cramped]) {
      rig.reset();
      prepare(rig);
      rig.run(500);
    }
    expect(cramped.state()).toEqual(interpreted.state());
    expect(cramped.engine.regions!.native!.statistics.bytes).toBeLessThan(LARGEST);
  });
});

/** More than there are generations. */
const GENERATIONS = 4095;
const MANY = 2 * GENERATIONS + 100;

describe.if(hasNative)("more generations than there are", () => {
  /** The page that is mapped somewhere else each round, and those that it is mapped to. */
  const WINDOW = 0x40_0000;
  const FRAMES = RAM + 0x20_0000;
  const FRAME_COUNT = 8;

  function fillFrames(rig: Rig, text: (frame: number) => string): void {
    const { pc } = rig.hart;
    for (let frame = 0; frame < FRAME_COUNT; frame++) {
      rig.load(text(frame), FRAMES + frame * 0x1000);
      rig.memory.load(FRAMES + frame * 0x1000 + 0x100, Uint8Array.of(frame + 1));
    }
    rig.hart.pc = pc;
  }

  /** `body` is run in each round, with `t2` the page table entry's address and `t3` what is to be in it. */
  const remapping = (entry: number, flags: number, body: string) => `
      li   s0, ${WINDOW}
      li   t2, ${entry}
      li   s2, ${MANY}
    again:
      andi t3, s2, ${FRAME_COUNT - 1}
      slli t3, t3, 10
      li   t4, ${(FRAMES / 4096) * 1024 + flags}
      add  t3, t3, t4
      sd   t3, 0(t2)
      ${body}
      addi s2, s2, -1
      bnez s2, again
    done:
      j done
  `;

  /** The tables are where the program can store. */
  function prepare(rig: Rig, flags: number, body: string) {
    const tables = paged(rig, (tables) => {
      tables.map(WINDOW, FRAMES, flags);
      for (let at = tables.at; at < tables.at + 0x1_0000; at += 0x1000) tables.map(at, at, PTE_RW);
    });
    return rig.load(remapping(tables.entryOf(WINDOW), flags, body));
  }

  /** The sum of what the frames hold, over all rounds. */
  const sum = Array.from({ length: MANY }, (_, i) => ((i + 1) % FRAME_COUNT) + 1).reduce((a, b) => a + b);

  test("loads and stores see the page that is mapped", () => {
    compare((rig) => {
      fillFrames(rig, () => "nop");
      return prepare(
        rig,
        PTE_RW,
        `sfence.vma zero, zero
         lbu  t0, 0x100(s0)
         add  a0, a0, t0
         lw   t1, 0x200(s0)
         add  t1, t1, t0
         sw   t1, 0x200(s0)
         lbu  t0, 0x100(s0)
         add  a1, a1, t0`,
      );
    }, BUDGETS);
    expect([native.x("a0"), native.x("a1")]).toEqual([BigInt(sum), BigInt(sum)]);
  });

  test("jumps find the page that is mapped", () => {
    compare((rig) => {
      fillFrames(rig, (frame) => `addi a0, a0, ${frame + 1}\n ret`);
      return prepare(rig, PTE_RWX, "sfence.vma zero, zero\n jalr ra, 0(s0)\n jalr ra, 0(s0)");
    }, BUDGETS);
    expect(native.x("a0")).toBe(BigInt(2 * sum));
  });

  test("SUM is there or not, while pages are remapped", () => {
    compare((rig) => {
      fillFrames(rig, () => "nop");
      skipTraps(rig);
      return prepare(
        rig,
        PTE_RW | Pte.U,
        `sfence.vma zero, zero
         li   t5, 0x40000
         csrs sstatus, t5
         lbu  t0, 0x100(s0)
         add  a0, a0, t0
         csrc sstatus, t5
         addi t0, zero, 0
         lbu  t0, 0x100(s0)
         add  a1, a1, t0
         sw   t0, 0x200(s0)`,
      );
    }, BUDGETS);
    expect([native.x("a0"), native.x("a1")]).toEqual([BigInt(sum), 0n]);
    expect(native.hart.trapped).toBe(2 * MANY);
  });

  for (const [name, fence, second] of [
    ["with fences", "sfence.vma zero, zero", 0n],
    ["with an address space each", "", 1n << 44n],
  ] as const) {
    test(`each address space has its own data and code, ${name}`, () => {
      compare((rig) => {
        fillFrames(rig, (frame) => `addi a0, a0, ${frame + 1}\n ret`);
        const { root } = paged(rig, (tables) => tables.map(WINDOW, FRAMES, PTE_RWX));
        const first = rig.csr("satp");
        // A second root, with tables of its own.
        const another = RAM + 0x30_0000;
        rig.memory.load(another, rig.memory.view(root, 0x1000)!.slice());
        const [middle, leaf] = [another + 0x1000, another + 0x2000];
        const entry = (at: number, to: number, flags: number) =>
          rig.memory.load(at, new Uint8Array(BigUint64Array.of((BigInt(to / 4096) << 10n) | BigInt(flags)).buffer));
        entry(another, middle, Pte.V);
        entry(middle + (WINDOW / 2 ** 21) * 8, leaf, Pte.V);
        entry(leaf, FRAMES + 0x3000, PTE_RWX);
        const other = (8n << 60n) | second | BigInt(another / 4096);
        return rig.load(`
            li   s0, ${WINDOW}
            li   s3, ${first}
            li   s4, ${other}
            li   s2, ${MANY}
          again:
            csrw satp, s4
            ${fence}
            jalr ra, 0(s0)
            lbu  t0, 0x100(s0)
            add  a1, a1, t0
            csrw satp, s3
            ${fence}
            lbu  t0, 0x100(s0)
            add  a1, a1, t0
            jalr ra, 0(s0)
            addi s2, s2, -1
            bnez s2, again
          done:
            j done
        `);
      }, BUDGETS);
      expect([native.x("a0"), native.x("a1")]).toEqual([BigInt(5 * MANY), BigInt(5 * MANY)]);
    });
  }
});

const LOADS = "lb lbu lh lhu lw lwu ld".split(" ");
const STORES = "sb sh sw sd".split(" ");

describe.if(hasNative)("accesses at every place around the border of two pages", () => {
  /** Every load and store at every offset; whatever traps is skipped. */
  const everywhere = `
      li   s2, 3
    round:
      li   s0, ${DATA + 0xff0}
      li   s1, ${DATA + 0x1010}
    again:
      ${LOADS.map((name) => `li t0, 99\n ${name} t0, 0(s0)\n rori a0, a0, 9\n add a0, a0, t0`).join("\n")}
      ${STORES.map((name) => `addi a1, a1, 77\n xor t1, a0, a1\n ${name} t1, 0(s0)\n ${name} t1, -24(s0)`).join("\n")}
      addi s0, s0, 1
      bne  s0, s1, again
      addi s2, s2, -1
      bnez s2, round
    done:
      j done
  `;

  for (const [name, first, second] of [
    ["both are there", PTE_RW, PTE_RW],
    ["the second is not there", PTE_RW, 0],
    ["the first is not there", 0, PTE_RW],
    ["the second is for reading only", PTE_RW, PTE_RW & ~Pte.W],
    ["the first is for reading only", PTE_RW & ~Pte.W, PTE_RW],
    ["the second is the user's", PTE_RW, PTE_RW | Pte.U],
    ["neither has been used", PTE_RW & ~Pte.A & ~Pte.D, PTE_RW & ~Pte.D],
  ] as const) {
    test(name, () => {
      compare((rig) => {
        skipTraps(rig);
        const loaded = rig.load(everywhere);
        paged(rig, (tables) => mapData(tables, first, second));
        const noise = Uint8Array.from({ length: 0x1000 }, (_, i) => (i * 167) ^ (i >> 4));
        rig.memory.load(physicalOf(DATA), noise);
        rig.memory.load(physicalOf(DATA + 0x1000), noise);
        return loaded;
      }, BUDGETS);
      const faults = second === 0 || first === 0 || (second & Pte.W) === 0 || (first & Pte.W) === 0;
      if (faults) expect(native.hart.trapped).toBeGreaterThan(0);
    });
  }

  test("they are at the end of memory", () => {
    compare((rig) => {
      skipTraps(rig);
      return rig.load(
        everywhere.replaceAll(`${DATA + 0xff0}`, "0x803ffff0").replaceAll(`${DATA + 0x1010}`, "0x80400010"),
      );
    }, BUDGETS);
    expect(native.hart.trapped).toBeGreaterThan(0);
  });
});
