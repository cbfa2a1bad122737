// Floating point in native code: the bits and the flags are the interpreter's, whatever the operands and the rounding are.
import { describe, expect, test } from "bun:test";
import { isKnownFloat } from "../../../src/engine/native/floats.ts";
import { encode } from "../../../src/isa/riscv/encode.ts";
import type { Instruction } from "../../../src/isa/riscv/instructions/encoding.ts";
import { instructions } from "../../../src/isa/riscv/instructions/table.ts";
import { below, chance, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import { RAM, type Rig } from "../rig.ts";
import { compare, DATA, hasNative, interpreted, native, skipTraps, timesEntered, WHY_NOT } from "./native-rig.ts";

const BUDGETS = [1, 997, 13, 4099, 100, 20_011, 300_007, 5_000_000];
const MODES = [0, 1, 2, 3, 4, 7];
const DYNAMIC = 7;
/** What `frm` may be. */
const DYNAMIC_MODES = [0, 1, 2, 3, 4];
const RESERVED_MODES = [5, 6, 7];
/** mstatus.FS */
const [INITIAL, CLEAN, DIRTY] = [0x2000n, 0x4000n, 0x6000n];

interface Case {
  readonly row: Instruction;
  readonly rm: number | undefined;
}

/** Every instruction that native code may have, with every rounding mode with which it may. */
const CASES: readonly Case[] = instructions.flatMap((row): Case[] => {
  const { semantics, syntax } = row;
  if (semantics.does !== "float") return [];
  if (!syntax.includes("rm")) return isKnownFloat(semantics, 0, true) ? [{ row, rm: undefined }] : [];
  return MODES.filter((rm) => isKnownFloat(semantics, rm, true)).map((rm) => ({ row, rm }));
});
const MOVES = instructions.filter(({ semantics, extension }) => {
  return (extension === "f" || extension === "d") && (semantics.does === "set" || semantics.does === "setF");
});

const boxed = (bits: number) => 0xffff_ffff_0000_0000n | BigInt(bits >>> 0);
const DOUBLES = [
  ...[0n, 1n, 0xf_ffff_ffff_ffffn, 0x10_0000_0000_0000n, 0x10_0000_0000_0001n, 0x7fef_ffff_ffff_ffffn],
  // Infinity, NaNs that are quiet and signaling, 1 and its neighbours, 2 ^ 31, 2 ^ 32, 2 ^ 53, 2 ^ 63 and neighbours.
  ...[0x7ff0_0000_0000_0000n, 0x7ff8_0000_0000_0000n, 0x7ff8_0000_0000_1234n, 0x7ff0_0000_0000_0001n],
  ...[0x3ff0_0000_0000_0000n, 0x3ff0_0000_0000_0001n, 0x3fef_ffff_ffff_ffffn, 0x3fe0_0000_0000_0000n],
  ...[0x41df_ffff_ffc0_0000n, 0x41df_ffff_ffe0_0000n, 0x41e0_0000_0000_0000n, 0x41e0_0000_0010_0000n],
  ...[0x41ef_ffff_ffe0_0000n, 0x41f0_0000_0000_0000n, 0x4340_0000_0000_0000n, 0x43e0_0000_0000_0000n],
  ...[0x43df_ffff_ffff_ffffn, 0x3ff8_0000_0000_0000n, 0x4004_0000_0000_0000n],
  // On the way to singles: the least ones, what is between two, the largest and more.
  ...[0x3690_0000_0000_0000n, 0x36a0_0000_0000_0000n, 0x380f_ffff_e000_0000n, 0x380f_ffff_f000_0000n],
  ...[0x3810_0000_0000_0000n, 0x47ef_ffff_e000_0000n, 0x47ef_ffff_f000_0000n, 0x3ff0_0000_1000_0000n],
];
const SINGLES = [
  ...[0, 1, 0x7f_ffff, 0x80_0000, 0x80_0001, 0x7f7f_ffff, 0x7f80_0000, 0x7fc0_0000, 0x7fc0_1234, 0x7f80_0001],
  ...[0x3f80_0000, 0x3f80_0001, 0x3f7f_ffff, 0x3f00_0000, 0x4eff_ffff, 0x4f00_0000, 0x4f80_0000, 0x5eff_ffff],
  ...[0x5f00_0000, 0x3fc0_0000, 0x4020_0000, 0x2000_0000, 0x0080_0000, 0x5a80_0000],
];
const INTEGERS = [0n, 1n, -1n, 2n ** 31n, 2n ** 31n - 1n, -(2n ** 31n), 2n ** 32n - 1n, 2n ** 63n, 2n ** 63n - 1n];

/** Bits of a floating-point register: singles, boxed or not, and doubles. */
function operand(random: Random): bigint {
  const kind = below(random, 8);
  const sign = BigInt(below(random, 2));
  if (kind === 0) return random64(random);
  if (kind === 1) return boxed(random());
  // Of much the same size, so that sums cancel and fused products do.
  if (kind === 2) return boxed(0x3f80_0000 + below(random, 0x100_0000) + Number(sign) * 2 ** 31);
  if (kind === 3) return ((0x3ffn - sign) << 52n) | (random64(random) & 0x800f_ffff_ffff_ffffn);
  if (kind < 6) return boxed(pick(random, SINGLES)) ^ (sign << 31n);
  return pick(random, DOUBLES) ^ (sign << 63n);
}

const integer = (random: Random): bigint =>
  chance(random, 0.5) ? pick(random, INTEGERS) : random64(random) >> BigInt(below(random, 64));

const hex = (bits: bigint) => bits.toString(16);

const OPERANDS = 160;
const [FA, FRESULT] = [10, 20];
const [A0, T0] = [10, 5];

function loadOperands(rig: Rig, seed: number): void {
  const random = createRandom(seed);
  const values = Array.from({ length: OPERANDS }, () => [
    ...[operand(random), operand(random), operand(random)],
    integer(random),
  ]);
  rig.memory.load(DATA, new Uint8Array(BigUint64Array.from(values.flat()).buffer));
}

const word = (bits: number) => `.word ${bits}`;
const usesX = ({ syntax }: Instruction, name: string) => syntax.split(",").includes(name);

/** An instruction with these registers; integer ones where it takes those. */
function withRegisters({ row, rm }: Case, rd: number, sources: readonly [number, number, number], x: number): string {
  const [rs1, rs2, rs3] = sources;
  return word(
    encode(row.name, {
      rd,
      rs1: usesX(row, "rs1") ? x : rs1,
      ...(usesX(row, "fs2") ? { rs2 } : {}),
      ...(usesX(row, "fs3") ? { rs3 } : {}),
      ...(rm === undefined ? {} : { rm }),
    }),
  );
}

/** Every instruction with all operands, results and flags in memory. */
function everyInstruction(cases: readonly Case[], results: number): string {
  const each = cases.map((one, i) => {
    const toX = usesX(one.row, "rd");
    const text = withRegisters(one, toX ? T0 : FRESULT, [FA, FA + 1, FA + 2], A0);
    const store = toX ? `sd t0, ${i * 16}(s1)` : `fsd fs4, ${i * 16}(s1)`;
    return `${text}\n ${store}\n csrrw t1, fflags, zero\n sb t1, ${i * 16 + 8}(s1)`;
  });
  return `
      li   s0, ${DATA}
      li   s1, ${results}
      li   s2, ${OPERANDS}
    again:
      fld  fa0, 0(s0)
      fld  fa1, 8(s0)
      fld  fa2, 16(s0)
      ld   a0, 24(s0)
      ${each.join("\n")}
      addi s0, s0, 32
      addi s1, s1, ${16 * cases.length}
      addi s2, s2, -1
      bnez s2, again
    done:
      j done
  `;
}

const RESULTS = RAM + 0x20_0000;

if (!hasNative) test.skip(`floating point in native code (${WHY_NOT})`, () => {});

describe.if(hasNative)("floating point", () => {
  test("is native for enough instructions that this means something", () => {
    expect(new Set(CASES.map(({ row }) => row.name)).size).toBeGreaterThan(35);
  });

  for (const frm of DYNAMIC_MODES) {
    test(`every instruction gives what the interpreter gives with frm = ${frm}`, () => {
      const chosen = CASES.filter(({ rm }) => frm === 0 || rm === undefined || rm === DYNAMIC || frm === 3);
      for (let first = 0; first < chosen.length; first += 60) {
        const cases = chosen.slice(first, first + 60);
        for (const rig of [interpreted, native]) {
          rig.reset();
          loadOperands(rig, 0xf10a + first + frm);
          rig.setCsr("mstatus", DIRTY);
          rig.setCsr("frm", BigInt(frm));
          const { labels } = rig.load(everyInstruction(cases, RESULTS));
          skipTraps(rig);
          rig.run(100_000);
          expect(rig.hart.pc).toBe(BigInt(labels.done));
        }
        const results = [interpreted, native].map((rig) => {
          return new BigUint64Array(rig.memory.view(RESULTS, OPERANDS * cases.length * 16)!.slice().buffer);
        });
        const values = new BigUint64Array(interpreted.memory.view(DATA, OPERANDS * 32)!.slice().buffer);
        const wrong = cases.flatMap(({ row, rm }, i) =>
          Array.from({ length: OPERANDS }, (_, n) => {
            const at = (n * cases.length + i) * 2;
            const [right, given] = results.map((bits) => [bits[at], bits[at + 1]].map(hex));
            const operands = [...values.subarray(n * 4, n * 4 + 4)].map(hex);
            return right.join() === given.join() ? [] : [{ name: row.name, rm, operands, right, given }];
          }).flat(),
        );
        expect(wrong.slice(0, 5)).toEqual([]);
        expect(native.state()).toEqual(interpreted.state());
      }
    });
  }

  /** Straight lines of computation, the flags of which gather; now and then they are read, or the rounding mode changes. */
  function randomLines(random: Random): string[] {
    const lines: string[] = [];
    const f = () => FA + below(random, 6);
    for (let n = 0; n < 100; n++) {
      const kind = below(random, 40);
      if (kind === 0) lines.push("csrrs a1, fflags, zero\n add a2, a2, a1");
      else if (kind === 1) lines.push(`csrrwi a1, frm, ${pick(random, [0, 0, 0, 1, 3])}`);
      else if (kind === 2) lines.push(`fsw fa${below(random, 6)}, ${4 * below(random, 8)}(s1)`);
      else if (kind === 3) lines.push(`flw fa${below(random, 6)}, ${4 * below(random, 32)}(s0)`);
      else if (kind === 4) lines.push(`fld fa${below(random, 6)}, ${8 * below(random, 12)}(s0)`);
      else if (kind === 5) lines.push(`ld a0, ${24 + 32 * below(random, 3)}(s0)`);
      else {
        const one: Case = kind < 12 ? { row: pick(random, MOVES), rm: undefined } : pick(random, CASES);
        const rd = usesX(one.row, "rd") ? pick(random, [0, 10, 13, 14, 18]) : f();
        lines.push(withRegisters(one, rd, [f(), f(), f()], pick(random, [0, 10, 13, 14, 18])));
      }
    }
    return lines;
  }

  test.each([
    ["dirty", DIRTY],
    ["initial", INITIAL],
  ])("random lines of instructions give the same with FS %s at first", (_, status) => {
    for (let seed = 1; seed <= 12; seed++) {
      compare(
        (rig) => {
          const random = createRandom(seed * 77);
          loadOperands(rig, seed);
          skipTraps(rig);
          rig.setCsr("mstatus", status);
          return rig.load(`
              li   s0, ${DATA}
              li   s1, ${RESULTS}
              li   s3, ${OPERANDS - 4}
            again:
              ${randomLines(random).join("\n")}
              addi s0, s0, 32
              addi s1, s1, 32
              addi s3, s3, -1
              bnez s3, again
            done:
              j done
          `);
        },
        BUDGETS.slice(0, -1),
        [interpreted, native],
        { seed },
      );
    }
  });

  /** A body that goes to itself, and has registers that are there before it, are accumulated, or are made anew in each round. */
  function randomBody(random: Random): string {
    const singles = chance(random, 0.4);
    const rows = CASES.filter(({ row, rm }) => {
      const { semantics } = row;
      if (semantics.does !== "float" || (rm !== undefined && rm !== 0 && rm !== DYNAMIC)) return false;
      const both = semantics.from !== semantics.to && semantics.from !== "x" && semantics.to !== "x";
      return chance(random, both ? 0.1 : (semantics.from === "s") === singles ? 0.6 : 0.03);
    });
    const moves = MOVES.filter(({ extension }) => (extension === "f") === singles);
    const f = () => FA + below(random, 5);
    const suffix = singles ? "w" : "d";
    const lines = Array.from({ length: 2 + below(random, 9) }, () => {
      const kind = below(random, 10);
      if (kind === 0) return `fs${suffix} fa${below(random, 5)}, ${8 * below(random, 4)}(s1)`;
      if (kind < 4)
        return `fl${chance(random, 0.9) ? suffix : "w"} fa${below(random, 5)}, ${8 * below(random, 12)}(s0)`;
      const one: Case =
        kind < 5 || rows.length === 0 ? { row: pick(random, moves), rm: undefined } : pick(random, rows);
      const rd = usesX(one.row, "rd") ? pick(random, [0, 10, 13]) : f();
      return withRegisters(one, rd, [f(), f(), f()], pick(random, [0, 10, 13]));
    });
    return lines.join("\n");
  }

  test("loops of a block give the same, whatever their registers hold at first", () => {
    for (let seed = 1; seed <= 60; seed++) {
      compare(
        (rig) => {
          const random = createRandom(seed * 101);
          loadOperands(rig, seed);
          skipTraps(rig);
          rig.setCsr("mstatus", DIRTY);
          for (let n = 0; n < 5; n++)
            rig.hart.setF(FA + n, chance(random, 0.8) ? operand(random) & ~(0x7ffn << 52n) : 0n);
          const boxes = chance(random, 0.7);
          if (boxes) for (let n = 0; n < 5; n++) rig.hart.setF(FA + n, boxed(0x3f80_0000 + below(random, 0x100_0000)));
          const loops = Array.from(
            { length: 3 },
            (_, i) => `
              li   s0, ${DATA}
              li   s1, ${RESULTS}
              li   s3, ${8 + below(random, 100)}
            loop${i}:
              ${randomBody(random)}
              addi s0, s0, ${pick(random, [8, 16, 32])}
              addi s1, s1, 8
              addi s3, s3, -1
              bnez s3, loop${i}`,
          );
          return rig.load(`
              li   s4, 8
            again:
              ${loops.join("\n")}
              addi s4, s4, -1
              bnez s4, again
            done:
              j done
          `);
        },
        BUDGETS.slice(0, -1),
        [interpreted, native],
        { seed },
      );
    }
  });

  /** One instruction again and again, each time with the rounding mode that is in force. */
  function trapsWith(frm: number, name: string): readonly number[] {
    return [interpreted, native].map((rig) => {
      rig.reset();
      rig.setCsr("mstatus", DIRTY);
      rig.setCsr("frm", BigInt(frm));
      rig.hart.setF(FA, boxed(0x3f80_0000));
      skipTraps(rig);
      const row = instructions.find((one) => one.name === name)!;
      rig.load(`li s0, 20\nagain: ${withRegisters({ row, rm: DYNAMIC }, FRESULT, [FA, FA, FA], A0)}
        addi s0, s0, -1\n bnez s0, again\ndone: j done`);
      rig.run(2000);
      return rig.hart.trapped;
    });
  }

  test.each(RESERVED_MODES)("traps with frm = %d", (frm) => {
    for (const name of [
      "fadd.s",
      "fmul.d",
      "fmadd.s",
      "fcvt.s.d",
      "fcvt.w.s",
      "fcvt.s.l",
      "fcvt.d.s",
      "fcvt.d.w",
      "fcvt.d.wu",
    ]) {
      expect([name, ...trapsWith(frm, name)]).toEqual([name, 20, 20]);
    }
  });

  test("traps where it is off, and goes on where it is turned on", () => {
    compare((rig) => {
      loadOperands(rig, 5);
      skipTraps(rig);
      return rig.load(`
          li   s0, ${DATA}
          li   s1, 0x6000
          li   s3, 50
        again:
          csrc mstatus, s1
          fld  fa0, 0(s0)
          fadd.d fa1, fa0, fa0
          csrs mstatus, s1
          fld  fa0, 0(s0)
          fadd.d fa1, fa1, fa0
          fcvt.l.d a0, fa1
          addi s0, s0, 8
          addi s3, s3, -1
          bnez s3, again
        done:
          j done
      `);
    }, BUDGETS);
    expect(native.hart.trapped).toBe(100);
  });

  // As setjmp does, each time.
  const saves = `
    li   s0, ${DATA}
    li   s3, 300
  again:
    fsd  fa0, 0(s0)
    fmv.x.d a0, fa1
    fsd  fa2, 16(s0)
    addi s3, s3, -1
    bnez s3, again
    fld  fa0, 8(s0)
    fsd  fa0, 0(s0)
  done:
    j done
  `;

  test.each([
    ["off", 0n],
    ["initial", INITIAL],
    ["clean", CLEAN],
    ["dirty", DIRTY],
  ])("is read the same, and stays what it was, where it is %s", (_, status) => {
    const prepare = (rig: Rig) => {
      loadOperands(rig, 7);
      skipTraps(rig);
      rig.setCsr("mstatus", status);
      return rig.load(saves);
    };
    compare(prepare, BUDGETS);
    expect(native.hart.trapped).toBe(status === 0n ? 902 : 0);
    // Before anything is written.
    native.reset();
    prepare(native);
    native.run(100);
    const times = timesEntered(1000);
    expect(native.csr("mstatus") & DIRTY).toBe(status);
    if (status !== 0n) expect(times).toBeLessThan(3);
  });
});
