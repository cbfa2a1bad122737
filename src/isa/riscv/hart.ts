/**
 * One hart's architectural state. It lives in linear memory, where generated code reads and writes it; this class is the
 * view that TypeScript has of it.
 *
 * The hart that runs is *resident*: its block lies at {@link RESIDENT}, so that generated code addresses it by constants.
 * The others rest in blocks of their own. `Hart.base` says where the block lies now.
 */
import type { GuestMemory } from "../../memory/guest-memory.ts";

/** Byte offsets inside a hart's block. Every field is 8 bytes unless it says otherwise. */
export const HartField = {
  /** x0..x31; x0 is never written: writes to it go to `sink`. */
  x: 0x000,
  sink: 0x100,
  pc: 0x108,
  f: 0x110,
  /** Accrued exception flags, 4 bytes. */
  fflags: 0x210,
  /** Dynamic rounding mode, 4 bytes. */
  frm: 0x214,
  /** Linear-memory offset that LR reserved, or -1; 4 bytes. */
  reservation: 0x218,
  /** Current privilege: 0 U, 1 S, 3 M; 4 bytes. */
  privilege: 0x21c,
  /** Not 0: something outside the instruction stream wants attention before the next instruction; 4 bytes. */
  attention: 0x220,
  /** Instructions left in the current run, valid while TypeScript is in charge; 4 bytes, signed. */
  budget: 0x224,
  /** Linear-memory offsets of the TLB tables in force, 4 bytes each. */
  tlbRead: 0x228,
  tlbWrite: 0x22c,
  tlbFetch: 0x230,
  /** Linear-memory offset of the first of the hart's TLB tables, 4 bytes. */
  tlb: 0x234,
  /** Tables known to have no entries, as bits; 4 bytes. */
  tlbEmpty: 0x238,
  /** Not 0: some translation came from a leaf larger than a megapage; 4 bytes. */
  gigapages: 0x23c,
  /** Operands and results of calls out of generated code. */
  mail0: 0x240,
  mail1: 0x248,
  mail2: 0x250,
  mail3: 0x258,
  /**
   * Plain RAM, where nothing but page tables decides about an access (window.ts): its first physical address and its size,
   * both whole pages; what makes a linear-memory offset of a physical address (4 bytes), and the least privilege that it
   * holds for (4 bytes). A size of 0: not known.
   */
  windowStart: 0x260,
  windowSize: 0x268,
  windowOffset: 0x270,
  windowPrivilege: 0x274,
  /** Changes with everything that forgets translations, 4 bytes: who remembers one elsewhere compares. */
  epoch: 0x278,
  /** Instructions that trapped instead of retiring, and page tables walked, so far; 64-bit floats. */
  trapped: 0x3e8,
  walks: 0x3f0,
  /** What LR found, where harts run on threads of their own. */
  reserved: 0x3f8,
  /** CSRs, by {@link CsrSlot}. */
  csr: 0x280,
  /** For native code: the guest page that it executes. */
  nativePage: 0x3d0,
  /** What it has put by of the instructions left; 4 bytes. */
  nativeRest: 0x3d8,
  /** What is known of floating point (`FloatState`). Not 0: the host's own flags have what was raised since; 4 bytes. */
  nativeFloat: 0x3dc,
  /** What a division found beside what was asked, 8 bytes. */
  nativeDivision: 0x3e0,
} as const;

/** Storage of the CSRs that have state of their own, as indices of 8-byte slots behind `HartField.csr`. */
export const CsrSlot = {
  mstatus: 0,
  medeleg: 1,
  mideleg: 2,
  mie: 3,
  /** Low half: bits that software set. High half: the same bits as driven by devices and the timer of Sstc. */
  mip: 4,
  mtvec: 5,
  mcounteren: 6,
  menvcfg: 7,
  mscratch: 8,
  mepc: 9,
  mcause: 10,
  mtval: 11,
  mcountinhibit: 12,
  stvec: 13,
  scounteren: 14,
  senvcfg: 15,
  sscratch: 16,
  sepc: 17,
  scause: 18,
  stval: 19,
  satp: 20,
  stimecmp: 21,
  /** What was written to mcycle/minstret minus the hart's count at that moment; while inhibited, the counter itself. */
  cycleOffset: 22,
  instretOffset: 23,
  /** pmpaddr0..15 and, packed as the architecture has them, pmpcfg0 and pmpcfg2. */
  pmpaddr: 24,
  pmpcfg: 40,
} as const;

const HART_BLOCK = 0x400;
/** Where the running hart's block lies. */
export const RESIDENT = 0x400;
const HOMES = 0x1000;
export const MAX_HARTS = 16;

/**
 * Entries of one TLB table; an entry is `{ tag: i64, addend: i32, flags: i8, run: i8, stamp: i16 }`. No fewer than the pages
 * of a megapage.
 */
export const TLB_ENTRIES = 2048;
/**
 * Flags of an entry: it comes from a leaf of 2 MiB, of 1 GiB or more; it holds in every address space. `wide`: what holds for
 * its page does for as much of the hart's window as its leaf covers, and for all of that where no page tables are in force;
 * `run`: native code may find the page among others (runs.ts), by the number above the flags.
 */
export const TlbFlag = { megapage: 1, gigapage: 2, global: 4, wide: 8, run: 16 } as const;
const PAGES_OF_MEGAPAGE = 512;
export const MEGAPAGES = 4096;
export const TLB_TABLES = 12;
const ALL_TABLES = 2 ** TLB_TABLES - 1;
export const TLB_ENTRY_SIZE = 16;
export const TLB_TABLE_SIZE = TLB_ENTRIES * TLB_ENTRY_SIZE;
const TLBS = 0x10000;
/**
 * Behind a hart's TLB tables: where translations came from megapages, 1 byte each, by {@link megapageOf} an address: 0 is
 * nowhere, else {@link megapageTag} of the address, or {@link SEVERAL_MEGAPAGES} for those of different tags.
 */
export const TLB_MEGAPAGES = TLB_TABLES * TLB_TABLE_SIZE;
export const MEGAPAGE_TAGS = 128;
export const SEVERAL_MEGAPAGES = 255;
/** Tags are made from this bit of an address on: kernels with more levels of page tables lie apart in the upper ones. */
export const MEGAPAGE_TAG_SHIFT = 33;
export const MEGAPAGE_TAG_FOLDS = [12, 21] as const;
/**
 * Translations are also remembered elsewhere (native code does), in two *realms*: S-mode that must not touch pages of
 * programs, and everything else. What is forgotten for a program's sake is seldom anything of the former. Behind the marks of
 * megapages each realm has a byte for pages, by {@link rememberedOf} an address: see {@link Remembered}; then its epoch (4
 * bytes), which changes when all that it remembers is not right any more.
 */
export const Realm = { supervisor: 0, others: 1 } as const;
export type Realm = (typeof Realm)[keyof typeof Realm];
/** `yes`: the page may be remembered. `never`: it was, and had to be forgotten, and all else with it: that pays once. */
export const Remembered = { no: 0, yes: 1, never: 2 } as const;
export const TLB_REALMS = TLB_MEGAPAGES + MEGAPAGES;
export const REMEMBERED_BITS = 14;
export const REALM_EPOCH = 1 << REMEMBERED_BITS;
export const REALM_SIZE = REALM_EPOCH + 8;
/** Behind those, 4 bytes: tables that may have entries of one address space, as bits. */
export const TLB_LOCAL = TLB_REALMS + 2 * REALM_SIZE;
/** Whole pages: guest memory begins on one. */
const TLB_STRIDE = Math.ceil((TLB_LOCAL + 4) / 4096) * 4096;
/** Bytes at the bottom of linear memory that engine state takes. */
export const ENGINE_RESERVED = TLBS + MAX_HARTS * TLB_STRIDE;

export const Privilege = { user: 0, supervisor: 1, machine: 3 } as const;
export type Privilege = (typeof Privilege)[keyof typeof Privilege];

/** Which set of TLB tables an access uses: translations of different modes never meet. */
export const TlbSet = { user: 0, supervisor: 1, supervisorUserAccess: 2, machine: 3 } as const;

/** Tables for reads, writes and fetches of the realm of supervisors. */
const SUPERVISOR_TABLES = 0x111 << TlbSet.supervisor;

const MSTATUS_MPRV = 1 << 17;
const MSTATUS_SUM = 1 << 18;

/** What a hart asks of the machine around it. */
export interface HartPort {
  /** Ticks of the timebase, now. Below 2^53. */
  time(): number;
  /** The hart's `stimecmp` changed (Sstc): the machine keeps the timer. `ticks` is `Infinity` for never. */
  setTimer(hart: number, ticks: number): void;
}

/** What the board decides about a hart. */
export interface HartConfig {
  readonly extensions: ReadonlySet<string>;
  /** Largest paged mode. */
  readonly mmu: "none" | "sv39" | "sv48" | "sv57";
  /** Usable PMP entries, at most 16. */
  readonly pmp: number;
}

/** The PMP entries in force as address ranges, highest priority first; pmp.ts decodes them from the CSRs. */
export interface PmpRanges {
  active: number;
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly config: Uint8Array;
}

export class Hart {
  base: number;
  readonly #home: number;
  readonly #tlb: number;
  /** What earlier runs retired, trapping instructions included. Below 2^53. */
  retired = 0;
  /** Instructions retired before the one that executes now. The engine puts its exact count here. */
  instret: () => number = () => this.retired;
  readonly pmp: PmpRanges = {
    active: 0,
    low: new Float64Array(16),
    high: new Float64Array(16),
    config: new Uint8Array(16),
  };
  /** Whether the window has been looked for since something changed that it depends on. */
  windowKnown = false;

  constructor(
    readonly index: number,
    readonly memory: GuestMemory,
    readonly config: HartConfig,
    readonly port: HartPort,
  ) {
    this.#home = HOMES + index * HART_BLOCK;
    this.#tlb = TLBS + index * TLB_STRIDE;
    this.base = this.#home;
    // Another machine may have had this memory.
    this.setWord(HartField.tlbEmpty, 0);
    this.#local = ALL_TABLES;
    for (const realm of REALMS) this.#forgetIn(realm);
    this.forgetWindow();
    this.trapped = 0;
    this.walks = 0;
  }

  /** Moves the hart's block to where generated code expects it, and `previous` home. */
  makeResident(previous: Hart | undefined): void {
    if (previous === this) return;
    const { u8 } = this.memory;
    if (previous) {
      u8.copyWithin(previous.#home, RESIDENT, RESIDENT + HART_BLOCK);
      previous.base = previous.#home;
      // Others run now and may store: what LR reserved is no longer certain.
      previous.reservation = -1;
    }
    u8.copyWithin(RESIDENT, this.#home, this.#home + HART_BLOCK);
    this.base = RESIDENT;
  }

  /** Register x`index` as a 64-bit pattern. */
  x(index: number): bigint {
    return this.memory.data.getBigUint64(this.base + HartField.x + index * 8, true);
  }
  setX(index: number, value: bigint): void {
    if (index !== 0) this.memory.data.setBigUint64(this.base + HartField.x + index * 8, value, true);
  }
  f(index: number): bigint {
    return this.memory.data.getBigUint64(this.base + HartField.f + index * 8, true);
  }
  setF(index: number, value: bigint): void {
    this.memory.data.setBigUint64(this.base + HartField.f + index * 8, value, true);
  }
  get pc(): bigint {
    return this.memory.data.getBigUint64(this.base + HartField.pc, true);
  }
  set pc(value: bigint) {
    this.memory.data.setBigUint64(this.base + HartField.pc, value, true);
  }
  /** Storage of a CSR; reading and writing with the architecture's rules is csr.ts's affair. */
  csr(slot: number): bigint {
    return this.memory.data.getBigUint64(this.base + HartField.csr + slot * 8, true);
  }
  setCsr(slot: number, value: bigint): void {
    this.memory.data.setBigUint64(this.base + HartField.csr + slot * 8, value, true);
  }
  /** Low and high halves of a CSR's storage, for paths where BigInt is too slow. */
  csrLow(slot: number): number {
    return this.memory.i32[(this.base + HartField.csr + slot * 8) >> 2];
  }
  csrHigh(slot: number): number {
    return this.memory.i32[(this.base + HartField.csr + slot * 8 + 4) >> 2];
  }
  setCsrLow(slot: number, value: number): void {
    this.memory.i32[(this.base + HartField.csr + slot * 8) >> 2] = value;
  }
  setCsrHigh(slot: number, value: number): void {
    this.memory.i32[(this.base + HartField.csr + slot * 8 + 4) >> 2] = value;
  }
  /** One of the 4-byte fields. */
  word(field: number): number {
    return this.memory.i32[(this.base + field) >> 2];
  }
  setWord(field: number, value: number): void {
    this.memory.i32[(this.base + field) >> 2] = value;
  }
  get privilege(): Privilege {
    return this.word(HartField.privilege) as Privilege;
  }
  set privilege(value: Privilege) {
    this.setWord(HartField.privilege, value);
  }
  set reservation(offset: number) {
    this.setWord(HartField.reservation, offset);
  }
  /** Asks generated code to look for interrupts and stops before its next instruction. */
  demandAttention(): void {
    this.setWord(HartField.attention, 1);
  }

  /** See {@link HartField.epoch}. */
  get epoch(): number {
    return this.word(HartField.epoch);
  }

  has(extension: string): boolean {
    return this.config.extensions.has(extension);
  }

  /** The privilege that loads and stores have: MPRV lends that of MPP. RISC-V Priv §3.1.6.3 */
  get dataPrivilege(): Privilege {
    const status = this.csrLow(CsrSlot.mstatus);
    return this.privilege === Privilege.machine && (status & MSTATUS_MPRV) !== 0
      ? (((status >> 11) & 3) as Privilege)
      : this.privilege;
  }

  /** Selects the TLB tables for the mode in force. To be called after every change of privilege, MPRV, MPP or SUM. */
  refreshMode(): void {
    const data = this.dataPrivilege;
    const sum = (this.csrLow(CsrSlot.mstatus) & MSTATUS_SUM) !== 0;
    const set =
      data === Privilege.machine
        ? TlbSet.machine
        : data === Privilege.user
          ? TlbSet.user
          : sum
            ? TlbSet.supervisorUserAccess
            : TlbSet.supervisor;
    this.setWord(HartField.tlb, this.#tlb);
    this.setWord(HartField.tlbRead, this.#tlb + set * TLB_TABLE_SIZE);
    this.setWord(HartField.tlbWrite, this.#tlb + (4 + set) * TLB_TABLE_SIZE);
    this.setWord(HartField.tlbFetch, this.#tlb + (8 + this.privilege) * TLB_TABLE_SIZE);
  }

  /** Forgets every translation: PMP or MXR changed, or SFENCE.VMA without an address. */
  flushTlb(): void {
    this.#flushTables(ALL_TABLES);
    this.memory.u8.fill(0, this.#tlb + TLB_MEGAPAGES, this.#tlb + TLB_MEGAPAGES + MEGAPAGES);
    this.setWord(HartField.gigapages, 0);
  }

  /** What is plain RAM has to be found out anew: PMP or what memory lets through has changed. */
  forgetWindow(): void {
    this.windowKnown = false;
    this.setWord(HartField.windowSize, 0);
    this.setWord(HartField.windowSize + 4, 0);
  }

  /** Instructions that trapped instead of retiring. */
  get trapped(): number {
    return this.memory.data.getFloat64(this.base + HartField.trapped, true);
  }
  set trapped(count: number) {
    this.memory.data.setFloat64(this.base + HartField.trapped, count, true);
  }
  /** Page tables walked. */
  get walks(): number {
    return this.memory.data.getFloat64(this.base + HartField.walks, true);
  }
  set walks(count: number) {
    this.memory.data.setFloat64(this.base + HartField.walks, count, true);
  }

  /** Forgets what holds in one address space only: `satp` changed, or SFENCE.VMA for its ASID. */
  flushAddressSpace(): void {
    this.#count();
    this.#forgetIn(Realm.others);
    if ((this.#local & SUPERVISOR_TABLES) !== 0) this.#forgetIn(Realm.supervisor);
    this.#flushWhere(this.#local, TlbFlag.global, 0);
    this.#local = 0;
  }

  /** Forgets the translation of one page (virtual address as low and high half), in every mode. */
  flushTlbPage(low: number, high: number): void {
    const { i32, u8 } = this.memory;
    this.#count();
    let tag = (this.#tlb + ((low >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE) >> 2;
    for (let table = 0; table < TLB_TABLES; table++, tag += TLB_TABLE_SIZE >> 2) {
      i32[tag] = -1;
      i32[tag + 1] = -1;
    }
    // The larger leaf that the page may be a part of has entries elsewhere, too.
    const range = this.#tlb + TLB_MEGAPAGES + megapageOf(low, high);
    const isOfMegapage = u8[range] === megapageTag(high) || u8[range] === SEVERAL_MEGAPAGES;
    const isOfGigapage = this.word(HartField.gigapages) !== 0;
    if (isOfMegapage) {
      u8[range] = 0;
      const first = (low >>> 12) & (TLB_ENTRIES - 1) & -PAGES_OF_MEGAPAGE;
      this.#flushWhere(ALL_TABLES, TlbFlag.megapage, TlbFlag.megapage, first, PAGES_OF_MEGAPAGE);
    }
    if (isOfGigapage) {
      this.setWord(HartField.gigapages, 0);
      this.#flushWhere(ALL_TABLES, TlbFlag.gigapage, TlbFlag.gigapage);
    }
    for (const realm of REALMS) {
      const mark = this.#realm(realm) + rememberedOf(low, high);
      const isRemembered = u8[mark] === Remembered.yes;
      if (isRemembered || isOfMegapage || isOfGigapage) this.#forgetIn(realm);
      if (isRemembered) u8[mark] = Remembered.never;
    }
  }

  /** Forgets every write translation: some page is about to hold decoded code. */
  flushTlbWrites(): void {
    this.#flushTables(0x0f0);
  }

  /** Forgets every fetch translation: decoded pages were let go. */
  flushTlbFetches(): void {
    this.#flushTables(0xf00);
  }

  /** Remembers that the table at this offset has entries now, of all address spaces or of one. */
  noteFill(table: number, global: boolean): void {
    const bit = 1 << ((table - this.#tlb) / TLB_TABLE_SIZE);
    this.setWord(HartField.tlbEmpty, this.word(HartField.tlbEmpty) & ~bit);
    if (!global) this.#local |= bit;
  }

  #flushTables(tables: number): void {
    this.#count();
    for (const realm of REALMS) this.#forgetIn(realm);
    const empty = this.word(HartField.tlbEmpty);
    const filled = tables & ~empty;
    for (let table = 0; table < TLB_TABLES; table++) {
      if (((filled >> table) & 1) === 0) continue;
      const start = this.#tlb + table * TLB_TABLE_SIZE;
      this.memory.u8.fill(0xff, start, start + TLB_TABLE_SIZE);
    }
    this.setWord(HartField.tlbEmpty, empty | tables);
  }

  /** Something is forgotten. */
  #count(): void {
    this.setWord(HartField.epoch, this.word(HartField.epoch) + 1);
  }

  /** Where a realm has what is remembered. */
  #realm(realm: Realm): number {
    return this.#tlb + TLB_REALMS + realm * REALM_SIZE;
  }

  #forgetIn(realm: Realm): void {
    const { u8, i32 } = this.memory;
    const start = this.#realm(realm);
    // Entries are stamped with its lower half, and none is with 0.
    if ((++i32[(start + REALM_EPOCH) >> 2] & 0xffff) === 0) {
      i32[(start + REALM_EPOCH) >> 2]++;
      u8.fill(0xff, this.#tlb, this.#tlb + TLB_TABLES * TLB_TABLE_SIZE);
    }
    u8.fill(0, start, start + REALM_EPOCH);
  }

  /** See {@link TLB_LOCAL}. */
  get #local(): number {
    return this.memory.i32[(this.#tlb + TLB_LOCAL) >> 2];
  }
  set #local(tables: number) {
    this.memory.i32[(this.#tlb + TLB_LOCAL) >> 2] = tables;
  }

  /** Forgets entries of tables whose flags, as far as `mask` has them, are `flags`: among all, or among some of each table. */
  #flushWhere(tables: number, mask: number, flags: number, first = 0, count = TLB_ENTRIES): void {
    const { i32 } = this.memory;
    const filled = tables & ~this.word(HartField.tlbEmpty);
    for (let table = 0; table < TLB_TABLES; table++) {
      if (((filled >> table) & 1) === 0) continue;
      const start = (this.#tlb + table * TLB_TABLE_SIZE + first * TLB_ENTRY_SIZE) >> 2;
      const end = start + count * (TLB_ENTRY_SIZE >> 2);
      for (let entry = start; entry < end; entry += TLB_ENTRY_SIZE >> 2) {
        if (i32[entry] === -1 || (i32[entry + 3] & mask) !== flags) continue;
        i32[entry] = -1;
        i32[entry + 1] = -1;
      }
    }
  }

  /** Remembers that pages around this one have entries from a larger leaf: of level 1, or above. */
  noteSuperpage(low: number, high: number, level: number): void {
    if (level > 1) return this.setWord(HartField.gigapages, 1);
    const { u8 } = this.memory;
    const mark = this.#tlb + TLB_MEGAPAGES + megapageOf(low, high);
    const tag = megapageTag(high);
    u8[mark] = u8[mark] === 0 || u8[mark] === tag ? tag : SEVERAL_MEGAPAGES;
  }
}

const REALMS: readonly Realm[] = Object.values(Realm);

/** Which of a realm's bytes speaks for the page of an address. */
export function rememberedOf(low: number, high: number): number {
  const page = (low >>> 12) | (high << 20);
  return (page ^ (page >>> REMEMBERED_BITS)) & (REALM_EPOCH - 1);
}

/** Tells many addresses apart that have the same mark: a program's and the kernel's, as a rule. */
function megapageTag(high: number): number {
  const upper = high >>> (MEGAPAGE_TAG_SHIFT - 32);
  const [first, second] = MEGAPAGE_TAG_FOLDS;
  return 1 + ((upper ^ (upper >>> first) ^ (upper >>> second)) & (MEGAPAGE_TAGS - 1));
}

/** Which of the marks behind the TLB speaks for the megapage of an address. */
function megapageOf(low: number, high: number): number {
  return ((low >>> 21) | (high << 11)) & (MEGAPAGES - 1);
}
