/**
 * Physical memory protection: the rules for writing its CSRs, and the decision on an access. Entries are decoded into
 * address ranges when they change, so that a check compares numbers. RISC-V Priv 20240411 §3.7
 */
import { Access } from "./fields.ts";
import { CsrSlot, type Hart, Privilege } from "./hart.ts";

/** Fields of an entry's configuration byte. */
export const PmpConfig = { R: 1, W: 2, X: 4, A: 0x18, TOR: 0x08, NA4: 0x10, NAPOT: 0x18, L: 0x80 } as const;

const WRITABLE = PmpConfig.R | PmpConfig.W | PmpConfig.X | PmpConfig.A | PmpConfig.L;
const PERMISSION = { [Access.load]: PmpConfig.R, [Access.store]: PmpConfig.W, [Access.fetch]: PmpConfig.X } as const;
/** pmpaddr holds bits 55:2 of an address. */
const ADDRESS_MASK = (1n << 54n) - 1n;
/** Addresses of the machine stay below this; ranges beyond are cut here, which no access can tell. */
const ADDRESS_LIMIT = 2n ** 53n;
const PAGE = 4096;

function entryConfig(hart: Hart, entry: number): number {
  const slot = CsrSlot.pmpcfg + (entry >> 3);
  const half = entry & 4 ? hart.csrHigh(slot) : hart.csrLow(slot);
  return (half >>> ((entry & 3) * 8)) & 0xff;
}

/** pmpcfg0 (`register` 0) or pmpcfg2 (1): eight entries each. Locked entries keep what they have. §3.7.1.2 */
export function writePmpConfig(hart: Hart, register: number, value: bigint): void {
  const slot = CsrSlot.pmpcfg + register;
  let next = hart.csr(slot);
  for (let i = 0; i < 8; i++) {
    const entry = register * 8 + i;
    if (entry >= hart.config.pmp || entryConfig(hart, entry) & PmpConfig.L) continue;
    const shift = BigInt(i * 8);
    let config = Number((value >> shift) & 0xffn) & WRITABLE;
    // R=0 with W=1 is reserved: no access is the only reading that grants nothing unasked.
    if (!(config & PmpConfig.R)) config &= ~PmpConfig.W;
    next = (next & ~(0xffn << shift)) | (BigInt(config) << shift);
  }
  hart.setCsr(slot, next);
  changed(hart);
}

export function writePmpAddress(hart: Hart, entry: number, value: bigint): void {
  if (entry >= hart.config.pmp || entryConfig(hart, entry) & PmpConfig.L) return;
  // The bottom of a locked top-of-range entry is locked with it. §3.7.1.2
  const above = entry + 1 < hart.config.pmp ? entryConfig(hart, entry + 1) : 0;
  if (above & PmpConfig.L && (above & PmpConfig.A) === PmpConfig.TOR) return;
  hart.setCsr(CsrSlot.pmpaddr + entry, value & ADDRESS_MASK);
  changed(hart);
}

function changed(hart: Hart): void {
  refreshPmp(hart);
  hart.flushTlb();
}

/** Decodes the entries anew: after a CSR write, a reset, a restored snapshot. */
export function refreshPmp(hart: Hart): void {
  const { pmp } = hart;
  let active = 0;
  for (let entry = 0; entry < hart.config.pmp; entry++) {
    const config = entryConfig(hart, entry);
    const [low, high] = range(hart, entry, config & PmpConfig.A);
    if (low >= high) continue;
    pmp.low[active] = Number(low);
    pmp.high[active] = Number(high);
    pmp.config[active] = config;
    active++;
  }
  pmp.active = active;
  hart.forgetWindow();
}

/** Bytes that an entry matches, as `[low, high)`; nothing where that is empty. §3.7.1.1 */
function range(hart: Hart, entry: number, matching: number): [bigint, bigint] {
  const address = hart.csr(CsrSlot.pmpaddr + entry);
  switch (matching) {
    case PmpConfig.TOR:
      return [clamp(entry === 0 ? 0n : hart.csr(CsrSlot.pmpaddr + entry - 1) << 2n), clamp(address << 2n)];
    case PmpConfig.NA4:
      return [clamp(address << 2n), clamp((address + 1n) << 2n)];
    case PmpConfig.NAPOT: {
      // The lowest zero bit and the ones below it give the size: y…y01…1.
      const inside = address ^ (address + 1n);
      return [clamp((address & ~inside) << 2n), clamp(((address | inside) + 1n) << 2n)];
    }
    default:
      return [0n, 0n];
  }
}

function clamp(address: bigint): bigint {
  return address < ADDRESS_LIMIT ? address : ADDRESS_LIMIT;
}

/** Whether `privilege` may access `[address, address + length)`. */
export function check(hart: Hart, address: number, length: number, access: Access, privilege: Privilege): boolean {
  const { active, low, high, config } = hart.pmp;
  const end = address + length;
  for (let i = 0; i < active; i++) {
    if (end <= low[i] || address >= high[i]) continue;
    // The first entry that matches any byte decides, and must match all of them. §3.7.1.3
    if (address < low[i] || end > high[i]) return false;
    if (privilege === Privilege.machine && !(config[i] & PmpConfig.L)) return true;
    return (config[i] & PERMISSION[access]) !== 0;
  }
  return privilege === Privilege.machine || hart.config.pmp === 0;
}

/** Whether one decision holds for every access inside the 4 KiB page at address `page`. */
export function uniform(hart: Hart, page: number): boolean {
  const { active, low, high } = hart.pmp;
  const end = page + PAGE;
  for (let i = 0; i < active; i++) {
    if (end <= low[i] || page >= high[i]) continue;
    return page >= low[i] && end <= high[i];
  }
  return true;
}
