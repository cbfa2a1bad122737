// Divisions in native code: what traps on the host, and blocks that ask for quotient and remainder of the same.
import { describe, expect, test } from "bun:test";
import { nativeText, type WrittenNative } from "../../../src/engine/native/listing.ts";
import { integerNames } from "../../../src/isa/riscv/register-names.ts";
import { below, chance, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import { compare, DATA, hasNative, native, paged, skipTraps, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`divisions in native code (${WHY_NOT})`, () => {});

const ALL = "div divu rem remu divw divuw remw remuw".split(" ");
const MIN = 1n << 63n;
const SPECIAL = [0n, 1n, 2n, 10n, MIN, MIN - 1n, 2n ** 64n - 1n, 2n ** 64n - 2n];
const WORDS = [0x8000_0000n, 0x7fff_ffffn, 0xffff_ffffn, 0xffff_ffff_8000_0000n, 0x1_0000_0000n, 0x1_ffff_ffffn];
const VALUES = [...SPECIAL, ...WORDS];

/** Some registers that are the host's, and some that lie in memory. */
const REGISTERS = "a0 a1 a2 s0 t0 t3 s7 zero".split(" ");

/** Native code for a straight line, as text. */
function written(text: string): string {
  const all: WrittenNative[] = [];
  native.reset();
  native.engine.followTranslation(
    () => {},
    (one) => void all.push(one),
  );
  native.load(`${text}\n done:\n j done`);
  native.run(100);
  return all.map(nativeText).join("\n");
}
const divisionsIn = (text: string): number => written(text).match(/^ +i?div /gm)?.length ?? 0;

describe.if(hasNative)("blocks divide once", () => {
  test.each([
    ["for a quotient and its remainder", "divu a2, a0, a1\n remu a3, a0, a1"],
    ["for a remainder and its quotient", "remw a2, a0, a1\n divw a3, a0, a1"],
    ["where the second takes the place of what is divided", "rem a2, a0, a1\n div a0, a0, a1"],
    ["with other things in between", "div a2, a0, a1\n ld a4, 0(a0)\n mulhu a5, a2, a1\n rem a3, a0, a1"],
  ])("%s", (_, text) => {
    expect(divisionsIn(`li a0, ${DATA}\n li a1, 7\n ${text}`)).toBe(1);
  });

  test.each([
    ["of other signs", "divu a2, a0, a1\n rem a3, a0, a1"],
    ["of other widths", "div a2, a0, a1\n remw a3, a0, a1"],
    ["the other way round", "div a2, a0, a1\n rem a3, a1, a0"],
    ["where the first takes the place of what is divided", "div a0, a0, a1\n rem a3, a0, a1"],
    ["where something else does", "div a2, a0, a1\n addi a1, a1, 1\n rem a3, a0, a1"],
    ["in another block", "div a2, a0, a1\n beqz a2, next\n next: rem a3, a0, a1"],
  ])("not %s", (_, text) => {
    expect(divisionsIn(`li a0, 1000\n li a1, 7\n ${text}`)).toBe(2);
  });
});

describe.if(hasNative)("they are what they are interpreted", () => {
  test("for all that is special, together and alone", () => {
    const lines: string[] = [];
    for (const [i, a] of VALUES.entries())
      for (const [j, b] of VALUES.entries()) {
        const [first, second] = (i + j) % 2 === 0 ? ["div", "rem"] : ["rem", "div"];
        const [n, d, q, r] = (i + j) % 3 === 0 ? ["t3", "s7", "t4", "s8"] : ["a0", "a1", "a2", "a3"];
        lines.push(`li ${n}, ${BigInt.asIntN(64, a)}`, `li ${d}, ${BigInt.asIntN(64, b)}`);
        for (const end of ["", "u", "w", "uw"]) {
          lines.push(`${first}${end} ${q}, ${n}, ${d}`, `${second}${end} ${r}, ${n}, ${d}`);
          for (const result of [q, r]) lines.push("rori s0, s0, 7", `add s0, s0, ${result}`);
        }
      }
    compare((rig) => rig.load(`${lines.join("\n")}\n done:\n j done`), [100_000]);
  });

  /** Many by few registers, so that they agree often; loads and stores that trap stand between some. */
  function program(random: Random): string {
    const of = () => pick(random, REGISTERS);
    const [n, d] = [of(), of()];
    const line = () => {
      switch (below(random, 8)) {
        case 0:
          return `addi ${of()}, ${of()}, ${below(random, 9) - 4}`;
        case 1:
          return `${pick(random, ["addw", "xor", "mulw"])} ${of()}, ${of()}, ${of()}`;
        case 2:
          return chance(random, 0.5) ? "ld s1, 0(s2)" : `sd ${of()}, 8(s2)`;
        case 3:
          return `${pick(random, ALL)} ${of()}, ${of()}, ${of()}`;
        default:
          return `${pick(random, ALL)} ${of()}, ${n}, ${d}`;
      }
    };
    const value = () => BigInt.asIntN(64, chance(random, 0.6) ? pick(random, VALUES) : random64(random));
    return `
      ${REGISTERS.map((name) => `li ${name}, ${value()}`).join("\n")}
      li s2, ${chance(random, 0.3) ? 0x40 : DATA}
      li s4, 3
    again:
      ${Array.from({ length: 24 }, line).join("\n")}
      addi s4, s4, -1
      bnez s4, again
    done:
      j done
    `;
  }

  test("in any order, with traps in the middle", () => {
    for (let seed = 1; seed <= 150; seed++) {
      const text = program(createRandom(seed));
      compare(
        (rig) => {
          paged(rig, (tables) => tables.map(DATA, DATA + 0x4000, 0xcf));
          skipTraps(rig);
          return rig.load(text);
        },
        [1 + (seed % 60), 100_000],
        undefined,
        { seed },
      );
    }
  });

  test("whatever takes their result", () => {
    for (const name of integerNames.slice(1)) {
      const text = ALL.map((one) => `${one} ${name}, a0, a1\n xor s0, s0, ${name}\n li a0, -77\n li a1, 6`).join("\n");
      compare((rig) => rig.load(`li a0, 99\n li a1, -7\n ${text}\n done:\n j done`), [1000], undefined, { name });
    }
  });
});
