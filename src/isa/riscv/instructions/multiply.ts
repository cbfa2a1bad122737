/** M: multiplication and division. RISC-V Unpriv §13 */
import {
  choose,
  type Expr,
  i64,
  mulHigh,
  op,
  rs1,
  rs2,
  set,
  share,
  signExtend,
  word,
  zeroExtend,
} from "../semantics.ts";
import { instruction, Major, r } from "./encoding.ts";

type Part = "quotient" | "remainder";

/** Division never traps: x/0 is all ones with remainder x, and the overflow -2^63/-1 is -2^63 with remainder 0. §13.2 */
function divide(part: Part, signed: boolean, dividend: Expr, divisor: Expr): Expr {
  const name = part === "quotient" ? "div" : "rem";
  return share(dividend, (n) =>
    share(divisor, (d) => {
      const plain = signed ? op(`i64.${name}_s`, n, d) : op(`i64.${name}_u`, n, d);
      const byMinusOne = part === "quotient" ? op("i64.sub", i64(0), n) : i64(0);
      // WebAssembly traps on the overflow, so -1 is a case of its own.
      const nonZero = signed ? choose(op("i64.eq", d, i64(-1)), byMinusOne, plain) : plain;
      return choose(op("i64.eqz", d), part === "quotient" ? i64(-1) : n, nonZero);
    }),
  );
}

const divide64 = (part: Part, signed: boolean) => set(divide(part, signed, rs1, rs2));
/** Words are divided as doublewords: that cannot overflow, and the low word of the result is the word's result. */
const divide32 = (part: Part, signed: boolean) => {
  const extend = signed ? signExtend : zeroExtend;
  return set(signExtend(word(divide(part, signed, extend(word(rs1)), extend(word(rs2))))));
};

/** Signed times unsigned: the unsigned product's high half is too large by rs2 where rs1 is negative. */
const mulHighSignedUnsigned = op(
  "i64.sub",
  mulHigh(false, rs1, rs2),
  op("i64.and", op("i64.shr_s", rs1, i64(63)), rs2),
);

export const multiply = [
  instruction("mul", "m", r(Major.op, 0, 1), set(op("i64.mul", rs1, rs2))),
  instruction("mulh", "m", r(Major.op, 1, 1), set(mulHigh(true, rs1, rs2))),
  instruction("mulhsu", "m", r(Major.op, 2, 1), set(mulHighSignedUnsigned)),
  instruction("mulhu", "m", r(Major.op, 3, 1), set(mulHigh(false, rs1, rs2))),
  instruction("div", "m", r(Major.op, 4, 1), divide64("quotient", true)),
  instruction("divu", "m", r(Major.op, 5, 1), divide64("quotient", false)),
  instruction("rem", "m", r(Major.op, 6, 1), divide64("remainder", true)),
  instruction("remu", "m", r(Major.op, 7, 1), divide64("remainder", false)),
  instruction("mulw", "m", r(Major.op32, 0, 1), set(signExtend(op("i32.mul", word(rs1), word(rs2))))),
  instruction("divw", "m", r(Major.op32, 4, 1), divide32("quotient", true)),
  instruction("divuw", "m", r(Major.op32, 5, 1), divide32("quotient", false)),
  instruction("remw", "m", r(Major.op32, 6, 1), divide32("remainder", true)),
  instruction("remuw", "m", r(Major.op32, 7, 1), divide32("remainder", false)),
];
