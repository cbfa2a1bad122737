/** Floating point in software: what the generated code falls back to where its quick path cannot prove the flags. */
import { evaluate, FloatOp } from "../../src/isa/riscv/float/dispatch.ts";
import { Rounding } from "../../src/isa/riscv/float/format.ts";
import type { Benchmark } from "../benchmark.ts";
import { race } from "./race.ts";

/** Operands in turn: ordinary numbers of both signs and several magnitudes. */
const OPERANDS = [1.5, -2.25e10, 3.140625, 7e-200, -0.1, 1e300, 123456789.125, -5e-5].map(bitsOf);
const OPERATIONS = [
  "addD",
  "mulD",
  "divD",
  "sqrtD",
  "fmaD",
  "cvtLD",
] as const satisfies readonly (keyof typeof FloatOp)[];

export const softFloat: Benchmark = {
  name: "soft-float",
  summary: "double-precision operations in software",
  kind: "parts",

  async run(context) {
    let at = 0;
    const operand = (offset: number) => OPERANDS[(at + offset) & 7];
    const bigMultiply = () => {
      at++;
      return BigInt.asUintN(64, operand(0) * operand(3));
    };
    const rows = [];
    for (const name of OPERATIONS) {
      const software = () => {
        at++;
        return evaluate(FloatOp[name], Rounding.nearestEven, operand(0), operand(3), operand(5)).bits;
      };
      rows.push(await race(context, `soft-float ${name}, beside a BigInt multiplication`, software, bigMultiply));
    }
    return { rows };
  },
};

function bitsOf(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}
