/**
 * C: the 16-bit encodings. Each stands for one 32-bit instruction, given here as a function of the halfword; nothing
 * downstream knows compressed instructions by other than their length. RISC-V Unpriv §27
 */
import { Major } from "./encoding.ts";

export interface CompressedInstruction {
  readonly name: string;
  readonly mask: number;
  readonly match: number;
  /** As in the 32-bit table; `rd'`-style registers are already resolved by the expansion. */
  readonly syntax: string;
  /** The 32-bit instruction, or 0 where this pattern is reserved. */
  readonly expand: (h: number) => number;
  /** Needs F (never here: those encodings are RV32's) or D. */
  readonly extension?: "d";
}

// Register fields. The three-bit ones name x8..x15.
const rd = (h: number) => (h >> 7) & 31;
const rs2 = (h: number) => (h >> 2) & 31;
const rdPrime = (h: number) => 8 + ((h >> 2) & 7);
const rs1Prime = (h: number) => 8 + ((h >> 7) & 7);
const SP = 2;

/** Bits `high..low` of `h`, moved to start at `to`. */
const bits = (h: number, high: number, low: number, to: number) => ((h >> low) & ((1 << (high - low + 1)) - 1)) << to;
const signed = (value: number, width: number) => (value << (32 - width)) >> (32 - width);

// Immediates, by the scattered layouts of §27.1.
const imm6 = (h: number) => signed(bits(h, 12, 12, 5) | bits(h, 6, 2, 0), 6);
const shamt = (h: number) => bits(h, 12, 12, 5) | bits(h, 6, 2, 0);
const addi4spn = (h: number) => bits(h, 12, 11, 4) | bits(h, 10, 7, 6) | bits(h, 6, 6, 2) | bits(h, 5, 5, 3);
const addi16sp = (h: number) =>
  signed(bits(h, 12, 12, 9) | bits(h, 6, 6, 4) | bits(h, 5, 5, 6) | bits(h, 4, 3, 7) | bits(h, 2, 2, 5), 10);
const wordOffset = (h: number) => bits(h, 12, 10, 3) | bits(h, 6, 6, 2) | bits(h, 5, 5, 6);
const doubleOffset = (h: number) => bits(h, 12, 10, 3) | bits(h, 6, 5, 6);
const wordSpLoad = (h: number) => bits(h, 12, 12, 5) | bits(h, 6, 4, 2) | bits(h, 3, 2, 6);
const doubleSpLoad = (h: number) => bits(h, 12, 12, 5) | bits(h, 6, 5, 3) | bits(h, 4, 2, 6);
const wordSpStore = (h: number) => bits(h, 12, 9, 2) | bits(h, 8, 7, 6);
const doubleSpStore = (h: number) => bits(h, 12, 10, 3) | bits(h, 9, 7, 6);
const jump = (h: number) =>
  signed(
    bits(h, 12, 12, 11) |
      bits(h, 11, 11, 4) |
      bits(h, 10, 9, 8) |
      bits(h, 8, 8, 10) |
      bits(h, 7, 7, 6) |
      bits(h, 6, 6, 7) |
      bits(h, 5, 3, 1) |
      bits(h, 2, 2, 5),
    12,
  );
const branch = (h: number) =>
  signed(bits(h, 12, 12, 8) | bits(h, 11, 10, 3) | bits(h, 6, 5, 6) | bits(h, 4, 3, 1) | bits(h, 2, 2, 5), 9);

// 32-bit encodings.
const iType = (major: number, funct3: number, to: number, from: number, value: number) =>
  (((value & 0xfff) << 20) | (from << 15) | (funct3 << 12) | (to << 7) | major) >>> 0;
const sType = (major: number, funct3: number, base: number, source: number, value: number) =>
  (((value >> 5) << 25) | (source << 20) | (base << 15) | (funct3 << 12) | ((value & 31) << 7) | major) >>> 0;
const rType = (major: number, funct3: number, funct7: number, to: number, a: number, b: number) =>
  ((funct7 << 25) | (b << 20) | (a << 15) | (funct3 << 12) | (to << 7) | major) >>> 0;
const jType = (to: number, offset: number) =>
  (bits(offset >> 20, 0, 0, 31) |
    bits(offset, 10, 1, 21) |
    bits(offset, 11, 11, 20) |
    (offset & 0xff000) |
    (to << 7) |
    Major.jal) >>>
  0;
const bType = (funct3: number, a: number, offset: number) =>
  (bits(offset >> 12, 0, 0, 31) |
    bits(offset, 10, 5, 25) |
    (a << 15) |
    (funct3 << 12) |
    bits(offset, 4, 1, 8) |
    bits(offset, 11, 11, 7) |
    Major.branch) >>>
  0;

const c = (
  name: string,
  mask: number,
  match: number,
  syntax: string,
  expand: (h: number) => number,
  extension?: "d",
): CompressedInstruction => ({ name: `c.${name}`, mask, match, syntax, expand, extension });

/** Patterns with fewer free bits stand before those that contain them. */
export const compressed: readonly CompressedInstruction[] = [
  // Quadrant 0
  c("unimp", 0xffff, 0x0000, "", () => 0),
  c("addi4spn", 0xe003, 0x0000, "rd,sp,imm", (h) =>
    addi4spn(h) === 0 ? 0 : iType(Major.opImm, 0, rdPrime(h), SP, addi4spn(h)),
  ),
  c(
    "fld",
    0xe003,
    0x2000,
    "fd,offset(rs1)",
    (h) => iType(Major.loadFp, 3, rdPrime(h), rs1Prime(h), doubleOffset(h)),
    "d",
  ),
  c("lw", 0xe003, 0x4000, "rd,offset(rs1)", (h) => iType(Major.load, 2, rdPrime(h), rs1Prime(h), wordOffset(h))),
  c("ld", 0xe003, 0x6000, "rd,offset(rs1)", (h) => iType(Major.load, 3, rdPrime(h), rs1Prime(h), doubleOffset(h))),
  c(
    "fsd",
    0xe003,
    0xa000,
    "fs2,offset(rs1)",
    (h) => sType(Major.storeFp, 3, rs1Prime(h), rdPrime(h), doubleOffset(h)),
    "d",
  ),
  c("sw", 0xe003, 0xc000, "rs2,offset(rs1)", (h) => sType(Major.store, 2, rs1Prime(h), rdPrime(h), wordOffset(h))),
  c("sd", 0xe003, 0xe000, "rs2,offset(rs1)", (h) => sType(Major.store, 3, rs1Prime(h), rdPrime(h), doubleOffset(h))),

  // Quadrant 1
  // With rd = x0 this is C.NOP.
  c("addi", 0xe003, 0x0001, "rd,imm", (h) => iType(Major.opImm, 0, rd(h), rd(h), imm6(h))),
  c("addiw", 0xe003, 0x2001, "rd,imm", (h) => (rd(h) === 0 ? 0 : iType(Major.opImm32, 0, rd(h), rd(h), imm6(h)))),
  c("li", 0xe003, 0x4001, "rd,imm", (h) => iType(Major.opImm, 0, rd(h), 0, imm6(h))),
  c("addi16sp", 0xef83, 0x6101, "sp,imm", (h) => (addi16sp(h) === 0 ? 0 : iType(Major.opImm, 0, SP, SP, addi16sp(h)))),
  c("lui", 0xe003, 0x6001, "rd,upper", (h) => (imm6(h) === 0 ? 0 : ((imm6(h) << 12) | (rd(h) << 7) | Major.lui) >>> 0)),
  // Shifts by 0 are hints, and have names of their own. §27.5
  c("srli64", 0xfc7f, 0x8001, "rd", (h) => iType(Major.opImm, 5, rs1Prime(h), rs1Prime(h), 0)),
  c("srai64", 0xfc7f, 0x8401, "rd", (h) => iType(Major.opImm, 5, rs1Prime(h), rs1Prime(h), 0x400)),
  c("srli", 0xec03, 0x8001, "rd,shamt", (h) => iType(Major.opImm, 5, rs1Prime(h), rs1Prime(h), shamt(h))),
  c("srai", 0xec03, 0x8401, "rd,shamt", (h) => iType(Major.opImm, 5, rs1Prime(h), rs1Prime(h), 0x400 | shamt(h))),
  c("andi", 0xec03, 0x8801, "rd,imm", (h) => iType(Major.opImm, 7, rs1Prime(h), rs1Prime(h), imm6(h))),
  c("sub", 0xfc63, 0x8c01, "rd,rs2", (h) => rType(Major.op, 0, 0x20, rs1Prime(h), rs1Prime(h), rdPrime(h))),
  c("xor", 0xfc63, 0x8c21, "rd,rs2", (h) => rType(Major.op, 4, 0, rs1Prime(h), rs1Prime(h), rdPrime(h))),
  c("or", 0xfc63, 0x8c41, "rd,rs2", (h) => rType(Major.op, 6, 0, rs1Prime(h), rs1Prime(h), rdPrime(h))),
  c("and", 0xfc63, 0x8c61, "rd,rs2", (h) => rType(Major.op, 7, 0, rs1Prime(h), rs1Prime(h), rdPrime(h))),
  c("subw", 0xfc63, 0x9c01, "rd,rs2", (h) => rType(Major.op32, 0, 0x20, rs1Prime(h), rs1Prime(h), rdPrime(h))),
  c("addw", 0xfc63, 0x9c21, "rd,rs2", (h) => rType(Major.op32, 0, 0, rs1Prime(h), rs1Prime(h), rdPrime(h))),
  c("j", 0xe003, 0xa001, "target", (h) => jType(0, jump(h))),
  c("beqz", 0xe003, 0xc001, "rs1,target", (h) => bType(0, rs1Prime(h), branch(h))),
  c("bnez", 0xe003, 0xe001, "rs1,target", (h) => bType(1, rs1Prime(h), branch(h))),

  // Quadrant 2
  c("slli64", 0xf07f, 0x0002, "rd", (h) => iType(Major.opImm, 1, rd(h), rd(h), 0)),
  c("slli", 0xe003, 0x0002, "rd,shamt", (h) => iType(Major.opImm, 1, rd(h), rd(h), shamt(h))),
  c("fldsp", 0xe003, 0x2002, "fd,offset(sp)", (h) => iType(Major.loadFp, 3, rd(h), SP, doubleSpLoad(h)), "d"),
  c("lwsp", 0xe003, 0x4002, "rd,offset(sp)", (h) => (rd(h) === 0 ? 0 : iType(Major.load, 2, rd(h), SP, wordSpLoad(h)))),
  c("ldsp", 0xe003, 0x6002, "rd,offset(sp)", (h) =>
    rd(h) === 0 ? 0 : iType(Major.load, 3, rd(h), SP, doubleSpLoad(h)),
  ),
  c("jr", 0xf07f, 0x8002, "rs1", (h) => (rd(h) === 0 ? 0 : iType(Major.jalr, 0, 0, rd(h), 0))),
  c("mv", 0xf003, 0x8002, "rd,rs2", (h) => rType(Major.op, 0, 0, rd(h), 0, rs2(h))),
  c("ebreak", 0xffff, 0x9002, "", () => 0x00100073),
  c("jalr", 0xf07f, 0x9002, "rs1", (h) => iType(Major.jalr, 0, 1, rd(h), 0)),
  c("add", 0xf003, 0x9002, "rd,rs2", (h) => rType(Major.op, 0, 0, rd(h), rd(h), rs2(h))),
  c("fsdsp", 0xe003, 0xa002, "fs2,offset(sp)", (h) => sType(Major.storeFp, 3, SP, rs2(h), doubleSpStore(h)), "d"),
  c("swsp", 0xe003, 0xc002, "rs2,offset(sp)", (h) => sType(Major.store, 2, SP, rs2(h), wordSpStore(h))),
  c("sdsp", 0xe003, 0xe002, "rs2,offset(sp)", (h) => sType(Major.store, 3, SP, rs2(h), doubleSpStore(h))),
];
