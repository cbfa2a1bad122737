/**
 * Loads and stores of a region. Each goes by the TLB: thorough code keeps the page that a base register last led to in
 * locals, and asks the TLB where that changes; quick code asks every time, which is half the code. What neither can do
 * leaves the region at that instruction.
 */
import { HartField } from "../../isa/riscv/hart.ts";
import { integerNames } from "../../isa/riscv/register-names.ts";
import type { Semantics } from "../../isa/riscv/semantics.ts";
import type { FunctionWriter, Local } from "../../wasm/function.ts";
import { at, LOADS, LOW_LOADS, LOW_STORES, STORES } from "../places.ts";
import { ADDEND, pushTable } from "../tlb-code.ts";
import { accessOf, writeDeviceAccess } from "./device-sites.ts";
import type { RegionPlace } from "./emit.ts";
import { type AccessGroup, groupAccesses } from "./groups.ts";
import { OperandWriter } from "./operand-writer.ts";
import { operandsOf } from "./operands.ts";
import type { Block, Operation } from "./region.ts";

/** No tag is this: tags have zeroes in their low bits. */
const NO_PAGE = -1;

/** The page that a base register last led to. */
interface CachedPage {
  readonly tag: Local;
  readonly addend: Local;
}

export abstract class AccessWriter extends OperandWriter {
  /** Instructions that may be spent. */
  protected abstract readonly budget: Local;
  protected block!: Block;
  /** Instructions of the block from the current one on. */
  protected left = 0;
  /** By block, in order. */
  readonly #groups: Map<Operation, AccessGroup>[] = [];
  /** Where the memory of a group's base register lies, by the group's lowest byte. */
  readonly #groupOffsets = new Map<AccessGroup, Local>();
  readonly #readPages: (CachedPage | undefined)[] = new Array(32);
  readonly #writePages: (CachedPage | undefined)[] = new Array(32);

  constructor(
    f: FunctionWriter,
    protected readonly place: RegionPlace,
  ) {
    super(f, place.parallel, place.level === "thorough");
  }

  /** Leaves at the current instruction, which has not been executed. */
  protected abstract sideExit(): void;
  /** The same if what `condition` pushes is not 0, which it hardly ever is. */
  protected abstract sideExitIf(condition: () => void): void;
  /** Leaves to the address that is pushed. */
  protected abstract leaveTo(pushPc: () => void): void;

  /** What the accesses of a block need. In the order of blocks, before any code is written. */
  protected prepareAccesses(block: Block): void {
    const groups = groupAccesses(block, (operation) => this.#isDevice(operation));
    this.#groups.push(groups);
    for (const operation of block.operations) {
      if (this.#isDirect(operation)) continue;
      const { memory } = operandsOf(operation.instruction);
      if (memory === undefined) continue;
      const { rs1 } = operation;
      const group = groups.get(operation);
      if (group ? group.store : memory === "write") this.#writePages[rs1] ??= this.#cachedPage("write", rs1);
      else this.#readPages[rs1] ??= this.#cachedPage("read", rs1);
    }
  }

  #cachedPage(access: "read" | "write", base: number): CachedPage {
    const name = `${access}_${integerNames[base]}`;
    return { tag: this.f.local("i64", `${name}_tag`), addend: this.f.local("i32", `${name}_addend`) };
  }

  /** No page is known at the region's start. */
  protected startAccesses(): void {
    for (const pages of [this.#readPages, this.#writePages]) {
      for (const page of pages) if (page) this.f.i64(NO_PAGE).set(page.tag);
    }
  }

  /** Whether an access asks the TLB, and keeps nothing of what it says. */
  #isDirect(operation: Operation): boolean {
    return this.place.level === "quick" && !this.#isDevice(operation);
  }

  #isDevice(operation: Operation): boolean {
    return this.place.devices?.at.has(operation.at) === true && accessOf(operation) !== undefined;
  }

  // ---- where memory lies ----

  /**
   * Puts where the memory at the address on the stack lies into `offset`. All of `span` bytes follow each other there, and
   * are aligned where that is asked for.
   */
  #locate(access: "read" | "write", span: number, aligned: boolean): void {
    const table = access === "read" ? HartField.tlbRead : HartField.tlbWrite;
    if (this.#isDirect(this.operation)) return this.#look(table, span, aligned);
    const pages = access === "read" ? this.#readPages : this.#writePages;
    this.#lookOnce(pages[this.operation.rs1]!, table, span, aligned);
  }

  /** By the TLB. */
  #look(table: number, span: number, aligned: boolean): void {
    const { f } = this;
    f.set(this.address);
    this.sideExitIf(() => {
      this.tlbEntry(this.address, table);
      f.get(this.address).i64(pageOrMisaligned(span, aligned)).op("i64.and", "i64.ne");
    });
    if (!aligned) {
      this.sideExitIf(() => {
        f.get(this.address).op("i32.wrap_i64").i32(0xfff).op("i32.and");
        f.i32(0x1000 - span)
          .op("i32.gt_u")
          .if("i32");
        f.get(this.address)
          .i32(span - 1)
          .get(this.offset);
        pushTable(f, table);
        f.call(this.place.shared.pagesPart);
        f.else().i32(0).end();
      });
    }
    f.get(this.address).op("i32.wrap_i64").get(this.offset).memory("i32.load", ADDEND).op("i32.add").set(this.offset);
  }

  /** By the page that the base register last led to, else by the TLB. */
  #lookOnce({ tag, addend }: CachedPage, table: number, span: number, aligned: boolean): void {
    const { f } = this;
    const page = pageOrMisaligned(span, aligned);
    f.set(this.address);
    const found = f.block();
    const elsewhere = f.block();
    f.get(this.address).i64(page).op("i64.and").get(tag).op("i64.ne").brIfUnlikely(elsewhere);
    if (!aligned) this.#lastPage(span).get(tag).op("i64.ne").brIfUnlikely(elsewhere);
    f.br(found).end();
    const nowhere = f.block();
    this.tlbEntry(this.address, table);
    // Kept even where it is not taken: then it is no page of this address, or one that serves the next access.
    f.set(tag);
    f.get(this.offset).memory("i32.load", ADDEND).set(addend);
    f.get(this.address).i64(page).op("i64.and").get(tag).op("i64.ne").brIf(nowhere);
    if (!aligned) {
      this.#lastPage(span).get(tag).op("i64.eq").brIf(found);
      // Two pages will do, if the second one follows the first where they lie, too.
      const last = this.temporary("i64");
      f.get(this.address)
        .i64(span - 1)
        .op("i64.add")
        .set(last);
      this.tlbEntry(last, table);
      this.#lastPage(span).op("i64.ne").brIf(nowhere);
      f.get(this.offset).memory("i32.load", ADDEND).get(addend).op("i32.ne").brIf(nowhere);
    }
    f.br(found).end();
    if (this.#isDevice(this.operation)) {
      this.#accessDevice();
      // The common way leads to the mail then, and nothing is remembered of it.
      f.i64(NO_PAGE).set(tag);
      f.i32(at(HartField.mail0)).get(this.address).op("i32.wrap_i64", "i32.sub").set(addend);
    } else this.sideExit();
    f.end();
    f.get(this.address).op("i32.wrap_i64").get(addend).op("i32.add").set(this.offset);
  }

  /** Pushes the page of the last byte of a span that begins at `address`. */
  #lastPage(span: number): FunctionWriter {
    return this.f
      .get(this.address)
      .i64(span - 1)
      .op("i64.add")
      .i64(-4096)
      .op("i64.and");
  }

  /** Makes the current access, which is a device's. Its value, or a place for what was stored, is in mail0 behind it. */
  #accessDevice(): void {
    const { f } = this;
    const { operation } = this;
    const access = accessOf(operation)!;
    const { state } = this.registers;
    writeDeviceAccess({
      f,
      calls: this.place.devices!.calls,
      access,
      budget: this.budget,
      behind: this.left - 1,
      address: this.address,
      pushPc: (next) => this.pushAddress(operation.at + (next ? operation.length : 0)),
      pushValue: (width) => {
        if (access.does !== "store") return;
        if (width === 8) this.expr(access.value);
        else this.low(access.value);
      },
      take: (offset) => {
        f.i32(0);
        if (access.does === "load") this.#take(access, offset);
      },
      leaveAt: () => this.sideExit(),
      leaveTo: (pushPc) => {
        this.leaveTo(pushPc);
        this.registers.state = state;
      },
    });
  }

  // ---- instructions ----

  /** Where the memory of the current load or store lies: pushes an offset, and answers what is to be added to it. */
  #accessOffset(): number {
    const { f } = this;
    const operation = this.operation;
    const group = this.#groups[this.block.order].get(operation)!;
    if (group.leader === operation) {
      this.registers.push(operation.rs1);
      if (group.low !== 0) f.i64(group.low).op("i64.add");
      const span = group.high - group.low;
      // As an access to all of it is, as a rule: then it cannot reach into another page.
      const aligned = span === group.widest;
      this.#locate(group.store ? "write" : "read", span, aligned);
      if (group.accesses > 1) {
        const offset = f.local("i32", "group");
        this.#groupOffsets.set(group, offset);
        f.get(this.offset).set(offset);
      }
    }
    f.get(this.#groupOffsets.get(group) ?? this.offset);
    return operation.imm - group.low;
  }

  protected load(semantics: Extract<Semantics, { does: "load" }>): void {
    this.#take(semantics, this.#accessOffset());
  }

  /** The value of a load is in memory, `offset` behind where the stack says. */
  #take({ width, signed, to }: Extract<Semantics, { does: "load" }>, offset: number): void {
    const { f } = this;
    const extension = signed ? "signed" : "unsigned";
    const value = () => void f.memory(LOADS[extension][width], offset);
    if (to !== "x") return this.setF(to, value);
    // It may fault, whatever becomes of the value.
    if (this.operation.rd === 0) {
      value();
      f.op("drop");
    } else if (width !== 8 && this.staysNarrow) {
      f.memory(LOW_LOADS[extension][width], offset);
      this.define(true);
    } else {
      value();
      this.define(false);
    }
  }

  protected store({ width, value }: Extract<Semantics, { does: "store" }>): void {
    const offset = this.#accessOffset();
    if (width === 8 || value.kind !== "x") {
      this.expr(value);
      this.f.memory(STORES[width], offset);
    } else {
      this.low(value);
      this.f.memory(LOW_STORES[width], offset);
    }
  }

  protected override atomicOffset(width: 4 | 8, access: "load" | "store"): void {
    this.x("rs1");
    this.#locate(access === "load" ? "read" : "write", width, true);
  }
}

/** What is left of an address for a comparison with tags: the page and, where it has to be aligned, bits that must be 0. */
function pageOrMisaligned(span: number, aligned: boolean): number {
  return aligned ? -4096 | (span - 1) : -4096;
}
