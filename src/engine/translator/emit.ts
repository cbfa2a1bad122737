/**
 * Writes a region as a WebAssembly function. Guest registers live in locals; control flow is structured; every load and
 * store goes by the TLB, whose last page per base register is kept in locals. What the fast way cannot do is not done
 * here: the function leaves at that instruction, and the interpreter carries it out. Where control leaves the region, the
 * next region is called in its place, if there is one.
 *
 * Regions know no addresses but those relative to their own page, so that code mapped at several places is translated once.
 */
import { HartField, TLB_ENTRIES, TLB_ENTRY_SIZE } from "../../isa/riscv/hart.ts";
import { floatNames, integerNames } from "../../isa/riscv/register-names.ts";
import type { FloatField, FloatOperation, Semantics } from "../../isa/riscv/semantics.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import type { Callable, FunctionWriter, Label, Local } from "../../wasm/function.ts";
import { CodeWriter } from "../code-writer.ts";
import { COUNTER_SHIFT, OpField, Special } from "../interpreter/layout.ts";
import { at, LOADS, MSTATUS, MSTATUS_FS, NAN_BOX, PAGE_MASK, STORES } from "../places.ts";
import { Leaving } from "./contract.ts";
import { analyse, type Flow, type Registers } from "./flow.ts";
import { type AccessGroup, groupAccesses } from "./groups.ts";
import { operandsOf } from "./operands.ts";
import { type Block, type Edge, isBlock, type Operation, pageOf, type Region } from "./region.ts";

/** No tag is this: tags have zeroes in their low bits. */
const NO_PAGE = -1;

/** What a region's code relies on around it. */
export interface RegionPlace {
  /** Decoded page of each further page that the region relies on, by number relative to the entry's. */
  readonly decodedPages: ReadonlyMap<number, number>;
  /** Offset of an op's counter less its own, shifted. */
  readonly counters: number;
  /** Its own slot in the table. */
  readonly slot: number;
  /** How thoroughly it is translated. */
  readonly level: Level;
  /** The signature of regions in the module. */
  readonly signature: number;
  readonly floatHelper: (operation: FloatOperation) => Callable;
  readonly listener?: RegionListener;
}

/** Is told, while a region is written, what the code is for that begins at an offset of the function's. */
export interface RegionListener {
  block(block: Block, offset: number): void;
  operation(operation: Operation, offset: number): void;
  /** Control goes from where a block ends or branches to another, or out of the region; `undefined`: where it has computed. */
  edge(to: Edge | undefined, offset: number): void;
}

/** `quick`: small code, soon there. `thorough`: for where the time goes. */
export type Level = "quick" | "thorough";

export function writeRegion(f: FunctionWriter, region: Region, place: RegionPlace): void {
  new RegionWriter(f, region, place).write();
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
  /** One of {@link Leaving}. */
  readonly #how: Local;
  /** Where execution goes on outside. */
  readonly #target: Local;
  readonly #x: (Local | undefined)[] = new Array(32);
  readonly #f: (Local | undefined)[] = new Array(32);
  /** Written anywhere in the region. */
  readonly #written: Registers = { x: 0, f: 0 };
  /** Whether the floating-point unit is on and dirty; that cannot change inside. */
  #floatOn: Local | undefined;
  /** By block, in order. */
  readonly #groups: Map<Operation, AccessGroup>[] = [];
  /** Where the memory of a group's base register lies, by the group's lowest byte. */
  readonly #groupOffsets = new Map<AccessGroup, Local>();
  readonly #readPages: (CachedPage | undefined)[] = new Array(32);
  readonly #writePages: (CachedPage | undefined)[] = new Array(32);
  readonly #scopes: Scope[] = [];
  #interpret!: Label;
  #chain!: Label;
  /** As `chain`, but nothing was put back yet: one place for all of a quick region's ways out. */
  #dirtyChain!: Label;
  #block!: Block;
  #operation!: Operation;
  /** Instructions of the block from the current one on. */
  #left = 0;

  constructor(
    f: FunctionWriter,
    readonly region: Region,
    readonly place: RegionPlace,
  ) {
    super(f);
    this.#flow = analyse(region);
    [this.#budget, this.#page] = f.params;
    this.#to = f.local("i32", "to");
    this.#refund = f.local("i32", "refund");
    this.#how = f.local("i32", "how");
    this.#target = f.local("i64", "target");
  }

  write(): void {
    const { f, region } = this;
    const leave = f.block(undefined, "leave");
    this.#interpret = f.block(undefined, "interpret");
    this.#chain = f.block(undefined, "chain");
    if (this.#flow.loops[0] === 0) {
      // Nothing has been taken up yet, so nothing has to be put back.
      f.get(this.#budget).i32(this.#flow.longest[0]).op("i32.lt_s").ifUnlikely();
      this.#leaveWith(Leaving.spent(this.place.slot));
      this.#savePc(() => this.#pushAddress(region.entry.at));
      f.br(leave).end();
    }
    this.#prologue();
    f.i32(Leaving.interpret).set(this.#how);
    if (this.place.level === "quick") {
      this.#dirtyChain = f.block(undefined, "writeBack");
      this.#tree(region.entry);
      f.end(); // dirtyChain
      this.#writeBack(this.#written);
    } else this.#tree(region.entry);
    f.end(); // chain
    this.#writeChain();
    this.#leaveWith(Leaving.moved);
    this.#savePc(() => f.get(this.#target));
    f.br(leave);
    f.end(); // interpret
    this.#writeBack(this.#written);
    f.i32(0).get(this.#how).memory("i32.store", at(HartField.mail3));
    f.get(this.#budget).get(this.#refund).op("i32.add").set(this.#budget);
    this.#savePc(() => f.get(this.#page).get(this.#to).op("i64.extend_i32_s", "i64.add"));
    f.end(); // leave
    f.get(this.#budget);
  }

  // ---- registers ----

  #prologue(): void {
    const used = { x: 0, f: 0 };
    let float = false;
    for (const block of this.#flow.sequence) {
      const groups = groupAccesses(block);
      this.#groups.push(groups);
      for (const operation of block.operations) {
        const { instruction, rd, rs1, rs2, rs3 } = operation;
        const operands = operandsOf(instruction);
        if (operands.readsX1) used.x |= 1 << rs1;
        if (operands.readsX2) used.x |= 1 << rs2;
        if (operands.readsF1) used.f |= 1 << rs1;
        if (operands.readsF2) used.f |= 1 << rs2;
        if (operands.readsF3) used.f |= 1 << rs3;
        if (operands.writesX && rd !== 0) this.#written.x |= 1 << rd;
        if (operands.writesF) this.#written.f |= 1 << rd;
        const group = groups.get(operation);
        const stores = group ? group.store : operands.memory === "write";
        if (stores) this.#writePages[rs1] ??= this.#cachedPage("write", rs1);
        else if (operands.memory === "read") this.#readPages[rs1] ??= this.#cachedPage("read", rs1);
        float ||= operands.float;
      }
    }
    const { f } = this;
    const x = (used.x | this.#written.x) & ~1;
    const fs = used.f | this.#written.f;
    for (let i = 1; i < 32; i++) {
      if (((x >>> i) & 1) === 0) continue;
      const local = f.local("i64", integerNames[i]);
      this.#x[i] = local;
      f.i32(0)
        .memory("i64.load", at(HartField.x) + i * 8)
        .set(local);
    }
    for (let i = 0; i < 32; i++) {
      if (((fs >>> i) & 1) === 0) continue;
      const local = f.local("f64", floatNames[i]);
      this.#f[i] = local;
      f.i32(0)
        .memory("f64.load", at(HartField.f) + i * 8)
        .set(local);
    }
    for (const pages of [this.#readPages, this.#writePages]) {
      for (const page of pages) if (page) f.i64(NO_PAGE).set(page.tag);
    }
    if (!float) return;
    this.#floatOn = f.local("i32", "floatOn");
    f.i32(0).memory("i32.load", MSTATUS).i32(MSTATUS_FS).op("i32.and").i32(MSTATUS_FS).op("i32.eq").set(this.#floatOn);
  }

  #cachedPage(access: "read" | "write", base: number): CachedPage {
    const name = `${access}_${integerNames[base]}`;
    return { tag: this.f.local("i64", `${name}_tag`), addend: this.f.local("i32", `${name}_addend`) };
  }

  #writeBack({ x, f: floats }: Registers): void {
    const { f } = this;
    for (let i = 1; i < 32; i++) {
      if (((x >>> i) & 1) === 0) continue;
      f.i32(0)
        .get(this.#x[i]!)
        .memory("i64.store", at(HartField.x) + i * 8);
    }
    for (let i = 0; i < 32; i++) {
      if (((floats >>> i) & 1) === 0) continue;
      f.i32(0)
        .get(this.#f[i]!)
        .memory("f64.store", at(HartField.f) + i * 8);
    }
  }

  // ---- leaving ----

  #leaveWith(how: number): void {
    this.f.i32(0).i32(how).memory("i32.store", at(HartField.mail3));
  }

  /** Pushes an address given relative to the entry's page. */
  #pushAddress(relative: number): void {
    this.f.get(this.#page);
    if (relative !== 0) this.f.i64(relative).op("i64.add");
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

  /** Leaves behind `block`, to an address outside that is in `target` already. */
  #leaveBehind({ order }: Block): void {
    if (this.place.level === "quick") {
      this.f.br(this.#dirtyChain);
      return;
    }
    const { writtenBefore, writes } = this.#flow;
    this.#writeBack({ x: writtenBefore[order].x | writes[order].x, f: writtenBefore[order].f | writes[order].f });
    this.f.br(this.#chain);
  }

  #leaveTo(from: Block, relative: number): void {
    this.#pushAddress(relative);
    this.f.set(this.#target);
    this.#leaveBehind(from);
  }

  /** Goes on in the region at `target`, if the fetch TLB knows the page and a region begins there. */
  #writeChain(): void {
    const { f, place } = this;
    const page = this.#page;
    const op = this.#to;
    f.get(this.#target).i64(PAGE_MASK).op("i64.and").set(page);
    this.tlbEntry(this.#target, HartField.tlbFetch);
    f.get(page).op("i64.eq").if();
    f.get(this.offset).memory("i32.load", 8);
    f.get(this.#target).op("i32.wrap_i64").i32(0xffe).op("i32.and").i32(3).op("i32.shl", "i32.add").tee(op);
    f.memory("i32.load16_u", OpField.handler).i32(Special.region).op("i32.eq").if();
    f.get(this.#budget).get(page);
    f.get(op).i32(COUNTER_SHIFT).op("i32.shr_u").memory("i32.load16_u", place.counters);
    f.returnCallIndirect(place.signature);
    f.end().end();
  }

  // ---- control flow ----

  #tree(block: Block): void {
    const isLoop = this.#flow.loops[block.order] === 1;
    if (isLoop) this.#scopes.push({ block, label: this.f.loop(undefined, `loop${block.order}`), kind: "loop" });
    const merges = this.#flow.children[block.order].filter((child) => this.#flow.merges[child.order] === 1);
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
    this.#scopes.push({ block: merge, label: this.f.block(undefined, `before${merge.order}`), kind: "followed" });
    this.#within(block, merges, index + 1);
    this.#scopes.pop();
    this.f.end();
    this.#tree(merge);
  }

  #code(block: Block): void {
    const { f } = this;
    const { listener } = this.place;
    listener?.block(block, f.length);
    const count = block.operations.length;
    if (this.#flow.loops[block.order] === 1) {
      // What is spent before the loop begins anew has to be there now: then no block inside needs to ask.
      f.get(this.#budget).i32(this.#flow.longest[block.order]).op("i32.lt_s").ifUnlikely();
      f.i32(Leaving.spent(this.place.slot)).set(this.#how);
      this.#leaveToInterpret(block.at, 0);
      f.end();
    }
    if (count > 0) f.get(this.#budget).i32(count).op("i32.sub").set(this.#budget);
    this.#requireFloat(block);
    this.#left = count;
    this.#block = block;
    for (const operation of block.operations) {
      this.#operation = operation;
      this.startInstruction();
      listener?.operation(operation, f.length);
      this.#execute(block, operation);
      this.#left--;
    }
    if (block.stop !== undefined) {
      listener?.edge(block.stop, f.length);
      this.#leaveToInterpret(block.stop, 0);
    } else if (block.next !== undefined) this.#goTo(block, block.next);
    else if (block.taken !== undefined) this.#goTo(block, block.taken);
    else this.#leaveBehind(block);
  }

  #goTo(from: Block, edge: Edge): void {
    this.place.listener?.edge(edge, this.f.length);
    if (!isBlock(edge)) return this.#leaveTo(from, edge);
    this.#requirePage(from, edge);
    // A loop with two entrances has no structure: leave, and come in again.
    if (this.#flow.isIrreducible(from, edge)) return this.#leaveTo(from, edge.at);
    const backward = edge.order <= from.order;
    if (backward) this.f.br(this.#scopeOf(edge, "loop"));
    else if (this.#flow.merges[edge.order] === 1) this.f.br(this.#scopeOf(edge, "followed"));
    else this.#tree(edge);
  }

  #scopeOf(block: Block, kind: Scope["kind"]): Label {
    return this.#scopes.findLast((s) => s.block === block && s.kind === kind)!.label;
  }

  /** Going to another page, makes sure that it is still mapped as it was: the fetch TLB must say so. */
  #requirePage(from: Block, to: Block): void {
    const last = from.operations.at(-1)?.at ?? from.at;
    const page = pageOf(to.at);
    // The entry's page is the one that was entered by, and mappings do not change inside.
    if (page === pageOf(last) || page === 0) return;
    const { f } = this;
    this.#pushAddress(page * PAGE_SIZE);
    f.tee(this.#target).i64(12).op("i64.shr_u", "i32.wrap_i64");
    f.i32(TLB_ENTRIES - 1)
      .op("i32.and")
      .i32(Math.log2(TLB_ENTRY_SIZE))
      .op("i32.shl");
    f.i32(0).memory("i32.load", at(HartField.tlbFetch)).op("i32.add").tee(this.offset).memory("i64.load");
    f.get(this.#target).op("i64.ne");
    f.get(this.offset)
      .memory("i32.load", 8)
      .i32(this.place.decodedPages.get(page)!)
      .op("i32.ne", "i32.or")
      .ifUnlikely();
    this.#leaveTo(from, to.at);
    f.end();
  }

  /** Floating point needs the unit on; the first instruction to make it dirty is the interpreter's. */
  #requireFloat(block: Block): void {
    if (!block.operations.some(({ instruction }) => operandsOf(instruction).float)) return;
    this.f.get(this.#floatOn!).op("i32.eqz").ifUnlikely();
    this.#leaveToInterpret(block.at, block.operations.length);
    this.f.end();
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
    this.#pushAddress(here + length);
  }

  #jumpTo(block: Block, { target }: Extract<Semantics, { does: "jumpTo" }>): void {
    const { f } = this;
    // Not in `#target`, which the way to a guessed block may use.
    const goal = this.temporary("i64");
    this.expr(target);
    f.set(goal);
    this.setX(() => this.#following());
    for (const guess of block.guesses) {
      f.get(goal);
      this.#pushAddress(guess.at);
      f.op("i64.eq").if();
      this.#goTo(block, guess);
      f.end();
    }
    this.place.listener?.edge(undefined, f.length);
    f.get(goal).set(this.#target);
  }

  // ---- operands ----

  protected override x(field: "rs1" | "rs2"): void {
    this.#register(this.#operation[field]);
  }

  #register(index: number): void {
    if (index === 0) this.f.i64(0);
    else this.f.get(this.#x[index]!);
  }

  protected override fBits(field: FloatField): void {
    this.f.get(this.#f[this.#operation[field]]!).op("i64.reinterpret_f64");
  }

  protected override immediate(): void {
    this.f.i64(this.#operation.imm);
  }

  protected override pc(): void {
    this.#pushAddress(this.#operation.at);
  }

  protected override setX(value: () => void): void {
    const { rd } = this.#operation;
    // Nothing that computes has an effect of its own.
    if (rd === 0) return;
    value();
    this.f.set(this.#x[rd]!);
  }

  #setF(to: "s" | "d", bits: () => void): void {
    bits();
    if (to === "s") this.f.i64(NAN_BOX).op("i64.or");
    this.f.op("f64.reinterpret_i64").set(this.#f[this.#operation.rd]!);
  }

  // ---- memory ----

  /**
   * Puts where the memory at the address on the stack lies into `offset`, by the page that its base last led to, else by the TLB. All of
   * `span` bytes are on one page then; where that is the width of one access, it is aligned.
   */
  #locate({ tag, addend }: CachedPage, table: number, span: number, aligned: boolean): void {
    const { f } = this;
    const inside = aligned ? span - 1 : 0;
    /** Leaves on the stack whether the span, of which the address is there, is not within the page `tag`. */
    const outside = () => {
      f.i64(-4096 | inside)
        .op("i64.and")
        .get(tag)
        .op("i64.ne");
      if (aligned) return;
      f.get(this.address)
        .i64(span - 1)
        .op("i64.add")
        .i64(-4096)
        .op("i64.and")
        .get(tag)
        .op("i64.ne", "i32.or");
    };
    f.tee(this.address);
    outside();
    f.ifUnlikely();
    this.tlbEntry(this.address, table);
    // Kept even where it is not taken: then it is no page of this address, or one that serves the next access.
    f.set(tag);
    f.get(this.offset).memory("i32.load", 8).set(addend);
    f.get(this.address);
    outside();
    f.ifUnlikely();
    this.#sideExit();
    f.end().end();
    f.get(this.address).op("i32.wrap_i64").get(addend).op("i32.add").set(this.offset);
  }

  #locateToRead(span: number, aligned: boolean): void {
    this.#locate(this.#readPages[this.#operation.rs1]!, HartField.tlbRead, span, aligned);
  }

  #locateToWrite(span: number, aligned: boolean): void {
    this.#locate(this.#writePages[this.#operation.rs1]!, HartField.tlbWrite, span, aligned);
  }

  /** Where the memory of the current load or store lies: pushes an offset, and answers what is to be added to it. */
  #accessOffset(): number {
    const { f } = this;
    const operation = this.#operation;
    const group = this.#groups[this.#block.order].get(operation)!;
    if (group.leader === operation) {
      this.#register(operation.rs1);
      if (group.low !== 0) f.i64(group.low).op("i64.add");
      const span = group.high - group.low;
      const aligned = group.accesses === 1;
      if (group.store) this.#locateToWrite(span, aligned);
      else this.#locateToRead(span, aligned);
      if (group.accesses > 1) {
        const offset = f.local("i32", "group");
        this.#groupOffsets.set(group, offset);
        f.get(this.offset).set(offset);
      }
    }
    f.get(this.#groupOffsets.get(group) ?? this.offset);
    return operation.imm - group.low;
  }

  #load({ width, signed, to }: Extract<Semantics, { does: "load" }>): void {
    const value = () => {
      const offset = this.#accessOffset();
      this.f.memory(LOADS[signed ? "signed" : "unsigned"][width], offset);
    };
    if (to !== "x") this.#setF(to, value);
    else if (this.#operation.rd !== 0) this.setX(value);
    else {
      // It may fault all the same.
      value();
      this.f.op("drop");
    }
  }

  #store({ width, value }: Extract<Semantics, { does: "store" }>): void {
    const offset = this.#accessOffset();
    this.expr(value);
    this.f.memory(STORES[width], offset);
  }

  protected override atomicOffset(width: 4 | 8, access: "load" | "store"): void {
    this.x("rs1");
    if (access === "load") this.#locateToRead(width, true);
    else this.#locateToWrite(width, true);
  }

  // ---- floating point ----

  #float(semantics: FloatSemantics): void {
    const { f } = this;
    const { rm, rd } = this.#operation;
    const rounding = this.temporary("i32");
    if (semantics.rounds && rm === 7) {
      f.i32(0).memory("i32.load", at(HartField.frm)).tee(rounding).i32(4).op("i32.gt_u").ifUnlikely();
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
    f.get(rounding).call(this.place.floatHelper(semantics.operation));
    if (to === "x") {
      if (rd === 0) f.op("drop");
      else f.set(this.#x[rd]!);
    } else if (to === "d") f.set(this.#f[rd]!);
    else {
      f.op("i32.reinterpret_f32", "i64.extend_i32_u").i64(NAN_BOX).op("i64.or", "f64.reinterpret_i64");
      f.set(this.#f[rd]!);
    }
  }

  /** An operand as a native number. A single that is not NaN-boxed is the canonical NaN. RISC-V Unpriv §22.2 */
  #floatOperand(from: "x" | "s" | "d", field: FloatField): void {
    const { f } = this;
    if (from === "x") return this.#register(this.#operation.rs1);
    f.get(this.#f[this.#operation[field]]!);
    if (from === "d") return;
    const bits = this.temporary("i64");
    f.op("i64.reinterpret_f64").tee(bits).op("i32.wrap_i64").i32(0x7fc00000);
    f.get(bits).i64(32).op("i64.shr_u").i64(0xffffffff).op("i64.eq", "select", "f32.reinterpret_i32");
  }
}
