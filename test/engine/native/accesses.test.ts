// Loads and stores that share a way: which do, and that they see memory as the interpreter does, wherever pages meet.
import { describe, expect, test } from "bun:test";
import { accessesOf } from "../../../src/engine/native/accesses.ts";
import { type Accesses, Ways } from "../../../src/engine/native/ways.ts";
import { integerNames } from "../../../src/isa/riscv/register-names.ts";
import { below, chance, createRandom, pick, type Random, random64 } from "../../isa/riscv/random.ts";
import { assemble, register } from "../program.ts";
import { DEVICE, type PageTables, Pte, RAM, type Rig } from "../rig.ts";
import {
  Border,
  follow,
  frameOf,
  HOSTS,
  MOST_PIECES,
  mapped,
  operationsOf,
  type Piece,
  witnessTraps,
} from "./native-programs.ts";
import { compare, DATA, hasNative, native, PTE_RW, paged, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`accesses of native code (${WHY_NOT})`, () => {});

// ---- which share a way ----

const textOf = ({ base, store, least, bytes, ordinal, together }: Accesses) =>
  `${integerNames[base]} ${store ? "store" : "load"} ${ordinal}: ${bytes} from ${least}${together ? ", together" : ""}`;

/** By instruction, those that it belongs to: as text, once each, and by number. */
function groupsIn(text: string, apart = false) {
  const accesses = accessesOf(operationsOf(text), apart);
  const groups = [...new Set(accesses)].filter((one) => one !== undefined);
  return {
    groups: groups.map(textOf),
    of: accesses.map((one) => (one === undefined ? "-" : groups.indexOf(one))).join(""),
  };
}

describe("accesses", () => {
  test("by one base belong together", () => {
    expect(groupsIn("ld a0, 8(s0)\n lw a1, 24(s0)\n lb a2, -3(s0)\n add a3, a0, a1")).toEqual({
      ...{ groups: ["s0 load 0: 31 from -3, together"], of: "000-" },
    });
  });

  test("are on their own without others", () => {
    expect(groupsIn("lhu a0, -8(s0)")).toEqual({ groups: ["s0 load 0: 2 from -8"], of: "0" });
  });

  test("are stores where there is one among them, and for one base", () => {
    expect(groupsIn("ld a0, 0(s0)\n sd a0, 0(s0)\n ld a1, 0(s1)\n sw a1, 8(s0)\n ld a2, 0(s0)")).toEqual({
      groups: ["s0 store 0: 12 from 0, together", "s1 load 0: 8 from 0"],
      of: "00100",
    });
  });

  test("that are far from each other stay with those of their kind, where they are near to both", () => {
    expect(groupsIn("ld a0, 0(s0)\n sd a0, 800(s0)\n ld a1, 400(s0)\n sd a1, 408(s0)\n ld a2, 8(s0)")).toEqual({
      groups: ["s0 load 0: 408 from 0, together", "s0 store 1: 400 from 408, together"],
      of: "01010",
    });
  });

  test("lie within 512 bytes", () => {
    expect(groupsIn("ld a0, 0(s0)\n ld a0, 504(s0)").groups).toEqual(["s0 load 0: 512 from 0, together"]);
    expect(groupsIn("ld a0, 0(s0)\n lb a0, 511(s0)").groups).toEqual(["s0 load 0: 512 from 0, together"]);
    expect(groupsIn("ld a0, 0(s0)\n ld a0, -504(s0)").groups).toEqual(["s0 load 0: 512 from -504, together"]);
    expect(groupsIn("ld a0, 0(s0)\n ld a0, 505(s0)")).toEqual({
      ...{ groups: ["s0 load 0: 8 from 0", "s0 load 1: 8 from 505"], of: "01" },
    });
    expect(groupsIn("ld a0, 0(s0)\n ld a0, -505(s0)").of).toBe("01");
    // In both directions from the first.
    expect(groupsIn("ld a0, 0(s0)\n ld a0, 256(s0)\n ld a0, -248(s0)\n lb a0, -249(s0)").of).toBe("0001");
  });

  test("belong to the latest that are near", () => {
    expect(groupsIn("ld a0, 0(s0)\n ld a0, 1024(s0)\n ld a1, 8(s0)\n ld a1, 16(s0)").of).toBe("0122");
  });

  // The base is s0, x8.
  test.each([
    "addi s0, s1, 8",
    "addiw s0, s0, 8",
    "add s0, s0, s1",
    "ld s0, 8(s0)",
    "ld s0, 0(s1)",
    "lui s0, 1",
    "amoadd.d s0, a1, (a2)",
    "lr.d s0, (a2)",
    "sc.d s0, a1, (a2)",
    "fmv.x.d s0, fa0",
    "flt.d s0, fa0, fa1",
  ])("end where the base is written: %s", (line) => {
    expect(groupsIn(`ld a0, 0(s0)\n sd a0, 0(s0)\n ${line}\n ld a0, 16(s0)\n sd a0, 16(s0)`).groups).toEqual(
      expect.arrayContaining(["s0 store 1: 8 from 16, together"]),
    );
  });

  test("go on where something is added to the base", () => {
    expect(groupsIn("ld a0, 0(s0)\n addi s0, s0, 8\n sd a0, -8(s0)\n addi s0, s0, -4\n lw a0, 4(s0)")).toEqual({
      ...{ groups: ["s0 store 0: 12 from 0, together"], of: "0-0-0" },
    });
    expect(groupsIn("ld a0, 0(s0)\n addi s0, s0, 512\n ld a0, 0(s0)\n ld a0, -512(s0)")).toEqual({
      ...{ groups: ["s0 load 0: 8 from 0", "s0 load 1: 8 from 0", "s0 load 2: 8 from -512"], of: "0-12" },
    });
  });

  test("have the load that writes the base with them", () => {
    expect(groupsIn("ld a0, 0(s0)\n ld s0, 8(s0)\n ld a1, 0(s0)")).toEqual({
      ...{ groups: ["s0 load 0: 16 from 0, together", "s0 load 1: 8 from 0"], of: "001" },
    });
  });

  test("go on where another register is written, or a float of that number", () => {
    for (const line of [
      "add s1, s0, s0",
      "fld fs0, 8(s1)",
      "fmv.d.x fs0, a0",
      "fadd.d fs0, fa0, fa0",
      "amoadd.d s1, s0, (s0)",
    ]) {
      expect(groupsIn(`ld a0, 0(s0)\n sd a0, 0(s0)\n ${line}\n lw a0, 8(s0)\n sw a0, 8(s0)`).groups).toEqual(
        expect.arrayContaining(["s0 store 0: 12 from 0, together"]),
      );
    }
  });

  test("are those of floats, too, and not of atomic instructions", () => {
    expect(
      groupsIn(
        "ld a0, 0(s0)\n fld fa0, 8(s0)\n flw fa1, 16(s0)\n fsd fa0, 0(s0)\n lr.d a0, (s0)\n amoadd.w a0, a1, (s0)",
      ),
    ).toEqual({
      ...{ groups: ["s0 store 0: 20 from 0, together"], of: "0000--" },
    });
  });

  test("are by x0 where there is no base", () => {
    expect(groupsIn("ld a0, 16(zero)\n ld a1, -8(zero)\n sd a0, 0(zero)")).toEqual({
      ...{ groups: ["zero store 0: 32 from -8, together"], of: "000" },
    });
  });

  test("are each on their own where they are to be apart", () => {
    expect(groupsIn("ld a0, 0(s0)\n ld a1, 8(s0)\n sd a0, 0(s0)\n ld a2, 16(s0)", true)).toEqual({
      groups: ["s0 load 0: 8 from 0", "s0 load 1: 8 from 8", "s0 store 2: 8 from 0", "s0 load 3: 8 from 16"],
      of: "0123",
    });
  });
});

describe("ways", () => {
  const of = (base: string, bytes: number, store = false, ordinal = 0): Accesses => ({
    ...{ base: register(base), store, least: 0, bytes, first: 0, ordinal, together: false },
  });

  test("by the stack, globals and the thread are shared on a page of code, by how much they are for", () => {
    const ways = new Ways(0, new Uint8Array(Ways.size), 0);
    const page = ways.page();
    for (const base of ["sp", "gp", "tp"]) {
      const way = ways.take(page, of(base, 9));
      expect(ways.take(page, of(base, 32))).toBe(way);
      const others = [of(base, 8), of(base, 33), of(base, 129), of(base, 9, true), of(base, 9, false, 1)];
      const all = [way, ...others.map((other) => ways.take(page, other))];
      expect(new Set(all).size).toBe(all.length);
      expect(ways.take(ways.page(), of(base, 9))).not.toBe(way);
    }
    expect(ways.take(page, of("sp", 9))).not.toBe(ways.take(page, of("gp", 9)));
  });

  test("by the stack are shared by single accesses of one size", () => {
    const ways = new Ways(0, new Uint8Array(Ways.size), 0);
    const page = ways.page();
    const sizes = [1, 2, 4, 8, 9].map((bytes) => ways.take(page, of("sp", bytes)));
    expect(new Set(sizes).size).toBe(sizes.length);
    expect([1, 2, 4, 8, 9].map((bytes) => ways.take(page, of("sp", bytes)))).toEqual(sizes);
  });

  test("by other registers are never shared", () => {
    const ways = new Ways(0, new Uint8Array(Ways.size), 0);
    const page = ways.page();
    for (const base of integerNames.filter((name) => !["sp", "gp", "tp"].includes(name))) {
      expect(ways.take(page, of(base, 8))).not.toBe(ways.take(page, of(base, 8)));
    }
  });
});

// ---- native code ----

const LOADS = "lb lbu lh lhu lw lwu ld".split(" ");
const STORES = "sb sh sw sd".split(" ");
/** Some are in the host's registers and some in memory; the ways of three are shared. */
const BASES = "s0 a0 a5 s5 t5 sp gp tp".split(" ");
const VALUES = "a1 a2 t0 s6 t3".split(" ");

/** What is added up is made of all that was loaded. */
const SUM = "s1";
const mix = (name: string) => `rori ${SUM}, ${SUM}, 9\n add ${SUM}, ${SUM}, ${name}`;

class Programs {
  constructor(readonly random: Random) {}

  #value = () => pick(this.random, VALUES);

  /** Offsets of a group's members: near one another, or as far as they may be, and farther. */
  #offsets(): () => number {
    const { random } = this;
    const span = pick(random, [8, 16, 64, 256, 520, 700]);
    const first = below(random, 1200) - 600;
    const step = pick(random, [1, 2, 8, 8]);
    return () => first + below(random, Math.ceil(span / step)) * step;
  }

  #access(base: string, offset: number): string {
    const { random } = this;
    if (chance(random, 0.06)) return `fld fa0, ${offset}(${base})\n fmv.x.d t0, fa0`;
    if (chance(random, 0.06)) return `fmv.d.x fa1, ${this.#value()}\n fsd fa1, ${offset}(${base})`;
    if (chance(random, 0.4)) return `${pick(random, STORES)} ${this.#value()}, ${offset}(${base})`;
    const value = chance(random, 0.04) ? "zero" : this.#value();
    return `${pick(random, LOADS)} ${value}, ${offset}(${base})\n ${chance(random, 0.5) ? mix(value) : ""}`;
  }

  /** What may stand between members: some of it takes registers of the host's that ways are in. */
  #between(base: string, other: string): string {
    const { random } = this;
    const value = this.#value;
    const kinds = [
      () => `sll ${value()}, ${value()}, ${value()}`,
      () => `clz ${value()}, ${value()}`,
      () => `rolw ${value()}, ${value()}, ${value()}`,
      () => `divu ${value()}, ${value()}, ${value()}`,
      () => `amoadd.w ${value()}, ${value()}, (s3)`,
      () => `fcvt.d.l fa0, ${value()}`,
      () => `addi ${base}, ${base}, ${below(random, 64) - 32}`,
      // Where it is already, by way of memory: the base is what is loaded.
      () => `sd ${base}, 8(s3)\n ld ${base}, 8(s3)`,
      () => `mv ${other}, ${base}`,
      () => `xori ${value()}, ${value()}, 77`,
    ];
    return pick(random, kinds)();
  }

  /** Goes over a border in steps, back to where it was each time. */
  write(border: number): string {
    const { random } = this;
    const [base, other] = [pick(random, BASES), pick(random, BASES)];
    const [one, another] = [this.#offsets(), this.#offsets()];
    const lines: string[] = [];
    for (let n = 3 + below(random, 9); n > 0; n--) {
      const which = chance(random, 0.75) ? base : other;
      lines.push(this.#access(which, which === base ? one() : another()));
      if (chance(random, 0.35)) lines.push(this.#between(base, other));
      if (chance(random, 0.05)) lines.push(`bgeu ${this.#value()}, ${this.#value()}, l${n}\n ${mix("s4")}\n l${n}:`);
    }
    const [step, rounds] = pick(random, [
      [1, 40],
      [8, 30],
      [61, 40],
      [509, 16],
    ] as const);
    return `
        li   s3, ${DATA + 0x4400}
        li   s4, ${border - Math.floor((step * rounds) / 2) + below(random, 16) - one()}
        li   s2, ${rounds}
      again:
        mv   ${base}, s4
        addi ${other}, s4, ${below(random, 3) * 64}
        ${lines.join("\n")}
        addi s4, s4, ${step}
        addi s2, s2, -1
        bnez s2, again
        wfi
      done:
        j done
    `;
  }
}

function prepare(rig: Rig): void {
  const random = createRandom(4242);
  for (const name of VALUES) rig.hart.setX(register(name), random64(random));
  witnessTraps(rig);
  mapped(rig);
}

describe.if(hasNative)("groups of accesses, wherever pages meet", () => {
  for (const [host, rig] of HOSTS) {
    test.each(Object.entries(Border))(`before the page that is %s, on ${host}`, (name, border) => {
      const random = createRandom(border);
      const pieces = Array.from({ length: MOST_PIECES }, (_, i): Piece => {
        const budgets = i % 3 === 0 ? Array.from({ length: 6 }, () => 1 + below(random, 700)) : [];
        return { text: new Programs(random).write(border), budgets };
      });
      follow(pieces, prepare, rig(), { name });
      if (["nothing", "readOnly", "something"].includes(name)) expect(rig().hart.trapped).toBeGreaterThan(1000);
    });
  }
});

describe.if(hasNative)("groups that are on two pages at once, again and again,", () => {
  const MEMBERS = "ld a1, -8(s0)\n ld a2, 8(s0)\n sd a1, -16(s0)\n sw a2, 16(s0)";
  const over = (border: number, members = MEMBERS, count = 60) => `
      li   s0, ${border}
      li   s2, ${count}
    again:
      ${members}
      ${mix("a1")}
      ${mix("a2")}
      addi s2, s2, -1
      bnez s2, again
      wfi
    done:
      j done
  `;
  const FEW_AT_A_TIME = new Array<number>(80).fill(61);

  interface Writing {
    /** Has blocks whose accesses are to have a way each. */
    readonly apart: boolean;
    /** Where its blocks begin. */
    readonly starts: readonly number[];
  }

  /** What is written while the program runs. */
  function writtenIn(text: string, budgets: readonly number[]): Writing[] {
    const all: Writing[] = [];
    native.engine.followTranslation(
      () => {},
      ({ blocks, place }) => {
        const starts = blocks.map(({ at }) => at);
        all.push({ apart: starts.some((at) => place.isApart(at)), starts });
      },
    );
    follow([{ text, budgets }], prepare);
    native.engine.followTranslation(() => {});
    return all;
  }
  const isApart = (text: string, budgets: readonly number[]) => writtenIn(text, budgets).some(({ apart }) => apart);
  const timesOf = (written: readonly Writing[], at: number) =>
    written.filter(({ starts }) => starts.includes(at)).length;

  test("have a way each from then on, where the pages do not follow each other", () => {
    const text = over(Border.elsewhere, MEMBERS, 600);
    const { again } = assemble(0, text).labels;
    const written = writtenIn(text, FEW_AT_A_TIME);
    expect([written[0].apart, written.some(({ apart }) => apart)]).toEqual([false, true]);
    // And that is that.
    expect(timesOf(written, again)).toBe(2);
  });

  test.each([
    ["loads", "ld a1, -8(s0)\n ld a2, 8(s0)"],
    ["stores", "sd a1, -8(s0)\n sw a2, 8(s0)"],
    ["by the stack", "mv sp, s0\n ld a1, -8(sp)\n lw a2, 8(sp)"],
  ])("have a way each if they are %s", (_, members) => {
    expect(isApart(over(Border.elsewhere, members), FEW_AT_A_TIME)).toBe(true);
  });

  test.each([
    ["in a run that is not over", over(Border.elsewhere), []],
    ["a few times only", over(Border.elsewhere, MEMBERS, 7), [50]],
    ["and the pages follow each other", over(Border.following), FEW_AT_A_TIME],
    ["and there is no second page", over(Border.nothing), FEW_AT_A_TIME],
    ["each on one page", over(Border.elsewhere, "ld a1, -16(s0)\n ld a2, -8(s0)\n sd a1, -32(s0)"), FEW_AT_A_TIME],
    ["alone", over(Border.elsewhere, "ld a1, -4(s0)\n sw a1, -2(s0)"), FEW_AT_A_TIME],
  ])("have none of their own where they are so %s", (_, text, budgets) => {
    expect(isApart(text, budgets)).toBe(false);
  });

  test("are native code's where the pages follow each other", () => {
    // Both pages are known after the first round.
    const members = "ld a1, -4(s0)\n lb a2, 8(s0)\n lb a2, -9(s0)\n sd a1, -4(s0)\n sb a2, 16(s0)\n sb a2, -11(s0)";
    for (const [border, often] of [
      [Border.following, false],
      [Border.elsewhere, true],
    ] as const) {
      const before = native.engine.statistics.asked;
      follow([{ text: over(border, members), budgets: [] }], prepare);
      const { load, store } = native.engine.statistics.asked;
      // The interpreter asks for what is on two pages.
      expect([load - before.load >= 50, store - before.store >= 50]).toEqual([often, often]);
    }
  });

  test("find out that a page is another one, which is in the same place of the TLB and goes to where this one would", () => {
    const FAR = 2 ** 32;
    const text = over(Border.nothing, `ld a3, 0(s3)\n sd s2, 8(s3)\n ${MEMBERS}`).replace(
      "again:",
      `li s3, ${Border.nothing + FAR}\n again:`,
    );
    for (const [, rig] of HOSTS) {
      const withFar = (subject: Rig) => {
        witnessTraps(subject);
        mapped(subject, (tables) => tables.map(Border.nothing + FAR, frameOf(Border.nothing), PTE_RW));
      };
      follow([{ text, budgets: [] }], withFar, rig());
      expect(rig().hart.trapped).toBe(60 * 2);
    }
  });

  test("are told as often as there is room for", () => {
    for (const [, rig] of HOSTS) {
      const { engine } = rig();
      let ways: Ways | undefined;
      const told: number[] = [];
      engine.followTranslation(
        () => {},
        ({ place }) => {
          ways = place.common.ways;
        },
      );
      // The device asks in the middle of a run.
      const text = over(Border.elsewhere).replace("wfi", `li s6, ${DEVICE}\n lw a1, 0(s6)\n wfi`);
      const withDevice = (subject: Rig) => {
        prepare(subject);
        subject.onLoad = () => {
          if (subject === rig()) told.push(ways!.takeUseless().length);
          return 0;
        };
      };
      follow([{ text, budgets: [] }], withDevice, rig());
      engine.followTranslation(() => {});
      expect(told).toEqual([32]);
    }
  });

  test("are given up in turns, where there are many of them", () => {
    const bases = "s0 a0 a3 a4 a5 a6 a7 t0 t1 t2 t3 t4 t5 t6 s5 s6 s7 s8 s9 s10 s11 sp gp tp".split(" ");
    const blocks = bases.map((name, i) => {
      const members = `ld a1, -8(${name})\n lw a2, 8(${name})\n sd a2, -16(${name})\n sd a1, 8(${name})`;
      return `beqz zero, l${i}\n l${i}: ${members}`;
    });
    const copies = bases.map((name) => `mv ${name}, s0`).join("\n");
    const text = over(Border.elsewhere, blocks.join("\n")).replace("again:", `${copies}\n again:`);
    for (const [, rig] of HOSTS) follow([{ text, budgets: new Array<number>(40).fill(301) }], prepare, rig());
  });
});

describe.if(hasNative)("accesses by the stack", () => {
  test("share ways on a page of code, whatever each is for", () => {
    // Functions on one page, with stack frames of all sizes; sp is anywhere around borders.
    const frames = [
      [0],
      [0, 8],
      [0, 24],
      [0, 28],
      [4, 20, 31],
      [0, 120],
      [0, 121],
      [0, 504],
      [0, 500],
      [8, 509],
      [0, 16],
    ];
    const orders = [frames, frames.toReversed(), [...frames.slice(5), ...frames.slice(0, 5)]];
    for (const [, rig] of HOSTS) {
      for (const border of Object.values(Border)) {
        const pieces = orders.map((order): Piece => {
          const functions = order.map((offsets, i) => {
            const lines = offsets.map((offset) => `lb a1, ${offset}(sp)\n ${mix("a1")}\n sb ${SUM}, ${offset}(sp)`);
            return `f${i}: ${lines.join("\n")}\n ret`;
          });
          const calls = order.map((_, i) => `jal ra, f${i}\n`.repeat(1 + (i % 2)));
          const text = `
              li sp, ${border - 530}
              li s2, 37
            again:
              ${calls.join("")}
              addi sp, sp, 15
              addi s2, s2, -1
              bnez s2, again
              wfi
            done:
              j done
            ${functions.join("\n")}
          `;
          return { text, budgets: [] };
        });
        follow(pieces, prepare, rig(), { border });
      }
    }
  });
});

describe.if(hasNative)("accesses without a base", () => {
  const ZERO = 0;
  const LAST = 2 ** 64 - 0x1000;
  const text = `
      li   s2, 20
    again:
      ${[0, 1, 8, 504, 2040].map((at) => `ld a1, ${at}(zero)\n ${mix("a1")}\n sd ${SUM}, ${at}(zero)`).join("\n")}
      ${[-8, -16, -2048].map((at) => `ld a1, ${at}(zero)\n ${mix("a1")}\n sd ${SUM}, ${at}(zero)`).join("\n")}
      lw   a1, -4(zero)
      lw   a2, 0(zero)
      ${mix("a1")}
      sw   a2, -4(zero)
      sw   a1, 0(zero)
      addi s2, s2, -1
      bnez s2, again
      wfi
    done:
      j done
  `;
  test.each([
    ["follow each other", 0x5000, 0x6000],
    ["do not", 0x6000, 0x5000],
    ["are there but for the first", 0x6000, -1],
    ["are there but for the last", -1, 0x5000],
  ])("are where the last page and the first one %s", (_, last, first) => {
    for (const [, rig] of HOSTS) {
      const pieces = [{ text, budgets: [] }];
      const begin = (subject: Rig) => {
        witnessTraps(subject);
        const map = (at: number, to: number) => (tables: PageTables) => tables.map(at, RAM + 0x20_0000 + to, PTE_RW);
        paged(subject, (tables) => {
          if (first >= 0) map(ZERO, first)(tables);
          if (last >= 0) map(LAST, last)(tables);
        });
      };
      follow(pieces, begin, rig());
    }
  });
});

describe.if(hasNative)("groups that reach a page of code", () => {
  test("are seen by who runs it", () => {
    // The function's first two instructions are stored over by a group that begins on the page before.
    const FUNCTION = RAM + 0xe000;
    const adds = (n: string) => `slli t1, ${n}, 20\n li t0, ${0x0005_0513}\n add t0, t0, t1`;
    const text = `
        li   s0, ${FUNCTION}
        li   s2, 300
      again:
        andi t2, s2, 1023
        ${adds("t2")}
        sd   t0, -8(s0)
        sw   t0, 4(s0)
        sd   s2, -16(s0)
        fence.i
        jalr ra, 0(s0)
        lw   a1, -8(s0)
        lw   a2, 4(s0)
        ${mix("a1")}
        ${mix("a2")}
        addi s2, s2, -1
        bnez s2, again
        wfi
      done:
        j done
    `;
    for (const [, rig] of HOSTS) {
      follow(
        [{ text, budgets: [] }],
        (subject) => {
          subject.load("addi a0, a0, 1\n addi a0, a0, 0\n ret", FUNCTION);
          prepare(subject);
        },
        rig(),
      );
      expect(rig().x("a0")).toBe(BigInt(300 + (300 * 301) / 2));
    }
  });
});

describe.if(hasNative)("groups in more generations than there are", () => {
  const WINDOW = 0x40_0000;
  const FRAMES = RAM + 0x20_0000;
  /** More than twice as many as ways are for. */
  const ROUNDS = 2 * 4096 + 708;
  /** What the second page is in turns: following the first, gone, following it again, for reading only, elsewhere. */
  const SECOND = [0x1000, -1, 0x1000, 0x1000, 0x5000] as const;

  test.each([
    ["in a loop", "zero"],
    ["in a loop, with the page forgotten alone", "s0"],
    ["in a function on another page", "zero"],
  ])("see the pages that are mapped, %s", (where, page) => {
    const members = `
        ld   a1, -8(s0)
        lw   a2, 4(s0)
        ${mix("a1")}
        ${mix("a2")}
        sd   ${SUM}, -16(s0)
        sw   ${SUM}, 8(s0)
        ld   a1, 8(s0)
        ${mix("a1")}
    `;
    const far = RAM + 0xd_0000;
    const body = where.startsWith("in a loop") ? members : "jalr ra, 0(s6)\n jalr ra, 0(s6)";
    compare(
      (rig) => {
        witnessTraps(rig);
        rig.memory.load(
          FRAMES,
          Uint8Array.from({ length: 0x8000 }, (_, i) => (i * 167) ^ (i >> 4) ^ ((i >> 12) * 29)),
        );
        const tables = paged(rig, (tables) => {
          tables.map(WINDOW, FRAMES, PTE_RW);
          tables.map(WINDOW + 0x1000, FRAMES + 0x1000, PTE_RW);
          for (let at = tables.at; at < tables.at + 0x1_0000; at += 0x1000) tables.map(at, at, PTE_RW);
        });
        rig.load(`${members}\n ret`, far);
        const entries = SECOND.map((at, i) => {
          if (at < 0) return 0;
          return (FRAMES + at) / 4 + (i === 3 ? PTE_RW & ~Pte.W : PTE_RW);
        });
        return rig.load(`
            li   s0, ${WINDOW + 0x1000}
            li   s6, ${far}
            li   t2, ${tables.entryOf(WINDOW + 0x1000)}
            li   s2, ${ROUNDS}
            ${entries.map((entry, i) => `li s${7 + i}, ${entry}`).join("\n")}
          again:
            ${entries.map((_, i) => `sd s${7 + i}, 0(t2)\n sfence.vma ${page}, zero\n ${body}`).join("\n")}
            addi s2, s2, -${SECOND.length}
            bnez s2, again
          done:
            j done
        `);
      },
      [1, 997, 100, 20_011, 5_000_000],
    );
    expect(native.hart.trapped).toBeGreaterThan(ROUNDS / 3);
  });

  test("do not take what was remembered in the generation of that number before", () => {
    /** As ways has it: of so many, 0 is none. */
    const CYCLE = 4095;
    const COUNT = 60;
    const FUNCTIONS = RAM + 0x5_0000;
    const TABLE = RAM + 0x3_0000;
    const NONE = 0xff;
    /** By round, one of the functions. Each comes once, and again about a cycle later: one of them exactly then. */
    const rounds = new Uint8Array(CYCLE + 2 * COUNT + 100).fill(NONE);
    for (let i = 0; i < COUNT; i++) {
      rounds[i] = i;
      rounds[CYCLE + 2 * i - COUNT / 2] = i;
    }
    compare(
      (rig) => {
        rig.memory.load(
          FRAMES,
          Uint8Array.from({ length: 0x1_0000 }, (_, i) => (i * 167) ^ (i >> 4) ^ ((i >> 12) * 29)),
        );
        rig.memory.load(TABLE, rounds);
        const tables = paged(rig, (tables) => {
          tables.map(WINDOW, FRAMES, PTE_RW);
          for (let at = tables.at; at < tables.at + 0x1_0000; at += 0x1000) tables.map(at, at, PTE_RW);
        });
        for (let i = 0; i < COUNT; i++) {
          rig.load(`ld a1, 8(s0)\n ld a2, 24(s0)\n ${mix("a1")}\n ${mix("a2")}\n ret`, FUNCTIONS + i * 0x1000);
        }
        return rig.load(`
            li   s0, ${WINDOW}
            li   t2, ${tables.entryOf(WINDOW)}
            li   s4, ${FUNCTIONS}
            li   s5, ${TABLE}
            li   s2, ${COUNT}
          all:
            jalr ra, 0(s4)
            lui  t0, 1
            add  s4, s4, t0
            addi s2, s2, -1
            bnez s2, all
            li   s4, ${FUNCTIONS}
            li   s2, ${rounds.length}
          again:
            andi t0, s2, 7
            slli t0, t0, 10
            li   t1, ${FRAMES / 4 + PTE_RW}
            add  t0, t0, t1
            sd   t0, 0(t2)
            sfence.vma zero, zero
            lbu  t0, 0(s5)
            addi s5, s5, 1
            li   t1, ${NONE}
            beq  t0, t1, next
            slli t0, t0, 12
            add  t0, t0, s4
            # The first time, the page is not known yet.
            jalr ra, 0(t0)
            jalr ra, 0(t0)
          next:
            addi s2, s2, -1
            bnez s2, again
          done:
            j done
        `);
      },
      [1_000_000],
    );
  });
});
