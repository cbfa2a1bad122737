/** Writes searches: sixteen bytes are compared with the key at once, and the loop is left, or goes on behind them. */
import {
  Alu,
  type Assembler,
  Condition,
  isRegister,
  type Label,
  type Operand,
  Reg,
  Shift,
  Shuffle,
  Sse,
  VECTOR,
  Vector,
  Xmm,
} from "./assembler.ts";
import { BUDGET, type RegisterPlaces } from "./registers.ts";
import type { Search } from "./searches.ts";
import { WayField } from "./ways.ts";

/** Bytes that are compared at once. */
const VECTOR_SIZE = 16;
const ALL = 0xffff;

/** By the logarithm of the width. */
const EQUAL = [Vector.equalBytes, Vector.equalHalves, Vector.equalWords];
const GREATER = [Vector.greaterBytes, Vector.greaterHalves, Vector.greaterWords];
const MAXIMUM = [Vector.maximumBytes, Vector.maximumHalves, Vector.maximumWords];

export interface SearchPlaces {
  readonly way: Operand;
  /** Bytes that an access by the way may have. */
  readonly bytes: number;
  /** One round as it is written otherwise: where there is not as much left, of the way, of the budget, or it is another key. */
  readonly single: Label;
  /** Where the next round's instructions are taken from the budget. */
  readonly again: Label;
  /** Has code written behind all else. */
  afterwards(write: () => void): Label;
}

export class SearchWriter {
  constructor(
    readonly code: Assembler,
    readonly registers: RegisterPlaces,
  ) {}

  /**
   * At the beginning of a round, behind what takes its instructions from the budget. Goes on where the loop is left. Takes rax,
   * rcx, rdx, xmm0 and xmm1.
   */
  write(search: Search, { way, bytes, single, again, afterwards }: SearchPlaces): void {
    const { code, registers } = this;
    const { base, step, from, width, count } = search;
    const forwards = step > 0;
    const lowest = forwards ? from : from - (VECTOR_SIZE - width);
    code.aluImmediate(Alu.cmp, BUDGET, count * (VECTOR_SIZE / width - 1), false);
    code.jumpIf(Condition.below, single);
    this.#requireKey(search, single);
    const home = registers.of(base);
    const reg = isRegister(home) ? home : Reg.rdx;
    if (reg === home) code.lea(Reg.rdx, home, lowest);
    else {
      code.move(Reg.rdx, home);
      code.aluImmediate(Alu.add, Reg.rdx, lowest);
    }
    code.alu(Alu.sub, Reg.rdx, way + WayField.start);
    code.move(Reg.rax, way + WayField.limit);
    code.aluImmediate(Alu.sub, Reg.rax, VECTOR_SIZE - bytes);
    code.jumpIf(Condition.below, single);
    code.alu(Alu.cmp, Reg.rdx, Reg.rax);
    code.jumpIf(Condition.notBelow, single);
    code.move(Reg.rcx, way + WayField.added);
    if (reg !== home) code.move(Reg.rdx, home);
    code.loadVector(Xmm.xmm0, reg, lowest);
    this.#broadcast(search);
    // What each of these rounds does to the base is done to it once in any case.
    code.aluImmediate(Alu.add, reg, step);
    const none = afterwards(() => {
      code.moveImmediate(Reg.rax, VECTOR_SIZE - width);
      this.#writeRounds(search, reg);
      code.jump(again);
    });
    this.#compare(search, none);
    code.scan(forwards ? "forward" : "backward", Reg.rax, Reg.rax, false);
    if (!forwards) code.aluImmediate(Alu.xor, Reg.rax, VECTOR_SIZE - 1, false);
    this.#writeRounds(search, reg);
  }

  /** The key has to be what a load of this kind could answer. */
  #requireKey({ key, width, signed }: Search, single: Label): void {
    if (key === 0) return;
    const { code } = this;
    const home = this.registers.of(key);
    code.moveExtended(Reg.rax, home, width, signed);
    code.alu(Alu.cmp, Reg.rax, home);
    code.jumpIf(Condition.notEqual, single);
  }

  /** The key, in xmm1. */
  #broadcast({ key, width }: Search): void {
    const { code } = this;
    const { xmm1 } = Xmm;
    if (key === 0) return code.vector(Vector.xor, xmm1, xmm1);
    code.sse(VECTOR, Sse.moveBits, xmm1, this.registers.of(key));
    if (width === 1) code.vector(Vector.interleaveBytes, xmm1, xmm1);
    if (width < 4) code.broadcast(Shuffle.halves, xmm1);
    code.broadcast(Shuffle.words, xmm1);
  }

  /** Has the bytes in which the loop is left as bits in rax; goes to `none` if there are none. */
  #compare({ goesOn, comparesSigned, width }: Search, none: Label): void {
    const { code } = this;
    const { xmm0: found, xmm1: key } = Xmm;
    const size = Math.log2(width);
    const isEquality = goesOn === "equal" || goesOn === "notEqual";
    const isStrict = goesOn === "less" || goesOn === "greater";
    const [to, from] = goesOn === "less" || goesOn === "notLess" ? [key, found] : [found, key];
    /** The answer is where the loop goes on, not where it is left. */
    let goes: boolean;
    if (isEquality) {
      code.vector(EQUAL[size], to, from);
      goes = goesOn === "equal";
    } else if (comparesSigned) {
      code.vector(GREATER[size], to, from);
      goes = isStrict;
    } else {
      // One is not less than the other if it is the greater of both.
      code.vector(MAXIMUM[size], to, from);
      code.vector(EQUAL[size], to, from);
      goes = !isStrict;
    }
    code.vector(Vector.mask, Reg.rax, to);
    if (goes) code.aluImmediate(Alu.xor, Reg.rax, ALL, false);
    else code.test(Reg.rax, Reg.rax, false);
    code.jumpIf(Condition.equal, none);
  }

  /** What as many more rounds do as there are bytes in rax, with the base in `reg`, behind the first of them. */
  #writeRounds({ base, step, from, width, signed, rd, copies, count }: Search, reg: Reg): void {
    const { code, registers } = this;
    code.alu(step > 0 ? Alu.add : Alu.sub, reg, Reg.rax);
    if (width > 1) code.shift(Shift.shr, Reg.rax, Math.log2(width), false);
    code.multiplyBy(Reg.rax, count);
    code.alu(Alu.sub, BUDGET, Reg.rax, false);
    const home = registers.of(base);
    if (reg !== home) code.move(home, reg);
    for (const copy of copies) {
      const to = registers.of(copy.rd);
      const made = isRegister(to) ? to : Reg.rax;
      code.lea(made, reg, copy.added);
      if (made !== to) code.move(to, made);
    }
    const to = registers.of(rd);
    const loaded = isRegister(to) ? to : Reg.rax;
    code.loadSum(loaded, reg, from - step, width, signed);
    if (loaded !== to) code.move(to, loaded);
  }
}
