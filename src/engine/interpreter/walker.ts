/**
 * Writes the function that fills a miss of the TLB in generated code: what mmu.ts does, for page tables and pages in the
 * hart's window (window.ts), where nothing is to be set in the tables and nobody has to be told. Where anything else is the
 * case it answers 0 and has done nothing; then TypeScript is asked, which finds out the same and acts on it.
 */
import { Access, Status } from "../../isa/riscv/fields.ts";
import {
  CsrSlot,
  HartField,
  MEGAPAGES,
  Privilege,
  SEVERAL_MEGAPAGES,
  TLB_LOCAL,
  TLB_MEGAPAGES,
  TLB_TABLE_SIZE,
  TlbFlag,
} from "../../isa/riscv/hart.ts";
import { Pte } from "../../isa/riscv/mmu.ts";
import type { Callable, FunctionWriter, Local } from "../../wasm/function.ts";
import type { ModuleWriter } from "../../wasm/module.ts";
import { at, csrAt, MSTATUS, PAGE_MASK } from "../places.ts";
import { ADDEND, FLAGS, pushMegapageTag, pushTlbEntry } from "../tlb-code.ts";

/** Where generated code finds what it has to know about a page, by the page's number in the linear memory. */
export interface PageTables {
  /** A byte: not 0 where stores have to be noticed. */
  readonly codePages: number;
  /** 4 bytes: the offset of the decoded page, or 0. */
  readonly decodedPages: number;
}

const PAGE_SHIFT = 12;
const PPN = (1n << 44n) - 1n;
/** Bits 63:54 of an entry. */
const RESERVED_SHIFT = 54;
const PPN_SHIFT = 10;
const VPN_BITS = 9;
/** Bits of an address below the topmost VPN's highest: 12 + 9 * levels - 1. */
const TOP_OF_NONE = PAGE_SHIFT - 1;

/** `(address, access) -> 1` where the TLB has the page now. */
export function defineWalker(module: ModuleWriter, tables: PageTables): Callable {
  const f = module.func({ params: ["i64", "i32"], results: ["i32"] });
  new WalkerWriter(f, tables).write();
  return f;
}

class WalkerWriter {
  readonly #address: Local;
  readonly #access: Local;
  readonly #privilege: Local;
  readonly #status: Local;
  readonly #level: Local;
  readonly #entry: Local;
  readonly #flags: Local;
  readonly #wide: Local;
  readonly #page: Local;
  readonly #shift: Local;
  readonly #offset: Local;
  readonly #walks: Local;

  constructor(
    readonly f: FunctionWriter,
    readonly tables: PageTables,
  ) {
    [this.#address, this.#access] = f.params;
    this.#privilege = f.local("i32");
    this.#status = f.local("i32");
    this.#level = f.local("i32");
    this.#entry = f.local("i64");
    this.#flags = f.local("i32");
    this.#wide = f.local("i64");
    this.#page = f.local("i64");
    this.#shift = f.local("i64");
    this.#offset = f.local("i32");
    this.#walks = f.local("f64");
  }

  write(): void {
    const { f } = this;
    f.i32(0).memory("i32.load", MSTATUS).set(this.#status);
    f.i32(0).memory("i32.load", at(HartField.privilege)).tee(this.#privilege);
    f.i32(0).memory("i32.load", at(HartField.windowPrivilege)).op("i32.lt_u");
    this.#giveUpIf();
    f.get(this.#privilege).i32(Privilege.machine).op("i32.eq").if();
    // MPRV lends another privilege to loads and stores.
    f.get(this.#status)
      .i32(Status.MPRV)
      .op("i32.and")
      .i32(0)
      .get(this.#access)
      .i32(Access.fetch)
      .op("i32.ne", "select");
    this.#giveUpIf();
    f.end();
    const identical = f.block();
    const walked = f.block();
    f.get(this.#privilege).i32(Privilege.machine).op("i32.eq").brIf(walked);
    // Modes 8, 9 and 10 have 3, 4 and 5 levels; Bare has less than none.
    f.i32(0)
      .memory("i32.load", csrAt(CsrSlot.satp) + 4)
      .i32(28)
      .op("i32.shr_u")
      .i32(5)
      .op("i32.sub")
      .tee(this.#level)
      .i32(0)
      .op("i32.lt_s")
      .brIf(walked);
    this.#walk();
    f.br(identical);
    f.end(); // walked: there is nothing to walk
    f.i32(0).set(this.#level);
    f.get(this.#address).i64(PAGE_MASK).op("i64.and").set(this.#page);
    f.i32(TlbFlag.global | TlbFlag.wide).i32(TlbFlag.wide);
    f.get(this.#privilege).i32(Privilege.machine).op("i32.eq", "select").set(this.#flags);
    f.end(); // identical
    this.#enter();
  }

  /** Answers 0 where the i32 on the stack is not. */
  #giveUpIf(): void {
    this.f.if();
    this.f.i32(0).op("return").end();
  }

  /** Gives up on a physical address outside the window. */
  #requireWindow(address: Local): void {
    const { f } = this;
    f.get(address).i32(0).memory("i64.load", at(HartField.windowStart)).op("i64.sub");
    f.i32(0).memory("i64.load", at(HartField.windowSize)).op("i64.ge_u");
    this.#giveUpIf();
  }

  /** Pushes the linear-memory offset of a physical address in the window. */
  #linear(address: Local): void {
    const { f } = this;
    f.get(address).op("i32.wrap_i64").i32(0).memory("i32.load", at(HartField.windowOffset)).op("i32.add");
  }

  /** From the root to the leaf: its page, level and flags. RISC-V Priv §10.3.2 */
  #walk(): void {
    const { f } = this;
    const flag = (bits: number) => f.get(this.#entry).op("i32.wrap_i64").i32(bits).op("i32.and");
    f.f64(1).set(this.#walks);
    // Bits above the topmost VPN repeat its highest bit. §10.4.1
    f.get(this.#address);
    f.get(this.#level).i32(VPN_BITS).op("i32.mul").i32(TOP_OF_NONE).op("i32.add", "i64.extend_i32_u");
    f.op("i64.shr_s").i64(1).op("i64.add").i64(1).op("i64.gt_u");
    this.#giveUpIf();
    f.i32(0).memory("i64.load", csrAt(CsrSlot.satp)).i64(PPN).op("i64.and").set(this.#page);
    f.get(this.#level).i32(VPN_BITS).op("i32.mul").i32(PAGE_SHIFT).op("i32.add", "i64.extend_i32_u").set(this.#shift);
    const found = f.block();
    const down = f.loop();
    f.get(this.#level).op("i32.eqz");
    this.#giveUpIf();
    f.get(this.#level).i32(1).op("i32.sub").set(this.#level);
    f.get(this.#shift).i64(VPN_BITS).op("i64.sub").set(this.#shift);
    f.get(this.#page).i64(PAGE_SHIFT).op("i64.shl");
    f.get(this.#address).get(this.#shift).op("i64.shr_u").i64(511).op("i64.and").i64(3).op("i64.shl", "i64.or");
    f.set(this.#wide);
    this.#requireWindow(this.#wide);
    this.#linear(this.#wide);
    f.memory("i64.load").tee(this.#entry).i64(RESERVED_SHIFT).op("i64.shr_u").i64(0).op("i64.ne");
    this.#giveUpIf();
    flag(Pte.V).op("i32.eqz");
    this.#giveUpIf();
    flag(Pte.R | Pte.W)
      .i32(Pte.W)
      .op("i32.eq");
    this.#giveUpIf();
    // In a pointer, G speaks for everything below.
    f.get(this.#flags);
    flag(Pte.G).op("i32.or").set(this.#flags);
    f.get(this.#entry).i64(PPN_SHIFT).op("i64.shr_u").i64(PPN).op("i64.and").set(this.#page);
    flag(Pte.R | Pte.X).brIf(found);
    flag(Pte.D | Pte.A | Pte.U);
    this.#giveUpIf();
    f.br(down);
    f.end(); // down
    f.end(); // found
    this.#leaf(flag);
  }

  #leaf(flag: (bits: number) => FunctionWriter): void {
    const { f } = this;
    // U-mode touches pages with U alone; S-mode the others, and those under SUM, but to execute them. §10.3.1
    f.get(this.#privilege).if("i32");
    flag(Pte.U).op("i32.eqz").if("i32");
    f.i32(1);
    f.else();
    f.get(this.#status).i32(Status.SUM).op("i32.and").i32(0).op("i32.ne");
    f.get(this.#access).i32(Access.fetch).op("i32.ne", "i32.and");
    f.end();
    f.else();
    flag(Pte.U);
    f.end();
    f.op("i32.eqz");
    this.#giveUpIf();
    f.get(this.#access).i32(Access.store).op("i32.eq").if("i32");
    flag(Pte.W | Pte.A | Pte.D)
      .i32(Pte.W | Pte.A | Pte.D)
      .op("i32.eq");
    f.else();
    flag(Pte.A).i32(0).op("i32.ne");
    f.get(this.#access).i32(Access.fetch).op("i32.eq").if("i32");
    f.i32(Pte.X);
    f.else();
    // MXR makes executable pages readable. §3.1.6.3
    f.i32(Pte.R | Pte.X)
      .i32(Pte.R)
      .get(this.#status)
      .i32(Status.MXR)
      .op("i32.and", "select");
    f.end();
    f.get(this.#entry).op("i32.wrap_i64", "i32.and").i32(0).op("i32.ne", "i32.and");
    f.end();
    f.op("i32.eqz");
    this.#giveUpIf();
    // A superpage lies on a boundary of its size; the address says which page inside it.
    const inside = this.#wide;
    f.i64(1).get(this.#shift).i64(PAGE_SHIFT).op("i64.sub", "i64.shl").i64(1).op("i64.sub").tee(inside);
    f.get(this.#page).op("i64.and").i64(0).op("i64.ne");
    this.#giveUpIf();
    f.get(this.#address).i64(PAGE_SHIFT).op("i64.shr_u").get(inside).op("i64.and");
    f.get(this.#page).op("i64.or").i64(PAGE_SHIFT).op("i64.shl").set(this.#page);
    // The flags of the TLB's entry: what G came to, and the level.
    f.i32(TlbFlag.global).i32(0).get(this.#flags).op("select");
    f.i32(TlbFlag.megapage | TlbFlag.wide).i32(TlbFlag.gigapage | TlbFlag.wide);
    f.get(this.#level).i32(1).op("i32.eq", "select");
    f.i32(0).get(this.#level).op("select", "i32.or").set(this.#flags);
  }

  /** Enters `page` into the access's table. */
  #enter(): void {
    const { f, tables } = this;
    const addend = this.#offset;
    const number = f.local("i32");
    this.#requireWindow(this.#page);
    this.#linear(this.#page);
    f.tee(addend).i32(PAGE_SHIFT).op("i32.shr_u").set(number);
    f.get(this.#access).i32(Access.fetch).op("i32.eq").if();
    f.get(number).i32(2).op("i32.shl").memory("i32.load", tables.decodedPages).tee(addend).op("i32.eqz");
    this.#giveUpIf();
    f.else();
    f.get(this.#access).i32(Access.store).op("i32.eq").if();
    f.get(number).memory("i32.load8_u", tables.codePages);
    this.#giveUpIf();
    f.end();
    f.get(addend).get(this.#address).op("i32.wrap_i64").i32(-4096).op("i32.and", "i32.sub").set(addend);
    f.end();
    this.#note();

    const table = number;
    const entry = this.#level;
    f.get(this.#access).i32(2).op("i32.shl").memory("i32.load", at(HartField.tlbRead)).set(table);
    pushTlbEntry(f, this.#address, () => f.get(table));
    f.tee(entry);
    f.get(this.#address).i64(PAGE_MASK).op("i64.and").memory("i64.store");
    f.get(entry).get(addend).memory("i32.store", ADDEND);
    f.get(entry).get(this.#flags).memory("i32.store", FLAGS);
    // As `Hart.noteFill`.
    const tlb = addend;
    const bit = table;
    f.i32(0).memory("i32.load", at(HartField.tlb)).set(tlb);
    f.i32(1).get(table).get(tlb).op("i32.sub").i32(Math.log2(TLB_TABLE_SIZE)).op("i32.shr_u", "i32.shl").set(bit);
    f.i32(0).i32(0).memory("i32.load", at(HartField.tlbEmpty)).get(bit).i32(-1).op("i32.xor", "i32.and");
    f.memory("i32.store", at(HartField.tlbEmpty));
    f.get(this.#flags).i32(TlbFlag.global).op("i32.and", "i32.eqz").if();
    f.get(tlb).get(tlb).memory("i32.load", TLB_LOCAL).get(bit).op("i32.or").memory("i32.store", TLB_LOCAL).end();
    // A walk that came to nothing is TypeScript's to count.
    f.i32(0).i32(0).memory("f64.load", at(HartField.walks)).get(this.#walks).op("f64.add");
    f.memory("f64.store", at(HartField.walks));
    f.i32(1);
  }

  /** As `Hart.noteSuperpage`. */
  #note(): void {
    const { f } = this;
    const mark = f.local("i32");
    const tag = f.local("i32");
    const earlier = f.local("i32");
    f.get(this.#flags).i32(TlbFlag.megapage).op("i32.and").if();
    f.get(this.#address)
      .i64(PAGE_SHIFT + VPN_BITS)
      .op("i64.shr_u", "i32.wrap_i64")
      .i32(MEGAPAGES - 1)
      .op("i32.and");
    f.i32(0)
      .memory("i32.load", at(HartField.tlb))
      .op("i32.add")
      .tee(mark)
      .memory("i32.load8_u", TLB_MEGAPAGES)
      .set(earlier);
    pushMegapageTag(f, this.#address);
    f.set(tag);
    f.get(mark).get(tag).i32(SEVERAL_MEGAPAGES);
    f.get(earlier).op("i32.eqz").get(earlier).get(tag).op("i32.eq", "i32.or", "select");
    f.memory("i32.store8", TLB_MEGAPAGES);
    f.end();
    f.get(this.#flags).i32(TlbFlag.gigapage).op("i32.and").if();
    f.i32(0).i32(1).memory("i32.store", at(HartField.gigapages));
    f.end();
  }
}
