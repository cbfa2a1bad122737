/** What a TLB miss costs: page tables walked, permissions and PMP checked. */
import type { EnginePort } from "../../src/engine/engine.ts";
import { resetCsrs, writeCsr } from "../../src/isa/riscv/csr.ts";
import { Access } from "../../src/isa/riscv/fields.ts";
import { ENGINE_RESERVED, Hart, Privilege } from "../../src/isa/riscv/hart.ts";
import { translate } from "../../src/isa/riscv/mmu.ts";
import { GuestMemory } from "../../src/memory/guest-memory.ts";
import type { Benchmark } from "../benchmark.ts";
import { race } from "./race.ts";

const RAM = 0x8000_0000;
const ROOT = RAM + 0x10_0000;
const PAGE = 4096;
const TARGET = 0x4000_0000;
const PAGES = 512;
const Csr = { satp: 0x180, pmpcfg0: 0x3a0, pmpaddr0: 0x3b0 } as const;
/** V, R, W, X, A, D. RISC-V Priv §10.3.1 */
const LEAF = 0xcfn;
const POINTER = 1n;
const MODES = [
  { name: "Sv39", mode: 8n, levels: 3 },
  { name: "Sv48", mode: 9n, levels: 4 },
  { name: "Sv57", mode: 10n, levels: 5 },
] as const;

const port: EnginePort = { load: () => -1, store: () => false, time: () => 0, setTimer: () => {} };

export const pageWalk: Benchmark = {
  name: "page-walk",
  summary: "translation of a load in Sv39, Sv48 and Sv57, without the TLB",
  kind: "parts",

  async run(context) {
    const memory = new GuestMemory([{ name: "ram", at: RAM, size: 4 << 20 }], { reserved: ENGINE_RESERVED, pool: 0 });
    const bare = walker(memory, 0, 0n);
    const rows = [];
    for (const { name, mode, levels } of MODES) {
      mapTarget(memory, levels);
      const walk = walker(memory, levels, (mode << 60n) | BigInt(ROOT / PAGE));
      if (walk() !== 0) throw new Error(`${name}: the benchmark's page is not mapped`);
      rows.push(await race(context, `page walk, ${name}, beside no translation`, walk, bare));
    }
    return { rows };
  },
};

/** Translates loads from one page after another, in S-mode of a hart of its own with this `satp`. */
function walker(memory: GuestMemory, index: number, satp: bigint): () => number {
  const hart = new Hart(index, memory, { extensions: new Set(["i", "svadu"]), mmu: "sv57", pmp: 16 }, port);
  resetCsrs(hart);
  // One PMP entry that allows everything, as firmware leaves it.
  writeCsr(hart, Csr.pmpaddr0, (1n << 54n) - 1n);
  writeCsr(hart, Csr.pmpcfg0, 0x1fn);
  writeCsr(hart, Csr.satp, satp);
  hart.privilege = Privilege.supervisor;
  hart.refreshMode();
  let at = 0;
  return () => {
    at = (at + 1) & (PAGES - 1);
    return translate(hart, TARGET + at * PAGE, 0, Access.load, 8);
  };
}

/** A chain of tables down to one full of leaves. */
function mapTarget(memory: GuestMemory, levels: number): void {
  const poke = (at: number, value: bigint) => memory.data.setBigUint64(memory.locate(at, 8), value, true);
  const entry = (target: number, flags: bigint) => (BigInt(target / PAGE) << 10n) | flags;
  let table = ROOT;
  for (let level = levels - 1; level > 0; level--) {
    const next = table + PAGE;
    poke(table + (Math.floor(TARGET / 2 ** (12 + 9 * level)) & 511) * 8, entry(next, POINTER));
    table = next;
  }
  for (let i = 0; i < PAGES; i++) poke(table + i * 8, entry(RAM + i * PAGE, LEAF));
}
