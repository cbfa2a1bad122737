// The helpers of compare.ts, NaNs included: they do not round, and which NaN raises what is a matter of one bit.

import type { Callable, Local } from "../../../wasm/function.ts";
import { defineWhole, double, type FloatWriter, type HelperContext, type Lane, single } from "./fast-path.ts";
import { binary32, binary64, Flag } from "./format.ts";

export function defineComparisons(context: HelperContext) {
  const choose = (lane: Lane, name: "min" | "max"): Callable => {
    const shape = { operands: [lane.type, lane.type], result: lane.type };
    return defineWhole(context, lane, shape, (writer) => writeChoice(writer, name));
  };
  const compare = (lane: Lane, relation: "eq" | "lt" | "le"): Callable => {
    const shape = { operands: [lane.type, lane.type], result: "i64" } as const;
    return defineWhole(context, lane, shape, (writer) => writeComparison(writer, relation));
  };
  const classify = (lane: Lane): Callable =>
    defineWhole(context, lane, { operands: [lane.type], result: "i64" }, writeClass);
  return {
    minS: () => choose(single, "min"),
    minD: () => choose(double, "min"),
    maxS: () => choose(single, "max"),
    maxD: () => choose(double, "max"),
    eqS: () => compare(single, "eq"),
    eqD: () => compare(double, "eq"),
    ltS: () => compare(single, "lt"),
    ltD: () => compare(double, "lt"),
    leS: () => compare(single, "le"),
    leD: () => compare(double, "le"),
    classS: () => classify(single),
    classD: () => classify(double),
  };
}

/** WebAssembly's minimum and maximum put -0 below +0, as wanted here, but let a NaN win, of whatever payload. */
function writeChoice(writer: FloatWriter, name: "min" | "max"): void {
  const { f, lane, operands } = writer;
  const [a, b] = operands;
  const chosen = f.local(lane.type);
  writer.apply(a, name, b);
  f.tee(chosen).get(chosen);
  writer.op("eq");
  f.if();
  f.get(chosen).op("return");
  f.end();

  writeEitherSignalling(writer, a, b);
  writer.accrueIf(Flag.invalid);
  for (const operand of [a, b]) {
    writer.apply(operand, "eq", operand);
    f.if();
    f.get(operand).op("return");
    f.end();
  }
  if (lane.type === "f32") f.i32(Number(binary32.canonicalNaN)).op("f32.reinterpret_i32");
  else f.i64(binary64.canonicalNaN).op("f64.reinterpret_i64");
}

/** Every relation with a NaN is false. Equality is quiet about quiet ones. RISC-V Unpriv, F §8 */
function writeComparison(writer: FloatWriter, relation: "eq" | "lt" | "le"): void {
  const { f, operands } = writer;
  const [a, b] = operands;
  writer.isNaN(a).isNaN(b);
  f.op("i32.or");
  f.if();
  if (relation === "eq") {
    writeEitherSignalling(writer, a, b);
    writer.accrueIf(Flag.invalid);
  } else writer.accrue(Flag.invalid);
  f.end();
  writer.apply(a, relation, b);
  f.op("i64.extend_i32_u");
}

function writeEitherSignalling(writer: FloatWriter, a: Local, b: Local): void {
  writer.isSignalling(a).isSignalling(b);
  writer.f.op("i32.or");
}

/**
 * One bit of ten. RISC-V Unpriv, F §9. Zero, subnormal, normal and infinite are m = 0 to 3; with a plus sign they are
 * numbers 4 to 7, with a minus sign 3 to 0, which is 7 - (4 + m), or all three bits turned. NaNs are 8 and, quiet, 9.
 */
function writeClass(writer: FloatWriter): void {
  const { f, lane, operands } = writer;
  const [a] = operands;
  f.i32(1);
  writer.isNaN(a);
  f.if("i32");
  writer.quietBit(a);
  f.i32(8).op("i32.add");
  f.else();
  f.i32(4);
  writer.magnitude(a, "gt", 0);
  f.op("i32.add");
  writer.magnitude(a, "ge", lane.smallestNormal);
  f.op("i32.add");
  writer.magnitude(a, "eq", Number.POSITIVE_INFINITY);
  f.op("i32.add");
  if (lane.type === "f32") f.get(a).op("i32.reinterpret_f32").i32(31).op("i32.shr_s");
  else f.get(a).op("i64.reinterpret_f64").i64(63n).op("i64.shr_s", "i32.wrap_i64");
  f.i32(7).op("i32.and", "i32.xor");
  f.end();
  f.op("i32.shl", "i64.extend_i32_u");
}
