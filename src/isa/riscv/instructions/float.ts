/** F and D: single and double precision. RISC-V Unpriv §21, §22 */
import {
  choose,
  type Destination,
  type Expr,
  type FloatOperation,
  fs1,
  fs2,
  i64,
  imm,
  op,
  rs1,
  type Semantics,
  set,
  share,
  signExtend,
  word,
} from "../semantics.ts";
import { type Encoding, fixed, type Instruction, i, instruction, Major, s } from "./encoding.ts";

type Precision = "s" | "d";
const effective = op("i64.add", rs1, imm);

/** OP-FP with a free rounding-mode field. */
const rounded = (funct7: number, syntax: string): Encoding =>
  fixed(0xfe00007f, (funct7 << 25) | Major.opFp, "none", syntax);
const roundedUnary = (funct7: number, rs2: number, syntax: string): Encoding =>
  fixed(0xfff0007f, (funct7 << 25) | (rs2 << 20) | Major.opFp, "none", syntax);
const exact = (funct7: number, funct3: number, syntax: string): Encoding =>
  fixed(0xfe00707f, (funct7 << 25) | (funct3 << 12) | Major.opFp, "none", syntax);
const exactUnary = (funct7: number, rs2: number, funct3: number, syntax: string): Encoding =>
  fixed(0xfff0707f, (funct7 << 25) | (rs2 << 20) | (funct3 << 12) | Major.opFp, "none", syntax);
const fused = (major: number, fmt: number): Encoding =>
  fixed(0x0600007f, (fmt << 25) | major, "none", "fd,fs1,fs2,fs3,rm");

const SIGN = { s: 0x80000000n, d: 0x8000000000000000n } as const;
const MAGNITUDE = { s: 0x7fffffffn, d: 0x7fffffffffffffffn } as const;

/** A single in a 64-bit register is valid only when NaN-boxed; anything else reads as the canonical NaN. §22.2 */
const unboxed = (register: Expr): Expr =>
  share(register, (bits) =>
    choose(
      op("i64.eq", op("i64.shr_u", bits, i64(32)), i64(0xffffffff)),
      op("i64.and", bits, i64(0xffffffff)),
      i64(0x7fc00000),
    ),
  );

function ofPrecision(p: Precision): readonly Instruction[] {
  const fmt = p === "s" ? 0 : 1;
  const width = p === "s" ? 4 : 8;
  const extension = p === "s" ? "f" : "d";
  const suffix = p === "s" ? "S" : "D";
  const read = (register: Expr): Expr => (p === "s" ? unboxed(register) : register);
  const name = (stem: string): FloatOperation => `${stem}${suffix}` as FloatOperation;
  const make = (mnemonic: string, encoding: Encoding, semantics: Semantics) =>
    instruction(mnemonic, extension, encoding, semantics);
  const arithmetic = (stem: string, operands: 1 | 2 | 3): Semantics => ({
    does: "float",
    operation: name(stem),
    from: p,
    operands,
    to: p,
    rounds: true,
  });
  const fusedForm = (negateProduct: boolean, negateAddend: boolean): Semantics => ({
    does: "float",
    operation: name("fma"),
    from: p,
    operands: 3,
    to: p,
    rounds: true,
    negateProduct,
    negateAddend,
  });
  const compare = (stem: string, operands: 1 | 2, to: Destination): Semantics => ({
    does: "float",
    operation: name(stem),
    from: p,
    operands,
    to,
    rounds: false,
  });
  const sign = (of: (sign1: Expr, sign2: Expr) => Expr): Semantics => ({
    does: "setF",
    to: p,
    bits: share(read(fs1), (a) =>
      op("i64.or", op("i64.and", a, i64(MAGNITUDE[p])), op("i64.and", of(a, read(fs2)), i64(SIGN[p]))),
    ),
  });
  const toInteger = (mnemonic: string, stem: string, select: number) =>
    make(mnemonic, roundedUnary(0x60 | fmt, select, "rd,fs1,rm"), {
      does: "float",
      operation: `cvt${stem}${suffix}` as FloatOperation,
      from: p,
      operands: 1,
      to: "x",
      rounds: true,
    });
  const fromInteger = (mnemonic: string, stem: string, select: number) =>
    make(mnemonic, roundedUnary(0x68 | fmt, select, `fd,rs1,${p === "d" && stem.startsWith("W") ? "rm?" : "rm"}`), {
      does: "float",
      operation: `cvt${suffix}${stem}` as FloatOperation,
      from: "x",
      operands: 1,
      to: p,
      rounds: true,
    });

  return [
    make(p === "s" ? "flw" : "fld", i(Major.loadFp, width === 4 ? 2 : 3, "fd,offset(rs1)"), {
      does: "load",
      width,
      signed: false,
      address: effective,
      to: p,
    }),
    make(p === "s" ? "fsw" : "fsd", s(Major.storeFp, width === 4 ? 2 : 3, "fs2"), {
      does: "store",
      width,
      address: effective,
      value: fs2,
    }),
    make(`fmadd.${p}`, fused(Major.madd, fmt), fusedForm(false, false)),
    make(`fmsub.${p}`, fused(Major.msub, fmt), fusedForm(false, true)),
    make(`fnmsub.${p}`, fused(Major.nmsub, fmt), fusedForm(true, false)),
    make(`fnmadd.${p}`, fused(Major.nmadd, fmt), fusedForm(true, true)),
    make(`fadd.${p}`, rounded(0x00 | fmt, "fd,fs1,fs2,rm"), arithmetic("add", 2)),
    make(`fsub.${p}`, rounded(0x04 | fmt, "fd,fs1,fs2,rm"), arithmetic("sub", 2)),
    make(`fmul.${p}`, rounded(0x08 | fmt, "fd,fs1,fs2,rm"), arithmetic("mul", 2)),
    make(`fdiv.${p}`, rounded(0x0c | fmt, "fd,fs1,fs2,rm"), arithmetic("div", 2)),
    make(`fsqrt.${p}`, roundedUnary(0x2c | fmt, 0, "fd,fs1,rm"), arithmetic("sqrt", 1)),
    make(
      `fsgnj.${p}`,
      exact(0x10 | fmt, 0, "fd,fs1,fs2"),
      sign((_, b) => b),
    ),
    make(
      `fsgnjn.${p}`,
      exact(0x10 | fmt, 1, "fd,fs1,fs2"),
      sign((_, b) => op("i64.xor", b, i64(-1))),
    ),
    make(
      `fsgnjx.${p}`,
      exact(0x10 | fmt, 2, "fd,fs1,fs2"),
      sign((a, b) => op("i64.xor", a, b)),
    ),
    make(`fmin.${p}`, exact(0x14 | fmt, 0, "fd,fs1,fs2"), compare("min", 2, p)),
    make(`fmax.${p}`, exact(0x14 | fmt, 1, "fd,fs1,fs2"), compare("max", 2, p)),
    make(`fle.${p}`, exact(0x50 | fmt, 0, "rd,fs1,fs2"), compare("le", 2, "x")),
    make(`flt.${p}`, exact(0x50 | fmt, 1, "rd,fs1,fs2"), compare("lt", 2, "x")),
    make(`feq.${p}`, exact(0x50 | fmt, 2, "rd,fs1,fs2"), compare("eq", 2, "x")),
    make(`fclass.${p}`, exactUnary(0x70 | fmt, 0, 1, "rd,fs1"), compare("class", 1, "x")),
    toInteger(`fcvt.w.${p}`, "W", 0),
    toInteger(`fcvt.wu.${p}`, "WU", 1),
    toInteger(`fcvt.l.${p}`, "L", 2),
    toInteger(`fcvt.lu.${p}`, "LU", 3),
    fromInteger(`fcvt.${p}.w`, "W", 0),
    fromInteger(`fcvt.${p}.wu`, "WU", 1),
    fromInteger(`fcvt.${p}.l`, "L", 2),
    fromInteger(`fcvt.${p}.lu`, "LU", 3),
  ];
}

const between = (operation: FloatOperation, from: Precision, to: Precision): Semantics => ({
  does: "float",
  operation,
  from,
  operands: 1,
  to,
  rounds: true,
});

export const float: readonly Instruction[] = [
  ...ofPrecision("s"),
  ...ofPrecision("d"),
  instruction("fcvt.s.d", "d", roundedUnary(0x20, 1, "fd,fs1,rm"), between("cvtSD", "d", "s")),
  instruction("fcvt.d.s", "d", roundedUnary(0x21, 0, "fd,fs1,rm?"), between("cvtDS", "s", "d")),
  instruction("fmv.x.w", "f", exactUnary(0x70, 0, 0, "rd,fs1"), set(signExtend(word(fs1)))),
  instruction("fmv.x.d", "d", exactUnary(0x71, 0, 0, "rd,fs1"), set(fs1)),
  instruction("fmv.w.x", "f", exactUnary(0x78, 0, 0, "fd,rs1"), {
    does: "setF",
    to: "s",
    bits: op("i64.and", rs1, i64(0xffffffff)),
  }),
  instruction("fmv.d.x", "d", exactUnary(0x79, 0, 0, "fd,rs1"), { does: "setF", to: "d", bits: rs1 }),
];
