// Loops in native code: registers in other places than usual, atomic instructions, and code that comes later.
import { describe, expect, test } from "bun:test";
import { encode } from "../../../src/isa/riscv/encode.ts";
import { instructions } from "../../../src/isa/riscv/instructions/table.ts";
import { below, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import { register } from "../program.ts";
import { RAM, type Rig } from "../rig.ts";
import { witnessTraps } from "./native-programs.ts";
import {
  compare,
  DATA,
  hasNative,
  interpreted,
  mapData,
  native,
  PTE_RW,
  paged,
  skipTraps,
  WHY_NOT,
} from "./native-rig.ts";

if (!hasNative) test.skip(`loops in native code (${WHY_NOT})`, () => {});

/** Many runs of a few instructions each, and then all the rest. */
function oddBudgets(seed: number, count: number, most: number): number[] {
  const random = createRandom(seed);
  return [...Array.from({ length: count }, () => 1 + below(random, most)), 5_000_000];
}

describe.if(hasNative)("atomic instructions", () => {
  const AMOS = instructions.filter(({ semantics }) => semantics.does === "amo").map(({ name }) => name);
  const REGISTERS = "t0 t1 t2 a0 a1 a2 a3 s5 s6 t5 zero".split(" ");
  /** Bases: aligned, on the other page, misaligned, on the border. */
  const BASES = "s0 s0 s0 s1 s1 s2 s4".split(" ");

  const of = (random: Random, names: readonly string[]) => register(pick(random, names));
  const word = (bits: number) => `.word ${bits}`;
  function amo(random: Random, name: string, base: number, rs2 = of(random, REGISTERS)): string {
    const order = { aq: below(random, 2), rl: below(random, 2) };
    const operands = { rd: of(random, REGISTERS), rs1: base, ...order };
    return word(encode(name, name.startsWith("lr.") ? operands : { ...operands, rs2 }));
  }

  /** A reservation and what ends it; sometimes something stands between them, or the places differ. */
  function reservation(random: Random): string[] {
    const base = of(random, ["s0", "s1"]);
    const [first, second] = [pick(random, ["w", "d"]), pick(random, ["w", "d"])];
    const between = [
      "addi a3, a3, 1",
      "sd a3, 0(s0)",
      "lw a3, 0(s1)",
      amo(random, pick(random, AMOS), base),
      amo(random, `sc.${second}`, base),
    ];
    const other = below(random, 4) === 0 ? of(random, BASES) : base;
    return [
      amo(random, `lr.${first}`, base),
      ...(below(random, 2) === 0 ? [pick(random, between)] : []),
      amo(random, `sc.${second}`, other),
    ];
  }

  function program(random: Random): string {
    const lines = Array.from({ length: 60 }, () => {
      const kind = below(random, 4);
      if (kind === 0) return reservation(random);
      if (kind === 1) return `add ${pick(random, REGISTERS)}, ${pick(random, REGISTERS)}, ${pick(random, REGISTERS)}`;
      return amo(random, pick(random, AMOS), of(random, BASES));
    }).flat();
    return `
        li   s0, ${DATA + 0x100}
        li   s1, ${DATA + 0x1008}
        li   s2, ${DATA + 0x102}
        li   s4, ${DATA + 0xffc}
        li   s3, 12
      again:
        ${lines.join("\n")}
        addi s3, s3, -1
        bnez s3, again
      done:
        j done
    `;
  }

  test.each(["not translated", "on pages", "for reading only"])(
    "do what they do interpreted, where memory is %s",
    (how) => {
      for (let seed = 1; seed <= 6; seed++) {
        compare(
          (rig) => {
            const random = createRandom(seed * 1009);
            for (const name of REGISTERS.slice(0, -1)) rig.hart.setX(register(name), random64(random));
            skipTraps(rig);
            const loaded = rig.load(program(random));
            if (how !== "not translated") {
              paged(rig, (tables) => mapData(tables, PTE_RW, how === "on pages" ? PTE_RW : PTE_RW & ~4));
            }
            return loaded;
          },
          oddBudgets(seed, 8, 300),
          [interpreted, native],
          { seed },
        );
      }
      expect(native.hart.trapped).toBeGreaterThan(0);
    },
  );

  test("that are not aligned show the trap handler what was not carried out yet", () => {
    const rounds = 40;
    const prepare = (rig: Rig) => {
      const loaded = rig.load(`
          li   s0, ${DATA + 2}
          li   s3, ${rounds}
          li   a1, 0x7fffffff
        again:
          sh   s3, 0(s0)
          addw t0, a1, s3
          add  t2, a1, s3
          amoadd.w a3, a1, (s0)
          addw t0, s3, a1
          srai t2, a1, 3
          addi s3, s3, -1
          bnez s3, again
        done:
          j done
      `);
      witnessTraps(rig);
      return loaded;
    };
    for (const budget of [7, 100, 10_000]) compare(prepare, [...new Array<number>(90).fill(budget), 10_000]);
    expect(native.hart.trapped).toBe(rounds);
  });
});

describe.if(hasNative)("loops that use registers which are in memory as a rule", () => {
  const OTHERS = "s2 s3 s4 s5 s6 s7 s8 s9 s10 t3 t4 t5 t6".split(" ");
  const USUAL = "a0 a1 a4 a5".split(" ");
  const WIDE = "add sub xor or and sll srl sra slt sltu mul mulhu mulhsu divu rem sh1add andn max minu rol".split(" ");
  const WORDS = "addw subw sllw srlw sraw mulw divw remuw rolw".split(" ");
  const UNARY = "sext.b sext.h zext.h clz ctzw cpop orc.b rev8".split(" ");
  const FUNCTIONS = 3;
  /** On a page of its own. */
  const functionAt = (i: number) => RAM + 0x1_0000 + i * 0x1000;

  class Loops {
    #labels = 0;
    readonly lines: string[] = [];

    constructor(
      readonly random: Random,
      readonly traps: boolean,
    ) {}

    #any = () => pick(this.random, below(this.random, 6) === 0 ? USUAL : OTHERS);

    instruction(): string {
      const { random } = this;
      const any = this.#any;
      const offset = 8 * (below(random, 20) - 10) + (below(random, 3) === 0 ? below(random, 8) : 0);
      const kinds = [
        () => `${pick(random, WIDE)} ${any()}, ${any()}, ${any()}`,
        () => `${pick(random, WORDS)} ${any()}, ${any()}, ${any()}`,
        () => `${pick(random, UNARY)} ${any()}, ${any()}`,
        () => `addi ${any()}, ${any()}, ${below(random, 4096) - 2048}`,
        () => `srli ${any()}, ${any()}, ${below(random, 64)}`,
        () => `${pick(random, ["lb", "lhu", "lw", "ld"])} ${any()}, ${offset}(s0)`,
        () => `${pick(random, ["sb", "sh", "sw", "sd"])} ${any()}, ${offset}(s0)`,
        () => `amoadd.d ${any()}, ${any()}, (s1)`,
      ];
      return pick(random, kinds)();
    }

    /** Something that leaves the region, or may do so. */
    way(): string {
      const { random } = this;
      const label = `l${this.#labels++}`;
      const trap = pick(random, ["ecall", ".word 0", "ld t4, 0(zero)", `sd s5, 0(s11)`, "csrr t5, mscratch"]);
      const kinds = [
        () => `jalr ra, 0(a${2 + below(random, 2)})`,
        () => `jal ra, near`,
        () => `bltu ${this.#any()}, ${this.#any()}, ${label}\n ${this.instruction()}\n ${label}: nop`,
        () => (this.traps ? trap : "fence.i"),
      ];
      return pick(random, kinds)();
    }

    body(length: number): string {
      return Array.from({ length }, () => (below(this.random, 8) === 0 ? this.way() : this.instruction())).join("\n");
    }

    /** Loops inside one another; the inner one is left early, now and then. */
    write(): string {
      const { random } = this;
      return `
          li   s1, ${DATA + 0x400}
          li   s0, ${DATA + 0x1000}
          li   s11, ${RAM + 0x40_0000}
          li   a2, ${functionAt(0)}
          li   a3, ${functionAt(1)}
          li   a6, 6
        outer:
          li   a7, ${10 + below(random, 10)}
        inner:
          ${this.body(24)}
          andi t0, ${this.#any()}, 15
          beqz t0, early
          addi a7, a7, -1
          bnez a7, inner
        early:
          ${this.body(8)}
          addi a6, a6, -1
          bnez a6, outer
        done:
          j done
        near:
          ${Array.from({ length: 4 }, () => this.instruction()).join("\n")}
          ret
      `;
    }
  }

  function prepare(rig: Rig, seed: number, traps: boolean) {
    const random = createRandom(seed * 7919);
    for (const name of [...OTHERS, ...USUAL]) rig.hart.setX(register(name), random64(random) >> BigInt(seed % 40));
    skipTraps(rig);
    for (let i = 0; i < FUNCTIONS; i++) {
      const loops = new Loops(random, false);
      const lines = Array.from({ length: 6 }, () => loops.instruction());
      rig.load(`li t2, 3\n again: ${lines.join("\n")}\n addi t2, t2, -1\n bnez t2, again\n ret`, functionAt(i));
    }
    const loaded = rig.load(new Loops(random, traps).write());
    if (seed % 2 === 0) paged(rig, (tables) => mapData(tables, PTE_RW, PTE_RW));
    return loaded;
  }

  for (const traps of [false, true]) {
    test(`are the same wherever a run ends, ${traps ? "with" : "without"} traps in the middle`, () => {
      let trapped = 0;
      for (let seed = 1; seed <= 8; seed++) {
        compare((rig) => prepare(rig, seed, traps), oddBudgets(seed, 20, 97), [interpreted, native], { seed });
        trapped += native.hart.trapped;
      }
      expect(trapped > 100).toBe(traps);
    });
  }

  test("are the same after every single instruction", () => {
    compare((rig) => prepare(rig, 3, true), [...Array<number>(250).fill(1), 5_000_000]);
  });

  test.each([false, true])("lead to other finds on the same page, which come later (other registers: %p)", (others) => {
    const PARTS = 12;
    const [count, sum] = others ? ["s2", "s3"] : ["a4", "a5"];
    const part = (i: number) => {
      const lines = Array.from({ length: 40 }, (_, n) => `addi ${sum}, ${sum}, ${i + n}`);
      // On to the next, over it, or back, by what the count is.
      return `
        p${i}:
          ${lines.join("\n")}
          addi ${count}, ${count}, -1
          beqz ${count}, p${PARTS}
          andi t0, ${count}, 3
          beqz t0, p${Math.max(0, i - 3)}
          andi t0, ${count}, 4
          bnez t0, p${Math.min(PARTS, i + 2)}
      `;
    };
    const text = `
        li ${count}, 400
        ${Array.from({ length: PARTS }, (_, i) => part(i)).join("\n")}
      p${PARTS}:
        bnez ${count}, p0
      done:
        j done
    `;
    compare((rig) => rig.load(text), oddBudgets(5, 60, 400));
    // All of them were taken up.
    expect(native.x(sum)).toBeGreaterThan(400n * 40n * 20n);
  });
});
