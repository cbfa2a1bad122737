/** RV64I and Zifencei. RISC-V Unpriv 20240411 §2, §4, §6 */
import type { Opcode } from "../../../wasm/opcodes.ts";
import {
  type Expr,
  flag,
  i64,
  imm,
  op,
  pc,
  rs1,
  rs2,
  type Semantics,
  set,
  signExtend,
  type Width,
  word,
} from "../semantics.ts";
import { b, fixed, i, instruction, Major, r, s, shift32, shift64, u } from "./encoding.ts";

const effective = op("i64.add", rs1, imm);

const load = (width: Width, signed: boolean): Semantics => ({
  does: "load",
  width,
  signed,
  address: effective,
  to: "x",
});
const store = (width: Width): Semantics => ({ does: "store", width, address: effective, value: rs2 });
const branch = (comparison: Opcode): Semantics => ({ does: "branch", condition: op(comparison, rs1, rs2) });
const binary = (name: Opcode, right: Expr): Semantics => set(op(name, rs1, right));
const compare = (name: Opcode, right: Expr): Semantics => set(flag(op(name, rs1, right)));
/** On the low words. */
const binary32 = (name: Opcode, right: Expr): Semantics => set(signExtend(op(name, word(rs1), word(right))));

/** Both WebAssembly and RISC-V take a shift amount modulo the width. */
export const base = [
  instruction("lui", "i", u(Major.lui), set(imm)),
  instruction("auipc", "i", u(Major.auipc), set(op("i64.add", pc, imm))),
  instruction("jal", "i", fixed(0x7f, Major.jal, "J", "rd,target"), { does: "jump" }),
  instruction("jalr", "i", i(Major.jalr, 0, "rd,offset(rs1)"), {
    does: "jumpTo",
    target: op("i64.and", effective, i64(-2)),
  }),

  instruction("beq", "i", b(0), branch("i64.eq")),
  instruction("bne", "i", b(1), branch("i64.ne")),
  instruction("blt", "i", b(4), branch("i64.lt_s")),
  instruction("bge", "i", b(5), branch("i64.ge_s")),
  instruction("bltu", "i", b(6), branch("i64.lt_u")),
  instruction("bgeu", "i", b(7), branch("i64.ge_u")),

  instruction("lb", "i", i(Major.load, 0, "rd,offset(rs1)"), load(1, true)),
  instruction("lh", "i", i(Major.load, 1, "rd,offset(rs1)"), load(2, true)),
  instruction("lw", "i", i(Major.load, 2, "rd,offset(rs1)"), load(4, true)),
  instruction("ld", "i", i(Major.load, 3, "rd,offset(rs1)"), load(8, true)),
  instruction("lbu", "i", i(Major.load, 4, "rd,offset(rs1)"), load(1, false)),
  instruction("lhu", "i", i(Major.load, 5, "rd,offset(rs1)"), load(2, false)),
  instruction("lwu", "i", i(Major.load, 6, "rd,offset(rs1)"), load(4, false)),
  instruction("sb", "i", s(Major.store, 0), store(1)),
  instruction("sh", "i", s(Major.store, 1), store(2)),
  instruction("sw", "i", s(Major.store, 2), store(4)),
  instruction("sd", "i", s(Major.store, 3), store(8)),

  instruction("addi", "i", i(Major.opImm, 0), binary("i64.add", imm)),
  instruction("slti", "i", i(Major.opImm, 2), compare("i64.lt_s", imm)),
  instruction("sltiu", "i", i(Major.opImm, 3), compare("i64.lt_u", imm)),
  instruction("xori", "i", i(Major.opImm, 4), binary("i64.xor", imm)),
  instruction("ori", "i", i(Major.opImm, 6), binary("i64.or", imm)),
  instruction("andi", "i", i(Major.opImm, 7), binary("i64.and", imm)),
  instruction("slli", "i", shift64(Major.opImm, 1, 0x00), binary("i64.shl", imm)),
  instruction("srli", "i", shift64(Major.opImm, 5, 0x00), binary("i64.shr_u", imm)),
  instruction("srai", "i", shift64(Major.opImm, 5, 0x10), binary("i64.shr_s", imm)),
  instruction("addiw", "i", i(Major.opImm32, 0), binary32("i32.add", imm)),
  instruction("slliw", "i", shift32(Major.opImm32, 1, 0x00), binary32("i32.shl", imm)),
  instruction("srliw", "i", shift32(Major.opImm32, 5, 0x00), binary32("i32.shr_u", imm)),
  instruction("sraiw", "i", shift32(Major.opImm32, 5, 0x20), binary32("i32.shr_s", imm)),

  instruction("add", "i", r(Major.op, 0, 0x00), binary("i64.add", rs2)),
  instruction("sub", "i", r(Major.op, 0, 0x20), binary("i64.sub", rs2)),
  instruction("sll", "i", r(Major.op, 1, 0x00), binary("i64.shl", rs2)),
  instruction("slt", "i", r(Major.op, 2, 0x00), compare("i64.lt_s", rs2)),
  instruction("sltu", "i", r(Major.op, 3, 0x00), compare("i64.lt_u", rs2)),
  instruction("xor", "i", r(Major.op, 4, 0x00), binary("i64.xor", rs2)),
  instruction("srl", "i", r(Major.op, 5, 0x00), binary("i64.shr_u", rs2)),
  instruction("sra", "i", r(Major.op, 5, 0x20), binary("i64.shr_s", rs2)),
  instruction("or", "i", r(Major.op, 6, 0x00), binary("i64.or", rs2)),
  instruction("and", "i", r(Major.op, 7, 0x00), binary("i64.and", rs2)),
  instruction("addw", "i", r(Major.op32, 0, 0x00), binary32("i32.add", rs2)),
  instruction("subw", "i", r(Major.op32, 0, 0x20), binary32("i32.sub", rs2)),
  instruction("sllw", "i", r(Major.op32, 1, 0x00), binary32("i32.shl", rs2)),
  instruction("srlw", "i", r(Major.op32, 5, 0x00), binary32("i32.shr_u", rs2)),
  instruction("sraw", "i", r(Major.op32, 5, 0x20), binary32("i32.shr_s", rs2)),

  instruction("fence", "i", fixed(0x707f, 0x0f, "none", "pred,succ"), { does: "fence", orders: "accesses" }),
  instruction("fence.i", "zifencei", fixed(0x707f, 0x100f, "none", ""), { does: "fence", orders: "fetches" }),
];
