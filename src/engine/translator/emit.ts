/**
 * Writes a region as a WebAssembly function. Guest registers live in locals; control flow is structured; every load and
 * store goes by the TLB, whose last page per base register is kept in locals. What the fast way cannot do is not done
 * here: the function leaves at that instruction, and the interpreter carries it out. Where control leaves the region, the
 * next region is called in its place, if there is one.
 *
 * Regions know no addresses but those relative to their own page, so that code mapped at several places is translated once.
 */
import { HartField, TLB_ENTRIES, TLB_ENTRY_SIZE } from "../../isa/riscv/hart.ts";
import { integerNames } from "../../isa/riscv/register-names.ts";
import type { FloatOperation, Semantics } from "../../isa/riscv/semantics.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import type { Callable, FunctionWriter, Label, Local } from "../../wasm/function.ts";
import { COUNTER_SHIFT, OpField, Special } from "../interpreter/layout.ts";
import { at, LOADS, LOW_LOADS, LOW_STORES, MSTATUS, MSTATUS_FS, NAN_BOX, PAGE_MASK, STORES } from "../places.ts";
import { Leaving } from "./contract.ts";
import { accessOf, type DeviceImports, writeDeviceAccess } from "./device-sites.ts";
import { analyse, type Flow } from "./flow.ts";
import { type AccessGroup, groupAccesses } from "./groups.ts";
import { OperandWriter } from "./operand-writer.ts";
import { operandsOf } from "./operands.ts";
import { type Block, type Edge, isBlock, type Operation, pageOf, type Region } from "./region.ts";
import { followRegisters, type RegisterFlow, type Registers } from "./registers.ts";
import { type Spread, spreadOf } from "./spread.ts";

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
  /** Loads and stores that go to devices, by address, and what they call. */
  readonly devices?: { readonly at: ReadonlySet<number>; readonly calls: DeviceImports };
  /** Harts run on threads of their own, on memory that they share. */
  readonly parallel: boolean;
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

class RegionWriter extends OperandWriter {
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
  /** What becomes of registers; quick code has all in wide locals, and puts back all that it writes anywhere. */
  readonly #values: RegisterFlow | undefined;
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
  /** Instructions of the block from the current one on. */
  #left = 0;

  constructor(
    f: FunctionWriter,
    readonly region: Region,
    readonly place: RegionPlace,
  ) {
    super(f, place.parallel, place.level === "thorough");
    this.#flow = analyse(region);
    if (place.level === "thorough") this.#values = followRegisters(this.#flow.sequence);
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
      this.#savePc(() => this.pushAddress(region.entry.at));
      f.br(leave).end();
    }
    this.#prologue();
    f.i32(Leaving.interpret).set(this.#how);
    if (this.#values === undefined) {
      this.#dirtyChain = f.block(undefined, "writeBack");
      this.#tree(region.entry);
      f.end(); // dirtyChain
      this.registers.storeWide(this.#written);
    } else this.#tree(region.entry);
    f.end(); // chain
    this.#writeChain();
    this.#leaveWith(Leaving.moved);
    this.#savePc(() => f.get(this.#target));
    f.br(leave);
    f.end(); // interpret
    this.registers.storeWide(this.#values?.handedOver ?? this.#written);
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
      const groups = groupAccesses(block, (operation) => this.#isDevice(operation));
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
    const all = { x: (used.x | this.#written.x) & ~1, f: used.f | this.#written.f };
    this.registers.load(this.#values?.loaded ?? all);
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

  // ---- leaving ----

  #leaveWith(how: number): void {
    this.f.i32(0).i32(how).memory("i32.store", at(HartField.mail3));
  }

  /** Pushes an address given relative to the entry's page. */
  protected override pushAddress(relative: number): void {
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
    this.registers.copyToWide();
    this.f.i32(to).set(this.#to).i32(refund).set(this.#refund).br(this.#interpret);
  }

  /** Leaves at the current instruction, which has not been executed. */
  #sideExit(): void {
    this.#leaveToInterpret(this.operation.at, this.#left);
  }

  /** Leaves to the address that is in `target` already. */
  #leaveToTarget(): void {
    if (this.#values === undefined) {
      this.f.br(this.#dirtyChain);
      return;
    }
    this.registers.store(this.registers.state);
    this.f.br(this.#chain);
  }

  #leaveTo(relative: number): void {
    this.pushAddress(relative);
    this.f.set(this.#target);
    this.#leaveToTarget();
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
    if (this.#values !== undefined) {
      this.registers.state = { ...this.#values.dirty[block.order], narrow: this.#values.narrow[block.order] };
    }
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
      this.operation = operation;
      this.staysNarrow = this.#values?.narrowResults[block.order][count - this.#left] === 1;
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
    else this.#leaveToTarget();
  }

  #goTo(from: Block, edge: Edge): void {
    this.place.listener?.edge(edge, this.f.length);
    if (!isBlock(edge)) return this.#leaveTo(edge);
    this.#requirePage(from, edge);
    // A loop with two entrances has no structure: leave, and come in again.
    if (this.#flow.isIrreducible(from, edge)) return this.#leaveTo(edge.at);
    const { state } = this.registers;
    // Where it comes wide from elsewhere, it has to be.
    if (this.#values !== undefined) this.registers.widen(~this.#values.narrow[edge.order]);
    const backward = edge.order <= from.order;
    if (backward) this.f.br(this.#scopeOf(edge, "loop"));
    else if (this.#flow.merges[edge.order] === 1) this.f.br(this.#scopeOf(edge, "followed"));
    else this.#tree(edge);
    this.registers.state = state;
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
    this.pushAddress(page * PAGE_SIZE);
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
    this.#leaveTo(to.at);
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
        return this.set(semantics.value);
      case "setF":
        return this.setF(semantics.to, () => this.expr(semantics.bits));
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
      case "fence":
        if (this.fence(semantics.orders)) this.#sideExit();
        return;
      case "service":
        return;
    }
  }

  #following(): void {
    const { at: here, length } = this.operation;
    this.pushAddress(here + length);
  }

  #jumpTo(block: Block, { target }: Extract<Semantics, { does: "jumpTo" }>): void {
    const { f } = this;
    // Not in `#target`, which the way to a guessed block may use.
    const goal = this.temporary("i64");
    this.expr(target);
    f.set(goal);
    this.setX(() => this.#following());
    const spread = spreadOf(block.guesses);
    if (spread === undefined) for (const guess of block.guesses) this.#goToIf(block, goal, guess);
    else this.#goToOneOf(block, goal, spread);
    this.place.listener?.edge(undefined, f.length);
    f.get(goal).set(this.#target);
  }

  /** Goes to `guess` if that is where `goal` leads. */
  #goToIf(from: Block, goal: Local, guess: Block): void {
    this.f.get(goal);
    this.pushAddress(guess.at);
    this.f.op("i64.eq").if();
    this.#goTo(from, guess);
    this.f.end();
  }

  /** Goes to the guess that `goal` is, if it is one, by way of a table. */
  #goToOneOf(from: Block, goal: Local, { shift, slots }: Spread): void {
    const { f } = this;
    const nowhere = f.block();
    const guesses = [...new Set(slots)].filter((guess) => guess !== undefined);
    const labels = new Map<Block, Label>();
    for (const guess of guesses.toReversed()) labels.set(guess, f.block());
    f.get(goal).op("i32.wrap_i64");
    f.i32(shift).op("i32.shr_u");
    f.i32(slots.length - 1).op("i32.and");
    f.brTable(
      slots.map((guess) => (guess === undefined ? nowhere : labels.get(guess)!)),
      nowhere,
    );
    for (const guess of guesses) {
      f.end();
      this.#goToIf(from, goal, guess);
      f.br(nowhere);
    }
    f.end();
  }

  // ---- memory ----

  /**
   * Puts where the memory at the address on the stack lies into `offset`, by the page that its base last led to, else by the
   * TLB. All of `span` bytes follow each other there, and are aligned where that is asked for.
   */
  #locate({ tag, addend }: CachedPage, table: number, span: number, aligned: boolean): void {
    const { f } = this;
    const page = aligned ? -4096 | (span - 1) : -4096;
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
    f.get(this.offset).memory("i32.load", 8).set(addend);
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
      f.get(this.offset).memory("i32.load", 8).get(addend).op("i32.ne").brIf(nowhere);
    }
    f.br(found).end();
    if (this.#isDevice(this.operation)) {
      this.#accessDevice();
      // The common way leads to the mail then, and nothing is remembered of it.
      f.i64(NO_PAGE).set(tag);
      f.i32(at(HartField.mail0)).get(this.address).op("i32.wrap_i64", "i32.sub").set(addend);
    } else this.#sideExit();
    f.end();
    f.get(this.address).op("i32.wrap_i64").get(addend).op("i32.add").set(this.offset);
  }

  #isDevice(operation: Operation): boolean {
    return this.place.devices?.at.has(operation.at) === true && accessOf(operation) !== undefined;
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
      budget: this.#budget,
      behind: this.#left - 1,
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
      leaveAt: () => this.#sideExit(),
      leaveTo: (pushPc) => {
        pushPc();
        f.set(this.#target);
        this.#leaveToTarget();
        this.registers.state = state;
      },
    });
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

  #locateToRead(span: number, aligned: boolean): void {
    this.#locate(this.#readPages[this.operation.rs1]!, HartField.tlbRead, span, aligned);
  }

  #locateToWrite(span: number, aligned: boolean): void {
    this.#locate(this.#writePages[this.operation.rs1]!, HartField.tlbWrite, span, aligned);
  }

  /** Where the memory of the current load or store lies: pushes an offset, and answers what is to be added to it. */
  #accessOffset(): number {
    const { f } = this;
    const operation = this.operation;
    const group = this.#groups[this.#block.order].get(operation)!;
    if (group.leader === operation) {
      this.registers.push(operation.rs1);
      if (group.low !== 0) f.i64(group.low).op("i64.add");
      const span = group.high - group.low;
      // As an access to all of it is, as a rule: then it cannot reach into another page.
      const aligned = span === group.widest;
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

  #load(semantics: Extract<Semantics, { does: "load" }>): void {
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

  #store({ width, value }: Extract<Semantics, { does: "store" }>): void {
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
    if (access === "load") this.#locateToRead(width, true);
    else this.#locateToWrite(width, true);
  }

  // ---- floating point ----

  #float(semantics: FloatSemantics): void {
    const { f } = this;
    const { rm, rd } = this.operation;
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
      this.floatOperand(from, fields[i]);
      if (flips[i]) f.op(from === "s" ? "f32.neg" : "f64.neg");
    }
    f.get(rounding).call(this.place.floatHelper(semantics.operation));
    if (to === "x") {
      if (rd === 0) f.op("drop");
      else this.define(false);
      return;
    }
    if (to === "s") f.op("i32.reinterpret_f32", "i64.extend_i32_u").i64(NAN_BOX).op("i64.or", "f64.reinterpret_i64");
    this.defineF();
  }
}
