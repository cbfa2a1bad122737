/** How instructions are written down: fixed bits, operand fields, and the syntax in which assemblers show them. */
import type { Semantics } from "../semantics.ts";

/** Where the immediate lies. RISC-V Unpriv §2.3 */
export type ImmediateFormat = "none" | "I" | "S" | "B" | "U" | "J" | "shamt" | "csr";

/**
 * Operands as assembler text shows them, by names: `rd`, `rs1`, `rs2` integer; `fd`, `fs1`, `fs2`, `fs3` floating point;
 * `(rs1)`, `imm`, `offset(rs1)`, `target`, `upper`, `shamt`, `csr`, `zimm`, `pred`, `succ`; `rm`, not shown where it is
 * dynamic, and `rm?`, not shown where it is 0, for results that are always exact. Other words stand for themselves.
 */
export type Syntax = string;

export interface Instruction {
  readonly name: string;
  /** An encoding is this instruction where `(bits & mask) === match`. */
  readonly mask: number;
  readonly match: number;
  readonly immediate: ImmediateFormat;
  readonly syntax: Syntax;
  /** The extension that brings it, e.g. `m`, `zba`. */
  readonly extension: string;
  readonly semantics: Semantics;
}

/** Major opcodes. RISC-V Unpriv table 74 */
export const Major = {
  load: 0x03,
  loadFp: 0x07,
  miscMem: 0x0f,
  opImm: 0x13,
  auipc: 0x17,
  opImm32: 0x1b,
  store: 0x23,
  storeFp: 0x27,
  amo: 0x2f,
  op: 0x33,
  lui: 0x37,
  op32: 0x3b,
  madd: 0x43,
  msub: 0x47,
  nmsub: 0x4b,
  nmadd: 0x4f,
  opFp: 0x53,
  branch: 0x63,
  jalr: 0x67,
  jal: 0x6f,
  system: 0x73,
} as const;

export interface Encoding {
  readonly mask: number;
  readonly match: number;
  readonly immediate: ImmediateFormat;
  readonly syntax: Syntax;
}

/** Fixes every bit that `mask` names. */
export function fixed(mask: number, match: number, immediate: ImmediateFormat, syntax: Syntax): Encoding {
  return { mask: mask >>> 0, match: match >>> 0, immediate, syntax };
}

/** Register-register: funct7 and funct3. */
export function r(major: number, funct3: number, funct7: number, syntax = "rd,rs1,rs2"): Encoding {
  return fixed(0xfe00707f, (funct7 << 25) | (funct3 << 12) | major, "none", syntax);
}
/** One source register; the place of rs2 says which operation it is. */
export function unary(major: number, funct3: number, funct7: number, rs2: number, syntax = "rd,rs1"): Encoding {
  return fixed(0xfff0707f, (funct7 << 25) | (rs2 << 20) | (funct3 << 12) | major, "none", syntax);
}
export function i(major: number, funct3: number, syntax = "rd,rs1,imm"): Encoding {
  return fixed(0x707f, (funct3 << 12) | major, "I", syntax);
}
/** Shift by an immediate of 6 bits. */
export function shift64(major: number, funct3: number, funct6: number): Encoding {
  return fixed(0xfc00707f, (funct6 << 26) | (funct3 << 12) | major, "shamt", "rd,rs1,shamt");
}
/** Shift by an immediate of 5 bits. */
export function shift32(major: number, funct3: number, funct7: number): Encoding {
  return fixed(0xfe00707f, (funct7 << 25) | (funct3 << 12) | major, "shamt", "rd,rs1,shamt");
}
export function s(major: number, funct3: number, source = "rs2"): Encoding {
  return fixed(0x707f, (funct3 << 12) | major, "S", `${source},offset(rs1)`);
}
export function b(funct3: number): Encoding {
  return fixed(0x707f, (funct3 << 12) | Major.branch, "B", "rs1,rs2,target");
}
export function u(major: number): Encoding {
  return fixed(0x7f, major, "U", "rd,upper");
}

/** One row of the table. */
export function instruction(name: string, extension: string, encoding: Encoding, semantics: Semantics): Instruction {
  return { name, extension, ...encoding, semantics };
}
