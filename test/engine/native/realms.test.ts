// Native code remembers pages across what is forgotten for the sake of others, and nothing of what is forgotten itself.
import { describe, expect, test } from "bun:test";
import { below, chance, createRandom, pick, type Random } from "../../isa/riscv/random.ts";
import { PageTables, PTE_RWX, Pte, RAM, type Rig, ROM } from "../rig.ts";
import { compare, hasNative, native, PTE_RW, skipTraps, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`what native code remembers (${WHY_NOT})`, () => {});

const PAGE = 0x1000;
/** Of data, then of code: what code is made from is forgotten with all native code when it is stored to. */
const FRAMES = RAM + 0x20_0000;
const FRAME_COUNT = 8;
const ROOTS = [RAM + 0x3c_0000, RAM + 0x3d_0000];

/** A page that is mapped to one frame or another. */
interface Window {
  readonly at: number;
  readonly flags: number;
  readonly memory?: typeof ROM;
}

/** Pages that differ in this have the same mark (`rememberedOf` in hart.ts). */
const ALIKE = ((3 << 14) ^ 3) * PAGE;
const GLOBAL = PTE_RWX | Pte.G;
const DATA: readonly Window[] = [
  { at: 0x40_0000, flags: PTE_RW },
  { at: 0x40_0000 ^ ALIKE, flags: PTE_RW },
  { at: 0x40_1000, flags: PTE_RW | Pte.U },
  { at: 0x40_1000 ^ ALIKE, flags: PTE_RW | Pte.U },
  { at: 0x60_0000, flags: PTE_RW | Pte.G },
  { at: 0x60_1000, flags: PTE_RW | Pte.U | Pte.G },
  // In the same places of the TLB as the first ones.
  { at: 0xc0_0000, flags: PTE_RW | Pte.G },
  { at: 0xc0_1000, flags: PTE_RW | Pte.U },
  // Read-only memory, which is not the hart's window.
  { at: 0x70_0000, flags: PTE_RW, memory: ROM },
  { at: 0x70_1000, flags: PTE_RW | Pte.U, memory: ROM },
];
const LAST: Window = { at: -PAGE, flags: PTE_RW | Pte.G };
const SAME_PLACE: Window = { at: 0x7f_f000, flags: PTE_RW | Pte.G };
const CODE: readonly Window[] = [
  { at: 0x50_0000, flags: PTE_RWX },
  { at: 0x50_0000 ^ ALIKE, flags: GLOBAL },
  { at: 0x50_3000, flags: GLOBAL },
];

const isUser = ({ flags }: Window) => (flags & Pte.U) !== 0;
const isGlobal = ({ flags }: Window) => (flags & Pte.G) !== 0;
const isCode = ({ flags }: Window) => (flags & Pte.X) !== 0;
function frameAt(window: Window, frame: number): number {
  if (window.memory !== undefined) return window.memory + (frame & 1) * PAGE;
  return FRAMES + ((frame % FRAME_COUNT) + (isCode(window) ? FRAME_COUNT : 0)) * PAGE;
}
const entryFor = (window: Window, frame: number) => frameAt(window, frame) / 4 + window.flags;

/** Where a window is at first. */
function frameIn(window: Window, space: number): number {
  const index = [...DATA, ...CODE, SAME_PLACE].indexOf(window);
  return frameAt(window, isGlobal(window) ? index : index + 3 * space);
}

/** Two address spaces, in which windows are mapped to frames, in S-mode. */
function prepare(rig: Rig, code: number): readonly PageTables[] {
  for (let frame = 0; frame < FRAME_COUNT; frame++) {
    for (const at of [frameAt(DATA[0], frame), ROM + (frame & 1) * PAGE]) {
      rig.memory.load(
        at,
        Uint8Array.from({ length: PAGE }, (_, i) => (i * 167) ^ (i >> 4) ^ ((at >> 12) * 29)),
      );
    }
    rig.load(`addi a0, a0, ${frame + 1}\n ret`, frameAt(CODE[0], frame));
  }
  const spaces = ROOTS.map((root, space) => {
    const tables = new PageTables(rig.memory, root);
    for (let at = RAM; at < RAM + 0x10_0000; at += PAGE) tables.map(at, at, code);
    for (const root of ROOTS) for (let at = root; at < root + 0x1_0000; at += PAGE) tables.map(at, at, PTE_RW | Pte.G);
    for (const window of [...DATA, LAST, SAME_PLACE, ...CODE])
      tables.map(window.at, frameIn(window, space), window.flags);
    return tables;
  });
  rig.setCsr("satp", satpOf(spaces[0], 0));
  rig.setCsr("pmpaddr0", 2n ** 54n - 1n);
  rig.setCsr("pmpcfg0", 0x1fn);
  rig.enter(1);
  skipTraps(rig);
  return spaces;
}

const satpOf = ({ satp }: PageTables, space: number): bigint => satp | (BigInt(space + 1) << 44n);

/** A loop of accesses, calls, changes of page tables with what has to follow them, and changes of address space and SUM. */
function randomProgram(random: Random, spaces: readonly PageTables[]): string {
  let space = 0;
  let sum = false;
  // Where all is forgotten now and then, what is remembered wrongly is seldom found.
  const [everything, switches, toggles] = [chance(random, 0.3), chance(random, 0.4), chance(random, 0.3)];
  const changing = chance(random, 0.3) ? [pick(random, [...DATA, ...CODE])] : [...DATA, ...CODE];
  const data = toggles || chance(random, 0.5) ? DATA : DATA.filter((window) => !isUser(window));
  const lines: string[] = [];
  const toggle = () => {
    sum = !sum;
    lines.push("li t5, 0x40000", `${sum ? "csrs" : "csrc"} sstatus, t5`);
  };
  const enter = (next: number) => {
    space = next;
    lines.push(`csrw satp, s${2 + space}`);
  };
  const steps: readonly (() => void)[] = [
    () => {
      const window = pick(random, data);
      // Now and then without SUM: a trap.
      if (isUser(window) && !sum && toggles && !chance(random, 0.1)) toggle();
      const offset = below(random, 64) * 8;
      const other = pick(random, data);
      // From one page, or from two in turns.
      if (other.flags !== window.flags || chance(random, 0.7)) lines.push(`li t0, ${window.at}`);
      else {
        lines.push("andi t0, s6, 1", `li t1, ${other.at - window.at}`, "mul t0, t0, t1");
        lines.push(`li t1, ${window.at}`, "add t0, t0, t1");
      }
      for (let n = 1 + below(random, 2); n > 0; n--) {
        if (chance(random, 0.3)) lines.push(`sd a1, ${offset}(t0)`);
        lines.push(`ld t1, ${offset}(t0)`, "rori a1, a1, 9", "add a1, a1, t1");
      }
    },
    () => {
      lines.push(`li t0, ${pick(random, CODE).at}`, "jalr ra, 0(t0)");
    },
    () => {
      const window = pick(random, changing);
      const frame = below(random, FRAME_COUNT);
      const changed = isGlobal(window) ? [0, 1] : [switches ? below(random, 2) : 0];
      // Another one each round.
      lines.push(`xori t0, s6, ${frame}`, `andi t0, t0, ${window.memory ? 1 : FRAME_COUNT - 1}`, "slli t0, t0, 10");
      lines.push(`li t1, ${entryFor(window, 0)}`, "add t0, t0, t1");
      for (const one of changed) lines.push(`li t1, ${spaces[one].entryOf(window.at)}`, "sd t0, 0(t1)");
      lines.push(`li t0, ${window.at + below(random, PAGE)}`);
      const forPage = [
        "sfence.vma t0, zero",
        isGlobal(window) ? "sfence.vma t0, zero" : `sfence.vma t0, s${4 + changed[0]}`,
      ];
      const forAll = ["sfence.vma zero, zero", ...(isGlobal(window) ? [] : [`sfence.vma zero, s${4 + changed[0]}`])];
      lines.push(pick(random, everything && chance(random, 0.3) ? forAll : forPage));
    },
    () => enter(1 - space),
    toggle,
  ];
  const weights = [0, 0, 0, 0, 1, 1, 2, 2, ...(switches ? [3] : []), ...(toggles ? [4] : [])];
  for (let n = 0; n < 40; n++) {
    // What is found together is not all of the loop.
    if (n % 8 === 0) lines.push(`j part${n}`, `part${n}:`);
    steps[pick(random, weights)]();
  }
  if (sum) toggle();
  if (space !== 0) enter(0);
  return `
      li   s2, ${satpOf(spaces[0], 0)}
      li   s3, ${satpOf(spaces[1], 1)}
      li   s4, 1
      li   s5, 2
      li   s6, 12
      ${data === DATA && !toggles ? "li t5, 0x40000\n csrs sstatus, t5" : ""}
    again:
      ${lines.join("\n")}
      addi s6, s6, -1
      beqz s6, done
      j    again
    done:
      j done
  `;
}

const SEEDS = Number(process.env.VMRUN_SEEDS ?? 100);

describe.if(hasNative)("what is forgotten", () => {
  test(`is not remembered, nor anything else taken for it (${SEEDS} seeds)`, () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const random = createRandom(seed);
      // The kernel's own pages hold in every address space, or do not.
      const code = chance(random, 0.7) ? GLOBAL : PTE_RWX;
      let text: string | undefined;
      compare(
        (rig) => {
          text ??= randomProgram(random, prepare(rig, code));
          prepare(rig, code);
          return rig.load(text);
        },
        [1, 997, 100, 211, 1009, 100_000],
        undefined,
        { seed },
      );
    }
  });
});

describe.if(hasNative)("a loop", () => {
  const [page] = DATA;
  const lasting = DATA[4];
  const inRom = DATA.find(({ memory }) => memory === ROM)!;
  const ROUNDS = 100;
  const change = (window: Window, spaces: readonly PageTables[]) => `
      andi t1, s6, ${FRAME_COUNT - 1}
      slli t1, t1, 10
      li   t2, ${entryFor(window, 0)}
      add  t1, t1, t2
      li   t2, ${spaces[0].entryOf(window.at)}
      sd   t1, 0(t2)
      li   t0, ${window.at}
      sfence.vma t0, zero
  `;
  /** The first time, the interpreter finds the page; the second time, native code does, and the third time it knows it. */
  const look = "jal ra, look\n jal ra, look\n jal ra, look";
  const inBoth = (at: number) => `li t0, ${at}\n csrw satp, s3\n ${look}\n csrw satp, s2\n ${look}`;

  test.each<[name: string, body: (spaces: readonly PageTables[]) => string]>([
    ["with a page that is forgotten again and again", (spaces) => `${change(page, spaces)}\n ${look}`],
    [
      "with such a page and another one in turns",
      (spaces) => `
        ${change(page, spaces)}
        ${look}
        li   t0, ${lasting.at}
        ${look}
      `,
    ],
    ["with a program's page in two address spaces", () => `li t5, 0x40000\n csrs sstatus, t5\n ${inBoth(DATA[2].at)}`],
    ["with read-only memory in two address spaces", () => inBoth(inRom.at)],
    [
      "with the last page there is, whose place in the TLB is emptied for another's sake",
      () => `
        li t0, ${LAST.at}
        ${look}
        li t0, ${SAME_PLACE.at}
        ld t1, 0(t0)
        sfence.vma t0, zero
        li t0, ${LAST.at}
        ld t1, 8(t0)
        rori a1, a1, 9
        add a1, a1, t1
      `,
    ],
  ])("%s", (_, body) => {
    run(body);
  });

  test("sees the pages of both address spaces in the interpreter, too", () => {
    run(() => inBoth(inRom.at));
    const valueIn = (space: number) =>
      new DataView(native.memory.view(frameIn(inRom, space), 8)!.slice().buffer).getBigUint64(0, true);
    let sum = 0n;
    for (let i = 0; i < ROUNDS; i++) {
      for (const value of [1, 1, 1, 0, 0, 0].map(valueIn))
        sum = BigInt.asUintN(64, ((sum >> 9n) | (sum << 55n)) + value);
    }
    expect(native.x("a1")).toBe(sum);
  });

  function run(body: (spaces: readonly PageTables[]) => string): void {
    compare(
      (rig) => {
        const spaces = prepare(rig, GLOBAL);
        return rig.load(`
            ${spaces.map((space, i) => `li s${2 + i}, ${satpOf(space, i)}`).join("\n")}
            li   s6, ${ROUNDS}
          again:
            ${body(spaces)}
            addi s6, s6, -1
            bnez s6, again
          done:
            j done
          look:
            ld   t1, 0(t0)
            rori a1, a1, 9
            add  a1, a1, t1
            ret
        `);
      },
      [1, 997, 100, 10_000],
    );
  }
});

describe.if(hasNative)("generations", () => {
  /** Where ways.ts has the latest one, and where they begin anew. */
  const LATEST = 8;
  const CYCLE = 4095;
  const latest = () => new DataView(native.engine.regions!.native!.host.data.buffer).getInt32(LATEST, true);
  const ROUNDS = 1000;

  /** How many begin while native code loads from a window and forgets something each round. */
  function begun(window: Window, forget: string): number {
    let text = "";
    const spaces = prepare(native, GLOBAL);
    for (const [i, space] of spaces.entries()) text += `li s${2 + i}, ${satpOf(space, i)}\n`;
    const { labels } = native.load(`
        ${text}
        li   s6, ${ROUNDS}
        li   t0, ${window.at}
        li   t2, 0x7000000
      again:
        ${forget}
        ld   a1, 0(t0)
        addi s6, s6, -1
        bnez s6, again
      done:
        j done
    `);
    native.run(100);
    const before = latest();
    native.run(20 * ROUNDS);
    expect(native.hart.pc).toBe(BigInt(labels.done));
    return (latest() - before + CYCLE) % CYCLE;
  }

  test.each([
    ["another page is forgotten", DATA[0], "sfence.vma t2, zero"],
    ["another address space is entered", DATA[4], "csrw satp, s3\n csrw satp, s2"],
    ["the page is forgotten again and again", DATA[0], "sfence.vma t0, zero"],
  ] as const)("last when %s", (_, window, forget) => {
    native.reset();
    expect(begun(window, forget)).toBe(0);
  });

  test.each([
    ["all is forgotten", DATA[4], "sfence.vma zero, zero"],
    ["another address space is entered, where the page may be another", DATA[0], "csrw satp, s3\n csrw satp, s2"],
  ] as const)("end when %s", (_, window, forget) => {
    native.reset();
    expect(begun(window, forget)).toBeGreaterThan(ROUNDS / 2);
  });
});
