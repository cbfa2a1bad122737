/**
 * Ways: what each place in native code that accesses memory remembers of its last access, ahead of the TLB. A way says which
 * guest page that was, and what makes a host's address of an address on it; to look it up takes no address arithmetic.
 *
 * All ways are right for one *generation*: a number that is the same again only where the same TLB tables are in force, and
 * nothing was forgotten since (`HartField.epoch`). It stands in the lowest bits of a way's page, where it is compared, too.
 */
import { HartField, TLB_ENTRIES, TLB_ENTRY_SIZE, TLB_TABLE_SIZE } from "../../isa/riscv/hart.ts";
import type { Width } from "../../isa/riscv/semantics.ts";
import { ADDEND } from "../tlb-code.ts";
import { Alu, type Assembler, Condition, data, Label, type Operand, Reg, Shift } from "./assembler.ts";
import { field, LINEAR } from "./registers.ts";

const PAGE_BITS = 12;
const ENTRY_BITS = Math.log2(TLB_ENTRY_SIZE);
/** `{ page and generation: i64, what is added: i64 }` */
const WAY_SIZE = 16;
const ADDED = 8;
/** Ways in each direction. Where there are more places, some share one. */
const WAYS = 1 << 14;
/** The stack, globals and the thread have the same few pages wherever the code is: one way for each of these registers. */
const EVERYWHERE = [2, 3, 4];

/** Alignment bits stay free, so that a misaligned address is never taken for another generation's. */
const GENERATION_STEP = 8;
const GENERATIONS = 1 << PAGE_BITS;
/** Every set of TLB tables has a place, by where it lies: `{ epoch: i32, generation: i32 }`. */
const PLACES = 256;

export interface WayPool {
  /** A way for places that access memory by a base register; `everywhere`: wherever they are. */
  take(base: number, store: boolean): Operand;
}

/** What lies beside the code, from `start` on. */
export class Ways implements WayPool {
  /** Of the tables in force, 8 bytes; the latest one given out; the tables and the epoch that the former is for. */
  readonly #generation: Operand;
  readonly #latest: Operand;
  readonly #table: Operand;
  readonly #epoch: Operand;
  readonly #places: Operand;
  readonly #ways: number;
  readonly #next = [EVERYWHERE.length, EVERYWHERE.length];
  readonly #missed = new Map<number, Label>();

  /** Bytes that it takes. */
  static readonly size = 32 + PLACES * 8 + 2 * WAYS * WAY_SIZE;

  constructor(start: number) {
    this.#generation = data(start);
    this.#latest = data(start + 8);
    this.#table = data(start + 12);
    this.#epoch = data(start + 16);
    this.#places = data(start + 32);
    this.#ways = start + 32 + PLACES * 8;
  }

  take(base: number, store: boolean): Operand {
    const direction = Number(store);
    const shared = EVERYWHERE.indexOf(base);
    const index = shared >= 0 ? shared : this.#next[direction]++;
    if (this.#next[direction] === WAYS) this.#next[direction] = EVERYWHERE.length;
    return data(this.#ways + (direction * WAYS + index) * WAY_SIZE);
  }

  /** Code for where native code is entered: finds the generation. Takes rax, rcx and rdx. */
  writeEntry(code: Assembler): void {
    const stale = new Label();
    const fresh = new Label();
    const given = new Label();
    const known = new Label();
    const end = new Label();
    code.move(Reg.rax, field(HartField.tlbRead), false);
    code.move(Reg.rcx, field(HartField.epoch), false);
    code.alu(Alu.cmp, Reg.rax, this.#table, false);
    code.jumpIf(Condition.notEqual, stale);
    code.alu(Alu.cmp, Reg.rcx, this.#epoch, false);
    code.jumpIf(Condition.equal, end);
    code.bind(stale);
    code.move(this.#table, Reg.rax, false);
    code.move(this.#epoch, Reg.rcx, false);
    code.shift(Shift.shr, Reg.rax, Math.log2(TLB_TABLE_SIZE), false);
    code.aluImmediate(Alu.and, Reg.rax, PLACES - 1, false);
    code.addressOf(Reg.rdx, this.#places);
    code.leaSum(Reg.rdx, Reg.rdx, Reg.rax, 3);
    code.compareAt(Reg.rcx, Reg.rdx);
    code.jumpIf(Condition.notEqual, fresh);
    code.loadAt(Reg.rax, Reg.rdx, 4, false, 4);
    code.test(Reg.rax, Reg.rax, false);
    code.jumpIf(Condition.notEqual, known);
    code.bind(fresh);
    code.move(Reg.rax, this.#latest, false);
    code.aluImmediate(Alu.add, Reg.rax, GENERATION_STEP, false);
    code.aluImmediate(Alu.cmp, Reg.rax, GENERATIONS, false);
    code.jumpIf(Condition.below, given);
    // All are used up: every way is forgotten, and they are given out again.
    code.push(Reg.rdi);
    code.addressOf(Reg.rdi, this.#places);
    code.moveImmediate(Reg.rcx, (PLACES * 8 + 2 * WAYS * WAY_SIZE) / 8);
    code.moveImmediate(Reg.rax, 0);
    code.fill();
    code.pop(Reg.rdi);
    code.move(Reg.rcx, field(HartField.epoch), false);
    code.moveImmediate(Reg.rax, GENERATION_STEP);
    code.bind(given);
    code.move(this.#latest, Reg.rax, false);
    code.storeAt(Reg.rdx, Reg.rcx, 4);
    code.storeAt(Reg.rdx, Reg.rax, 4, 4);
    code.bind(known);
    code.move(this.#generation, Reg.rax);
    code.bind(end);
  }

  /** Code that {@link writeLookUp} calls behind a miss. */
  writeMisses(code: Assembler): void {
    for (const store of [false, true]) {
      for (const width of [1, 2, 4, 8] as const) {
        const label = new Label();
        this.#missed.set(keyOf(width, store), label);
        code.bind(label);
        this.#writeMiss(code, store ? HartField.tlbWrite : HartField.tlbRead, width);
      }
    }
  }

  /**
   * With the address in rax and the way's own in rcx: `equal` tells that the TLB knew. Then the way does now, too, and the
   * host's address is in rax.
   */
  #writeMiss(code: Assembler, table: number, width: Width): void {
    const crossing = new Label();
    const end = new Label();
    if (width > 1) {
      code.move(Reg.rdx, Reg.rax, false);
      code.aluImmediate(Alu.and, Reg.rdx, 0xfff, false);
      code.aluImmediate(Alu.cmp, Reg.rdx, 4096 - width, false);
      // Then it is not `equal` either.
      code.jumpIf(Condition.above, crossing);
    }
    code.move(Reg.rdx, Reg.rax, false);
    code.shift(Shift.shr, Reg.rdx, PAGE_BITS - ENTRY_BITS, false);
    code.aluImmediate(Alu.and, Reg.rdx, (TLB_ENTRIES - 1) << ENTRY_BITS, false);
    code.alu(Alu.add, Reg.rdx, field(table), false);
    code.push(Reg.rsi);
    code.move(Reg.rsi, Reg.rax);
    code.aluImmediate(Alu.and, Reg.rsi, -4096);
    code.aluIndexed(Alu.cmp, Reg.rsi, Reg.rdx, LINEAR);
    code.jumpIf(Condition.notEqual, end);
    code.loadIndexed(Reg.rdx, Reg.rdx, LINEAR + ADDEND, 4, false);
    code.alu(Alu.or, Reg.rsi, this.#generation);
    code.storeAt(Reg.rcx, Reg.rsi, 8);
    code.alu(Alu.add, Reg.rdx, Reg.rax, false);
    code.leaSum(Reg.rdx, Reg.rdx, Reg.rbp);
    code.lea(Reg.rdx, Reg.rdx, LINEAR);
    code.move(Reg.rsi, Reg.rax);
    code.move(Reg.rax, Reg.rdx);
    code.alu(Alu.sub, Reg.rdx, Reg.rsi);
    code.storeAt(Reg.rcx, Reg.rdx, 8, ADDED);
    code.alu(Alu.cmp, Reg.rax, Reg.rax, false);
    code.bind(end);
    code.pop(Reg.rsi);
    code.bind(crossing);
    code.return();
  }

  /** Makes a host's address of the guest's in rax. Takes rcx and rdx. */
  writeLookUp(code: Assembler, place: WayPlace): void {
    const { way, width, store, interpret, afterwards } = place;
    const found = new Label();
    code.move(Reg.rdx, Reg.rax);
    code.aluImmediate(Alu.and, Reg.rdx, -4096 | (width - 1));
    code.alu(Alu.or, Reg.rdx, this.#generation);
    code.alu(Alu.cmp, Reg.rdx, way);
    code.jumpIf(
      Condition.notEqual,
      afterwards(() => {
        code.addressOf(Reg.rcx, way);
        code.call(this.#missed.get(keyOf(width, store))!);
        code.jumpIf(Condition.equal, found);
        code.jump(interpret);
      }),
    );
    code.alu(Alu.add, Reg.rax, way + ADDED);
    code.bind(found);
  }
}

/** An access, where its way is looked up. */
export interface WayPlace {
  readonly way: Operand;
  readonly width: Width;
  readonly store: boolean;
  /** Where the interpreter carries it out. */
  readonly interpret: Label;
  /** Has code written behind all else. */
  afterwards(write: () => void): Label;
}

const keyOf = (width: Width, store: boolean) => width * 2 + Number(store);
