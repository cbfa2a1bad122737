// Products in native code: blocks that ask for both halves of the same.
import { describe, expect, test } from "bun:test";
import { nativeText, type WrittenNative } from "../../../src/engine/native/listing.ts";
import { nativeHost } from "../../../src/machine/native-host.ts";
import { chance, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import { register } from "../program.ts";
import { compare, DATA, hasNative, native, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`products in native code (${WHY_NOT})`, () => {});
const hasBoth = hasNative && nativeHost(native.memory)!.bitManipulation;
if (hasNative && !hasBoth) test.skip("both halves of a product at once (no BMI2)", () => {});

/** Some registers that are the host's, and some that lie in memory. */
const REGISTERS = "a0 a1 a2 s0 t0 t3 s7 zero".split(" ");

/** How often native code for a straight line multiplies. */
function productsIn(text: string): number {
  const all: WrittenNative[] = [];
  native.reset();
  native.engine.followTranslation(
    () => {},
    (one) => void all.push(one),
  );
  native.load(`li a0, ${DATA}\n li a1, 7\n ${text}\n done:\n j done`);
  native.run(100);
  return (
    all
      .map(nativeText)
      .join("\n")
      .match(/^ +i?mulx? /gm)?.length ?? 0
  );
}

describe.if(hasBoth)("blocks multiply once", () => {
  test.each([
    ["for both halves", "mul a2, a0, a1\n mulhu a3, a0, a1"],
    ["the upper one first", "mulhu a2, a0, a1\n mul a3, a0, a1"],
    ["with operands exchanged", "mul a2, a0, a1\n mulhu a3, a1, a0"],
    ["where the second takes the place of an operand", "mul a2, a0, a1\n mulhu a0, a0, a1"],
    ["in memory", "mul t3, a0, s7\n mulhu t4, a0, s7"],
    ["with other things in between", "mul a2, a0, a1\n addi a4, a2, 1\n mulhu a3, a0, a1"],
  ])("%s", (_, text) => {
    expect(productsIn(text)).toBe(1);
  });

  test.each([
    ["of others", "mul a2, a0, a1\n mulhu a3, a0, a2"],
    ["with signs", "mul a2, a0, a1\n mulh a3, a0, a1"],
    ["of words", "mulw a2, a0, a1\n mulhu a3, a0, a1"],
    ["where the first takes the place of an operand", "mul a0, a0, a1\n mulhu a3, a0, a1"],
    ["where something else does", "mul a2, a0, a1\n addi a1, a1, 1\n mulhu a3, a0, a1"],
    ["where the other place is still read", "mul a2, a0, a1\n addi a4, a3, 1\n mulhu a3, a0, a1"],
    ["where the other place is still set", "mul a2, a0, a1\n addi a3, a2, 1\n add a4, a3, a3\n mulhu a3, a0, a1"],
    ["where the interpreter may see it", "mul a2, a0, a1\n ld a4, 0(a0)\n mulhu a3, a0, a1"],
    ["in the same place", "mul a2, a0, a1\n add a4, a2, a2\n mulhu a2, a0, a1"],
  ])("not %s", (_, text) => {
    expect(productsIn(text)).toBe(2);
  });
});

describe.if(hasNative)("they are what they are interpreted", () => {
  function program(random: Random): string {
    const one = () => pick(random, REGISTERS);
    const other = () => pick(random, ["add", "xor", "sltu", "mulw", "mulh"]);
    // No more than is translated at once.
    const lines = Array.from({ length: 2 }, () => {
      const [a, b] = [one(), one()];
      const halves = [
        `mul ${one()}, ${a}, ${b}`,
        `mulhu ${one()}, ${chance(random, 0.3) ? `${b}, ${a}` : `${a}, ${b}`}`,
      ];
      if (chance(random, 0.5)) halves.reverse();
      if (chance(random, 0.4)) halves.splice(1, 0, `${other()} ${one()}, ${one()}, ${one()}`);
      // Those of another product in between.
      if (chance(random, 0.4)) {
        const [c, d] = [one(), one()];
        halves.splice(1, 0, `mul ${one()}, ${c}, ${d}`);
        halves.splice(chance(random, 0.5) ? halves.length : 2, 0, `mulhu ${one()}, ${c}, ${d}`);
      }
      // Products of products are soon 0.
      const fresh = REGISTERS.slice(0, -1).map((name) => `li ${name}, ${BigInt.asIntN(64, random64(random))}`);
      return [...fresh, ...halves, `${other()} ${one()}, ${one()}, ${one()}`];
    });
    return `li s1, 3\n again: ${lines.flat().join("\n")}\n addi s1, s1, -1\n bnez s1, again\n done:\n j done`;
  }

  test("wherever a run ends", () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = createRandom(seed);
      const text = program(random);
      const values = REGISTERS.slice(0, -1).map((name) => [register(name), random64(random)] as const);
      compare(
        (rig) => {
          for (const [n, value] of values) rig.hart.setX(n, value);
          return rig.load(text);
        },
        [7, 200, 1000, 10_000],
        undefined,
        { seed, text },
      );
    }
  });
});
