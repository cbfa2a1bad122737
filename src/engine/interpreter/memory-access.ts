/**
 * Loads and stores that generated code could not finish by its TLB: misses, device registers, misaligned accesses, stores
 * into pages with decoded code. Addresses and data travel through the resident hart's mail fields.
 */
import { Access } from "../../isa/riscv/fields.ts";
import { type Hart, HartField, RESIDENT, TLB_ENTRIES, TLB_ENTRY_SIZE, TlbFlag } from "../../isa/riscv/hart.ts";
import { translate, walk } from "../../isa/riscv/mmu.ts";
import { Cause, raise } from "../../isa/riscv/trap.ts";
import { findWindow } from "../../isa/riscv/window.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { PAGE_SIZE, Pass } from "../../memory/guest-memory.ts";
import type { EnginePort } from "../engine.ts";
import type { DecodedPages } from "./decoded-pages.ts";
import { DevicePages } from "./device-pages.ts";
import { type DeviceWays, deviceWays } from "./device-ways.ts";

const LEVEL_FLAGS = [0, TlbFlag.megapage, TlbFlag.gigapage, TlbFlag.gigapage, TlbFlag.gigapage];
const IN_PAGE = PAGE_SIZE - 1;
const mail = (field: number) => (RESIDENT + field) >> 2;
const ADDRESS = mail(HartField.mail0);
const VALUE = mail(HartField.mail1);
const TLB_READ = mail(HartField.tlbRead);
const TLB_WRITE = mail(HartField.tlbWrite);
const TLB_FETCH = mail(HartField.tlbFetch);

export class MemoryAccess {
  /** The hart that runs. */
  hart!: Hart;
  /** Ahead of all else here: registers that instructions access again and again. */
  readonly ways: DeviceWays;
  /** By direction, for the two go by turns. */
  readonly #loaded = new DevicePages();
  readonly #stored = new DevicePages();
  /** Where other threads have the memory, for aligned accesses of 8 bytes: two halves would show. RISC-V Unpriv §18.1 */
  readonly #whole: BigInt64Array | undefined;

  constructor(
    readonly memory: GuestMemory,
    readonly port: EnginePort,
    readonly pages: DecodedPages,
    hot: number,
  ) {
    this.ways = deviceWays(memory, port, hot);
    if (memory.shared) this.#whole = new BigInt64Array(memory.memory.buffer);
  }

  /** Loads `width` bytes at mail0 into mail0; `false` when the load trapped. */
  load(width: number): boolean {
    const { i32 } = this.memory;
    const low = i32[ADDRESS];
    const high = i32[ADDRESS + 1];
    const known = this.loadKnown(width);
    if (known !== undefined) return known;
    if (crossesPage(low, width)) return this.#loadCrossing(low, high, width);
    const cause = this.#translate(low, high, Access.load, width);
    if (cause !== 0) return this.#trap(cause);
    const offset = this.memory.locateFor(Pass.read, walk.physical, PAGE_SIZE);
    if (offset < 0) {
      if (walk.cacheable) this.#loaded.note(low, high, i32[TLB_READ], this.hart.epoch, walk.physical);
      return this.#loadDevice(walk.physical + (low & IN_PAGE), width);
    }
    if (walk.cacheable) this.#fill(TLB_READ, low, high, offset);
    const at = offset + (low & IN_PAGE);
    if ((at & (width - 1)) !== 0) {
      this.#loadBytes(at, width);
      return true;
    }
    i32[ADDRESS + 1] = 0;
    if (width === 8 && this.#whole) this.#whole[ADDRESS >> 1] = this.#whole[at >>> 3];
    else if (width === 8) {
      i32[ADDRESS] = i32[at >>> 2];
      i32[ADDRESS + 1] = i32[(at >>> 2) + 1];
    } else if (width === 4) i32[ADDRESS] = i32[at >>> 2];
    else i32[ADDRESS] = width === 2 ? this.memory.u16[at >>> 1] : this.memory.u8[at];
    return true;
  }

  /** The same, if the page is known to be no memory; `undefined`: nothing was done. */
  loadKnown(width: number): boolean | undefined {
    const { i32 } = this.memory;
    const low = i32[ADDRESS];
    const high = i32[ADDRESS + 1];
    const device = this.#loaded.find(low, high, width, i32[TLB_READ], this.hart.epoch);
    if (device < 0) return undefined;
    if (width < 8) this.ways.learnLoad(low, high, width, device);
    return this.#loadDevice(device, width);
  }

  /** Stores the low `width` bytes of mail1 at mail0; `false` when the store trapped. */
  store(width: number): boolean {
    const { i32 } = this.memory;
    const low = i32[ADDRESS];
    const high = i32[ADDRESS + 1];
    const known = this.storeKnown(width);
    if (known !== undefined) return known;
    if (crossesPage(low, width)) return this.#storeCrossing(low, high, width);
    const cause = this.#translate(low, high, Access.store, width);
    if (cause !== 0) return this.#trap(cause);
    const block = this.memory.locateFor(Pass.write, walk.physical, PAGE_SIZE);
    if (block < 0) {
      if (walk.cacheable) this.#stored.note(low, high, i32[TLB_WRITE], this.hart.epoch, walk.physical);
      return this.#storeDevice(walk.physical + (low & IN_PAGE), width);
    }
    const offset = this.#writable(low, high, block, width);
    if (offset < 0) return this.#trap(Cause.storeAccess);
    if ((offset & (width - 1)) !== 0) this.memory.u8.copyWithin(offset, VALUE << 2, (VALUE << 2) + width);
    else if (width === 8 && this.#whole) this.#whole[offset >>> 3] = this.#whole[VALUE >> 1];
    else if (width === 8) {
      i32[offset >>> 2] = i32[VALUE];
      i32[(offset >>> 2) + 1] = i32[VALUE + 1];
    } else if (width === 4) i32[offset >>> 2] = i32[VALUE];
    else if (width === 2) this.memory.u16[offset >>> 1] = i32[VALUE];
    else this.memory.u8[offset] = i32[VALUE];
    return true;
  }

  /** The same, if the page is known to be no memory; `undefined`: nothing was done. */
  storeKnown(width: number): boolean | undefined {
    const { i32 } = this.memory;
    const low = i32[ADDRESS];
    const high = i32[ADDRESS + 1];
    const device = this.#stored.find(low, high, width, i32[TLB_WRITE], this.hart.epoch);
    if (device < 0) return undefined;
    if (width < 8) this.ways.learnStore(low, high, width, device);
    return this.#storeDevice(device, width);
  }

  /** Puts the offset of the RAM at mail0 into mail0, ready for `access`; `false` when the access trapped. */
  locate(width: number, access: number): boolean {
    const { i32 } = this.memory;
    const low = i32[ADDRESS];
    const high = i32[ADDRESS + 1];
    const store = access === Access.store;
    if ((low & (width - 1)) !== 0) return this.#trap(store ? Cause.storeMisaligned : Cause.loadMisaligned);
    const cause = this.#translate(low, high, store ? Access.store : Access.load, width);
    if (cause !== 0) return this.#trap(cause);
    const block = this.#atomic(store);
    // Atomic accesses and block zeroing are for memory: device registers answer with an access fault.
    if (block < 0) return this.#trap(store ? Cause.storeAccess : Cause.loadAccess);
    let offset = block + (low & IN_PAGE);
    if (store) offset = this.#writable(low, high, block, Math.max(width, zeroedBy(low, width)));
    else if (walk.cacheable) this.#fill(TLB_READ, low, high, block);
    if (offset < 0) return this.#trap(Cause.storeAccess);
    i32[ADDRESS] = offset;
    return true;
  }

  /** Translates a fetch at `pc`; answers the linear-memory offset of its page, or -1 when the fetch trapped at `tval`. */
  fetch(low: number, high: number, tval: bigint): number {
    const cause = this.#translate(low, high, Access.fetch, 2);
    const offset = cause === 0 ? this.memory.locateFor(Pass.execute, walk.physical, PAGE_SIZE) : -1;
    if (offset >= 0) return offset;
    raise(this.hart, cause === 0 ? Cause.fetchAccess : cause, tval);
    return -1;
  }

  /** Enters a fetch translation, where the last walk may be kept. */
  fillFetch(low: number, high: number, ops: number): void {
    if (walk.cacheable) this.#fillEntry(TLB_FETCH, low, high, ops);
  }

  #translate(low: number, high: number, access: Access, width: number): number {
    // Whoever is asked sees to it that generated code need not ask again.
    if (!this.hart.windowKnown) findWindow(this.hart);
    return translate(this.hart, low, high, access, width);
  }

  /** The access of mail0 is an access fault. */
  fault(store: boolean): boolean {
    return this.#trap(store ? Cause.storeAccess : Cause.loadAccess);
  }

  #trap(cause: number): boolean {
    raise(this.hart, cause, this.memory.data.getBigUint64(ADDRESS << 2, true));
    return false;
  }

  #fill(table: number, low: number, high: number, offset: number): void {
    this.#fillEntry(table, low, high, (offset - (low & ~IN_PAGE)) | 0);
  }

  #fillEntry(table: number, low: number, high: number, addend: number): void {
    const { i32 } = this.memory;
    const entry = (i32[table] + ((low >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE) >> 2;
    i32[entry] = low & ~IN_PAGE;
    i32[entry + 1] = high;
    i32[entry + 2] = addend;
    i32[entry + 3] = LEVEL_FLAGS[walk.level] | (walk.global ? TlbFlag.global : 0);
    this.hart.noteFill(i32[table], walk.global);
    if (walk.level > 0) this.hart.noteSuperpage(low, high, walk.level);
  }

  /** Prepares a store into the page at `block`: the offset to store at, or -1 for ROM. */
  #writable(low: number, high: number, block: number, width: number): number {
    if (this.#isRom(walk.physical)) return -1;
    const offset = block + (low & IN_PAGE);
    const page = block >>> 12;
    // Pages with decoded code get no write translation, so that every store to them comes by here.
    if (this.memory.codePages[page] !== 0) this.pages.noteStore(offset, width);
    // Atomic instructions read by write translations: memory that lets only writes through gets none.
    const readable = this.memory.locateFor(Pass.read, walk.physical, PAGE_SIZE) >= 0;
    if (this.memory.codePages[page] === 0 && walk.cacheable && readable) this.#fill(TLB_WRITE, low, high, block);
    return offset;
  }

  /** The page that an atomic access or a load-reserved is to; -1 where that is not memory for all it does. */
  #atomic(store: boolean): number {
    const { memory } = this;
    if (store && memory.locateFor(Pass.write, walk.physical, PAGE_SIZE) < 0) return -1;
    return memory.locateFor(Pass.read, walk.physical, PAGE_SIZE);
  }

  #isRom(physical: number): boolean {
    return this.memory.blockAt(physical)?.readOnly === true;
  }

  #loadDevice(address: number, width: number): boolean {
    const { i32 } = this.memory;
    // Devices take aligned accesses only.
    if (address % width !== 0) return this.#trap(Cause.loadAccess);
    if (width === 8) {
      const whole = this.port.load64?.(address);
      if (whole === -1n) return this.#trap(Cause.loadAccess);
      if (whole !== undefined) {
        this.memory.data.setBigUint64(ADDRESS << 2, whole, true);
        return true;
      }
    }
    const value = this.port.load(address, width === 8 ? 4 : width);
    // 64-bit registers are read as two halves, low half first; no guest time passes in between.
    const upper = width === 8 && value >= 0 ? this.port.load(address + 4, 4) : 0;
    if (value < 0 || upper < 0) return this.#trap(Cause.loadAccess);
    i32[ADDRESS] = value;
    i32[ADDRESS + 1] = upper;
    return true;
  }

  #storeDevice(address: number, width: number): boolean {
    const { i32 } = this.memory;
    if (address % width !== 0) return this.#trap(Cause.storeAccess);
    if (width === 8 && this.port.store64 !== undefined) {
      const whole = this.port.store64(address, this.memory.data.getBigUint64(VALUE << 2, true));
      if (whole !== undefined) return whole || this.#trap(Cause.storeAccess);
    }
    const value = i32[VALUE] >>> 0;
    const low = width >= 4 ? value : value & (width === 2 ? 0xffff : 0xff);
    const stored =
      this.port.store(address, width === 8 ? 4 : width, low) &&
      (width < 8 || this.port.store(address + 4, 4, i32[VALUE + 1] >>> 0));
    return stored || this.#trap(Cause.storeAccess);
  }

  #loadBytes(offset: number, width: number): void {
    const { i32, u8 } = this.memory;
    i32[ADDRESS] = 0;
    i32[ADDRESS + 1] = 0;
    u8.copyWithin(ADDRESS << 2, offset, offset + width);
  }

  /** Byte by byte, both pages translated before anything is read. */
  #loadCrossing(low: number, high: number, width: number): boolean {
    const { i32, u8 } = this.memory;
    const offsets = this.#bytes(low, high, width, Access.load);
    if (offsets === undefined) return false;
    i32[ADDRESS] = 0;
    i32[ADDRESS + 1] = 0;
    for (let i = 0; i < width; i++) u8[(ADDRESS << 2) + i] = u8[offsets[i]];
    return true;
  }

  #storeCrossing(low: number, high: number, width: number): boolean {
    const { u8 } = this.memory;
    const offsets = this.#bytes(low, high, width, Access.store);
    if (offsets === undefined) return false;
    for (let i = 0; i < width; i++) {
      if (this.memory.codePages[offsets[i] >>> 12] !== 0) this.pages.noteStore(offsets[i], 1);
      u8[offsets[i]] = u8[(VALUE << 2) + i];
    }
    return true;
  }

  /** Where each byte of an access to two pages lies; `undefined` when it trapped. */
  #bytes(low: number, high: number, width: number, access: 0 | 1): number[] | undefined {
    const offsets: number[] = [];
    const fault = access === Access.store ? Cause.storeAccess : Cause.loadAccess;
    for (let i = 0; i < width; i++) {
      const at = (low >>> 0) + i;
      const carried = at > 0xffffffff ? high + 1 : high;
      const cause = translate(this.hart, at | 0, carried, access, 1);
      const passing = access === Access.store ? Pass.write : Pass.read;
      const block = cause === 0 ? this.memory.locateFor(passing, walk.physical, PAGE_SIZE) : -1;
      const rom = access === Access.store && block >= 0 && this.#isRom(walk.physical);
      if (block < 0 || rom) {
        // The trap value is the first byte that faults. RISC-V Priv §3.1.16
        const { data } = this.memory;
        data.setBigUint64(ADDRESS << 2, BigInt.asUintN(64, data.getBigUint64(ADDRESS << 2, true) + BigInt(i)), true);
        this.#trap(cause === 0 ? fault : cause);
        return undefined;
      }
      offsets.push(block + (at & IN_PAGE));
    }
    return offsets;
  }
}

function crossesPage(low: number, width: number): boolean {
  return (low & IN_PAGE) + width > PAGE_SIZE;
}

/** CBO.ZERO asks for the start of its block as an 8-byte store: then the whole block is about to change. */
function zeroedBy(low: number, width: number): number {
  return width === 8 && (low & 63) === 0 ? 64 : width;
}
