// CSR instructions in native code: they are what they are interpreted, in every mode, with interrupts that wait.
import { describe, expect, test } from "bun:test";
import { isKnownCsr } from "../../../src/engine/native/csrs.ts";
import { below, chance, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import { register } from "../program.ts";
import { RAM, type Rig } from "../rig.ts";
import {
  compare,
  DATA,
  hasNative,
  interpreted,
  native,
  paged,
  skipTraps,
  timesEntered,
  WHY_NOT,
} from "./native-rig.ts";

if (!hasNative) test.skip(`CSR instructions in native code (${WHY_NOT})`, () => {});

describe("native code has", () => {
  const [CSRRW, CSRRS, CSRRC, CSRRWI, CSRRSI, CSRRCI] = [1, 2, 3, 5, 6, 7];

  test("what is mere storage, whatever is done to it", () => {
    for (const number of [0x140, 0x141, 0x142, 0x143, 0x105, 0x340, 0x341])
      for (const how of [CSRRW, CSRRS, CSRRC, CSRRWI, CSRRSI, CSRRCI]) expect(isKnownCsr(number, how, 31)).toBe(true);
  });

  test("sstatus, where interrupts are let in or kept out, or that may be so", () => {
    expect([CSRRS, CSRRC].map((how) => isKnownCsr(0x100, how, 10))).toEqual([true, true]);
    expect([CSRRSI, CSRRCI].map((how) => isKnownCsr(0x100, how, 2))).toEqual([true, true]);
    expect([CSRRSI, CSRRCI].map((how) => isKnownCsr(0x100, how, 3))).toEqual([false, false]);
    expect([CSRRW, CSRRWI].map((how) => isKnownCsr(0x100, how, 2))).toEqual([false, false]);
  });

  test("nothing that has other effects, or changes by itself", () => {
    for (const number of [0x180, 0x104, 0x144, 0x300, 0x303, 0x304, 0x344, 0x3a0, 0xc00, 0xc01, 0xf14, 0x001])
      expect(isKnownCsr(number, CSRRS, 0)).toBe(false);
  });
});

const REGISTERS = "a0 a1 a2 s1 t3 s7 zero".split(" ");
const STORED = "sscratch sepc scause stval stvec mscratch mepc mcause mtval mcounteren scounteren".split(" ");
/** Where the supervisor's interrupts are counted. */
const INTERRUPTED = RAM + 0xe_0000;
/** Values of which many are right for sstatus: interrupts, and what is the interpreter's. */
const VALUES = [0n, 2n, 2n, 2n, 0x4_0000n, 3n, 0x6002n];

function lines(random: Random, count: number): string[] {
  const one = () => pick(random, REGISTERS);
  return Array.from({ length: count }, () => {
    const kind = below(random, 5);
    if (kind === 0) return `add ${one()}, ${one()}, ${one()}`;
    if (kind === 1) return `li ${pick(random, REGISTERS.slice(0, -1))}, ${pick(random, VALUES)}`;
    const name = kind === 2 ? "sstatus" : kind === 3 ? pick(random, STORED) : pick(random, ["sie", "sip", "satp"]);
    // Not where traps go, nor what turns on page tables.
    const reads = name === "stvec" || name === "satp";
    if (reads || chance(random, 0.3)) return `csrrs ${one()}, ${name}, zero`;
    return chance(random, 0.5)
      ? `${pick(random, ["csrrw", "csrrs", "csrrc"])} ${one()}, ${name}, ${one()}`
      : `${pick(random, ["csrrwi", "csrrsi", "csrrci"])} ${one()}, ${name}, ${pick(random, [0, 2, 2, 2, 3, 31])}`;
  });
}

describe.if(hasNative)("they are what they are interpreted", () => {
  function prepare(rig: Rig, text: string, seed: number) {
    const random = createRandom(seed);
    skipTraps(rig);
    rig.load("csrrci zero, sip, 2\n addi sp, sp, 1\n sret", INTERRUPTED);
    const loaded = rig.load(text);
    for (const name of REGISTERS.slice(0, -1)) {
      rig.hart.setX(register(name), chance(random, 0.5) ? pick(random, VALUES) : random64(random));
    }
    rig.setCsr("mstatus", pick(random, [0n, 0x6000n, 0x2000n, 0x4000n]));
    // The supervisor's own interrupts, of which some wait, and which some let in.
    rig.setCsr("mideleg", 0x222n);
    rig.setCsr("stvec", BigInt(INTERRUPTED));
    rig.setCsr("mie", pick(random, [0n, 0x222n, 2n]));
    rig.setCsr("mip", pick(random, [0n, 0n, 2n]));
    if (seed % 3 > 0) paged(rig);
    // The pages are the supervisor's.
    if (seed % 3 === 2) {
      rig.setCsr("satp", 0n);
      rig.enter(0);
    }
    return loaded;
  }

  test("in M-mode, S-mode and U-mode, wherever a run ends", () => {
    let trapped = 0;
    let interrupted = 0n;
    for (let seed = 1; seed <= Number(process.env.SEEDS ?? 90); seed++) {
      const random = createRandom(seed);
      const text = `
          li s3, 30
        again:
          ${lines(random, 24).join("\n")}
          addi s3, s3, -1
          bnez s3, again
        done:
          j done
      `;
      const budgets = Array.from({ length: 6 }, () => 1 + below(random, 300));
      compare((rig) => prepare(rig, text, seed), [...budgets, 5_000_000], [interpreted, native], { seed, text });
      trapped += native.hart.trapped;
      interrupted += native.x("sp");
    }
    expect(trapped).toBeGreaterThan(1000);
    expect(interrupted).toBeGreaterThan(50n);
  });

  // An operand that only the CSR instruction reads, and that is overwritten behind it.
  const handler = `
    li sp, ${DATA + 0x800}
    li t0, ${RAM + 0x100}
    csrrw zero, mtvec, t0
    li s3, 300
  again:
    ecall
    addi s3, s3, -1
    bnez s3, again
  done:
    j done
  .org ${RAM + 0x100}
    addi sp, sp, -16
    sd a5, 0(sp)
    csrrs a5, mepc, zero
    slli t1, a5, 52
    addi a5, a5, 4
    csrrw zero, mepc, a5
    ld a5, 0(sp)
    addi sp, sp, 16
    mret
  `;

  test("in a handler of traps", () => {
    compare((rig) => rig.load(handler), [7, 100, 1001, 1_000_000]);
    expect(native.hart.trapped).toBe(300);
  });

  test("without being left to the interpreter", () => {
    native.reset();
    native.load(`
        li a2, 2
      again:
        csrrci a0, sstatus, 2
        csrrs a1, scause, zero
        csrrw a3, sscratch, a3
        csrrs zero, sstatus, a2
        j again
    `);
    native.run(100);
    expect(timesEntered(1000)).toBeLessThan(3);
  });
});
