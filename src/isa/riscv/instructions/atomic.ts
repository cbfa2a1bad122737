/** A: atomic memory operations. RISC-V Unpriv §14 */
import type { Opcode } from "../../../wasm/opcodes.ts";
import { choose, type Expr, op, rs2, type Semantics, type Shared, word } from "../semantics.ts";
import { fixed, type Instruction, instruction, Major } from "./encoding.ts";

type AmoWidth = 4 | 8;
type Combine = (old: Expr, width: AmoWidth) => Expr;

const amo = (width: AmoWidth, combine: Combine): Semantics => {
  const old: Shared = { kind: "shared", type: "i64" };
  return { does: "amo", width, old, combine: combine(old, width) };
};

/** The aq and rl bits (26, 25) are free: every one of these has the strongest order, between threads as within one. */
const encoding = (funct5: number, width: AmoWidth, syntax: string, extra = 0) =>
  fixed((0xf800707f | extra) >>> 0, (funct5 << 27) | ((width === 4 ? 2 : 3) << 12) | Major.amo, "none", syntax);

const simple =
  (name: Opcode): Combine =>
  (old) =>
    op(name, old, rs2);

/** Keeps `old` where the comparison holds; words are compared as words. */
const extreme =
  (comparison: "lt_s" | "gt_s" | "lt_u" | "gt_u"): Combine =>
  (old, width) =>
    choose(width === 8 ? op(`i64.${comparison}`, old, rs2) : op(`i32.${comparison}`, word(old), word(rs2)), old, rs2);

const operations: readonly (readonly [name: string, funct5: number, combine: Combine])[] = [
  ["amoswap", 0x01, () => rs2],
  ["amoadd", 0x00, simple("i64.add")],
  ["amoxor", 0x04, simple("i64.xor")],
  ["amoand", 0x0c, simple("i64.and")],
  ["amoor", 0x08, simple("i64.or")],
  ["amomin", 0x10, extreme("lt_s")],
  ["amomax", 0x14, extreme("gt_s")],
  ["amominu", 0x18, extreme("lt_u")],
  ["amomaxu", 0x1c, extreme("gt_u")],
];

const RS2 = 0x01f00000;

export const atomic: readonly Instruction[] = ([4, 8] as const).flatMap((width) => {
  const suffix = width === 4 ? ".w" : ".d";
  return [
    instruction(`lr${suffix}`, "a", encoding(0x02, width, "rd,(rs1)", RS2), { does: "loadReserved", width }),
    instruction(`sc${suffix}`, "a", encoding(0x03, width, "rd,rs2,(rs1)"), { does: "storeConditional", width }),
    ...operations.map(([name, funct5, combine]) =>
      instruction(name + suffix, "a", encoding(funct5, width, "rd,rs2,(rs1)"), amo(width, combine)),
    ),
  ];
});
