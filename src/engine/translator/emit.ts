/**
 * Writes a region as a WebAssembly function. Guest registers live in locals; control flow is structured; every load and
 * store goes by the TLB, whose last page per base register is kept in locals. What the fast way cannot do is not done
 * here: the function leaves at that instruction, and the interpreter carries it out.
 */
import { HartField, TLB_ENTRIES, TLB_ENTRY_SIZE } from "../../isa/riscv/hart.ts";
import {
  type FloatField,
  type FloatOperation,
  type Semantics,
  type Width,
  writesF,
  writesX,
} from "../../isa/riscv/semantics.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import type { Callable, FunctionWriter, Label, Local } from "../../wasm/function.ts";
import { CodeWriter } from "../code-writer.ts";
import { at, LOADS, MSTATUS, MSTATUS_FS, NAN_BOX, PAGE_MASK, STORES } from "../places.ts";
import { analyse, type Flow } from "./flow.ts";
import { type Block, type Edge, isBlock, type Operation, pageOf, type Region } from "./region.ts";

/** No tag is this: tags have zeroes in their low bits. */
const NO_PAGE = -1n;

/** How a region was left, in `HartField.mail3`. */
export const Leaving = {
  /** Take up `pc` as ever. */
  moved: 0,
  /** The interpreter executes the instruction at `pc` itself, whatever is translated there. */
  interpret: 1,
} as const;

/** Signature of regions: instructions left and the page executed, to instructions left. */
export const REGION_SIGNATURE = { params: ["i32", "i64"], results: ["i32"] } as const;

export interface RegionPlace {
  /** Address of the entry's page, as an i64. */
  readonly base: bigint;
  /** Decoded page of each further page that the region relies on, by number relative to the entry's. */
  readonly decodedPages: ReadonlyMap<number, number>;
}

export function writeRegion(
  f: FunctionWriter,
  region: Region,
  place: RegionPlace,
  floatHelper: (operation: FloatOperation) => Callable,
): void {
  new RegionWriter(f, region, place, floatHelper).write();
}

type FloatSemantics = Extract<Semantics, { does: "float" }>;

/** The page that a base register last led to. */
interface CachedPage {
  readonly tag: Local;
  readonly addend: Local;
}

/** What encloses the code being written: a loop to be continued, or a block behind which a merge follows. */
interface Scope {
  readonly block: Block;
  readonly label: Label;
  readonly kind: "loop" | "followed";
}

class RegionWriter extends CodeWriter {
  readonly #flow: Flow;
  readonly #budget: Local;
  readonly #page: Local;
  /** Where execution goes on, relative to the entry's page, and instructions to give back. */
  readonly #to: Local;
  readonly #refund: Local;
  /** Where it goes on when that is not known before. */
  readonly #target: Local;
  readonly #x = new Map<number, Local>();
  readonly #f = new Map<number, Local>();
  readonly #writtenX = new Set<number>();
  readonly #writtenF = new Set<number>();
  readonly #readPages = new Map<number, CachedPage>();
  readonly #writePages = new Map<number, CachedPage>();
  readonly #scopes: Scope[] = [];
  #interpret!: Label;
  #moved!: Label;
  #movedFar!: Label;
  #operation!: Operation;
  /** Instructions of the block from the current one on. */
  #left = 0;

  constructor(
    f: FunctionWriter,
    readonly region: Region,
    readonly place: RegionPlace,
    readonly floatHelper: (operation: FloatOperation) => Callable,
  ) {
    super(f);
    this.#flow = analyse(region);
    [this.#budget, this.#page] = f.params;
    this.#to = f.local("i32");
    this.#refund = f.local("i32");
    this.#target = f.local("i64");
    this.#collectRegisters();
  }

  write(): void {
    const { f, region, place } = this;
    this.#prologue();
    const leave = f.block();
    this.#movedFar = f.block();
    this.#moved = f.block();
    this.#interpret = f.block();
    // The same guest page may be mapped elsewhere too: there, the interpreter serves.
    f.i32(region.entry.at).set(this.#to);
    f.get(this.#page).i64(place.base).op("i64.ne").brIf(this.#interpret);
    this.#tree(region.entry);
    f.end(); // interpret
    this.#leaveWith(Leaving.interpret);
    f.get(this.#budget).get(this.#refund).op("i32.add").set(this.#budget);
    this.#savePc(() => this.#relative());
    f.br(leave);
    f.end(); // moved
    this.#leaveWith(Leaving.moved);
    this.#savePc(() => this.#relative());
    f.br(leave);
    f.end(); // movedFar
    this.#leaveWith(Leaving.moved);
    this.#savePc(() => f.get(this.#target));
    f.end(); // leave
    this.#writeBack();
    f.get(this.#budget);
  }

  // ---- registers ----

  #collectRegisters(): void {
    for (const { operations } of this.region.blocks) {
      for (const operation of operations) {
        const { semantics } = operation.instruction;
        const source = (field: 1 | 2, file: "x" | "f") => {
          const index = field === 1 ? operation.rs1 : operation.rs2;
          if (file === "f") this.#fLocal(index);
          else if (index !== 0) this.#xLocal(index);
        };
        // Every field that could name a register gets its local; those that name none cost nothing but a local.
        const usesF = operation.instruction.extension === "f" || operation.instruction.extension === "d";
        if (usesF) {
          source(1, "f");
          source(2, "f");
          if (semantics.does === "float" && semantics.operands === 3) this.#fLocal(operation.rs3);
        }
        source(1, "x");
        source(2, "x");
        this.#noteWritten(operation, semantics);
      }
    }
  }

  #noteWritten({ rd }: Operation, semantics: Semantics): void {
    if (writesF(semantics)) {
      this.#fLocal(rd);
      this.#writtenF.add(rd);
    } else if (rd !== 0 && writesX(semantics)) {
      this.#xLocal(rd);
      this.#writtenX.add(rd);
    }
  }

  #xLocal(index: number): Local {
    let local = this.#x.get(index);
    if (local === undefined) {
      local = this.f.local("i64");
      this.#x.set(index, local);
    }
    return local;
  }

  #fLocal(index: number): Local {
    let local = this.#f.get(index);
    if (local === undefined) {
      local = this.f.local("f64");
      this.#f.set(index, local);
    }
    return local;
  }

  #prologue(): void {
    const { f } = this;
    for (const [index, local] of this.#x) {
      f.i32(0)
        .memory("i64.load", at(HartField.x) + index * 8)
        .set(local);
    }
    for (const [index, local] of this.#f) {
      f.i32(0)
        .memory("f64.load", at(HartField.f) + index * 8)
        .set(local);
    }
    for (const block of this.region.blocks) {
      for (const { instruction, rs1 } of block.operations) {
        const { does } = instruction.semantics;
        if (does === "load" || does === "loadReserved") this.#cache(this.#readPages, rs1);
        else if (does === "store" || does === "amo" || does === "storeConditional" || does === "zeroBlock") {
          this.#cache(this.#writePages, rs1);
        }
      }
    }
  }

  #cache(pages: Map<number, CachedPage>, base: number): void {
    if (pages.has(base)) return;
    const page = { tag: this.f.local("i64"), addend: this.f.local("i32") };
    pages.set(base, page);
    this.f.i64(NO_PAGE).set(page.tag);
  }

  #writeBack(): void {
    const { f } = this;
    for (const index of this.#writtenX) {
      f.i32(0)
        .get(this.#xLocal(index))
        .memory("i64.store", at(HartField.x) + index * 8);
    }
    for (const index of this.#writtenF) {
      f.i32(0)
        .get(this.#fLocal(index))
        .memory("f64.store", at(HartField.f) + index * 8);
    }
  }

  // ---- leaving ----

  #leaveWith(how: number): void {
    this.f.i32(0).i32(how).memory("i32.store", at(HartField.mail3));
  }

  #relative(): void {
    this.f.i64(this.place.base).get(this.#to).op("i64.extend_i32_s", "i64.add");
  }

  #savePc(pc: () => void): void {
    this.f.i32(0);
    pc();
    this.f.memory("i64.store", at(HartField.pc));
  }

  /** Leaves at `to`, to be executed by the interpreter, with `refund` instructions of the block not executed. */
  #leaveToInterpret(to: number, refund: number): void {
    this.f.i32(to).set(this.#to).i32(refund).set(this.#refund).br(this.#interpret);
  }

  /** Leaves at the current instruction, which has not been executed. */
  #sideExit(): void {
    this.#leaveToInterpret(this.#operation.at, this.#left);
  }

  // ---- control flow ----

  #tree(block: Block): void {
    const isLoop = this.#flow.loops.has(block);
    if (isLoop) this.#scopes.push({ block, label: this.f.loop(), kind: "loop" });
    const merges = this.#flow.children.get(block)!.filter((child) => this.#flow.merges.has(child));
    this.#within(block, merges, 0);
    if (isLoop) {
      this.#scopes.pop();
      this.f.end();
      // Every path through the body leaves by a branch.
      this.f.op("unreachable");
    }
  }

  /** `block` inside one WebAssembly block for each merge that follows it, the latest outermost. */
  #within(block: Block, merges: readonly Block[], index: number): void {
    const merge = merges[index];
    if (merge === undefined) return this.#code(block);
    this.#scopes.push({ block: merge, label: this.f.block(), kind: "followed" });
    this.#within(block, merges, index + 1);
    this.#scopes.pop();
    this.f.end();
    this.#tree(merge);
  }

  #code(block: Block): void {
    const { f } = this;
    const count = block.operations.length;
    if (count > 0) {
      f.get(this.#budget).i32(count).op("i32.lt_s").if();
      this.#leaveToInterpret(block.at, 0);
      f.end();
      f.get(this.#budget).i32(count).op("i32.sub").set(this.#budget);
    }
    this.#requireFloat(block);
    this.#left = count;
    for (const operation of block.operations) {
      this.#operation = operation;
      this.startInstruction();
      this.#execute(block, operation);
      this.#left--;
    }
    if (block.stop !== undefined) this.#leaveToInterpret(block.stop, 0);
    else if (block.next !== undefined) this.#goTo(block, block.next);
    else if (block.taken === undefined) f.br(this.#movedFar);
    else if (!block.returns) this.#goTo(block, block.taken);
  }

  #goTo(from: Block, edge: Edge): void {
    const { f } = this;
    if (!isBlock(edge)) {
      f.i32(edge.exit).set(this.#to).br(this.#moved);
      return;
    }
    this.#requirePage(from, edge);
    const { order } = this.#flow;
    const backward = order.get(edge)! <= order.get(from)!;
    if (backward && !this.#flow.dominates(edge, from)) {
      // A loop with two entrances has no structure: leave, and come in again.
      f.i32(edge.at).set(this.#to).br(this.#moved);
      return;
    }
    if (backward || this.#flow.merges.has(edge)) f.br(this.#scopeOf(edge, backward ? "loop" : "followed"));
    else this.#tree(edge);
  }

  #scopeOf(block: Block, kind: Scope["kind"]): Label {
    return this.#scopes.findLast((s) => s.block === block && s.kind === kind)!.label;
  }

  /** Going to another page, makes sure that it is still mapped as it was: the fetch TLB must say so. */
  #requirePage(from: Block, to: Block): void {
    const last = from.operations.at(-1)?.at ?? from.at;
    const page = pageOf(to.at);
    if (page === pageOf(last)) return;
    const { f } = this;
    const address = this.place.base + BigInt(page * PAGE_SIZE);
    const index = Number((address >> 12n) & BigInt(TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE;
    f.i32(0).memory("i32.load", at(HartField.tlbFetch)).tee(this.offset).memory("i64.load", index);
    f.i64(address).op("i64.ne");
    f.get(this.offset)
      .memory("i32.load", index + 8)
      .i32(this.place.decodedPages.get(page)!)
      .op("i32.ne", "i32.or")
      .if();
    f.i32(to.at).set(this.#to).br(this.#moved);
    f.end();
  }

  /** Floating point needs the unit on; the first instruction to make it dirty is the interpreter's. */
  #requireFloat(block: Block): void {
    const { f } = this;
    if (!block.operations.some(({ instruction: { extension } }) => extension === "f" || extension === "d")) return;
    f.i32(0).memory("i32.load", MSTATUS).i32(MSTATUS_FS).op("i32.and").i32(MSTATUS_FS).op("i32.ne").if();
    this.#leaveToInterpret(block.at, block.operations.length);
    f.end();
  }

  // ---- instructions ----

  #execute(block: Block, operation: Operation): void {
    const { semantics } = operation.instruction;
    switch (semantics.does) {
      case "set":
        return this.setX(() => this.expr(semantics.value));
      case "setF":
        return this.#setF(semantics.to, () => this.expr(semantics.bits));
      case "load":
        return this.#load(semantics);
      case "store":
        return this.#store(semantics);
      case "branch": {
        this.expr(semantics.condition);
        this.f.if();
        this.#goTo(block, block.taken!);
        this.f.end();
        return;
      }
      case "jump":
        return this.setX(() => this.#following());
      case "jumpTo":
        return this.#jumpTo(block, semantics);
      case "amo":
        return this.amo(semantics);
      case "loadReserved":
        return this.loadReserved(semantics.width);
      case "storeConditional":
        return this.storeConditional(semantics.width);
      case "float":
        return this.#float(semantics);
      case "zeroBlock":
        return this.#sideExit();
      case "service":
      case "nothing":
        return;
    }
  }

  #following(): void {
    const { at: here, length } = this.#operation;
    this.f.i64(this.place.base + BigInt(here + length));
  }

  #jumpTo(block: Block, { target }: Extract<Semantics, { does: "jumpTo" }>): void {
    const { f } = this;
    this.expr(target);
    f.set(this.#target);
    this.setX(() => this.#following());
    if (!block.returns) return;
    const edge = block.taken!;
    const expected = isBlock(edge) ? edge.at : edge.exit;
    f.get(this.#target)
      .i64(this.place.base + BigInt(expected))
      .op("i64.eq")
      .if();
    this.#goTo(block, edge);
    f.end();
    f.br(this.#movedFar);
  }

  // ---- operands ----

  protected override x(field: "rs1" | "rs2"): void {
    this.#register(this.#operation[field]);
  }

  #register(index: number): void {
    if (index === 0) this.f.i64(0n);
    else this.f.get(this.#xLocal(index));
  }

  protected override fBits(field: FloatField): void {
    this.f.get(this.#fLocal(this.#operation[field])).op("i64.reinterpret_f64");
  }

  protected override immediate(): void {
    this.f.i64(BigInt(this.#operation.imm));
  }

  protected override pc(): void {
    this.f.i64(this.place.base + BigInt(this.#operation.at));
  }

  protected override setX(value: () => void): void {
    const { rd } = this.#operation;
    // Nothing that computes has an effect of its own.
    if (rd === 0) return;
    value();
    this.f.set(this.#xLocal(rd));
  }

  #setF(to: "s" | "d", bits: () => void): void {
    bits();
    if (to === "s") this.f.i64(NAN_BOX).op("i64.or");
    this.f.op("f64.reinterpret_i64").set(this.#fLocal(this.#operation.rd));
  }

  // ---- memory ----

  /** Puts where the memory at `address` lies into `offset`, by the page that `base` last led to, else by the TLB. */
  #locate(pages: ReadonlyMap<number, CachedPage>, table: number, width: Width): void {
    const { f } = this;
    const { tag, addend } = pages.get(this.#operation.rs1)!;
    const masked = () =>
      f
        .get(this.address)
        .i64(PAGE_MASK | BigInt(width - 1))
        .op("i64.and");
    masked();
    f.get(tag).op("i64.ne").if();
    this.tlbEntry(this.address, table);
    masked();
    f.op("i64.ne").if();
    this.#sideExit();
    f.end();
    f.get(this.offset).memory("i64.load").set(tag);
    f.get(this.offset).memory("i32.load", 8).set(addend);
    f.end();
    f.get(this.address).op("i32.wrap_i64").get(addend).op("i32.add").set(this.offset);
  }

  #load({ width, signed, address, to }: Extract<Semantics, { does: "load" }>): void {
    const { f } = this;
    this.expr(address);
    f.set(this.address);
    this.#locate(this.#readPages, HartField.tlbRead, width);
    const value = () => f.get(this.offset).memory(LOADS[signed ? "signed" : "unsigned"][width]);
    if (to === "x") this.setX(value);
    else this.#setF(to, value);
  }

  #store({ width, address, value }: Extract<Semantics, { does: "store" }>): void {
    const { f } = this;
    this.expr(address);
    f.set(this.address);
    this.#locate(this.#writePages, HartField.tlbWrite, width);
    f.get(this.offset);
    this.expr(value);
    f.memory(STORES[width]);
  }

  protected override atomicOffset(width: 4 | 8, access: "load" | "store"): void {
    this.x("rs1");
    this.f.set(this.address);
    if (access === "load") this.#locate(this.#readPages, HartField.tlbRead, width);
    else this.#locate(this.#writePages, HartField.tlbWrite, width);
  }

  // ---- floating point ----

  #float(semantics: FloatSemantics): void {
    const { f } = this;
    const { rm } = this.#operation;
    const rounding = this.temporary("i32");
    if (semantics.rounds && rm === 7) {
      f.i32(0).memory("i32.load", at(HartField.frm)).tee(rounding).i32(4).op("i32.gt_u").if();
      this.#sideExit();
      f.end();
    } else f.i32(rm).set(rounding);
    const { from, to, operands, negateProduct, negateAddend } = semantics;
    const flips = [negateProduct, false, negateAddend];
    const fields = ["rs1", "rs2", "rs3"] as const;
    for (let i = 0; i < operands; i++) {
      this.#floatOperand(from, fields[i]);
      if (flips[i]) f.op(from === "s" ? "f32.neg" : "f64.neg");
    }
    f.get(rounding).call(this.floatHelper(semantics.operation));
    if (to === "x") {
      if (this.#operation.rd === 0) f.op("drop");
      else f.set(this.#xLocal(this.#operation.rd));
    } else if (to === "d") f.set(this.#fLocal(this.#operation.rd));
    else {
      f.op("i32.reinterpret_f32", "i64.extend_i32_u").i64(NAN_BOX).op("i64.or", "f64.reinterpret_i64");
      f.set(this.#fLocal(this.#operation.rd));
    }
  }

  /** An operand as a native number. A single that is not NaN-boxed is the canonical NaN. RISC-V Unpriv §22.2 */
  #floatOperand(from: "x" | "s" | "d", field: FloatField): void {
    const { f } = this;
    if (from === "x") return this.#register(this.#operation.rs1);
    f.get(this.#fLocal(this.#operation[field]));
    if (from === "d") return;
    const bits = this.temporary("i64");
    f.op("i64.reinterpret_f64").tee(bits).op("i32.wrap_i64").i32(0x7fc00000);
    f.get(bits).i64(32n).op("i64.shr_u").i64(0xffffffffn).op("i64.eq", "select", "f32.reinterpret_i32");
  }
}
