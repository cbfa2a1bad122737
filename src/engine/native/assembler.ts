/**
 * Writes x86-64 machine code: as much of it as guest code becomes. Intel SDM volume 2; AMD64 APM volume 3.
 *
 * An operand is a number: a register, memory at a distance from `rbp` ({@link memory}), or data beside the code ({@link data}).
 */

export const Reg = {
  ...{ rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7 },
  ...{ r8: 8, r9: 9, r10: 10, r11: 11, r12: 12, r13: 13, r14: 14, r15: 15 },
} as const;
export type Reg = number;

/** A register of SSE, by its number; two of them have a name. */
export const Xmm = { xmm0: 0, xmm1: 1 } as const;
export type Xmm = number;

/** Mandatory prefixes of SSE, for one number of a register. */
export const SINGLE = 0xf3;
export const DOUBLE = 0xf2;
/** Opcodes of SSE behind 0x0f. `moveBits` is from a register of integers. */
export const Sse = {
  ...{ load: 0x10, store: 0x11, move: 0x28, moveBits: 0x6e, convert: 0x5a },
  ...{ sqrt: 0x51, and: 0x54, or: 0x56, xor: 0x57, add: 0x58, mul: 0x59, sub: 0x5c, min: 0x5d, div: 0x5e, max: 0x5f },
  ...{ fromInteger: 0x2a, truncate: 0x2c, toInteger: 0x2d, compareQuietly: 0x2e, compare: 0x2f },
} as const;

/** Of SSE2 for vectors, all with the prefix {@link VECTOR}; and of SSE4.1, behind 0x0f and 0x38. */
export const VECTOR = 0x66;
export const Vector = {
  ...{ mask: 0xd7, xor: 0xef, interleaveBytes: 0x60, maximumBytes: 0xde },
  ...{ equalBytes: 0x74, equalHalves: 0x75, equalWords: 0x76 },
  ...{ greaterBytes: 0x64, greaterHalves: 0x65, greaterWords: 0x66 },
  ...{ maximumHalves: 0x383e, maximumWords: 0x383f },
} as const;
export type Vector = (typeof Vector)[keyof typeof Vector];
/** Prefixes of the opcode that shuffles a vector's lower halves, or its words. */
export const Shuffle = { halves: 0xf2, words: 0x66 } as const;
export type Shuffle = (typeof Shuffle)[keyof typeof Shuffle];

/** A register, or memory. */
export type Operand = number;

const MEMORY = 0x1000_0000;
/** What lies `distance` bytes from where `rbp` leads; at most 2^27 either way. */
export const memory = (distance: number): Operand => MEMORY + distance;
const DATA = 0x4000_0000;
/** What lies `offset` bytes behind the first byte of the code. */
export const data = (offset: number): Operand => DATA + offset;
export const isRegister = (operand: Operand): operand is Reg => operand < 16;

export const isData = (operand: Operand): boolean => operand >= DATA - DATA / 2;
/** What {@link memory} or {@link data} was made from. */
export const offsetOf = (operand: Operand): number => operand - (isData(operand) ? DATA : MEMORY);

/** Operations of two operands, by their number in opcodes. */
export const Alu = { add: 0, or: 1, adc: 2, sbb: 3, and: 4, sub: 5, xor: 6, cmp: 7 } as const;
export type Alu = (typeof Alu)[keyof typeof Alu];

export const Shift = { rol: 0, ror: 1, shl: 4, shr: 5, sar: 7 } as const;
export type Shift = (typeof Shift)[keyof typeof Shift];

/** Operations on one operand, some with rdx:rax as the other. */
export const Unary = { not: 2, neg: 3, mul: 4, imul: 5, div: 6, idiv: 7 } as const;
export type Unary = (typeof Unary)[keyof typeof Unary];

/** Conditions, by their number in opcodes; the lowest bit turns one around. */
export const Condition = {
  ...{ overflow: 0, below: 2, notBelow: 3, equal: 4, notEqual: 5, notAbove: 6, above: 7, negative: 8, unordered: 10 },
  ...{ less: 12, notLess: 13, notGreater: 14, greater: 15 },
} as const;
export type Condition = number;
export const inverse = (condition: Condition): Condition => condition ^ 1;

const INT32 = 2 ** 31;
/** rbp and r13 are no base otherwise. */
const needsDistance = (base: Reg): boolean => (base & 7) === Reg.rbp;
const fits8 = (value: number) => value >= -128 && value <= 127;

/** A place in the code that jumps lead to; known when it is {@link Assembler.bind bound}. */
export class Label {
  /** Offset in the code; -1: not known yet. */
  at = -1;
  /** Where distances to it stand: one, as a rule, and others. */
  first = -1;
  others: number[] | undefined = undefined;
}

export class Assembler {
  /** Where the next instruction is written. */
  length = 0;

  /** @param bytes Whoever writes sees to it that there is room. */
  constructor(readonly bytes: Uint8Array) {}

  /** What is written next is for the guest's instruction there: for listings. */
  remark(_at: number): void {}

  #byte(value: number): void {
    this.bytes[this.length++] = value;
  }

  #int32(value: number): void {
    const { bytes, length } = this;
    bytes[length] = value;
    bytes[length + 1] = value >> 8;
    bytes[length + 2] = value >> 16;
    bytes[length + 3] = value >> 24;
    this.length = length + 4;
  }

  /** REX where it is needed: `wide` for 64 bits, the fourth bits of registers, and for the low bytes of rsi, rdi and rbp. */
  #rex(wide: boolean, reg: Reg, index: Reg, rm: Reg, bytes = false): void {
    const rex = (wide ? 8 : 0) | ((reg & 8) >> 1) | ((index & 8) >> 2) | ((rm & 8) >> 3);
    if (rex !== 0 || bytes) this.#byte(0x40 | rex);
  }

  /**
   * An instruction with a register (or an opcode's extension) and an operand. Opcodes above 0xff begin with 0x0f.
   * @param tail Bytes of the immediate that follows.
   */
  #form(opcode: number, wide: boolean, reg: number, operand: Operand, bytes = false, tail = 0): void {
    this.#rex(wide, reg, 0, operand < 16 ? operand : 0, bytes);
    if (opcode > 0xff) this.#byte(0x0f);
    this.#byte(opcode & 0xff);
    this.#modRm(reg, operand, tail);
  }

  #modRm(reg: number, operand: Operand, tail: number): void {
    if (operand < 16) return this.#byte(0xc0 | ((reg & 7) << 3) | (operand & 7));
    if (isData(operand)) {
      this.#byte(0x05 | ((reg & 7) << 3));
      return this.#int32(operand - DATA - (this.length + 4 + tail));
    }
    const distance = operand - MEMORY;
    if (fits8(distance)) {
      this.#byte(0x45 | ((reg & 7) << 3));
      this.#byte(distance);
    } else {
      this.#byte(0x85 | ((reg & 7) << 3));
      this.#int32(distance);
    }
  }

  /** The same with a VEX prefix: `map` and `prefix` by their numbers in it, and one more register. */
  #vex(
    map: number,
    prefix: number,
    opcode: number,
    wide: boolean,
    reg: Reg,
    operand: Operand,
    more: Reg,
    tail = 0,
  ): void {
    this.#byte(0xc4);
    this.#byte((reg < 8 ? 0x80 : 0) | 0x40 | (operand < 8 || operand > 15 ? 0x20 : 0) | map);
    this.#byte((wide ? 0x80 : 0) | ((~more & 15) << 3) | prefix);
    this.#byte(opcode);
    this.#modRm(reg, operand, tail);
  }

  /** The same with memory at `rbp + index * 2^scale + distance`. */
  #indexed(opcode: number, wide: boolean, reg: number, index: Reg, distance: number, scale = 0, bytes = false): void {
    this.#rex(wide, reg, index, Reg.rbp, bytes);
    if (opcode > 0xff) this.#byte(0x0f);
    this.#byte(opcode & 0xff);
    this.#byte(0x84 | ((reg & 7) << 3));
    this.#byte((scale << 6) | ((index & 7) << 3) | Reg.rbp);
    this.#int32(distance);
  }

  // ---- moves ----

  /** One of the two is a register. */
  move(to: Operand, from: Operand, wide = true): void {
    if (to < 16) this.#form(0x8b, wide, to, from);
    else this.#form(0x89, wide, from, to);
  }

  /** Flags are anything afterwards. */
  moveImmediate(to: Operand, value: number | bigint): void {
    const small = Number(value);
    if (to >= 16) {
      // Sign-extended to 64 bits.
      this.#form(0xc7, true, 0, to, false, 4);
      return this.#int32(small);
    }
    if (small === 0) return this.#form(0x33, false, to, to);
    if (small > 0 && small < 2 * INT32) {
      this.#rex(false, 0, 0, to);
      this.#byte(0xb8 | (to & 7));
      return this.#int32(small);
    }
    if (small >= -INT32 && small < 0) {
      this.#form(0xc7, true, 0, to);
      return this.#int32(small);
    }
    const bits = BigInt.asUintN(64, BigInt(value));
    this.#rex(true, 0, 0, to);
    this.#byte(0xb8 | (to & 7));
    this.#int32(Number(bits & 0xffff_ffffn) | 0);
    this.#int32(Number(bits >> 32n) | 0);
  }

  /** The same from 0 to 2^31, and flags stay as they are. */
  moveImmediateKeepingFlags(to: Reg, value: number): void {
    this.#rex(false, 0, 0, to);
    this.#byte(0xb8 | (to & 7));
    this.#int32(value);
  }

  /** Stores 32 bits. */
  storeWord(to: Operand, value: number): void {
    this.#form(0xc7, false, 0, to, false, 4);
    this.#int32(value);
  }

  /** Stores the low 16 bits of a register. */
  storeHalf(to: Operand, from: Reg): void {
    this.#byte(0x66);
    this.#form(0x89, false, from, to);
  }

  /** From 8, 16 or 32 bits to 64. */
  moveExtended(to: Reg, from: Operand, width: 1 | 2 | 4, signed: boolean): void {
    if (width === 4) {
      if (signed) this.#form(0x63, true, to, from);
      else this.move(to, from, false);
    } else this.#form((signed ? 0x1be : 0x1b6) + (width === 2 ? 1 : 0), signed, to, from, width === 1);
  }

  /** The same from `rbp + index + distance`, 64 bits among them. */
  loadIndexed(to: Reg, index: Reg, distance: number, width: 1 | 2 | 4 | 8, signed: boolean): void {
    if (width === 8) this.#indexed(0x8b, true, to, index, distance);
    else if (width === 4) this.#indexed(signed ? 0x63 : 0x8b, signed, to, index, distance);
    else this.#indexed((signed ? 0x1be : 0x1b6) + (width === 2 ? 1 : 0), signed, to, index, distance);
  }

  /** To `rbp + index + distance`. */
  storeIndexed(index: Reg, distance: number, from: Reg, width: 1 | 2 | 4 | 8): void {
    if (width === 2) this.#byte(0x66);
    this.#indexed(width === 1 ? 0x88 : 0x89, width === 8, from, index, distance, 0, width === 1);
  }

  /** Memory at a host's address in a register that is none of the new ones, nor rsp or rbp. */
  #at(opcode: number, wide: boolean, reg: number, base: Reg, distance: number, bytes = false): void {
    this.#rex(wide, reg, 0, base, bytes);
    if (opcode > 0xff) this.#byte(0x0f);
    this.#byte(opcode & 0xff);
    this.#byte((distance === 0 ? 0x00 : 0x40) | ((reg & 7) << 3) | base);
    if (distance !== 0) this.#byte(distance);
  }

  /** From where rax, rcx or rdx lead. */
  loadAt(to: Reg, base: Reg, width: 1 | 2 | 4 | 8, signed: boolean, distance = 0): void {
    if (width === 8) this.#at(0x8b, true, to, base, distance);
    else if (width === 4) this.#at(signed ? 0x63 : 0x8b, signed, to, base, distance);
    else this.#at((signed ? 0x1be : 0x1b6) + (width === 2 ? 1 : 0), signed, to, base, distance);
  }

  storeAt(base: Reg, from: Reg, width: 1 | 2 | 4 | 8, distance = 0): void {
    if (width === 2) this.#byte(0x66);
    this.#at(width === 1 ? 0x88 : 0x89, width === 8, from, base, distance, width === 1);
  }

  /** With what is at where rax, rcx or rdx lead; the value fits in a byte. */
  aluAtImmediate(op: Alu, base: Reg, distance: number, value: number, wide = true): void {
    this.#at(0x83, wide, op, base, distance);
    this.#byte(value);
  }

  /** With what is there; 16 bits are for comparisons. */
  aluAt(op: Alu, reg: Reg, base: Reg, width: 2 | 4 | 8, distance = 0): void {
    if (width === 2) this.#byte(0x66);
    this.#at((op << 3) | 3, width === 8, reg, base, distance);
  }

  /** Memory at a host's address: a register and rcx, which is added, and a distance. */
  #sum(opcode: number, wide: boolean, reg: Reg, base: Reg, distance: number, bytes = false): void {
    this.#rex(wide, reg, 0, base, bytes);
    if (opcode > 0xff) this.#byte(0x0f);
    this.#byte(opcode & 0xff);
    const none = distance === 0 && !needsDistance(base);
    const short = fits8(distance);
    this.#byte((none ? 0x04 : short ? 0x44 : 0x84) | ((reg & 7) << 3));
    this.#byte((Reg.rcx << 3) | (base & 7));
    if (none) return;
    if (short) this.#byte(distance);
    else this.#int32(distance);
  }

  /** From `base + rcx + distance`. */
  loadSum(to: Reg, base: Reg, distance: number, width: 1 | 2 | 4 | 8, signed: boolean): void {
    if (width === 8) this.#sum(0x8b, true, to, base, distance);
    else if (width === 4) this.#sum(signed ? 0x63 : 0x8b, signed, to, base, distance);
    else this.#sum((signed ? 0x1be : 0x1b6) + (width === 2 ? 1 : 0), signed, to, base, distance);
  }

  /** To `base + rcx + distance`. */
  storeSum(base: Reg, distance: number, from: Reg, width: 1 | 2 | 4 | 8): void {
    if (width === 2) this.#byte(0x66);
    this.#sum(width === 1 ? 0x88 : 0x89, width === 8, from, base, distance, width === 1);
  }

  /** To the address that stands there. */
  jumpToAt(base: Reg, distance: number): void {
    this.#at(0xff, false, 4, base, distance);
  }

  /** `to` = the address of an operand in memory. */
  addressOf(to: Reg, operand: Operand): void {
    this.#form(0x8d, true, to, operand);
  }

  /** rax into `rcx` doublewords from where rdi leads. */
  fill(): void {
    this.#byte(0xf3);
    this.#byte(0x48);
    this.#byte(0xab);
  }

  /** `to = base + distance`. */
  lea(to: Reg, base: Reg, distance: number, wide = true): void {
    this.#rex(wide, to, 0, base);
    this.#byte(0x8d);
    const short = fits8(distance);
    this.#byte((short ? 0x40 : 0x80) | ((to & 7) << 3) | (base & 7));
    if ((base & 7) === Reg.rsp) this.#byte(0x24);
    if (short) this.#byte(distance);
    else this.#int32(distance);
  }

  /** `to = base + index * 2^scale`. */
  leaSum(to: Reg, base: Reg, index: Reg, scale = 0, wide = true): void {
    // Sums of three are slower than those of two, and some registers are no base without a distance.
    if (scale === 0 && needsDistance(base) && !needsDistance(index)) return this.leaSum(to, index, base, 0, wide);
    this.#rex(wide, to, index, base);
    this.#byte(0x8d);
    const distant = needsDistance(base);
    this.#byte((distant ? 0x44 : 0x04) | ((to & 7) << 3));
    this.#byte((scale << 6) | ((index & 7) << 3) | (base & 7));
    if (distant) this.#byte(0);
  }

  push(operand: Operand): void {
    if (!isRegister(operand)) return this.#form(0xff, false, 6, operand);
    this.#rex(false, 0, 0, operand);
    this.#byte(0x50 | (operand & 7));
  }

  /** Of a byte, sign-extended. */
  pushImmediate(value: number): void {
    this.#byte(0x6a);
    this.#byte(value);
  }

  pop(reg: Reg): void {
    this.#rex(false, 0, 0, reg);
    this.#byte(0x58 | (reg & 7));
  }

  // ---- arithmetic ----

  /** One of the two is a register. */
  alu(op: Alu, to: Operand, from: Operand, wide = true): void {
    if (to < 16) this.#form((op << 3) | 3, wide, to, from);
    else this.#form((op << 3) | 1, wide, from, to);
  }

  aluImmediate(op: Alu, to: Operand, value: number, wide = true): void {
    if (fits8(value)) {
      this.#form(0x83, wide, op, to, false, 1);
      this.#byte(value);
    } else {
      this.#form(0x81, wide, op, to, false, 4);
      this.#int32(value);
    }
  }

  /** With memory at `rbp + index + distance`. */
  aluIndexed(op: Alu, to: Reg, index: Reg, distance: number, wide = true): void {
    this.#indexed((op << 3) | 3, wide, to, index, distance);
  }

  /** With what is on the stack, a byte's distance from where rsp leads. */
  aluStack(op: Alu, reg: Reg, distance: number): void {
    this.#rex(true, reg, 0, 0);
    this.#byte((op << 3) | 3);
    this.#byte(0x44 | ((reg & 7) << 3));
    this.#byte(0x24);
    this.#byte(distance);
  }

  /** Tests bits of the byte at `rbp + index + distance`. */
  testIndexed(index: Reg, distance: number, bits: number): void {
    this.#indexed(0xf6, false, 0, index, distance);
    this.#byte(bits);
  }

  /** Compares 16 bits at `rbp + index + distance`. */
  compareHalf(index: Reg, distance: number, value: number): void {
    this.#byte(0x66);
    this.#indexed(0x81, false, Alu.cmp, index, distance);
    this.#byte(value);
    this.#byte(value >> 8);
  }

  /** Compares the lowest byte of a register. */
  compareByte(reg: Reg, operand: Operand): void {
    this.#form(0x3a, false, reg, operand, true);
  }

  compareByteImmediate(operand: Operand, value: number): void {
    this.#form(0x80, false, Alu.cmp, operand, isRegister(operand), 1);
    this.#byte(value);
  }

  test(a: Reg, b: Reg, wide = true): void {
    this.#form(0x85, wide, a, b);
  }

  unary(op: Unary, operand: Operand, wide = true): void {
    this.#form(0xf7, wide, op, operand);
  }

  multiply(to: Reg, by: Operand, wide = true): void {
    this.#form(0x1af, wide, to, by);
  }

  /** The same by a number that fits in a byte. */
  multiplyBy(to: Reg, value: number): void {
    this.#form(0x6b, false, to, to);
    this.#byte(value);
  }

  /** rax's sign into all of rdx, or eax's into edx. */
  signIntoRdx(wide = true): void {
    if (wide) this.#byte(0x48);
    this.#byte(0x99);
  }

  shift(op: Shift, reg: Reg, by: number, wide = true): void {
    if (by === 0) return;
    this.#form(0xc1, wide, op, reg);
    this.#byte(by);
  }

  /** By the lowest bits of rcx. */
  shiftByRcx(op: Shift, reg: Reg, wide = true): void {
    this.#form(0xd3, wide, op, reg);
  }

  /** `to = from` rotated to the right. Of BMI2. */
  rotateInto(to: Reg, from: Operand, by: number, wide = true): void {
    this.#vex(3, 3, 0xf0, wide, to, from, 0, 1);
    this.#byte(by);
  }

  /** `to = from` shifted by the lowest bits of a register. Of BMI2. */
  shiftInto(op: Shift, to: Reg, from: Operand, by: Reg, wide = true): void {
    this.#vex(2, op === Shift.shl ? 1 : op === Shift.sar ? 2 : 3, 0xf7, wide, to, from, by);
  }

  /** `to = by`, without the bits that are set in `without`. Of BMI1. */
  andNot(to: Reg, without: Reg, by: Operand, wide = true): void {
    this.#vex(2, 0, 0xf2, wide, to, by, without);
  }

  /** Both halves of what rdx times a number is, without signs. Of BMI2. */
  multiplyInto(high: Reg, low: Reg, by: Operand): void {
    this.#vex(2, 3, 0xf6, true, high, by, low);
  }

  /** Position of the lowest bit that is set, else of the highest; `equal` holds where there is none. */
  scan(direction: "forward" | "backward", to: Reg, from: Operand, wide = true): void {
    this.#form(direction === "forward" ? 0x1bc : 0x1bd, wide, to, from);
  }

  moveIf(condition: Condition, to: Reg, from: Operand, wide = true): void {
    this.#form(0x140 | condition, wide, to, from);
  }

  /** 0 or 1 in all of `to`. */
  setIf(condition: Condition, to: Reg): void {
    this.#setByte(condition, to);
    this.#form(0x1b6, false, to, to, true);
  }

  /** 0 or 1 in the lowest byte of `to`. */
  setByteIf(condition: Condition, to: Reg): void {
    this.#setByte(condition, to);
  }

  #setByte(condition: Condition, to: Reg): void {
    this.#form(0x190 | condition, false, 0, to, true);
  }

  // ---- floating point ----

  /** An instruction of SSE2 with a mandatory prefix (0: none); the operand may be an integer register where it takes one. */
  sse(prefix: number, opcode: number, reg: Xmm | Reg, operand: Xmm | Operand, wide = false): void {
    if (prefix !== 0) this.#byte(prefix);
    this.#form(0x100 | opcode, wide, reg, operand);
  }

  /** The same with memory at a host's address: see {@link loadSum}. */
  sseSum(prefix: number, opcode: number, reg: Xmm, base: Reg, distance: number): void {
    this.#byte(prefix);
    this.#sum(0x100 | opcode, false, reg, base, distance);
  }

  /** 16 bytes at a host's address: see {@link loadSum}. */
  loadVector(to: Xmm, base: Reg, distance: number): void {
    this.#byte(0xf3);
    this.#sum(0x16f, false, to, base, distance);
  }

  /** Of the first eight; a mask goes to an integer register. */
  vector(op: Vector, to: Xmm | Reg, from: Xmm): void {
    this.#byte(VECTOR);
    this.#byte(0x0f);
    if (op > 0xff) this.#byte(op >> 8);
    this.#byte(op & 0xff);
    this.#byte(0xc0 | (to << 3) | from);
  }

  /** Has all lower halves, or all words, of one of the first eight be the first. */
  broadcast(prefix: Shuffle, reg: Xmm): void {
    this.#byte(prefix);
    this.#byte(0x0f);
    this.#byte(0x70);
    this.#byte(0xc0 | (reg << 3) | reg);
    this.#byte(0);
  }

  /** One of VFMADD213 and the like, or of VFMADD231: `to`, `by` and `operand` are their operands. Of FMA3. */
  fused(opcode: number, to: Xmm, by: Xmm, operand: Xmm | Operand, double: boolean): void {
    this.#vex(2, 1, opcode, double, to, operand, by);
  }

  loadControl(from: Operand): void {
    this.#form(0x1ae, false, 2, from);
  }

  storeControl(to: Operand): void {
    this.#form(0x1ae, false, 3, to);
  }

  // ---- control flow ----

  bind(label: Label): void {
    label.at = this.length;
    if (label.first >= 0) this.#patch(label.first, label.at);
    if (label.others !== undefined) for (const use of label.others) this.#patch(use, label.at);
  }

  /** A distance at `use` is to lead to `target`. */
  #patch(use: number, target: number): void {
    const end = this.length;
    this.length = use;
    this.#int32(target - use - 4);
    this.length = end;
  }

  #noteUse(label: Label): void {
    if (label.first < 0) label.first = this.length;
    else if (label.others === undefined) label.others = [this.length];
    else label.others.push(this.length);
  }

  #distanceTo(label: Label): void {
    if (label.at < 0) this.#noteUse(label);
    this.#int32(label.at < 0 ? 0 : label.at - this.length - 4);
  }

  jump(label: Label): void {
    this.#byte(0xe9);
    this.#distanceTo(label);
  }

  jumpIf(condition: Condition, label: Label): void {
    this.#byte(0x0f);
    this.#byte(0x80 | condition);
    this.#distanceTo(label);
  }

  call(label: Label): void {
    this.#byte(0xe8);
    this.#distanceTo(label);
  }

  /** Makes the jump whose distance stands at `use` lead to `target`. */
  redirect(use: number, target: number): void {
    this.#patch(use, target);
  }

  jumpTo(reg: Reg): void {
    this.#form(0xff, false, 4, reg);
  }

  /** To the address that an operand in memory holds. */
  jumpThrough(operand: Operand): void {
    this.#form(0xff, false, 4, operand);
  }

  return(): void {
    this.#byte(0xc3);
  }
}
