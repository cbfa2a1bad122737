/** Zba, Zbb, Zbs: address generation, basic bit manipulation, single bits. RISC-V Unpriv §28 */
import type { Opcode } from "../../../wasm/opcodes.ts";
import {
  choose,
  type Expr,
  i64,
  imm,
  op,
  rs1,
  rs2,
  type Semantics,
  set,
  share,
  signExtend,
  word,
  zeroExtend,
} from "../semantics.ts";
import { fixed, instruction, Major, r, shift32, shift64, unary } from "./encoding.ts";

const shiftAdd = (index: Expr, by: number): Semantics => set(op("i64.add", op("i64.shl", index, i64(by)), rs2));
const unsignedWord = zeroExtend(word(rs1));
const not = (value: Expr): Expr => op("i64.xor", value, i64(-1));
const least = (comparison: Opcode): Semantics => set(choose(op(comparison, rs1, rs2), rs1, rs2));
const bit = (index: Expr): Expr => op("i64.shl", i64(1), index);
const bitClear = (index: Expr): Semantics => set(op("i64.and", rs1, not(bit(index))));
const bitExtract = (index: Expr): Semantics => set(op("i64.and", op("i64.shr_u", rs1, index), i64(1)));
const bitInvert = (index: Expr): Semantics => set(op("i64.xor", rs1, bit(index)));
const bitSet = (index: Expr): Semantics => set(op("i64.or", rs1, bit(index)));
const word32 = (name: "i32.clz" | "i32.ctz" | "i32.popcnt"): Semantics => set(zeroExtend(op(name, word(rs1))));
const rotate32 = (name: "i32.rotl" | "i32.rotr", by: Expr): Semantics => set(signExtend(op(name, word(rs1), word(by))));

/** Swaps neighbouring groups of `by` bits; `mask` selects the lower group of each pair. */
const swapGroups = (value: Expr, by: number, mask: bigint): Expr =>
  share(value, (x) =>
    op(
      "i64.or",
      op("i64.shl", op("i64.and", x, i64(mask)), i64(by)),
      op("i64.and", op("i64.shr_u", x, i64(by)), i64(mask)),
    ),
  );
/** Byte reversal: bytes, then halfwords, then words change places. */
const reverseBytes = op(
  "i64.rotr",
  swapGroups(swapGroups(rs1, 8, 0x00ff00ff00ff00ffn), 16, 0x0000ffff0000ffffn),
  i64(32),
);

/** 0xff in every byte of rs1 that is not 0. */
const orCombine = share(
  // The high bit of each byte of `t` tells whether any bit of that byte is set.
  op(
    "i64.and",
    op("i64.or", op("i64.add", op("i64.and", rs1, i64(0x7f7f7f7f7f7f7f7fn)), i64(0x7f7f7f7f7f7f7f7fn)), rs1),
    i64(0x8080808080808080n),
  ),
  (t) => op("i64.or", t, op("i64.sub", t, op("i64.shr_u", t, i64(7)))),
);

export const addressGeneration = [
  instruction("add.uw", "zba", r(Major.op32, 0, 0x04), shiftAdd(unsignedWord, 0)),
  instruction("sh1add", "zba", r(Major.op, 2, 0x10), shiftAdd(rs1, 1)),
  instruction("sh2add", "zba", r(Major.op, 4, 0x10), shiftAdd(rs1, 2)),
  instruction("sh3add", "zba", r(Major.op, 6, 0x10), shiftAdd(rs1, 3)),
  instruction("sh1add.uw", "zba", r(Major.op32, 2, 0x10), shiftAdd(unsignedWord, 1)),
  instruction("sh2add.uw", "zba", r(Major.op32, 4, 0x10), shiftAdd(unsignedWord, 2)),
  instruction("sh3add.uw", "zba", r(Major.op32, 6, 0x10), shiftAdd(unsignedWord, 3)),
  instruction("slli.uw", "zba", shift64(Major.opImm32, 1, 0x02), set(op("i64.shl", unsignedWord, imm))),
];

export const basicBits = [
  instruction("andn", "zbb", r(Major.op, 7, 0x20), set(op("i64.and", rs1, not(rs2)))),
  instruction("orn", "zbb", r(Major.op, 6, 0x20), set(op("i64.or", rs1, not(rs2)))),
  instruction("xnor", "zbb", r(Major.op, 4, 0x20), set(not(op("i64.xor", rs1, rs2)))),
  instruction("clz", "zbb", unary(Major.opImm, 1, 0x30, 0), set(op("i64.clz", rs1))),
  instruction("ctz", "zbb", unary(Major.opImm, 1, 0x30, 1), set(op("i64.ctz", rs1))),
  instruction("cpop", "zbb", unary(Major.opImm, 1, 0x30, 2), set(op("i64.popcnt", rs1))),
  instruction("clzw", "zbb", unary(Major.opImm32, 1, 0x30, 0), word32("i32.clz")),
  instruction("ctzw", "zbb", unary(Major.opImm32, 1, 0x30, 1), word32("i32.ctz")),
  instruction("cpopw", "zbb", unary(Major.opImm32, 1, 0x30, 2), word32("i32.popcnt")),
  instruction("max", "zbb", r(Major.op, 6, 0x05), least("i64.gt_s")),
  instruction("maxu", "zbb", r(Major.op, 7, 0x05), least("i64.gt_u")),
  instruction("min", "zbb", r(Major.op, 4, 0x05), least("i64.lt_s")),
  instruction("minu", "zbb", r(Major.op, 5, 0x05), least("i64.lt_u")),
  instruction("sext.b", "zbb", unary(Major.opImm, 1, 0x30, 4), set(op("i64.extend8_s", rs1))),
  instruction("sext.h", "zbb", unary(Major.opImm, 1, 0x30, 5), set(op("i64.extend16_s", rs1))),
  instruction("zext.h", "zbb", unary(Major.op32, 4, 0x04, 0), set(op("i64.and", rs1, i64(0xffff)))),
  instruction("rol", "zbb", r(Major.op, 1, 0x30), set(op("i64.rotl", rs1, rs2))),
  instruction("ror", "zbb", r(Major.op, 5, 0x30), set(op("i64.rotr", rs1, rs2))),
  instruction("rori", "zbb", shift64(Major.opImm, 5, 0x18), set(op("i64.rotr", rs1, imm))),
  instruction("rolw", "zbb", r(Major.op32, 1, 0x30), rotate32("i32.rotl", rs2)),
  instruction("rorw", "zbb", r(Major.op32, 5, 0x30), rotate32("i32.rotr", rs2)),
  instruction("roriw", "zbb", shift32(Major.opImm32, 5, 0x30), rotate32("i32.rotr", imm)),
  instruction("orc.b", "zbb", fixed(0xfff0707f, 0x28705013, "none", "rd,rs1"), set(orCombine)),
  instruction("rev8", "zbb", fixed(0xfff0707f, 0x6b805013, "none", "rd,rs1"), set(reverseBytes)),
];

export const singleBits = [
  instruction("bclr", "zbs", r(Major.op, 1, 0x24), bitClear(rs2)),
  instruction("bclri", "zbs", shift64(Major.opImm, 1, 0x12), bitClear(imm)),
  instruction("bext", "zbs", r(Major.op, 5, 0x24), bitExtract(rs2)),
  instruction("bexti", "zbs", shift64(Major.opImm, 5, 0x12), bitExtract(imm)),
  instruction("binv", "zbs", r(Major.op, 1, 0x34), bitInvert(rs2)),
  instruction("binvi", "zbs", shift64(Major.opImm, 1, 0x1a), bitInvert(imm)),
  instruction("bset", "zbs", r(Major.op, 1, 0x14), bitSet(rs2)),
  instruction("bseti", "zbs", shift64(Major.opImm, 1, 0x0a), bitSet(imm)),
];
