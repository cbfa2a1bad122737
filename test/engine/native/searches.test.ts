// Loops that look for something, sixteen bytes at a time: what is one, and that nobody can tell.
import { describe, expect, test } from "bun:test";
import { searchOf } from "../../../src/engine/native/searches.ts";
import { integerNames } from "../../../src/isa/riscv/register-names.ts";
import { below, chance, createRandom, pick, type Random } from "../../isa/riscv/random.ts";
import type { Rig } from "../rig.ts";
import { Border, follow, frameOf, HOSTS, mapped, operationsOf, type Piece } from "./native-programs.ts";
import { compare, DATA, HANDLER, hasNative, interpreted, native, timesEntered, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`searches in native code (${WHY_NOT})`, () => {});

const BACK = 0x100;
const found = (text: string) => searchOf(BACK, operationsOf(`again:\n${text}`, BACK));
const number = (name: string) => integerNames.indexOf(name);

describe("a search", () => {
  test("is a load, a step and a comparison", () => {
    expect(found("lbu a1, 0(a0)\n addi a0, a0, 1\n bnez a1, again")).toEqual({
      ...{ base: number("a0"), step: 1, from: 0, width: 1, signed: false, rd: number("a1"), key: 0, count: 3 },
      ...{ goesOn: "notEqual", comparesSigned: false, copies: [] },
    });
  });

  test("goes either way, and may step first", () => {
    expect(found("addi a0, a0, -4\n lw a1, 8(a0)\n blt a2, a1, again")).toEqual({
      ...{
        base: number("a0"),
        step: -4,
        from: 4,
        width: 4,
        signed: true,
        rd: number("a1"),
        key: number("a2"),
        count: 3,
      },
      ...{ goesOn: "greater", comparesSigned: true, copies: [] },
    });
  });

  test("may note where it is", () => {
    const text = "mv s0, a0\n lh a1, -2(a0)\n addi s1, a0, 5\n addi a0, a0, 2\n addi s2, a0, 5\n bge a1, a2, again";
    expect(found(text)).toMatchObject({
      ...{ from: -2, width: 2, signed: true, goesOn: "notLess", count: 6 },
      copies: [
        { rd: number("s0"), added: -2 },
        { rd: number("s1"), added: 3 },
        { rd: number("s2"), added: 5 },
      ],
    });
  });

  test.each([
    ["lw", "bltu a1, a2", "less", false],
    ["lw", "bltu a2, a1", "greater", false],
    ["lwu", "blt a1, a2", "less", false],
    ["lw", "bge a2, a1", "notGreater", true],
    ["lw", "bgeu a2, a1", "notGreater", false],
    ["lw", "beq a2, a1", "equal", false],
  ])("%s, %s goes on where that is %s", (load, branch, goesOn, comparesSigned) => {
    const text = `${load} a1, 0(a0)\n addi a0, a0, 4\n ${branch}, again`;
    expect(found(text)).toMatchObject({ goesOn, comparesSigned } as object);
  });

  test.each([
    ["a doubleword", "ld a1, 0(a0)\n addi a0, a0, 8\n bnez a1, again"],
    ["a number of floating point", "flw fa1, 0(a0)\n addi a0, a0, 4\n bnez a1, again"],
    ["a step that is not what is loaded", "lw a1, 0(a0)\n addi a0, a0, 8\n bnez a1, again"],
    ["no step", "lw a1, 0(a0)\n addi a2, a0, 4\n bnez a1, again"],
    ["two steps", "lw a1, 0(a0)\n addi a0, a0, 4\n addi a0, a0, 4\n bnez a1, again"],
    ["two loads", "lw a1, 0(a0)\n lw a2, 4(a0)\n addi a0, a0, 4\n bnez a1, again"],
    ["no load", "addi a0, a0, 4\n bnez a1, again"],
    ["a store", "lw a1, 0(a0)\n sw a1, 4(a0)\n addi a0, a0, 4\n bnez a1, again"],
    ["a key that changes", "lw a1, 0(a0)\n addi a0, a0, 4\n mv a2, a0\n bne a1, a2, again"],
    ["a key that is the base", "lw a1, 0(a0)\n addi a0, a0, 4\n bne a1, a0, again"],
    ["a base that is loaded", "lw a0, 0(a0)\n addi a0, a0, 4\n bnez a0, again"],
    ["something else compared", "lw a1, 0(a0)\n addi a0, a0, 4\n bne a2, a3, again"],
    ["what is loaded, twice", "lw a1, 0(a0)\n addi a0, a0, 4\n bne a1, a1, again"],
    ["what is loaded and computed on", "lw a1, 0(a0)\n addi a0, a0, 4\n addi a1, a1, 1\n bnez a1, again"],
    ["two notes of one name", "mv s0, a0\n lw a1, 0(a0)\n addi a0, a0, 4\n mv s0, a0\n bnez a1, again"],
    ["a note that is the load's", "mv a1, a0\n lw a1, 0(a0)\n addi a0, a0, 4\n bnez a1, again"],
    ["a counter", "lw a1, 0(a0)\n addi a0, a0, 4\n addi a3, a3, 1\n bnez a1, again"],
    ["a loop that is left elsewhere, too", "lw a1, 0(a0)\n addi a0, a0, 4\n bnez a1, 64"],
    ["nobody's load", "lw zero, 0(a0)\n addi a0, a0, 4\n bnez a1, again"],
    ["more than six", "mv s0, a0\n mv s1, a0\n mv s2, a0\n mv s3, a0\n lw a1, 0(a0)\n addi a0, a0, 4\n bnez a1, again"],
  ])("has no more in it: %s", (_, text) => {
    expect(found(text)).toBeUndefined();
  });
});

const LOADS = [
  ["lb", 1],
  ["lbu", 1],
  ["lh", 2],
  ["lhu", 2],
  ["lw", 4],
  ["lwu", 4],
] as const;
const BRANCHES = "beq bne blt bge bltu bgeu".split(" ");
/** Registers that are the host's as a rule, and others. */
const NAMES = "s0 s1 a0 a1 a2 a3 a4 a5 t3 t4 t5 s6 s7 s8 s9 a6".split(" ");
/** What searches begin at, more or less: the middle of a page, and where pages meet. */
const PLACES = [DATA + 0x800, ...Object.values(Border)];
/** Noise of so few values that each is found soon, with their signs. */
const noise = (random: Random, values: number) =>
  Uint8Array.from({ length: 0x1_0000 }, (_, i) =>
    i % 4 === 0 || values > 4 ? pick(random, [0, 1, 0x7f, 0x80, 0xff, 3, 2]) : 0,
  );

/** Of all registers that are the host's as a rule. */
const READS = ["ra, sp", "s0, s1", "a0, a1", "a2, a3", "a4, a5"].map((names) => `xor zero, ${names}`);
/** For searches that find nothing on all pages. */
const LONG = Array<number>(10).fill(1_000_000);

function shuffled(random: Random, items: readonly string[]): string[] {
  const left = [...items];
  return items.map(() => left.splice(below(random, left.length), 1)[0]);
}

/** Functions that search, called with whatever there is. */
function piece(random: Random): Piece {
  const functions: string[] = [];
  const calls: string[] = [];
  for (let i = 0; i < 4; i++) {
    const [load, width] = pick(random, LOADS);
    const names = shuffled(random, NAMES);
    const [base, rd, other, ...copies] = names;
    const key = chance(random, 0.25) ? "zero" : other;
    const step = chance(random, 0.5) ? width : -width;
    const body = shuffled(random, [
      `${load} ${rd}, ${width * (below(random, 5) - 2)}(${base})`,
      `addi ${base}, ${base}, ${step}`,
      ...Array.from({ length: below(random, 4) }, (_, n) =>
        chance(random, 0.5) ? `mv ${copies[n]}, ${base}` : `addi ${copies[n]}, ${base}, ${below(random, 64) - 32}`,
      ),
    ]);
    const operands = chance(random, 0.5) ? `${rd}, ${key}` : `${key}, ${rd}`;
    // In a function that uses the host's registers for something else, the others are in memory.
    const pressure = chance(random, 0.6)
      ? ["li t1, 1", `p${i}:`, ...READS, ...READS, "addi t1, t1, -1", `bnez t1, p${i}`]
      : [];
    functions.push(`g${i}:`, ...pressure, `f${i}:`, ...body, `${pick(random, BRANCHES)} ${operands}, f${i}`, "ret");
    for (let n = 0; n < 6; n++) {
      const bits = 8 * width;
      const mask = (1n << BigInt(bits)) - 1n;
      const value =
        BigInt(pick(random, [0, 0, 1, 0x7f, 0x80, 0xff, 3])) * (chance(random, 0.5) ? 1n : 0x0101_0101n & mask);
      // Now and then nothing of that kind.
      const known = load.endsWith("u") ? value & mask : BigInt.asIntN(bits, value);
      calls.push(
        `li ${base}, ${pick(random, PLACES) + width * (below(random, 48) - 24) + (chance(random, 0.1) ? 1 : 0)}`,
        ...(key === "zero" ? [] : [`li ${key}, ${chance(random, 0.1) ? known + (1n << 40n) : known}`]),
        `jal ra, g${i}`,
      );
    }
  }
  const text = `
      li t0, 3
    outer:
      ${calls.join("\n")}
      addi t0, t0, -1
      bnez t0, outer
      wfi
    done:
      ${functions.join("\n")}
  `;
  return { text, budgets: [...Array.from({ length: 8 }, () => 1 + below(random, 400)), ...LONG] };
}

/** A trap handler in M-mode that returns from the function, and mixes what happened and every register into `tp`. */
function leaveAtTraps(rig: Rig): void {
  const { pc } = rig.hart;
  const mix = (name: string) => `rori tp, tp, 7\n add tp, tp, ${name}`;
  const csrs = ["mcause", "mtval", "mepc"].map((csr) => `csrr gp, ${csr}\n ${mix("gp")}`);
  rig.load([...NAMES.map(mix), ...csrs, "csrw mepc, ra", "mret"].join("\n"), HANDLER);
  rig.hart.pc = pc;
  rig.setCsr("mtvec", BigInt(HANDLER));
}

/** Pages of noise, and nothing before them, so that every search ends. */
const prepareWith = (bytes: Uint8Array) => (rig: Rig) => {
  leaveAtTraps(rig);
  mapped(rig, (tables) => tables.map(DATA - 0x1000, DATA - 0x1000, 0));
  rig.memory.load(frameOf(DATA) - 0x4000, bytes);
};

describe.if(hasNative).each(HOSTS)("searches end where loops do, on %s", (_, rigOf) => {
  test("wherever a run ends, and where pages do", () => {
    for (let seed = 1; seed <= Number(process.env.SEEDS ?? 60); seed++) {
      const random = createRandom(seed);
      const pieces = Array.from({ length: 3 }, () => piece(random));
      const bytes = noise(random, seed % 2 === 0 ? 8 : 4);
      follow(pieces, prepareWith(bytes), rigOf(), { seed });
    }
  });

  test("after every single instruction", () => {
    const random = createRandom(77);
    const bytes = noise(random, 4);
    for (let i = 0; i < 4; i++) {
      const { text } = piece(random);
      follow([{ text, budgets: [150, ...Array<number>(250).fill(1), ...LONG] }], prepareWith(bytes), rigOf(), { i });
    }
  });
});

describe.if(hasNative)("a search", () => {
  const text = (load: string, width: number) => `
      li   s2, 200
    outer:
      li   a0, ${DATA}
      li   a2, 77
    again:
      ${load} a1, 0(a0)
      addi a0, a0, ${width}
      bne  a1, a2, again
      add  s3, s3, a0
      addi s2, s2, -1
      bnez s2, outer
    done:
      j done
  `;

  test.each(LOADS)("goes through much at once (%s)", (load, width) => {
    const prepare = (rig: Rig) => {
      rig.memory.load(DATA + 3000 * width, new Uint8Array([77, 0, 0, 0]));
      return rig.load(text(load, width));
    };
    compare(prepare, [1000, 10_000_000]);
    native.reset();
    prepare(native);
    // Pages follow each other here: nothing has to be found out but at first.
    native.run(200_000);
    expect(timesEntered(1_000_000)).toBe(1);
    interpreted.reset();
    prepare(interpreted);
    interpreted.run(200_000);
    interpreted.run(1_000_000);
    expect(native.state()).toEqual(interpreted.state());
  });
});
