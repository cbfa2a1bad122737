// Ways for pages of a program that lie anywhere: what is mapped, allowed and stored is the same with runs as without.
import { describe, expect, test } from "bun:test";
import { canMap } from "../../../src/host/mapping.ts";
import { below, chance, createRandom, pick, type Random } from "../../isa/riscv/random.ts";
import { PageTables, PTE_RWX, Pte, RAM, Rig } from "../rig.ts";
import { compare, hasNative, interpreted, skipTraps, WHY_NOT } from "./native-rig.ts";

const works = hasNative && canMap();
if (!works) test.skip(`runs (${hasNative ? "this host cannot map memory" : WHY_NOT})`, () => {});

const windowed = new Rig({ threshold: 1, native: true, window: true });

const PAGE = 0x1000;
const FRAMES = RAM + 0x20_0000;
const FRAME_COUNT = 40;
const PAGES = 24;
/** Some lie in one segment of the window, some in the next. */
const BORDER = 0x80_0000;
const BASE = BORDER - 10 * PAGE;
const ROOTS = [RAM + 0x3c_0000, RAM + 0x3d_0000];
const PTE_U = PTE_RWX | Pte.U;
const PTE_READ = Pte.V | Pte.R | Pte.A | Pte.U;
/** Bits of a place: more than there are pages, some of which are mapped nowhere. */
const PLACE_BITS = 17;

/** A loop of loads and stores all over the pages, of all widths, some on two pages at once. */
const programAt = (base: number) => `
    li   s1, ${base}
    li   s3, 0x5851f42d4c957f2d
    li   s4, ${2 ** PLACE_BITS - 1}
    li   s0, 1
    li   s2, 30000
  again:
    mul  s0, s0, s3
    addi s0, s0, 1013
    srli t0, s0, 40
    and  t0, t0, s4
    add  t0, t0, s1
    ld   t1, 0(t0)
    add  a1, a1, t1
    lhu  t1, 0(t0)
    rori a1, a1, 9
    add  a1, a1, t1
    srli t2, s0, 30
    and  t2, t2, s4
    andi t2, t2, -8
    add  t2, t2, s1
    sd   a1, 0(t2)
    lw   t1, 4(t2)
    add  a1, a1, t1
    sb   a1, 7(t0)
    addi s2, s2, -1
    bnez s2, again
  done:
    j done
`;

/** Two address spaces of the program's, in U-mode. Neighbours lie apart in memory, or together. */
function prepare(rig: Rig, base = BASE, apart = 7): readonly PageTables[] {
  const spaces = ROOTS.map((root, space) => {
    const tables = new PageTables(rig.memory, root);
    for (let at = RAM; at < RAM + 0x10_0000; at += PAGE) tables.map(at, at, PTE_U);
    for (let i = 0; i < PAGES; i++) tables.map(base + i * PAGE, frameAt((i * apart + space * 3) % FRAME_COUNT), PTE_U);
    return tables;
  });
  for (let i = 0; i < FRAME_COUNT * PAGE; i += 8) {
    rig.memory.data.setBigUint64(
      rig.memory.locate(FRAMES + i, 8),
      (BigInt(i) * 0x9e37_79b9_7f4a_7c15n) & (2n ** 64n - 1n),
      true,
    );
  }
  rig.setCsr("satp", satpOf(spaces, 0));
  rig.setCsr("pmpaddr0", 2n ** 54n - 1n);
  rig.setCsr("pmpcfg0", 0x1fn);
  rig.load(programAt(base));
  skipTraps(rig);
  rig.enter(0);
  return spaces;
}

const frameAt = (frame: number) => FRAMES + frame * PAGE;
const satpOf = (spaces: readonly PageTables[], space: number) => spaces[space].satp | (BigInt(space + 1) << 44n);

/** Something that a kernel does between two runs of the program. */
function change(random: Random, base: number): (rig: Rig, spaces: readonly PageTables[]) => void {
  const index = below(random, PAGES);
  const page = base + index * PAGE;
  // As often as not where its neighbours are followed by it.
  const frame = frameAt(
    chance(random, 0.5) ? (index + pick(random, [0, 1])) % FRAME_COUNT : below(random, FRAME_COUNT),
  );
  const space = below(random, 2);
  const flags = pick(random, [PTE_U, PTE_U, PTE_U, PTE_READ, 0]);
  const some = Array.from({ length: 12 }, () => base + below(random, PAGES) * PAGE);
  const forget = (rig: Rig, at: number) => rig.hart.flushTlbPage(at | 0, Math.floor(at / 2 ** 32));
  switch (below(random, 9)) {
    case 0:
      return (rig, spaces) => rig.setCsr("satp", satpOf(spaces, space));
    case 1:
      return (rig) => rig.hart.flushTlb();
    case 2:
      // Where there is code, stores have to be noticed.
      return (rig) => rig.hart.flushTlbWrites();
    case 3:
      return (rig) => {
        rig.hart.flushTlbWrites();
        for (const at of some) forget(rig, at);
      };
    case 4:
    case 5:
    case 6:
      return (rig, spaces) => {
        for (const tables of spaces) tables.map(page, frame, flags);
        forget(rig, page);
      };
    default:
      return () => {};
  }
}

const runs = () => windowed.engine.regions!.native!.runs;
const SEEDS = Number(process.env.VMRUN_SEEDS ?? 25);

describe.if(works)("runs", () => {
  test(`hold as long as what they were made from (${SEEDS} seeds)`, () => {
    let made = 0;
    for (let seed = 0; seed < SEEDS; seed++) {
      const random = createRandom(seed);
      const base = chance(random, 0.8) ? BASE : -32 * PAGE;
      const apart = pick(random, [1, 7]);
      const rigs = [interpreted, windowed] as const;
      const spaces = rigs.map((rig) => {
        rig.reset();
        return prepare(rig, base, apart);
      });
      for (let step = 0; step < 30; step++) {
        const budget = 20 + below(random, 4000);
        for (const rig of rigs) rig.run(budget);
        expect({ seed, step, ...windowed.state() }).toEqual({ seed, step, ...interpreted.state() });
        if (chance(random, 0.6)) made += runs().find();
        const next = change(random, base);
        rigs.forEach((rig, i) => {
          next(rig, spaces[i]);
        });
      }
    }
    expect(made).toBeGreaterThan(SEEDS * 10);
  });

  test("are looked for where ways are often for other pages, and make an end of that", () => {
    const misses = (base: number, count: number) => {
      windowed.reset();
      prepare(windowed);
      windowed.load(programAt(base).replace(`li   s4, ${2 ** PLACE_BITS - 1}`, `li s4, ${count * PAGE - 1}`));
      windowed.run(300_000);
      runs().look(300_000);
      const before = runs().misses;
      windowed.run(100_000);
      return runs().misses - before;
    };
    expect(misses(BASE, 8)).toBeLessThan(200);
    expect(misses(BORDER, 8)).toBeLessThan(200);
    // Of two segments.
    expect(misses(BASE, 16)).toBeGreaterThan(2000);
  });

  /** Loads from a place, and what comes of it. */
  const LOOK = `
      look:
        ld   t1, 0(t0)
        rori a1, a1, 9
        add  a1, a1, t1
        ret
  `;
  const lookAt = (at: number) => `li t0, ${at}\n jal ra, look\n`;
  const forget = (at: number) => (rig: Rig) => rig.hart.flushTlbPage(at, 0);

  /** Has a program's pages mapped, runs its parts one by one, and does something of a kernel's behind each. */
  function follow(
    pages: Readonly<Record<number, number>>,
    parts: readonly (readonly [text: string, next: (rig: Rig) => void])[],
  ): void {
    const results = [interpreted, windowed].map((rig) => {
      rig.reset();
      prepare(rig);
      const tables = new PageTables(rig.memory, RAM + 0x30_0000);
      for (let at = RAM; at < RAM + 0x1_0000; at += PAGE) tables.map(at, at, PTE_U);
      for (const [at, frame] of Object.entries(pages)) tables.map(Number(at), frameAt(frame), PTE_U);
      rig.setCsr("satp", tables.satp);
      rig.enter(0);
      // On one page of code: the first that is executed on a page has everything forgotten.
      const texts = parts.map(
        ([text], i) => `
          part${i}:
            li   s2, 6
          again${i}:
            ${text}
            addi s2, s2, -1
            bnez s2, again${i}
            j    done
      `,
      );
      const { labels } = rig.load(`${texts.join("")}\n done: j done\n ${LOOK}`);
      for (const [i, [, next]] of parts.entries()) {
        rig.hart.pc = BigInt(labels[`part${i}`]);
        rig.run(20_000);
        next(rig);
      }
      return rig.state();
    });
    expect(results[1]).toEqual(results[0]);
  }
  const find = (rig: Rig) => rig === windowed && runs().find();

  test("end where the next page is not theirs, though it follows in memory", () => {
    const [first, second, third] = [BORDER, BORDER + PAGE, BORDER + 2 * PAGE];
    const across = second + PAGE - 4;
    follow({ [first]: 10, [second]: 20, [third]: 21 }, [
      // What was forgotten is not remembered again.
      [lookAt(third) + lookAt(third), forget(third)],
      [lookAt(first) + lookAt(second) + lookAt(third), find],
      [lookAt(first) + lookAt(across) + lookAt(second + 8) + lookAt(across), find],
    ]);
  });

  test("are not taken for others that are made later", () => {
    // Where one segment of the window follows the other, so would the pages.
    const far = BORDER + 3 * 0x80_0000;
    const [first, second, third, fourth] = [BORDER, BORDER + PAGE, far + 8 * PAGE, far + 9 * PAGE];
    const both = lookAt(first) + lookAt(third + 8) + lookAt(first + 16) + lookAt(third);
    follow({ [first]: 10, [second]: 3, [third]: 20, [fourth]: 5 }, [
      [lookAt(first) + lookAt(second), find],
      [lookAt(third) + lookAt(fourth), (rig) => rig.hart.flushTlbWrites()],
      // The first page is alone then.
      ["nop", forget(second)],
      [both, find],
      [both, find],
    ]);
  });

  test("of more segments than the window has are not made", () => {
    // No two of them in the same place of the TLB.
    const STRIDE = 0x80_0000 + 2 * PAGE;
    const starts = Array.from({ length: 70 }, (_, i) => 0x1000_0000 + i * STRIDE);
    const pages = starts.flatMap((at, i) => [
      [at, (i * 3) % FRAME_COUNT],
      [at + PAGE, (i * 3 + 7) % FRAME_COUNT],
    ]);
    const all = (part: number) => `
        li   t0, ${starts[0]}
        li   s3, ${starts.length}
      each${part}:
        jal  ra, look
        li   t1, ${PAGE}
        add  t0, t0, t1
        jal  ra, look
        li   t1, ${STRIDE - PAGE}
        add  t0, t0, t1
        addi s3, s3, -1
        bnez s3, each${part}
    `;
    follow(Object.fromEntries(pages), [
      [all(0), find],
      [all(1), find],
      [all(2), find],
    ]);
  });

  test("are the same in a run of any length", () => {
    compare(
      (rig) => {
        prepare(rig);
        return rig.load(programAt(BASE));
      },
      [1000, 100_000, 1_000_000],
      [interpreted, windowed],
    );
  });
});
