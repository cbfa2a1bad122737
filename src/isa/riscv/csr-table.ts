/**
 * Every CSR of the hart: number, name, and what reading and writing do. Privilege and read-only-ness are in the number;
 * csr.ts applies them. Registers that are absent here do not exist. RISC-V Priv 20240411 §2
 */
import { Counter, Environment, EnvironmentHigh, MPP_SHIFT, Status, SUPERVISOR_INTERRUPTS } from "./fields.ts";
import { CsrSlot, type Hart, HartField, Privilege } from "./hart.ts";
import { armTimer, ownsTimer, pendingInterrupts, readPending, writablePending } from "./pending.ts";
import { writePmpAddress, writePmpConfig } from "./pmp.ts";

export interface Csr {
  readonly number: number;
  readonly name: string;
  read(hart: Hart): bigint;
  /** Legalises the value (WARL) and stores it, with every effect that this has. Absent: writes change nothing. */
  write?(hart: Hart, value: bigint): void;
  /** What CSRRS and CSRRC modify, where that is not what they read. */
  modifies?(hart: Hart): bigint;
  /** The same in halves, for registers that are accessed all the time. */
  readonly halves?: CsrHalves;
  /** Of a register that is nothing but storage: generated code reads and writes it by itself. */
  readonly storage?: CsrStorage;
  /** Whether the register exists on this hart and may be touched now, beyond what its number says. */
  accessible?(hart: Hart): boolean;
}

export interface CsrHalves {
  low(hart: Hart): number;
  high(hart: Hart): number;
  write(hart: Hart, low: number, high: number): void;
}

export interface CsrStorage {
  readonly slot: number;
  /** Bits that can be written, on a hart with or without 16-bit instructions. */
  writable(compressed: boolean): bigint;
}

const ALL = (1n << 64n) - 1n;
const HPM_COUNTERS = Array.from({ length: 29 }, (_, i) => i + 3);

const low32 = (value: bigint): number => Number(BigInt.asIntN(32, value));
const unsigned = (word: number): bigint => BigInt(word >>> 0);

/** A register with storage of its own, of which `mask` is writable. */
function stored(number: number, name: string, slot: number, mask: bigint, after?: (hart: Hart) => void): Csr {
  const maskLow = Number(BigInt.asIntN(32, mask));
  const maskHigh = Number(BigInt.asIntN(32, mask >> 32n));
  return {
    number,
    name,
    storage: after === undefined ? { slot, writable: () => mask } : undefined,
    read: (hart) => hart.csr(slot),
    write: (hart, value) => {
      hart.setCsr(slot, value & mask);
      after?.(hart);
    },
    halves: {
      low: (hart) => hart.csrLow(slot),
      high: (hart) => hart.csrHigh(slot),
      write: (hart, low, high) => {
        hart.setCsrLow(slot, low & maskLow);
        hart.setCsrHigh(slot, high & maskHigh);
        after?.(hart);
      },
    },
  };
}

/** A register that always reads the same. Where its number makes it writable, writes are ignored. */
function constant(number: number, name: string, value: bigint | ((hart: Hart) => bigint) = 0n): Csr {
  return { number, name, read: typeof value === "bigint" ? () => value : value };
}

// ---- Floating point: fflags, frm, fcsr. RISC-V Unpriv 20240411 §20.2

const FFLAGS = 31;
const FRM = 7;

function hasFloat(hart: Hart): boolean {
  return hart.has("f") || hart.has("d");
}

function floatCsr(
  number: number,
  name: string,
  read: (hart: Hart) => number,
  write: (hart: Hart, v: number) => void,
): Csr {
  return {
    number,
    name,
    accessible: (hart) => hasFloat(hart) && (hart.csrLow(CsrSlot.mstatus) & Status.FS) !== 0,
    read: (hart) => BigInt(read(hart)),
    write: (hart, value) => {
      write(hart, low32(value));
      // FS = dirty. RISC-V Priv §3.1.6.6
      hart.setCsrLow(CsrSlot.mstatus, hart.csrLow(CsrSlot.mstatus) | Status.FS);
    },
  };
}

const flags = (hart: Hart): number => hart.word(HartField.fflags) & FFLAGS;
const rounding = (hart: Hart): number => hart.word(HartField.frm) & FRM;
const setFlags = (hart: Hart, value: number): void => hart.setWord(HartField.fflags, value & FFLAGS);
const setRounding = (hart: Hart, value: number): void => hart.setWord(HartField.frm, value & FRM);

const float: Csr[] = [
  floatCsr(0x001, "fflags", flags, setFlags),
  floatCsr(0x002, "frm", rounding, setRounding),
  floatCsr(
    0x003,
    "fcsr",
    (hart) => (rounding(hart) << 5) | flags(hart),
    (hart, value) => {
      setFlags(hart, value);
      setRounding(hart, value >> 5);
    },
  ),
];

// ---- Counters. RISC-V Priv §3.1.10 to §3.1.12

/** Whether the mode in force may read counter `index`: mcounteren for S, scounteren too for U. §3.1.11, §10.1.5 */
export function counterEnabled(hart: Hart, index: number): boolean {
  const { privilege } = hart;
  if (privilege === Privilege.machine) return true;
  const enabled =
    hart.csrLow(CsrSlot.mcounteren) & (privilege === Privilege.user ? hart.csrLow(CsrSlot.scounteren) : -1);
  return ((enabled >>> index) & 1) !== 0;
}

function readCounter(hart: Hart, slot: number, index: number): bigint {
  const value = hart.csr(slot);
  return inhibited(hart, index) ? value : BigInt.asUintN(64, value + BigInt(hart.instret()));
}

/** The next instruction reads what this one writes: the increment of the writing instruction is suppressed. §3.1.10 */
function writeCounter(hart: Hart, slot: number, index: number, value: bigint): void {
  hart.setCsr(slot, inhibited(hart, index) ? value : BigInt.asUintN(64, value - BigInt(hart.instret() + 1)));
}

function inhibited(hart: Hart, index: number): boolean {
  return ((hart.csrLow(CsrSlot.mcountinhibit) >>> index) & 1) !== 0;
}

/** Both counters count instructions: an instruction takes one cycle. */
const COUNTERS = [
  { name: "cycle", index: Counter.cycle, slot: CsrSlot.cycleOffset },
  { name: "instret", index: Counter.instret, slot: CsrSlot.instretOffset },
] as const;

const counters: Csr[] = [
  ...COUNTERS.flatMap(({ name, index, slot }): Csr[] => [
    {
      number: 0xc00 + index,
      name,
      accessible: (hart) => counterEnabled(hart, index),
      read: (hart) => readCounter(hart, slot, index),
    },
    {
      number: 0xb00 + index,
      name: `m${name}`,
      read: (hart) => readCounter(hart, slot, index),
      write: (hart, value) => writeCounter(hart, slot, index, value),
    },
  ]),
  {
    number: 0xc01,
    name: "time",
    accessible: (hart) => counterEnabled(hart, Counter.time),
    read: (hart) => BigInt(hart.port.time()),
  },
  // No event is counted: these are zero, as §3.1.10 permits.
  ...HPM_COUNTERS.flatMap((n): Csr[] => [
    { ...constant(0xc00 + n, `hpmcounter${n}`), accessible: (hart) => counterEnabled(hart, n) },
    constant(0xb00 + n, `mhpmcounter${n}`),
    constant(0x320 + n, `mhpmevent${n}`),
  ]),
  {
    number: 0x320,
    name: "mcountinhibit",
    read: (hart) => hart.csr(CsrSlot.mcountinhibit),
    write: (hart, value) => {
      const values = COUNTERS.map(({ slot, index }) => readCounter(hart, slot, index));
      const before = COUNTERS.map(({ index }) => inhibited(hart, index));
      hart.setCsr(CsrSlot.mcountinhibit, value & 0b101n);
      // A stopped counter holds its value, a running one its distance to the hart's count.
      for (const [i, { slot, index }] of COUNTERS.entries()) {
        if (inhibited(hart, index) !== before[i]) writeCounter(hart, slot, index, values[i]);
      }
    },
  },
];

// ---- Identity. RISC-V Priv §3.1.1 to §3.1.5

const MISA_LETTERS = ["a", "c", "d", "f", "i", "m"] as const;

function misa(hart: Hart): bigint {
  const bit = (letter: string): bigint => 1n << BigInt(letter.charCodeAt(0) - 97);
  let value = (2n << 62n) | bit("i") | bit("s") | bit("u");
  for (const letter of MISA_LETTERS) if (hart.has(letter)) value |= bit(letter);
  if (hart.has("zba") && hart.has("zbb") && hart.has("zbs")) value |= bit("b");
  return value;
}

const identity: Csr[] = [
  constant(0xf11, "mvendorid"),
  constant(0xf12, "marchid"),
  constant(0xf13, "mimpid"),
  constant(0xf14, "mhartid", (hart) => BigInt(hart.index)),
  constant(0xf15, "mconfigptr"),
  // No extension can be switched off.
  constant(0x301, "misa", misa),
];

// ---- Status. RISC-V Priv §3.1.6, §10.1.1

/** UXL = SXL = 64 bits. */
const SXL_UXL = (2n << 34n) | (2n << 32n);
export const UXL = 2n << 32n;
export const SD = 1n << 63n;
const UXL_HIGH = 2;
const SD_HIGH = 1 << 31;
/** What sstatus shows of mstatus. */
export const SSTATUS = Status.SIE | Status.SPIE | Status.SPP | Status.FS | Status.SUM | Status.MXR;
const MSTATUS = SSTATUS | Status.MIE | Status.MPIE | Status.MPP | Status.MPRV | Status.TVM | Status.TW | Status.TSR;

/** Which of these bits of mstatus the hart has. */
export function statusWritable(hart: Hart, mask: number): number {
  let writable = mask;
  if (!hasFloat(hart)) writable &= ~Status.FS;
  // §3.1.6.3: without paging there is nothing that SUM could permit.
  if (hart.config.mmu === "none") writable &= ~Status.SUM;
  return writable;
}

function writeStatus(hart: Hart, value: number, mask: number): void {
  const before = hart.csrLow(CsrSlot.mstatus);
  const writable = statusWritable(hart, mask);
  let after = (before & ~writable) | (value & writable);
  // MPP is WARL, and 2 is no mode.
  if ((after & Status.MPP) >> MPP_SHIFT === 2) after = (after & ~Status.MPP) | (before & Status.MPP);
  hart.setCsrLow(CsrSlot.mstatus, after);
  const changed = before ^ after;
  if (changed & (Status.MPRV | Status.MPP | Status.SUM)) hart.refreshMode();
  if (changed & Status.MXR) hart.flushTlb();
  if (changed & (Status.MIE | Status.SIE)) attendPending(hart);
}

/** Something may have opened the way to an interrupt; where none is pending, nobody need look. */
function attendPending(hart: Hart): void {
  if (pendingInterrupts(hart) !== 0) hart.demandAttention();
}

function readStatus(hart: Hart, mask: number, widths: bigint): bigint {
  const status = hart.csrLow(CsrSlot.mstatus) & mask;
  const dirty = (status & Status.FS) === Status.FS ? SD : 0n;
  return unsigned(status) | widths | dirty;
}

const status: Csr[] = [
  {
    number: 0x300,
    name: "mstatus",
    read: (hart) => readStatus(hart, MSTATUS, SXL_UXL),
    write: (hart, value) => writeStatus(hart, low32(value), MSTATUS),
  },
  {
    number: 0x100,
    name: "sstatus",
    read: (hart) => readStatus(hart, SSTATUS, UXL),
    write: (hart, value) => writeStatus(hart, low32(value), SSTATUS),
    halves: {
      low: (hart) => hart.csrLow(CsrSlot.mstatus) & SSTATUS,
      high: (hart) => ((hart.csrLow(CsrSlot.mstatus) & Status.FS) === Status.FS ? SD_HIGH : 0) | UXL_HIGH,
      write: (hart, low) => writeStatus(hart, low, SSTATUS),
    },
  },
];

// ---- Interrupts and delegation. RISC-V Priv §3.1.8, §3.1.9, §10.1.3

/** Interrupts 1, 3, 5, 7, 9 and 11 exist. */
const MIE = 0xaaa;
/** Every standard exception but an ecall from M, which no lower mode can meet. §3.1.8 */
const MEDELEG = 0xb3ffn;

function writeEnables(hart: Hart, value: number, mask: number): void {
  hart.setCsrLow(CsrSlot.mie, (hart.csrLow(CsrSlot.mie) & ~mask) | (value & mask));
  attendPending(hart);
}

function writePending(hart: Hart, value: number, mask: number): void {
  const writable = mask & writablePending(hart);
  hart.setCsrLow(CsrSlot.mip, (hart.csrLow(CsrSlot.mip) & ~writable) | (value & writable));
  attendPending(hart);
}

const delegated = (hart: Hart): number => hart.csrLow(CsrSlot.mideleg);
const SSIP = 1 << 1;

const interrupts: Csr[] = [
  stored(0x302, "medeleg", CsrSlot.medeleg, MEDELEG),
  stored(0x303, "mideleg", CsrSlot.mideleg, BigInt(SUPERVISOR_INTERRUPTS), (hart) => hart.demandAttention()),
  {
    number: 0x304,
    name: "mie",
    read: (hart) => hart.csr(CsrSlot.mie),
    write: (hart, value) => writeEnables(hart, low32(value), MIE),
  },
  {
    number: 0x344,
    name: "mip",
    read: (hart) => unsigned(readPending(hart)),
    write: (hart, value) => writePending(hart, low32(value), SUPERVISOR_INTERRUPTS),
    // CSRRS and CSRRC modify the software's bits; the lines are only read. §3.1.9
    modifies: (hart) => unsigned(hart.csrLow(CsrSlot.mip)),
  },
  {
    number: 0x104,
    name: "sie",
    read: (hart) => unsigned(hart.csrLow(CsrSlot.mie) & delegated(hart)),
    write: (hart, value) => writeEnables(hart, low32(value), delegated(hart)),
  },
  {
    number: 0x144,
    name: "sip",
    read: (hart) => unsigned(readPending(hart) & delegated(hart)),
    write: (hart, value) => writePending(hart, low32(value), delegated(hart) & SSIP),
  },
];

// ---- Trap handling. RISC-V Priv §3.1.7, §3.1.13 to §3.1.16, §10.1

/** BASE and MODE; modes 2 and 3 are reserved and become their lower neighbours. §3.1.7 */
const TVEC = ALL & ~2n;

function trapRegisters(prefix: "m" | "s", first: number, slots: { readonly [name: string]: number }): Csr[] {
  // Bits that no instruction address has are zero: IALIGN is 16 with C, else 32. §3.1.14
  const writable = (compressed: boolean) => ALL & (compressed ? ~1n : ~3n);
  return [
    stored(first + 0x05, `${prefix}tvec`, slots["tvec"], TVEC),
    stored(first + 0x40, `${prefix}scratch`, slots["scratch"], ALL),
    {
      number: first + 0x41,
      name: `${prefix}epc`,
      read: (hart) => hart.csr(slots["epc"]),
      storage: { slot: slots["epc"], writable },
      write: (hart, value) => hart.setCsr(slots["epc"], value & writable(hart.has("c"))),
      halves: {
        low: (hart) => hart.csrLow(slots["epc"]),
        high: (hart) => hart.csrHigh(slots["epc"]),
        write: (hart, low, high) => {
          hart.setCsrLow(slots["epc"], low & (hart.has("c") ? ~1 : ~3));
          hart.setCsrHigh(slots["epc"], high);
        },
      },
    },
    stored(first + 0x42, `${prefix}cause`, slots["cause"], ALL),
    stored(first + 0x43, `${prefix}tval`, slots["tval"], ALL),
  ];
}

const traps: Csr[] = [
  ...trapRegisters("m", 0x300, {
    tvec: CsrSlot.mtvec,
    scratch: CsrSlot.mscratch,
    epc: CsrSlot.mepc,
    cause: CsrSlot.mcause,
    tval: CsrSlot.mtval,
  }),
  ...trapRegisters("s", 0x100, {
    tvec: CsrSlot.stvec,
    scratch: CsrSlot.sscratch,
    epc: CsrSlot.sepc,
    cause: CsrSlot.scause,
    tval: CsrSlot.stval,
  }),
];

// ---- What lower modes may do. RISC-V Priv §3.1.11, §3.1.18, §10.1.5, §10.1.10

/** Fields of menvcfg and senvcfg that the hart's extensions define. */
function environmentMask(hart: Hart): number {
  let mask: number = Environment.FIOM;
  if (hart.has("zicbom")) mask |= Environment.CBIE | Environment.CBCFE;
  if (hart.has("zicboz")) mask |= Environment.CBZE;
  return mask;
}

function writeEnvironment(hart: Hart, slot: number, value: number): void {
  let legal = value & environmentMask(hart);
  // CBIE = 2 is reserved: keep what was.
  if ((legal & Environment.CBIE) === 0x20) {
    legal = (legal & ~Environment.CBIE) | (hart.csrLow(slot) & Environment.CBIE);
  }
  hart.setCsrLow(slot, legal);
}

const environment: Csr[] = [
  stored(0x306, "mcounteren", CsrSlot.mcounteren, 0xffff_ffffn),
  stored(0x106, "scounteren", CsrSlot.scounteren, 0xffff_ffffn),
  {
    number: 0x30a,
    name: "menvcfg",
    read: (hart) => hart.csr(CsrSlot.menvcfg),
    write: (hart, value) => {
      writeEnvironment(hart, CsrSlot.menvcfg, low32(value));
      const before = hart.csrHigh(CsrSlot.menvcfg);
      let mask = 0;
      if (hart.has("svadu")) mask |= EnvironmentHigh.ADUE;
      if (hart.has("sstc")) mask |= EnvironmentHigh.STCE;
      const after = low32(value >> 32n) & mask;
      hart.setCsrHigh(CsrSlot.menvcfg, after);
      if ((before ^ after) & EnvironmentHigh.STCE) armTimer(hart);
    },
  },
  {
    number: 0x10a,
    name: "senvcfg",
    read: (hart) => hart.csr(CsrSlot.senvcfg),
    write: (hart, value) => writeEnvironment(hart, CsrSlot.senvcfg, low32(value)),
  },
];

// ---- Translation and the supervisor's timer. RISC-V Priv §10.1.11, §11.1

/** 16 bits of ASID. */
const ASID_AND_PPN = (1n << 60n) - 1n;
const PPN = (1n << 44n) - 1n;
const LARGEST_MODE = { none: 0, sv39: 8, sv48: 9, sv57: 10 } as const;

const supervisor: Csr[] = [
  {
    number: 0x180,
    name: "satp",
    // TVM lets M-mode watch a supervisor's page tables. §3.1.6.5
    accessible: (hart) => hart.privilege === Privilege.machine || (hart.csrLow(CsrSlot.mstatus) & Status.TVM) === 0,
    read: (hart) => hart.csr(CsrSlot.satp),
    write: (hart, value) => {
      const mode = Number(value >> 60n);
      // A mode that is not supported: the whole write has no effect.
      if (mode !== 0 && (mode < LARGEST_MODE.sv39 || mode > LARGEST_MODE[hart.config.mmu])) return;
      const old = hart.csr(CsrSlot.satp);
      const next = (BigInt(mode) << 60n) | (value & (mode === 0 ? PPN : ASID_AND_PPN));
      hart.setCsr(CsrSlot.satp, next);
      if (next === old) return;
      // Only the current address space has translations, besides what is global.
      if (next >> 60n === old >> 60n) hart.flushAddressSpace();
      else hart.flushTlb();
    },
  },
  {
    number: 0x14d,
    name: "stimecmp",
    accessible: (hart) =>
      hart.has("sstc") && (hart.privilege === Privilege.machine || (ownsTimer(hart) && counterBit(hart, Counter.time))),
    read: (hart) => hart.csr(CsrSlot.stimecmp),
    write: (hart, value) => {
      hart.setCsr(CsrSlot.stimecmp, value);
      if (ownsTimer(hart)) armTimer(hart);
    },
  },
];

function counterBit(hart: Hart, index: number): boolean {
  return ((hart.csrLow(CsrSlot.mcounteren) >>> index) & 1) !== 0;
}

// ---- Physical memory protection. RISC-V Priv §3.7.1

const protection: Csr[] = [
  // On RV64 the odd-numbered configuration registers do not exist.
  ...[0, 1].map((register): Csr => {
    return {
      number: 0x3a0 + register * 2,
      name: `pmpcfg${register * 2}`,
      accessible: (hart) => hart.config.pmp > 0,
      read: (hart) => hart.csr(CsrSlot.pmpcfg + register),
      write: (hart, value) => writePmpConfig(hart, register, value),
    };
  }),
  ...Array.from({ length: 16 }, (_, entry): Csr => {
    return {
      number: 0x3b0 + entry,
      name: `pmpaddr${entry}`,
      accessible: (hart) => hart.config.pmp > 0,
      read: (hart) => hart.csr(CsrSlot.pmpaddr + entry),
      write: (hart, value) => writePmpAddress(hart, entry, value),
    };
  }),
];

// ---- Triggers: none. `tdata1` of type 0 says so to those who look. RISC-V Debug 1.0 §5.7

const triggers: Csr[] = [
  constant(0x7a0, "tselect"),
  constant(0x7a1, "tdata1"),
  constant(0x7a2, "tdata2"),
  constant(0x7a3, "tdata3"),
];

/** By ascending number. */
export const csrs: readonly Csr[] = [
  ...float,
  ...counters,
  ...identity,
  ...status,
  ...interrupts,
  ...traps,
  ...environment,
  ...supervisor,
  ...protection,
  ...triggers,
].sort((a, b) => a.number - b.number);
