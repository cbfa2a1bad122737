/**
 * Ways: what each place in native code that accesses memory remembers of its last access, ahead of the TLB. A way says which
 * guest page that was, and what makes a host's address of an address on it; to look it up takes no address arithmetic.
 *
 * All ways are right for one *generation*: a number that is the same again only where the same TLB tables are in force, and
 * nothing was forgotten since (`HartField.epoch`). It stands in the lowest bits of a way's page, where it is compared, too.
 * So it is with what is remembered of jumps: which code is at a guest address.
 */
import { HartField, TLB_TABLE_SIZE } from "../../isa/riscv/hart.ts";
import type { Width } from "../../isa/riscv/semantics.ts";
import { ADDEND } from "../tlb-code.ts";
import { Alu, type Assembler, Condition, data, Label, type Operand, Reg, Shift } from "./assembler.ts";
import { field, LINEAR } from "./registers.ts";
import { writeTlbEntry } from "./tlb.ts";

const PAGE_BITS = 12;
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
/** Every set of TLB tables has a place, by privilege and by where it lies: `{ epoch: i32, generation: i32 }`. */
const PLACES_EACH = 256;
const PLACES = 4 * PLACES_EACH;
/** Where jumps went: `{ address: i64, code: i64, generation: i32, decoded page: i32 }`, by a part of the address. */
const JUMP_BITS = 12;
const JUMP_SIZE_BITS = 5;
const JumpField = { code: 8, generation: 16, ops: 20 } as const;
const JUMPS_SIZE = 1 << (JUMP_BITS + JUMP_SIZE_BITS);

/** What else there is, in bytes from where it all starts. */
const LATEST = 8;
const TABLE = 12;
const EPOCH = 16;
const PLACES_START = 32;

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
  readonly #jumps: Operand;
  readonly #ways: number;
  readonly #next = [EVERYWHERE.length, EVERYWHERE.length];
  readonly #missed = new Map<number, Label>();

  /** Bytes that it takes. */
  static readonly size = PLACES_START + PLACES * 8 + JUMPS_SIZE + 2 * WAYS * WAY_SIZE;

  /** @param memory The same as `start`, for us. */
  constructor(
    readonly start: number,
    readonly memory: Uint8Array,
  ) {
    this.#generation = data(start);
    this.#latest = data(start + LATEST);
    this.#table = data(start + TABLE);
    this.#epoch = data(start + EPOCH);
    this.#places = data(start + PLACES_START);
    this.#jumps = data(start + PLACES_START + PLACES * 8);
    this.#ways = start + PLACES_START + PLACES * 8 + JUMPS_SIZE;
  }

  /** Native code is not right any more: begins a new generation. */
  forget(): void {
    // No tables lie at 0, and no place is right.
    this.memory.fill(0, TABLE, EPOCH);
    this.memory.fill(0, PLACES_START, PLACES_START + PLACES * 8);
  }

  /** The same, from where others may take without effect here. */
  copy(): Ways {
    const copied = new Ways(this.start, this.memory);
    for (const [key, label] of this.#missed) copied.#missed.set(key, label);
    return copied;
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
    code.move(Reg.rdx, field(HartField.privilege), false);
    // Nothing is in its lowest bits.
    code.alu(Alu.or, Reg.rax, Reg.rdx, false);
    code.move(Reg.rcx, field(HartField.epoch), false);
    code.alu(Alu.cmp, Reg.rax, this.#table, false);
    code.jumpIf(Condition.notEqual, stale);
    code.alu(Alu.cmp, Reg.rcx, this.#epoch, false);
    code.jumpIf(Condition.equal, end);
    code.bind(stale);
    code.move(this.#table, Reg.rax, false);
    code.move(this.#epoch, Reg.rcx, false);
    code.shift(Shift.shr, Reg.rax, Math.log2(TLB_TABLE_SIZE), false);
    code.shift(Shift.shl, Reg.rdx, Math.log2(PLACES_EACH), false);
    code.alu(Alu.or, Reg.rax, Reg.rdx, false);
    code.addressOf(Reg.rdx, this.#places);
    code.leaSum(Reg.rdx, Reg.rdx, Reg.rax, 3);
    code.compareAt(Reg.rcx, Reg.rdx, 4);
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
    code.moveImmediate(Reg.rcx, (Ways.size - PLACES_START) / 8);
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

  /** Goes to the code for the address in rax if it is known; else goes on, with where to note it in rcx. Takes rdx. */
  writeJump(code: Assembler): void {
    const elsewhere = new Label();
    code.move(Reg.rdx, Reg.rax, false);
    code.shift(Shift.shr, Reg.rdx, JUMP_BITS, false);
    code.alu(Alu.xor, Reg.rdx, Reg.rax, false);
    code.aluImmediate(Alu.and, Reg.rdx, ((1 << JUMP_BITS) - 1) << 1, false);
    code.shift(Shift.shl, Reg.rdx, JUMP_SIZE_BITS - 1, false);
    code.addressOf(Reg.rcx, this.#jumps);
    code.alu(Alu.add, Reg.rcx, Reg.rdx);
    code.compareAt(Reg.rax, Reg.rcx, 8);
    code.jumpIf(Condition.notEqual, elsewhere);
    code.loadAt(Reg.rdx, Reg.rcx, 4, false, JumpField.generation);
    code.alu(Alu.cmp, Reg.rdx, this.#generation, false);
    code.jumpIf(Condition.notEqual, elsewhere);
    code.loadAt(Reg.rdx, Reg.rcx, 4, false, JumpField.ops);
    code.move(field(HartField.nativeOps), Reg.rdx, false);
    code.aluImmediate(Alu.and, Reg.rax, -4096);
    code.move(field(HartField.nativePage), Reg.rax);
    code.jumpToAt(Reg.rcx, JumpField.code);
    code.bind(elsewhere);
  }

  /** Notes that the code whose address is in rdx is that for the address in rax, where {@link writeJump} said. Takes rax. */
  writeNote(code: Assembler): void {
    code.storeAt(Reg.rcx, Reg.rax, 8);
    code.storeAt(Reg.rcx, Reg.rdx, 8, JumpField.code);
    code.move(Reg.rax, this.#generation, false);
    code.storeAt(Reg.rcx, Reg.rax, 4, JumpField.generation);
    code.move(Reg.rax, field(HartField.nativeOps), false);
    code.storeAt(Reg.rcx, Reg.rax, 4, JumpField.ops);
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
    writeTlbEntry(code, Reg.rdx, table);
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
