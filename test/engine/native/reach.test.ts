// Ways that reach as far as what holds for a page: to the ends of leaves, of the window, and of where stores meet no code.
import { describe, expect, test } from "bun:test";
import { below, chance, createRandom, pick, type Random } from "../../isa/riscv/random.ts";
import { register } from "../program.ts";
import { PTE_RWX, Pte, RAM, RAM_SIZE, type Rig, ROM } from "../rig.ts";
import { compare, hasNative, native, PTE_RW, skipTraps, WHY_NOT } from "./native-rig.ts";

if (!hasNative) test.skip(`the reach of ways (${WHY_NOT})`, () => {});

const MIB = 2 ** 20;
const MEGAPAGE = 2 * MIB;
const PAGE = 4096;
/** Stores look for code so far, each way. */
const CHUNK = 32 * PAGE;
/** Page tables, and a list of addresses. */
const ROOT = RAM + 0x4_0000;
const LIST = RAM + 0x5_0000;
const COUNT = 256;
/** Below, nothing is stored to but by what is tested. */
const FREE = RAM + MIB;

const PTE_R = PTE_RW & ~Pte.W;

/** The entries of a page of tables, by index. */
function table(rig: Rig, at: number, entries: Readonly<Record<number, readonly [physical: number, flags: number]>>) {
  for (const [index, [physical, flags]] of Object.entries(entries)) {
    const entry = (BigInt(Math.floor(physical / PAGE)) << 10n) | BigInt(flags);
    rig.memory.data.setBigUint64(rig.memory.locate(at + Number(index) * 8, 8), entry, true);
  }
}

function open(rig: Rig): void {
  rig.setCsr("pmpaddr0", 2n ** 54n - 1n);
  rig.setCsr("pmpcfg0", 0x1fn);
}

/** Where megapages are: the second is read-only, those behind lie around RAM's end, below its start, and where pages are smaller. */
const MAPPED = 0x4000_0000;
/** What {@link MAPPED} has in place of its first megapage after a change. */
const OTHER = RAM + MEGAPAGE;

interface Setting {
  readonly name: string;
  prepare(rig: Rig): void;
  /** Around these, accesses are of interest; stores only where `stores` says. */
  readonly borders: readonly number[];
  stores(address: number): boolean;
}

const inFree = (address: number) => address >= FREE && address < RAM + RAM_SIZE - 64;
const CHUNKS = [FREE, FREE + CHUNK, FREE + 3 * CHUNK, RAM + MEGAPAGE, RAM + 3 * MIB, RAM + RAM_SIZE];

function withTables(rig: Rig): void {
  open(rig);
  const [megapages, small] = [ROOT + PAGE, ROOT + 2 * PAGE];
  table(rig, ROOT, { 1: [megapages, Pte.V], 2: [RAM, PTE_RWX] });
  table(rig, megapages, {
    0: [RAM, PTE_RW],
    1: [RAM + MEGAPAGE, PTE_R],
    2: [RAM + RAM_SIZE, PTE_RW],
    3: [RAM - MEGAPAGE, PTE_RW],
    4: [small, Pte.V],
    5: [RAM + MEGAPAGE, PTE_RW],
  });
  table(rig, small, { 0: [FREE, PTE_RW], 1: [FREE + PAGE, PTE_RW], 2: [FREE + 8 * PAGE, PTE_RW], 3: [FREE, PTE_R] });
  rig.setCsr("satp", (8n << 60n) | BigInt(ROOT / PAGE));
  rig.enter(1);
}

const SETTINGS: readonly Setting[] = [
  { name: "in M-mode", prepare() {}, borders: [RAM, ...CHUNKS, ROM, ROM + 0x2000], stores: inFree },
  {
    name: "in M-mode where PMP takes a part away",
    prepare(rig) {
      // Locked, without permissions: [FREE + CHUNK, FREE + CHUNK + PAGE), then everything.
      rig.setCsr("pmpaddr0", BigInt((FREE + CHUNK) / 4) | 0x1ffn);
      rig.setCsr("pmpaddr1", 2n ** 54n - 1n);
      rig.setCsr("pmpcfg0", 0x1f98n);
    },
    borders: [RAM, ...CHUNKS, FREE + CHUNK + PAGE],
    stores: inFree,
  },
  {
    name: "in S-mode without page tables",
    prepare(rig) {
      open(rig);
      rig.enter(1);
    },
    borders: [RAM, ...CHUNKS],
    stores: inFree,
  },
  {
    name: "in a gigapage of which little is RAM",
    prepare: withTables,
    borders: [RAM, ...CHUNKS, RAM + 2 ** 30],
    stores: inFree,
  },
  {
    name: "in megapages",
    prepare: withTables,
    borders: [0, 1, 2, 3, 4, 5, 6].map((n) => MAPPED + n * MEGAPAGE),
    stores: (address) => address >= MAPPED + MEGAPAGE || address >= MAPPED + (FREE - RAM),
  },
];

/** A list of where to go, mostly near to borders. */
function addresses({ borders, stores }: Setting, random: Random): bigint[] {
  return Array.from({ length: COUNT }, () => {
    const near = pick(random, [8, 64, PAGE, 4 * PAGE, CHUNK]);
    const address = pick(random, borders) + below(random, 2 * near) - near;
    // The lowest bit of an entry says whether there may be a store.
    return BigInt(address) * 2n + BigInt(stores(address) && stores(address + 64) ? 1 : 0);
  });
}

/** Goes through the list, with the same few instructions for all. */
function program(random: Random): string {
  const offset = () => below(random, 48);
  const loads = Array.from({ length: 1 + below(random, 3) }, () => {
    const load = pick(random, ["lb", "lhu", "lw", "lwu", "ld"]);
    return `${load} a1, ${offset()}(a0)\n xor s1, s1, a1\n rori s1, s1, 9`;
  });
  const stores = Array.from({ length: 1 + below(random, 3) }, () => {
    return `${pick(random, ["sb", "sh", "sw", "sd"])} s1, ${offset()}(a0)`;
  });
  const both = chance(random, 0.5) ? [...stores, ...loads] : stores;
  return `
      li   s4, 6
    rounds:
      li   s2, ${LIST}
      li   s3, ${LIST + COUNT * 8}
    again:
      ld   a0, 0(s2)
      andi a2, a0, 1
      srli a0, a0, 1
      addi s2, s2, 8
      bnez a2, store
      ${loads.join("\n")}
      bne  s2, s3, again
      j    end
    store:
      ${both.join("\n")}
      bne  s2, s3, again
    end:
      addi s4, s4, -1
      bnez s4, rounds
    done:
      j done
  `;
}

describe.if(hasNative)("accesses see what the interpreter sees", () => {
  for (const setting of SETTINGS) {
    test(setting.name, () => {
      const random = createRandom(setting.name.length);
      for (let round = 0; round < 12; round++) {
        const list = addresses(setting, random);
        const text = program(random);
        const budgets = [...Array.from({ length: round % 3 }, () => 1 + below(random, 3000)), 10_000_000];
        const prepare = (rig: Rig) => {
          const { memory } = rig;
          skipTraps(rig);
          for (let at = FREE; at < RAM + RAM_SIZE; at += 8) memory.i32[memory.locate(at, 8) >> 2] = at ^ (at << 7);
          list.forEach((entry, i) => void memory.data.setBigUint64(memory.locate(LIST + i * 8, 8), entry, true));
          const loaded = rig.load(text);
          setting.prepare(rig);
          return loaded;
        };
        compare(prepare, budgets, undefined, { round });
      }
      expect(native.hart.trapped).toBeGreaterThan(setting.name.includes("S-mode") ? -1 : 10);
    });
  }
});

describe.if(hasNative)("what changes is seen:", () => {
  test("stores into code, by the instructions that have stored beside it", () => {
    // What is called at `s3` adds 1 or 3 by turns; between calls, stores go to two other pages: the second is what makes a way wide.
    const text = `
        li   s2, 40
        li   s5, 0x00150513        # addi a0, a0, 1
        li   s8, 0x00008067        # ret
        li   s7, 0x00350513        # addi a0, a0, 3
        mv   a3, s3
        mv   a2, s5
        call poke
        addi a3, s3, 4
        mv   a2, s8
        call poke
      again:
        mv   a3, s6
        mv   a2, s2
        call poke
        mv   a3, s4
        mv   a2, s2
        call poke
        andi a1, s2, 3
        bnez a1, next
        mv   a3, s3
        mv   a2, s5
        call poke
        fence.i
        jalr ra, 0(s3)
        jalr ra, 0(s3)
        xor  a4, s5, s7
        xor  s5, s5, a4
        xor  s7, s7, a4
      next:
        addi s4, s4, 8
        addi s2, s2, -1
        bnez s2, again
        j    done
      poke:
        sw   a2, 0(a3)
        ret
      done:
        j done
    `.replaceAll("call poke", "jal ra, poke");
    for (let page = 0; page < 2 * 64; page++) {
      for (const beside of [-1, 1, 7, -9, 32, 33, -32, -33]) {
        const prepare = (rig: Rig) => {
          skipTraps(rig);
          const at = FREE + (page + 48) * PAGE;
          rig.hart.setX(register("s3"), BigInt(at + 0x800));
          rig.hart.setX(register("s4"), BigInt(at + beside * PAGE));
          rig.hart.setX(register("s6"), BigInt(at + (beside + Math.sign(beside)) * PAGE));
          return rig.load(text);
        };
        compare(prepare, [100_000], undefined, { page, beside });
        expect(native.x("a0")).toBe(40n);
      }
    }
  });

  test("another megapage, and smaller pages in its place", () => {
    const leaf = (physical: number, flags: number) => (BigInt(physical / PAGE) << 10n) | BigInt(flags);
    const text = `
        li   s2, 64
        li   s3, ${ROOT + PAGE}
      again:
        li   a0, ${MAPPED + MEGAPAGE - 3 * PAGE}
        li   a1, 24
      over:
        ld   a2, 0(a0)
        xor  s1, s1, a2
        rori s1, s1, 7
        sd   s1, 8(a0)
        addi a0, a0, 512
        addi a1, a1, -1
        bnez a1, over
        andi a3, s2, 3
        beqz a3, next
        ld   a5, 0(s3)
        sd   s5, 0(s3)
        mv   s5, s6
        mv   s6, a5
        # A fence of one page is for all of its leaf, but not for other ones.
        li   a6, ${MAPPED + PAGE}
        andi a4, a5, 14
        beqz a4, whole
        sfence.vma a6, zero
        j    next
      whole:
        sfence.vma zero, zero
      next:
        addi s2, s2, -1
        bnez s2, again
      done:
        j done
    `;
    const prepare = (rig: Rig) => {
      const { memory } = rig;
      skipTraps(rig);
      for (let at = FREE; at < RAM + RAM_SIZE; at += 8) memory.i32[memory.locate(at, 8) >> 2] = at ^ (at << 7);
      const loaded = rig.load(text);
      withTables(rig);
      table(rig, ROOT + 3 * PAGE, { 509: [FREE, PTE_RW], 510: [FREE + 9 * PAGE, PTE_R], 511: [OTHER, PTE_RW] });
      rig.hart.setX(register("s5"), leaf(OTHER, PTE_RW));
      rig.hart.setX(register("s6"), leaf(ROOT + 3 * PAGE, Pte.V));
      return loaded;
    };
    for (const budget of [1, 61, 1000]) compare(prepare, [...new Array<number>(300).fill(budget), 1_000_000]);
    expect(native.hart.trapped).toBeGreaterThan(10);
  });
});
