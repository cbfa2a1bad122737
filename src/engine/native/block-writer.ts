/**
 * Writes blocks as native code. Guest registers are where `registers.ts` says, between instructions as between blocks, so
 * that control may come from anywhere. What the fast way cannot do is not done here: the block is left at that instruction,
 * and the interpreter carries it out. Inside a refined block registers may be behind, and are made up for on the way out.
 */
import { HartField } from "../../isa/riscv/hart.ts";
import { PAGE_SIZE } from "../../memory/guest-memory.ts";
import { exitTo, Leaving } from "../translator/contract.ts";
import { Alu, type Assembler, Condition, inverse, isRegister, Label, type Operand, Reg } from "./assembler.ts";
import { branchesTo, countOf, type NativeBlock, type NativeOp } from "./blocks.ts";
import { ChoiceWriter } from "./choice-writer.ts";
import type { CommonCode } from "./common-code.ts";
import { CsrWriter } from "./csrs.ts";
import { DivisionWriter } from "./divisions.ts";
import { Expressions } from "./expressions.ts";
import { FloatWriter, stateFor } from "./floats.ts";
import { Fate, type Liveness } from "./liveness.ts";
import { MemoryWriter } from "./memory-writer.ts";
import { type BlockPlan, type PlannedRounds, planOf } from "./plans.ts";
import { ProductWriter } from "./products.ts";
import { BUDGET, field, placesFor, type RegisterPlaces } from "./registers.ts";
import { RoundsWriter, seldomOf } from "./rounds.ts";
import { SearchWriter } from "./search-writer.ts";
import { usesIn, usesOf } from "./uses.ts";
import type { Accesses, PageWays } from "./ways.ts";

/** A block, written. */
export interface WrittenBlock {
  readonly at: number;
  /** Where control enters it from elsewhere, and where code begins that goes to it in whatever way is right then. */
  readonly entry: number;
  readonly detour: number;
  /** The same for its own region. */
  readonly body: number;
  readonly bodyDetour: number;
  /** Where other code of the same page goes. */
  readonly link: number;
  /** Ways that several of its accesses share. */
  readonly ways: readonly Operand[];
}

/** A jump that may be made to lead to a block, once there is one: where its distance stands. */
export interface OpenJump {
  readonly use: number;
  /** Where in the page it goes. */
  readonly to: number;
}

export interface WrittenCode {
  readonly blocks: readonly WrittenBlock[];
  readonly open: readonly OpenJump[];
}

/** Where blocks go. */
export interface BlockPlace {
  readonly common: CommonCode;
  readonly page: PageWays;
  /** Whether the processor has BMI1 and BMI2; those that do have SSE4.1, too. */
  readonly bitManipulation: boolean;
  /** Whether the hart has 16-bit instructions. */
  readonly compressed: boolean;
  /** By block, in order. */
  readonly slots: readonly number[];
  /** Idioms are fused, and what nobody reads is left out. */
  readonly refined: boolean;
  /** Where other code of the page goes to a block that exists already; -1: there is none. */
  linkTo(at: number): number;
  /** Whether a block's accesses are to have a way each: together they have been of no use. */
  isApart(at: number): boolean;
}

export function writeBlocks(code: Assembler, blocks: readonly NativeBlock[], place: BlockPlace): WrittenCode {
  return new BlockWriter(code, blocks, place).write();
}

/** An instruction that was not carried out: only the interpreter would want its result. */
interface PutOff {
  readonly operation: NativeOp;
  readonly narrow: number;
  readonly fate: number;
}

const NOTHING: readonly PutOff[] = [];

/** What is needed to write rounds that are counted. */
interface CountedRounds {
  readonly rounds: PlannedRounds;
  readonly note: Operand;
  readonly ways: ReadonlyMap<Accesses, Operand>;
  /** Where the block takes its instructions from the budget, and goes on as usual. */
  readonly usual: Label;
}

/** The ways of a block's accesses, as they are found; and whether it needs the floating-point unit. */
interface Needs {
  readonly ways: ReadonlyMap<Accesses, Operand>;
  readonly float: boolean;
}

/** Code that stands behind all blocks. */
interface Later {
  readonly label: Label;
  write(): void;
}

class BlockWriter {
  readonly #registers: RegisterPlaces;
  readonly #expressions: Expressions;
  readonly #floats: FloatWriter;
  readonly #divisions: DivisionWriter;
  readonly #products: ProductWriter;
  readonly #csrs: CsrWriter;
  readonly #memory: MemoryWriter;
  readonly #rounds: RoundsWriter;
  readonly #choices: ChoiceWriter;
  readonly #searches: SearchWriter;
  readonly #entries = new Map<number, Label>();
  readonly #detours = new Map<number, Label>();
  /** Where functions return to that are called in this region and may be in it. */
  readonly #returns: number[] = [];
  readonly #open: OpenJump[] = [];
  readonly #later: Later[] = [];
  /** Where registers are in other places than usual: what brings them back, by where control goes then. */
  readonly #back = new Map<string, Label>();
  /** Of the block, at the current instruction: registers whose upper halves are anything, as bits; what was put off. */
  #loose = 0;
  #putOff: readonly PutOff[] = NOTHING;
  /** By block: ways for several accesses. */
  readonly #shared: Operand[][] = [];
  /** Ways out to an address in the page, or relative to it. */
  readonly #exits = new Map<number, Label>();
  /** Instructions of the block from the current one on. */
  #left = 0;
  /** Of a block that goes to itself: where that leads; `undefined`: to what stands behind it. */
  #again: { readonly at: number; readonly label: Label | undefined } | undefined;
  /** A part of the budget is put by. */
  #hasRest = false;

  constructor(
    readonly code: Assembler,
    readonly blocks: readonly NativeBlock[],
    readonly place: BlockPlace,
  ) {
    this.#registers = placesFor(usesOf(blocks));
    this.#expressions = new Expressions(code, this.#registers, place.bitManipulation);
    this.#floats = new FloatWriter(code, this.#registers);
    this.#divisions = new DivisionWriter(code, this.#registers);
    this.#products = new ProductWriter(code, this.#registers, place.bitManipulation);
    this.#csrs = new CsrWriter(code, this.#registers, place.compressed);
    this.#memory = new MemoryWriter(code, this.#registers, this.#expressions, this.#floats, {
      ...{ ways: place.common.ways, page: place.page },
      interpret: (operation) => this.#interpret(operation),
      afterwards: (write) => this.#afterwards(write),
    });
    this.#rounds = new RoundsWriter(code, this.#registers, place.common.ways);
    this.#choices = new ChoiceWriter(code, this.#registers, this.#expressions);
    this.#searches = new SearchWriter(code, this.#registers);
    for (const { at } of blocks) this.#entries.set(at, new Label());
    for (const { operations } of blocks) {
      const { instruction, rd, at, imm, length } = operations[operations.length - 1];
      if (rd !== RETURN_ADDRESS || instruction.semantics.does !== "jump") continue;
      if (!this.#entries.has(at + imm) || !this.#entries.has(at + length)) continue;
      if (this.#returns.push(at + length) === MOST_RETURNS) break;
    }
  }

  write(): WrittenCode {
    const { blocks } = this;
    for (let i = 0; i < blocks.length; i++) this.#block(blocks[i], this.place.slots[i], blocks[i + 1]?.at);
    // What is written may want more.
    for (const { label, write } of this.#later) {
      this.code.bind(label);
      write();
    }
    const written = blocks.map(({ at }, i) => this.#writeEntry(at, this.#shared[i]));
    return { blocks: written, open: this.#open };
  }

  get #isUsual(): boolean {
    return this.#registers.exchanged.length === 0;
  }

  /** Where control enters a block from elsewhere. */
  #writeEntry(at: number, ways: readonly Operand[]): WrittenBlock {
    const { code } = this;
    const { page, common } = this.place;
    const body = this.#entries.get(at)!;
    const bodyDetour = this.#detours.get(at)!.at;
    const ready = this.#isUsual ? body : new Label();
    const entry = code.length;
    common.ways.writePageEntry(code, page, ready);
    common.ways.writePageChange(code, page);
    if (this.#isUsual) {
      code.jump(body);
      return { at, entry, detour: bodyDetour, body: body.at, bodyDetour, link: body.at, ways };
    }
    code.bind(ready);
    this.#registers.write(code, false);
    code.jump(body);
    const detour = code.length;
    this.#leave(common.goOnRelative, at);
    return { at, entry, detour, body: body.at, bodyDetour, link: entry, ways };
  }

  /** Code that is shared by all, but for registers in their usual places. */
  #common(name: "interpret" | "spent" | "goOn" | "goOnRelative" | "return"): Label {
    const { common } = this.place;
    const usual = name === "return" ? common.returns.return : common[name];
    if (this.#isUsual) return usual;
    let label = this.#back.get(name);
    if (label === undefined) {
      label = this.#afterwards(() => {
        this.#registers.write(this.code, true);
        this.code.jump(usual);
      });
      this.#back.set(name, label);
    }
    return label;
  }

  #afterwards(write: () => void): Label {
    const label = new Label();
    this.#later.push({ label, write });
    return label;
  }

  #block(block: NativeBlock, slot: number, next: number | undefined): void {
    const { at, operations, end, left } = block;
    const { refined, bitManipulation, isApart } = this.place;
    const plan = planOf(block, refined, isApart(at), bitManipulation);
    const ways = this.#memory.startBlock();
    const float = operations.some((operation) => operation.float);
    const loops = this.place.refined && branchesTo(block.operations, at);
    if (float) this.#floats.startBlock(plan.operations, loops);
    this.#again = undefined;
    if (plan.search !== undefined) this.#writeSearch(block, slot, plan, next);
    else if (loops) this.#writeLoop(block, slot, plan, { ways, float });
    else {
      this.#writeStart(block, slot, float);
      this.#straightLine(plan, next);
    }
    const shared: Operand[] = [];
    for (const [{ together }, way] of ways) if (together) shared.push(way);
    this.#shared.push(shared);
    const { semantics } = operations[operations.length - 1].instruction;
    if (loops || semantics.does === "jump" || semantics.does === "jumpTo") return;
    if (left) this.#leave(this.#common("interpret"), exitTo(end, 0));
    else this.#goTo(end, next);
  }

  /** What goes to itself need not ask for floating point each time, nor take up its registers. */
  #writeLoop(block: NativeBlock, slot: number, plan: BlockPlan, { ways, float }: Needs): void {
    const { code } = this;
    const { at, operations } = block;
    const { rounds } = plan;
    const body = new Label();
    const usual = new Label();
    const note = rounds && this.place.common.loops.take(seldomOf(rounds));
    const counting =
      note && this.#afterwards(() => this.#writeRounds(block, plan, { rounds: rounds!, note, ways, usual }));
    this.#writeStart(block, slot, float);
    if (float) this.#floats.writeCarried(this.#interpretAll(block));
    if (counting) {
      const first = this.#afterwards(() => {
        code.aluImmediate(Alu.add, BUDGET, operations.length, false);
        code.jump(counting);
      });
      this.#rounds.writeFirstChoice(note, first);
    }
    code.bind(body);
    this.#again = { at, label: undefined };
    this.#straightLine(plan, undefined);
    if (counting) this.#rounds.writeChoice(note, counting);
    code.bind(usual);
    this.#writeBudget(block, slot, body);
  }

  /** Rounds are made at once, as many as it takes, where there is enough to look through; else one at a time. */
  #writeSearch(block: NativeBlock, slot: number, plan: BlockPlan, next: number | undefined): void {
    const { code } = this;
    const { at, end } = block;
    const { common, page } = this.place;
    const accesses = plan.accesses.find((group) => group !== undefined)!;
    const way = common.ways.take(page, accesses);
    const body = new Label();
    const again = new Label();
    const single = this.#afterwards(() => {
      this.#memory.startAgain(new Map([[accesses, way]]), []);
      this.#again = { at, label: undefined };
      this.#straightLine(plan, undefined);
      code.bind(again);
      this.#writeBudget(block, slot, body);
    });
    this.#writeStart(block, slot, false);
    code.bind(body);
    for (const { at } of plan.operations) code.remark(at);
    const afterwards = (write: () => void) => this.#afterwards(write);
    this.#searches.write(plan.search!, { way, bytes: accesses.bytes, single, again, afterwards });
    this.#goTo(end, next);
  }

  /** Where control enters a block. */
  #writeStart(block: NativeBlock, slot: number, float: boolean): void {
    const { at } = block;
    this.code.bind(this.#entries.get(at)!);
    this.#writeBudget(block, slot);
    this.#detours.set(at, this.#wayOut(at));
    if (float) this.#requireFloat(block);
  }

  /** Goes to `body` if there is enough. */
  #writeBudget(block: NativeBlock, slot: number, body?: Label): void {
    const { code } = this;
    const { at } = block;
    const count = countOf(block);
    const spent = this.#afterwards(() => {
      code.moveImmediate(Reg.rcx, Leaving.spent(slot));
      this.#leave(this.#common("spent"), exitTo(at, count));
    });
    code.aluImmediate(Alu.sub, BUDGET, count, false);
    // Processors make one operation of these two, which they would not if it was asked for a sign.
    if (body === undefined) return code.jumpIf(Condition.below, spent);
    code.jumpIf(Condition.notBelow, body);
    code.jump(spent);
  }

  /** Where the interpreter takes over at the block's first instruction, after its budget was taken. */
  #interpretAll(block: NativeBlock): Label {
    return this.#afterwards(() => this.#leave(this.#common("interpret"), exitTo(block.at, countOf(block))));
  }

  /** Code for rounds in which nothing that moves has to be looked up. */
  #writeRounds({ at, end }: NativeBlock, plan: BlockPlan, { rounds, note, ways, usual }: CountedRounds): void {
    const { code } = this;
    const { moving, count } = rounds;
    const counting = new Label();
    const round = new Label();
    code.bind(counting);
    this.#rounds.writeCount(rounds, (accesses) => ways.get(accesses)!, {
      ...{ words: rounds.liveness?.words ?? 0, note, usual },
      afterwards: (write) => this.#afterwards(write),
    });
    const places = this.#placesIn(plan, rounds);
    const isExchanged = places !== this.#registers;
    if (isExchanged) places.write(code, false);
    code.bind(round);
    code.aluImmediate(Alu.sub, BUDGET, count, false);
    let makeUp = () => {};
    code.jumpIf(
      Condition.below,
      this.#afterwards(() => {
        code.aluImmediate(Alu.add, BUDGET, count, false);
        makeUp();
        this.#rounds.writeRest();
        code.jump(counting);
      }),
    );
    this.#memory.startAgain(
      ways,
      moving.map(({ accesses }) => accesses),
    );
    // It is written after other blocks.
    if (plan.operations.some((operation) => operation.float)) this.#floats.startBlock(plan.operations, true);
    this.#again = { at, label: round };
    this.#hasRest = true;
    this.#registers.during(places, () => {
      this.#straightLine({ ...plan, liveness: rounds.liveness }, undefined, rounds.liveness?.carried);
    });
    this.#hasRest = false;
    // What the next round would not have wanted.
    const loose = this.#loose;
    const putOff = this.#putOff;
    makeUp = () => {
      this.#registers.during(places, () => this.#makeUp(loose, putOff));
      if (isExchanged) places.write(code, true);
    };
    makeUp();
    this.#rounds.writeLearn(rounds, note);
    this.#rounds.writeRest();
    this.#goTo(end);
  }

  /** Rounds that cannot be left in their middle have those registers in the host's that they use most. */
  #placesIn({ operations }: BlockPlan, { liveness }: PlannedRounds): RegisterPlaces {
    if (!liveness?.isBounded) return this.#registers;
    const carriedOut = operations.filter((_, i) => liveness.fate[i] === Fate.carriedOut);
    return this.#registers.exchange(usesIn(carriedOut), WORTH_IN_ROUNDS);
  }

  /** @param loose Registers whose upper halves are anything at its beginning, as bits. */
  #straightLine(plan: BlockPlan, next: number | undefined, loose = 0): void {
    const { code } = this;
    const { operations, liveness } = plan;
    this.#left = countOf(plan);
    this.#floats.startLine();
    this.#divisions.startBlock();
    this.#products.startBlock();
    this.#loose = loose;
    this.#putOff = NOTHING;
    for (let i = 0; i < operations.length; i++, this.#left--) {
      const operation = operations[i];
      code.remark(operation.at);
      if (liveness === undefined) {
        this.#carryOut(plan, i, next, 0, false);
        continue;
      }
      const narrow = liveness.narrow[i];
      const isLoose = liveness.loose[i] !== 0;
      const fate = this.#fateOf(liveness, i);
      if (fate === Fate.same) continue;
      if (fate === Fate.carriedOut) this.#carryOut(plan, i, next, narrow, isLoose);
      else this.#divisions.note(operation);
      const { rd, traits } = operation;
      if (rd === 0 || !traits.writesX) continue;
      if (this.#putOff.length > 0) this.#putOff = this.#putOff.filter((other) => other.operation.rd !== rd);
      if (fate === Fate.putOff || fate === Fate.folded) this.#putOff = [...this.#putOff, { operation, narrow, fate }];
      else if (isLoose) this.#loose |= 1 << rd;
      else this.#loose &= ~(1 << rd);
    }
  }

  #carryOut(plan: BlockPlan, index: number, next: number | undefined, narrow: number, loose: boolean): void {
    const { operations, accesses, choice } = plan;
    const operation = operations[index];
    if (choice !== undefined && index === operations.length - 1) return this.#choices.write(choice, operation, narrow);
    if (operation.traits.divides) this.#divisions.write(operations, index, loose);
    else if (!this.#products.write(plan, index)) {
      this.#expressions.start(operation, narrow);
      this.#execute(operation, accesses[index], next, loose);
      if (this.#expressions.tookRcx) this.#memory.release();
    }
    this.#divisions.note(operation);
  }

  /** There is a bound on what an exit has to make up for. */
  #fateOf({ fate, isBounded }: Liveness, index: number): number {
    if (fate[index] !== Fate.putOff || isBounded) return fate[index];
    const count = this.#putOff.filter((other) => other.fate === Fate.putOff).length;
    return count < MOST_PUT_OFF ? Fate.putOff : Fate.carriedOut;
  }

  // ---- ways out ----

  #leave(to: Label, exit: number): void {
    this.code.moveImmediate(Reg.rax, exit);
    this.code.jump(to);
  }

  /** Where the interpreter takes over at the current instruction. */
  #interpret({ at }: NativeOp): Label {
    const exit = exitTo(at, this.#left);
    const loose = this.#loose;
    const putOff = this.#putOff;
    const hasRest = this.#hasRest;
    return this.#afterwards(() => {
      if (hasRest) this.#rounds.writeRest();
      this.#makeUp(loose, putOff);
      this.#leave(this.#common("interpret"), exit);
    });
  }

  /** The interpreter wants all registers. */
  #makeUp(loose: number, putOff: readonly PutOff[]): void {
    const { code } = this;
    for (let n = 1; n < 32; n++) {
      if (((loose >>> n) & 1) === 0) continue;
      const place = this.#registers.of(n);
      const reg = isRegister(place) ? place : Reg.rax;
      code.moveExtended(reg, place, 4, true);
      if (reg !== place) code.move(place, reg);
    }
    for (const { operation, narrow } of putOff) {
      const { semantics } = operation.instruction;
      this.#expressions.start(operation, narrow);
      if (operation.traits.divides) this.#divisions.writeAlone(operation);
      else if (semantics.does === "set") this.#expressions.set(semantics.value);
    }
  }

  /** Code that goes to an address relative to the page, whatever is there then. */
  #wayOut(at: number): Label {
    let label = this.#exits.get(at);
    if (label === undefined) {
      const site = at < 0 || at >= PAGE_SIZE ? this.place.common.ways.takeSite() : undefined;
      label = this.#afterwards(() => {
        if (site === undefined) this.#leave(this.#common("goOnRelative"), at);
        else this.#leaveBySite(site, at);
      });
      this.#exits.set(at, label);
    }
    return label;
  }

  /** To an address on another page, which is always the same. */
  #leaveBySite(site: Operand, at: number): void {
    const { code } = this;
    const { ways, goOnFrom } = this.place.common;
    this.#registers.write(code, true);
    ways.writeSite(code, site, Math.floor(at / PAGE_SIZE));
    code.addressOf(Reg.rcx, site);
    this.#leave(goOnFrom, at);
  }

  #goTo(at: number, next?: number): void {
    if (at === next) return;
    const label = this.#labelOf(at);
    this.code.jump(label);
    this.#noteOpen(at);
  }

  #goToIf(condition: Condition, at: number): void {
    this.code.jumpIf(condition, this.#labelOf(at));
    this.#noteOpen(at);
  }

  /** Where a jump to an address in the page goes, or to one relative to it. */
  #labelOf(at: number): Label {
    const own = this.#entries.get(at);
    if (own !== undefined) return own;
    if (at < 0 || at >= PAGE_SIZE) return this.#wayOut(at);
    return this.#isUsual ? this.#elsewhere(at) : this.#backAndElsewhere(at);
  }

  /** The block there, if there is one. */
  #elsewhere(at: number): Label {
    const known = this.place.linkTo(at);
    if (known < 0) return this.#wayOut(at);
    const label = new Label();
    label.at = known;
    return label;
  }

  /** The same with registers brought back first. */
  #backAndElsewhere(at: number): Label {
    let label = this.#exits.get(at);
    if (label === undefined) {
      label = this.#afterwards(() => {
        const { code } = this;
        this.#registers.write(code, true);
        const known = this.place.linkTo(at);
        const to = new Label();
        if (known >= 0) to.at = known;
        code.jump(to);
        this.#open.push({ use: code.length - 4, to: at });
        if (known >= 0) return;
        code.bind(to);
        this.#leave(this.place.common.goOnRelative, at);
      });
      this.#exits.set(at, label);
    }
    return label;
  }

  /** The jump that was just written goes to a block of another region, or may do so once there is one. */
  #noteOpen(at: number): void {
    if (!this.#isUsual || at < 0 || at >= PAGE_SIZE || this.#entries.has(at)) return;
    this.#open.push({ use: this.code.length - 4, to: at });
  }

  /** Floating point has to be on, and to have been used if it is written; else the interpreter takes over. */
  #requireFloat(block: NativeBlock): void {
    const { code } = this;
    const state = stateFor(block.operations);
    const ready = new Label();
    const require = (otherwise: Label) => {
      code.aluImmediate(Alu.cmp, field(HartField.nativeFloat), state, false);
      code.jumpIf(Condition.below, otherwise);
    };
    const interpret = this.#interpretAll(block);
    require(
      this.#afterwards(() => {
        code.call(this.place.common.startFloat);
        require(interpret);
        code.jump(ready);
      }),
    );
    code.bind(ready);
  }

  // ---- instructions ----

  #execute(operation: NativeOp, accesses: Accesses | undefined, next: number | undefined, loose: boolean): void {
    const { semantics } = operation.instruction;
    switch (semantics.does) {
      case "set":
        return this.#expressions.set(semantics.value, loose);
      case "setF":
        this.#expressions.into(Reg.rax, semantics.bits);
        return this.#floats.set(operation.rd, semantics.to);
      case "branch":
        return this.#branch(operation, this.#expressions.condition(semantics.condition));
      case "jump": {
        this.#link(operation);
        const to = operation.at + operation.imm;
        return this.#isCall(operation) ? this.#call(operation, next, to) : this.#goTo(to, next);
      }
      case "jumpTo":
        this.#expressions.into(Reg.rax, semantics.target);
        this.#link(operation);
        if (operation.rd === RETURN_ADDRESS) return this.#call(operation, next);
        if (operation.rd === 0 && operation.rs1 === RETURN_ADDRESS) return this.#return();
        return this.code.jump(this.#common("goOn"));
      case "load":
      case "store":
      case "amo":
      case "loadReserved":
      case "storeConditional":
      case "zeroBlock":
        return this.#memory.write(operation, semantics, accesses);
      case "float":
        this.#memory.release();
        return this.#floats.write(operation, semantics, this.#interpret(operation));
      case "service":
        this.#memory.release();
        return this.#csrs.write(operation, this.#interpret(operation));
      default:
        // Harts that share a thread are in order. What else there is never gets here.
        return;
    }
  }

  #branch({ at, imm, length }: NativeOp, condition: Condition): void {
    const again = this.#again;
    if (again?.at !== at + imm) this.#goToIf(condition, at + imm);
    else if (again.label === undefined) this.#goToIf(inverse(condition), at + length);
    else this.code.jumpIf(condition, again.label);
  }

  /** Whether it calls a function that is to return by way of the stack. */
  #isCall({ rd, at, imm, length }: NativeOp): boolean {
    if (rd !== RETURN_ADDRESS) return false;
    return !this.#entries.has(at + imm) || !this.#returns.includes(at + length);
  }

  /** To a place in the page or relative to it, or to the address in rax; and what stands behind it. */
  #call({ rd, at, length }: NativeOp, next: number | undefined, to?: number): void {
    const { code } = this;
    const { returns } = this.place.common;
    const callee = to === undefined ? this.#common("goOn") : this.#labelOf(to);
    returns.writeCall(code, this.#registers.of(rd), callee, (write) => this.#afterwards(write));
    if (to !== undefined) this.#noteOpen(to);
    returns.writeComeBack(code, at + length);
    this.#registers.write(code, false);
    this.#goTo(at + length, next);
  }

  /** To where a function was called that returns to the address in rax. */
  #return(): void {
    const { code } = this;
    if (this.#returns.length > 0) {
      code.move(Reg.rdx, Reg.rax);
      code.alu(Alu.sub, Reg.rdx, field(HartField.nativePage));
      for (const at of this.#returns) {
        code.aluImmediate(Alu.cmp, Reg.rdx, at);
        code.jumpIf(Condition.equal, this.#entries.get(at)!);
      }
    }
    if (this.#isUsual) this.place.common.returns.writeReturn(code);
    else code.jump(this.#common("return"));
  }

  /** rd = the next instruction's address. rax stays. */
  #link({ rd, at, length }: NativeOp): void {
    if (rd === 0) return;
    const { code } = this;
    const to = this.#registers.of(rd);
    const reg = isRegister(to) ? to : Reg.rdx;
    code.move(reg, field(HartField.nativePage));
    code.aluImmediate(Alu.add, reg, at + length);
    if (reg !== to) code.move(to, reg);
  }
}

const RETURN_ADDRESS = 1;
/** See `LARGEST` (native-code.ts). */
const MOST_PUT_OFF = 4;
/** See {@link RegisterPlaces.exchange}: eight rounds or more follow, as a rule. */
const WORTH_IN_ROUNDS = 2;
/** Places that a return compares with. */
const MOST_RETURNS = 3;
