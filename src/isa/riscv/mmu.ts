/**
 * Translation of virtual addresses: the page walk of Sv39, Sv48 and Sv57, with physical memory protection. It fills the
 * TLB's misses, so it works on halves of addresses and not on BigInt. RISC-V Priv 20240411 §10.3 to §10.6
 */
import { PAGE_SIZE, Pass } from "../../memory/guest-memory.ts";
import { Access, Environment, EnvironmentHigh, Status } from "./fields.ts";
import { CsrSlot, type Hart, Privilege } from "./hart.ts";
import { check, uniform } from "./pmp.ts";
import { Cause } from "./trap.ts";

/** Fields of a page table entry's low half. §10.4.1 */
export const Pte = { V: 1, R: 2, W: 4, X: 8, U: 16, G: 32, A: 64, D: 128 } as const;
/** Bits 63 (N, Svnapot), 62:61 (Svpbmt) and 60:54: reserved without those extensions. */
const PTE_RESERVED_HIGH = 0xffc0_0000 | 0;

const TWO_32 = 2 ** 32;
/** Physical addresses are numbers; what cannot be one is no memory of any board. */
const PHYSICAL_LIMIT = 2 ** 53;

const ACCESS_FAULT = {
  [Access.load]: Cause.loadAccess,
  [Access.store]: Cause.storeAccess,
  [Access.fetch]: Cause.fetchAccess,
} as const;
const PAGE_FAULT = {
  [Access.load]: Cause.loadPage,
  [Access.store]: Cause.storePage,
  [Access.fetch]: Cause.fetchPage,
} as const;

/** The result of the last translation that succeeded. */
export const walk = {
  /** Physical address of the 4 KiB page. */
  physical: 0,
  /** Level of the leaf: above 0 the page is a part of something larger, and flushing single pages must take care. */
  level: 0,
  /** The translation holds in every address space. */
  global: false,
  /** One decision holds for the whole page. Otherwise PMP splits it, and the next access must ask again. */
  cacheable: false,
};

/**
 * Translates the address of an access of `length` bytes that stays inside one page. Answers 0 and leaves the result in
 * {@link walk}, or answers the cause of the exception. Who only `looks` sets no A and D: an entry that lacks them is none.
 */
export function translate(
  hart: Hart,
  low: number,
  high: number,
  access: Access,
  length = 1,
  marks: "marks" | "looks" = "marks",
): number {
  const privilege = access === Access.fetch ? hart.privilege : hart.dataPrivilege;
  // Modes 8, 9 and 10 have 3, 4 and 5 levels; Bare has less than none. §10.1.11
  const levels = (hart.csrHigh(CsrSlot.satp) >>> 28) - 5;
  if (privilege === Privilege.machine || levels < 0) return identity(hart, low, high, access, length, privilege);

  // Bits above the topmost VPN must repeat its highest bit. §10.4.1
  const top = high >> (6 + 9 * (levels - 3));
  if (top !== 0 && top !== -1) return PAGE_FAULT[access];

  hart.walks++;
  const { i32 } = hart.memory;
  walk.global = false;
  let table = ((hart.csrHigh(CsrSlot.satp) & 0xfff) * TWO_32 + (hart.csrLow(CsrSlot.satp) >>> 0)) * PAGE_SIZE;
  for (let level = levels - 1; level >= 0; level--) {
    const address = table + pageNumber(low, high, level) * 8;
    const at = hart.memory.locateFor(Pass.read, address, 8);
    // Page tables are read as S-mode reads, whatever the access is. §3.7.2
    if (at < 0 || !check(hart, address, 8, Access.load, Privilege.supervisor)) return ACCESS_FAULT[access];
    let pte = i32[at >>> 2];
    let pteHigh = i32[(at >>> 2) + 1];
    // The halves have to be of one entry.
    while (hart.memory.shared && Atomics.load(i32, at >>> 2) !== pte) {
      pte = Atomics.load(i32, at >>> 2);
      pteHigh = i32[(at >>> 2) + 1];
    }
    if ((pte & Pte.V) === 0 || (pte & (Pte.R | Pte.W)) === Pte.W) return PAGE_FAULT[access];
    if ((pteHigh & PTE_RESERVED_HIGH) !== 0) return PAGE_FAULT[access];
    // In a pointer, G speaks for everything below. §10.3.1
    if ((pte & Pte.G) !== 0) walk.global = true;
    const ppn = (pte >>> 10) + (pteHigh & 0x3f_ffff) * 0x40_0000;
    if ((pte & (Pte.R | Pte.X)) !== 0) {
      return leaf(hart, low, high, access, length, privilege, { level, at, address, pte, ppn, marks });
    }
    // D, A and U are reserved in a pointer to the next level. §10.3.1
    if ((pte & (Pte.D | Pte.A | Pte.U)) !== 0) return PAGE_FAULT[access];
    table = ppn * PAGE_SIZE;
  }
  return PAGE_FAULT[access];
}

/** The 9 bits that index the table of `level`. */
function pageNumber(low: number, high: number, level: number): number {
  switch (level) {
    case 0:
      return (low >>> 12) & 511;
    case 1:
      return (low >>> 21) & 511;
    case 2:
      return ((low >>> 30) | (high << 2)) & 511;
    case 3:
      return (high >>> 7) & 511;
    default:
      return (high >>> 16) & 511;
  }
}

/** Without translation: the address is physical, and only PMP judges. §10.3.2 */
function identity(hart: Hart, low: number, high: number, access: Access, length: number, privilege: Privilege): number {
  const page = (high >>> 0) * TWO_32 + ((low & -PAGE_SIZE) >>> 0);
  if (page >= PHYSICAL_LIMIT || !permitted(hart, page, low, length, access, privilege)) return ACCESS_FAULT[access];
  walk.physical = page;
  walk.level = 0;
  // M-mode is not translated in any address space; S and U are in the next.
  walk.global = privilege === Privilege.machine;
  return 0;
}

/** An entry that maps a page, and where it was found. */
interface Leaf {
  readonly level: number;
  readonly at: number;
  readonly address: number;
  readonly pte: number;
  readonly ppn: number;
  readonly marks: "marks" | "looks";
}

/** Steps 5 to 8 of the translation process. §10.3.2 */
function leaf(
  hart: Hart,
  low: number,
  high: number,
  access: Access,
  length: number,
  privilege: Privilege,
  { level, at, address, pte, ppn, marks }: Leaf,
): number {
  if (!allows(hart, pte, access, privilege)) return PAGE_FAULT[access];
  let number = ppn;
  if (level > 0) {
    const pages = 2 ** (9 * level);
    // A superpage lies on a boundary of its size; the address says which page inside it.
    if (ppn % pages !== 0) return PAGE_FAULT[access];
    number += ((low >>> 12) + (high >>> 0) * 0x10_0000) % pages;
  }

  const wanted = access === Access.store ? Pte.A | Pte.D : Pte.A;
  const updates = (pte & wanted) !== wanted;
  if (updates && (marks === "looks" || !updatesEntries(hart))) return PAGE_FAULT[access];

  const page = number * PAGE_SIZE;
  if (page >= PHYSICAL_LIMIT || !permitted(hart, page, low, length, access, privilege)) return ACCESS_FAULT[access];

  if (updates) {
    // The implicit store is checked like any other; D must not be set for an access that fails. §10.3.1
    if (!check(hart, address, 8, Access.store, Privilege.supervisor)) return ACCESS_FAULT[access];
    if (hart.memory.blockAt(address)?.readOnly || hart.memory.locateFor(Pass.write, address, 8) < 0) {
      return ACCESS_FAULT[access];
    }
    const { i32, codePages, shared } = hart.memory;
    if (codePages[at >>> 12] !== 0) hart.memory.onCodeWrite(at >>> 12);
    // Only where the entry still is what was judged. §10.3.1
    if (!shared) i32[at >>> 2] = pte | wanted;
    else if (Atomics.compareExchange(i32, at >>> 2, pte, pte | wanted) !== pte) {
      return translate(hart, low, high, access, length);
    }
  }
  walk.physical = page;
  walk.level = level;
  return 0;
}

/** Whether the permission bits of a leaf allow the access. §10.3.1, §3.1.6.3 */
function allows(hart: Hart, pte: number, access: Access, privilege: Privilege): boolean {
  const status = hart.csrLow(CsrSlot.mstatus);
  if (privilege === Privilege.user) {
    if ((pte & Pte.U) === 0) return false;
  } else if ((pte & Pte.U) !== 0 && (access === Access.fetch || (status & Status.SUM) === 0)) {
    // S-mode never executes a user's pages, and touches them only under SUM.
    return false;
  }
  switch (access) {
    case Access.fetch:
      return (pte & Pte.X) !== 0;
    case Access.store:
      return (pte & Pte.W) !== 0;
    default:
      return (pte & (status & Status.MXR ? Pte.R | Pte.X : Pte.R)) !== 0;
  }
}

/**
 * Whether the hart itself sets A and D. Svadu leaves it to menvcfg.ADUE; Svade never does; a hart that claims neither does.
 * RISC-V Priv §3.1.18, §10.3.1
 */
function updatesEntries(hart: Hart): boolean {
  if (hart.has("svadu")) return (hart.csrHigh(CsrSlot.menvcfg) & EnvironmentHigh.ADUE) !== 0;
  return !hart.has("svade");
}

/** Asks PMP about the page if one answer holds for all of it, else about the bytes of this access. */
function permitted(
  hart: Hart,
  page: number,
  low: number,
  length: number,
  access: Access,
  privilege: Privilege,
): boolean {
  walk.cacheable = uniform(hart, page);
  if (walk.cacheable) return check(hart, page, PAGE_SIZE, access, privilege);
  return check(hart, page + (low & (PAGE_SIZE - 1)), length, access, privilege);
}

/** Whether SFENCE.VMA is legal now: never in U-mode, in S-mode unless TVM forbids it. §3.1.6.5, §10.2.1 */
export function mayFence(hart: Hart): boolean {
  const { privilege } = hart;
  if (privilege === Privilege.machine) return true;
  return privilege === Privilege.supervisor && (hart.csrLow(CsrSlot.mstatus) & Status.TVM) === 0;
}

/** The permission of menvcfg and senvcfg that a cache-block instruction needs. RISC-V Priv §3.1.18 */
export const CacheOperation = {
  invalidate: Environment.CBIE,
  clean: Environment.CBCFE,
  zero: Environment.CBZE,
} as const;

/** Whether a cache-block instruction is legal now: menvcfg decides for S, senvcfg as well for U. RISC-V Priv §3.1.18, §10.1.10 */
export function mayManageCache(hart: Hart, field: number): boolean {
  const { privilege } = hart;
  if (privilege === Privilege.machine) return true;
  if ((hart.csrLow(CsrSlot.menvcfg) & field) === 0) return false;
  return privilege === Privilege.supervisor || (hart.csrLow(CsrSlot.senvcfg) & field) !== 0;
}
