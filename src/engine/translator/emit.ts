/**
 * Writes a region as a WebAssembly function. Guest registers live in locals; control flow is structured; every load and
 * store goes by the TLB, whose last page per base register is kept in locals. What the fast way cannot do is not done
 * here: the function leaves at that instruction, and the interpreter carries it out. Where control leaves the region, the
 * next region is called in its place, if there is one.
 *
 * Regions know no addresses but those relative to their own page, so that code mapped at several places is translated once.
 */
import { HartField } from "../../isa/riscv/hart.ts";
import type { FloatOperation, Semantics } from "../../isa/riscv/semantics.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import type { Callable, FunctionWriter, Label, Local } from "../../wasm/function.ts";
import { at, MSTATUS, MSTATUS_FS, NAN_BOX } from "../places.ts";
import { ADDEND } from "../tlb-code.ts";
import { AccessWriter } from "./access-writer.ts";
import { exitTo, Leaving, REFUND_BITS } from "./contract.ts";
import type { DeviceImports } from "./device-sites.ts";
import { analyse, type Flow } from "./flow.ts";
import { operandsOf } from "./operands.ts";
import { type Block, type Edge, isBlock, type Operation, pageOf, type Region } from "./region.ts";
import { followRegisters, type RegisterFlow, type Registers } from "./registers.ts";
import type { SharedCode } from "./shared-code.ts";
import { type Spread, spreadOf } from "./spread.ts";

/** What a region's code relies on around it. */
export interface RegionPlace {
  /** Decoded page of each further page that the region relies on, by number relative to the entry's. */
  readonly decodedPages: ReadonlyMap<number, number>;
  /** Its own slot in the table. */
  readonly slot: number;
  /** How thoroughly it is translated. */
  readonly level: Level;
  readonly floatHelper: (operation: FloatOperation) => Callable;
  /** What it has in common with the regions of its module. */
  readonly shared: SharedCode;
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

/** What encloses the code being written: a loop to be continued, or a block behind which a merge follows. */
interface Scope {
  readonly block: Block;
  readonly label: Label;
  readonly kind: "loop" | "followed";
}

/** Some other {@link exitTo}: to where `target` says. It gives back more than there is. */
const TO_TARGET = exitTo(0, 2 ** REFUND_BITS - 1);

class RegionWriter extends AccessWriter {
  readonly #flow: Flow;
  protected override readonly budget: Local;
  readonly #page: Local;
  /** What leads to where the interpreter takes over: see {@link exitTo}. */
  readonly #exit: Local;
  /** One of {@link Leaving}. */
  readonly #how: Local;
  /** Where execution goes on outside. */
  readonly #target: Local;
  /** What becomes of registers; quick code has all in wide locals, and puts back all that it writes anywhere. */
  readonly #values: RegisterFlow | undefined;
  readonly #written: Registers = { x: 0, f: 0 };
  /** Whether the floating-point unit is on and dirty; that cannot change inside. */
  #floatOn: Local | undefined;
  readonly #scopes: Scope[] = [];
  /** All is put back there that a region writes anywhere. */
  #putBack!: Label;
  /** All has been put back. */
  #goOn!: Label;

  constructor(
    f: FunctionWriter,
    readonly region: Region,
    place: RegionPlace,
  ) {
    super(f, place);
    this.#flow = analyse(region);
    if (place.level === "thorough") this.#values = followRegisters(this.#flow.sequence);
    [this.budget, this.#page] = f.params;
    this.#exit = f.local("i64", "exit");
    this.#how = f.local("i32", "how");
    this.#target = f.local("i64", "target");
  }

  write(): void {
    const { f, region, place } = this;
    this.#putBack = f.block("i64", "putBack");
    if (this.#values !== undefined) this.#goOn = f.block(undefined, "goOn");
    if (this.#flow.loops[0] === 0) {
      // Nothing has been taken up yet, so nothing has to be put back.
      f.get(this.budget).i32(this.#flow.longest[0]).op("i32.lt_s").ifUnlikely();
      f.get(this.budget)
        .get(this.#page)
        .i64(exitTo(region.entry.at, 0))
        .i32(Leaving.spent(place.slot))
        .returnCall(place.shared.takeOver)
        .end();
    }
    this.#prologue();
    f.i32(Leaving.interpret).set(this.#how);
    this.#tree(region.entry);
    if (this.#values !== undefined) {
      f.end(); // goOn
      f.get(this.budget).get(this.#target).returnCall(place.shared.goOn);
    }
    f.end(); // putBack
    f.set(this.#exit);
    this.registers.storeWide(this.#values?.handedOver ?? this.#written);
    if (this.#values === undefined) {
      f.get(this.#exit).i64(TO_TARGET).op("i64.eq").if();
      f.get(this.budget).get(this.#target).returnCall(place.shared.goOn).end();
    }
    f.get(this.budget).get(this.#page).get(this.#exit).get(this.#how).returnCall(place.shared.takeOver);
  }

  // ---- registers ----

  #prologue(): void {
    const used = { x: 0, f: 0 };
    let float = false;
    for (const block of this.#flow.sequence) {
      this.prepareAccesses(block);
      for (const { instruction, rd, rs1, rs2, rs3 } of block.operations) {
        const operands = operandsOf(instruction);
        if (operands.readsX1) used.x |= 1 << rs1;
        if (operands.readsX2) used.x |= 1 << rs2;
        if (operands.readsF1) used.f |= 1 << rs1;
        if (operands.readsF2) used.f |= 1 << rs2;
        if (operands.readsF3) used.f |= 1 << rs3;
        if (operands.writesX && rd !== 0) this.#written.x |= 1 << rd;
        if (operands.writesF) this.#written.f |= 1 << rd;
        float ||= operands.float;
      }
    }
    const { f } = this;
    const all = { x: (used.x | this.#written.x) & ~1, f: used.f | this.#written.f };
    this.registers.load(this.#values?.loaded ?? all);
    this.startAccesses();
    if (!float) return;
    this.#floatOn = f.local("i32", "floatOn");
    f.i32(0).memory("i32.load", MSTATUS).i32(MSTATUS_FS).op("i32.and").i32(MSTATUS_FS).op("i32.eq").set(this.#floatOn);
  }

  // ---- leaving ----

  /** Pushes an address given relative to the entry's page. */
  protected override pushAddress(relative: number): void {
    this.f.get(this.#page);
    if (relative !== 0) this.f.i64(relative).op("i64.add");
  }

  /** Leaves at `to`, to be executed by the interpreter, with `refund` instructions of the block not executed. */
  #leaveToInterpret(to: number, refund: number): void {
    this.registers.copyToWide();
    this.f.i64(exitTo(to, refund)).br(this.#putBack);
  }

  protected override sideExit(): void {
    this.#leaveToInterpret(this.operation.at, this.left);
  }

  protected override sideExitIf(condition: () => void): void {
    const { f } = this;
    if (this.registers.isBehind) {
      condition();
      f.ifUnlikely();
      this.sideExit();
      f.end();
      return;
    }
    f.i64(exitTo(this.operation.at, this.left));
    condition();
    f.brIfUnlikely(this.#putBack).op("drop");
  }

  /** Leaves to the address that is in `target` already. */
  #leaveToTarget(): void {
    if (this.#values === undefined) {
      this.f.i64(TO_TARGET).br(this.#putBack);
      return;
    }
    this.registers.store(this.registers.state);
    this.f.br(this.#goOn);
  }

  protected override leaveTo(pushPc: () => void): void {
    pushPc();
    this.f.set(this.#target);
    this.#leaveToTarget();
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
      f.get(this.budget).i32(this.#flow.longest[block.order]).op("i32.lt_s").ifUnlikely();
      f.i32(Leaving.spent(this.place.slot)).set(this.#how);
      this.#leaveToInterpret(block.at, 0);
      f.end();
    }
    if (count > 0) f.get(this.budget).i32(count).op("i32.sub").set(this.budget);
    this.#requireFloat(block);
    this.left = count;
    this.block = block;
    for (const operation of block.operations) {
      this.operation = operation;
      this.staysNarrow = this.#values?.narrowResults[block.order][count - this.left] === 1;
      this.startInstruction();
      listener?.operation(operation, f.length);
      this.#execute(block, operation);
      this.left--;
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
    if (!isBlock(edge)) return this.leaveTo(() => this.pushAddress(edge));
    this.#requirePage(from, edge);
    // A loop with two entrances has no structure: leave, and come in again.
    if (this.#flow.isIrreducible(from, edge)) return this.leaveTo(() => this.pushAddress(edge.at));
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
    f.set(this.#target);
    this.tlbEntry(this.#target, HartField.tlbFetch);
    f.get(this.#target).op("i64.ne");
    f.get(this.offset)
      .memory("i32.load", ADDEND)
      .i32(this.place.decodedPages.get(page)!)
      .op("i32.ne", "i32.or")
      .ifUnlikely();
    this.leaveTo(() => this.pushAddress(to.at));
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
        return this.load(semantics);
      case "store":
        return this.store(semantics);
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
        return this.sideExit();
      case "fence":
        if (this.fence(semantics.orders)) this.sideExit();
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

  // ---- floating point ----

  #float(semantics: FloatSemantics): void {
    const { f } = this;
    const { rm, rd } = this.operation;
    const rounding = this.temporary("i32");
    if (semantics.rounds && rm === 7) {
      f.i32(0).memory("i32.load", at(HartField.frm)).tee(rounding).i32(4).op("i32.gt_u").ifUnlikely();
      this.sideExit();
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
