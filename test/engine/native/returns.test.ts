// Calls and returns in native code: functions that return to where they were called, further on, far out, or never.
import { describe, expect, test } from "bun:test";
import { below, chance, createRandom, pick, type Random } from "../../isa/riscv/random.ts";
import { RAM } from "../rig.ts";
import { compare, DATA, hasNative, interpreted, native, skipTraps, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`returns in native code (${WHY_NOT})`, () => {});

const FUNCTIONS = 8;
const STACK = DATA + 0x20_0000;
const [BUSY, OTHER] = ["a0 a1 a2 a3 a4 a5".split(" "), "a6 a7 s5 s6 s7 t3 t4 t5 t6".split(" ")];

/** Some have much use for registers that native code does not usually have in the host's. */
function body(random: Random, name: string): string {
  const names = chance(random, 0.5) ? OTHER : BUSY;
  const reg = () => pick(random, names);
  const line = () => pick(random, [`add ${reg()}, ${reg()}, ${reg()}`, `xor ${reg()}, ${reg()}, a0`, `rori a0, a0, 7`]);
  const lines = Array.from({ length: 1 + below(random, 6) }, line).join("\n");
  if (chance(random, 0.5)) return lines;
  return `li t1, ${1 + below(random, 4)}\n${name}l: ${lines}\n ${lines}\n addi t1, t1, -1\n bnez t1, ${name}l`;
}

/** What follows a call may be left out by whom was called. */
function call(random: Random, target: number): string {
  const how = chance(random, 0.6) ? `jal ra, f${target}` : `la t2, f${target}\n jalr ra, 0(t2)`;
  return `${how}\n addi a1, a1, 3\n add a0, a0, a1`;
}

function epilogue(random: Random, name: string): string {
  const kind = below(random, 12);
  if (kind === 0) return "addi ra, ra, 4\n ret";
  if (kind === 1) return "mv t0, ra\n jr t0";
  if (kind === 2) return "ori ra, ra, 1\n ret";
  // Far out, now and then.
  if (kind < 5) return `andi t0, a0, 7\n bnez t0, ${name}e\n mv sp, s11\n mv ra, s10\n${name}e: ret`;
  // Another function returns instead.
  if (kind === 5) return `bge zero, s1, ${name}e\n addi s1, s1, -1\n j f${below(random, FUNCTIONS)}\n${name}e: ret`;
  return "ret";
}

function functions(random: Random): string {
  return Array.from({ length: FUNCTIONS }, (_, i) => {
    const name = `f${i}`;
    const calls = Array.from({ length: 1 + below(random, 2) }, () => call(random, below(random, FUNCTIONS)));
    const place = chance(random, 0.6) ? `.org ${RAM + 0x1000 * (i + 1) - 2 * below(random, 40)}\n` : "";
    return `${place}${name}:
      addi sp, sp, -16
      sd   ra, 0(sp)
      ${body(random, name)}
      bge  zero, s1, ${name}x
      addi s1, s1, -1
      ${calls.join(`\n ${body(random, `${name}b`)}\n`)}
    ${name}x:
      ld   ra, 0(sp)
      addi sp, sp, 16
      ${epilogue(random, name)}`;
  }).join("\n");
}

function budgets(random: Random): number[] {
  return [...Array.from({ length: 20 }, () => 1 + below(random, 2000)), 200_000, 5_000_000];
}

describe.if(hasNative)("returns", () => {
  test("lead to the same place, whatever was called and left before", () => {
    for (let seed = 1; seed <= 40; seed++) {
      compare(
        (rig) => {
          const random = createRandom(seed * 31);
          skipTraps(rig);
          return rig.load(`
              li   s11, ${STACK}
              mv   sp, s11
              la   s10, again
              li   s2, 300
            again:
              addi s2, s2, -1
              beqz s2, done
              mv   sp, s11
              andi s1, s2, 31
              ${call(random, below(random, FUNCTIONS))}
              ${call(random, below(random, FUNCTIONS))}
              j    again
            done:
              j done
            ${functions(random)}
          `);
        },
        budgets(createRandom(seed)),
        [interpreted, native],
        { seed },
      );
    }
  });

  test.each([0xff8, 0xffa, 0xffc, 0xffe])("lead to the next page from the end of one: from %d on", (at) => {
    for (const how of ["jal  ra, f", "jalr ra, 0(s3)", "c.jalr ra, 0(s3)\n c.addi a3, a3, 1"])
      compare(
        (rig) =>
          rig.load(`
            li   s2, 60
            la   s3, f
            j    again
          .org ${RAM + 0x1000 + at - 4}
          again:
            addi a0, a0, 1
            ${how}
            add  a1, a1, a0
            addi s2, s2, -1
            bnez s2, again
          done:
            j done
          .org ${RAM + 0x4000}
          f:
            addi a0, a0, 5
            ret
        `),
        [7, 100, 100_000],
        [interpreted, native],
        { at, how },
      );
  });

  test("are right where calls are deeper than the stack has room for", () => {
    compare(
      (rig) =>
        rig.load(`
          li   sp, ${STACK}
          li   s2, 4
        again:
          li   s1, 9000
          jal  ra, first
          addi s2, s2, -1
          bnez s2, again
        done:
          j done
        .org ${RAM + 0x2000}
        first:
          addi sp, sp, -16
          sd   ra, 0(sp)
          beqz s1, back
          addi s1, s1, -1
          jal  ra, second
          addi a0, a0, 1
        back:
          ld   ra, 0(sp)
          addi sp, sp, 16
          ret
        .org ${RAM + 0x3000}
        second:
          addi sp, sp, -16
          sd   ra, 0(sp)
          beqz s1, also
          addi s1, s1, -1
          jal  ra, first
          addi a0, a0, 2
        also:
          ld   ra, 0(sp)
          addi sp, sp, 16
          ret
      `),
      [1, 1000, 100_000, 100_001, 3_000_000],
    );
    expect(native.hart.x(10)).toBe((4n * 9000n * 3n) / 2n);
  });

  test("are right where one calls for ever and nobody returns", () => {
    compare(
      (rig) =>
        rig.load(`
          li   s1, 100000
        one:
          jal  ra, other
        done:
          j done
        .org ${RAM + 0x1000}
        other:
          addi s1, s1, -1
          bnez s1, more
          la   ra, done
          ret
        more:
          jal  ra, one
      `),
      [50, 5000, 3_000_000],
    );
  });
});
