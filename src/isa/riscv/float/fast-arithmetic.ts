// The arithmetic helpers: which host results stand, and how each operation tells whether it had to round.
//
// WebAssembly rounds to nearest even, correctly, subnormals included, so in that mode every host result is right and
// only flags remain to be proved. Let r be such a result with smallestNormal < |r| < ∞. No operand was a NaN or an
// invalid one (r would be NaN), nothing was divided by zero (r would be ∞), nothing overflowed, and the result was not
// tiny, before or after rounding, for then |r| <= smallestNormal. The one flag left is NX. Flags accrue: when NX is
// already set, as it mostly is, r can be returned at once; otherwise each operation has a test of its own, below.

import type { Callable, FunctionWriter, Local } from "../../../wasm/function.ts";
import type { ModuleWriter } from "../../../wasm/module.ts";
import { FloatOp } from "./dispatch.ts";
import {
  defineFastPath,
  defineWhole,
  double,
  type FastPath,
  type FloatWriter,
  type HelperContext,
  type Lane,
  type Shape,
  single,
} from "./fast-path.ts";
import { binary32, binary64, Flag, Rounding } from "./format.ts";

export function defineArithmetic(context: HelperContext) {
  let defined: Callable | undefined;
  const productFits = () => (defined ??= defineProductFits(context.module));
  const helper = (op: FloatOp, lane: Lane, arity: number, write: (path: FastPath) => void): Callable => {
    const shape = { operands: Array.from({ length: arity }, () => lane.type), result: lane.type };
    return defineFastPath(context, op, lane, shape, (path) => {
      path.requireNearestEven();
      write(path);
    });
  };
  const multiply = (path: FastPath) => writeMultiply(path, productFits);
  const divide = (path: FastPath) => writeDivide(path, productFits);
  const root = (path: FastPath) => writeSquareRoot(path, productFits);
  return {
    addS: () => helper(FloatOp.addS, single, 2, writeAdd),
    addD: () => helper(FloatOp.addD, double, 2, writeAdd),
    subS: () => helper(FloatOp.subS, single, 2, writeSubtract),
    subD: () => helper(FloatOp.subD, double, 2, writeSubtract),
    mulS: () => helper(FloatOp.mulS, single, 2, multiply),
    mulD: () => helper(FloatOp.mulD, double, 2, multiply),
    divS: () => helper(FloatOp.divS, single, 2, divide),
    divD: () => helper(FloatOp.divD, double, 2, divide),
    sqrtS: () => helper(FloatOp.sqrtS, single, 1, root),
    sqrtD: () => helper(FloatOp.sqrtD, double, 1, root),
    fmaS: () => helper(FloatOp.fmaS, single, 3, writeFusedSingle),
    // Its quick half is small enough for a compiler to put in place of calls.
    fmaD: () =>
      defineWhole(context, double, FUSED_DOUBLE, (writer) =>
        writeFusedQuickly(writer, helper(FloatOp.fmaD, double, 3, writeFusedDouble)),
      ),
  };
}

/**
 * Leaves the rounding error of sum = x + y, which is exact (TwoSum: Knuth, TAOCP 2, §4.2.2 theorem B) as long as no
 * step overflows. All locals have one type.
 */
function writeSumError(f: FunctionWriter, type: Lane["type"], x: Local, y: Local, sum: Local): void {
  const share = f.local(type); // What y contributed.
  f.get(sum).get(x).op(`${type}.sub`).set(share);
  f.get(x).get(sum).get(share).op(`${type}.sub`, `${type}.sub`);
  f.get(y).get(share).op(`${type}.sub`, `${type}.add`);
}

/**
 * A sum is never both tiny and inexact: it is a multiple of the smallest subnormal. So |sum| < 2^emax is all that is
 * needed, zero included, and it keeps TwoSum from overflowing too. Let d be the error of the sum, |d| <= 2^(emax - p):
 * - share = fl(y + d). If |y| is below the largest number by one unit, 2^(emax - p + 1), or more, y + d cannot
 *   overflow. If y is the largest number itself, |sum| < 2^emax leaves x of opposite sign with at least half its
 *   magnitude; then sum is a multiple of x's unit, 2^(emax - p) or more, and fits p bits: it is exact, d = 0.
 * - sum - share = x - (error of share), the same with the roles of x and y exchanged.
 */
function writeAdd(path: FastPath): void {
  const { f, lane, operands, result } = path;
  const [a, b] = operands;
  path.apply(a, "add", b);
  f.set(result);
  path.magnitude(result, "lt", lane.largestPower).require();
  path.returnInexactIf(() => {
    writeSumError(f, lane.type, a, b, result);
    path.constant(0).op("ne");
  });
}

/** a - b = a + (-b). Operands stay as they came, for the exact implementation subtracts itself. */
function writeSubtract(path: FastPath): void {
  const { f, lane, operands, result } = path;
  const [a, b] = operands;
  path.apply(a, "sub", b);
  f.set(result);
  path.magnitude(result, "lt", lane.largestPower).require();
  path.returnInexactIf(() => {
    const negated = f.local(lane.type);
    f.get(b);
    path.op("neg");
    f.set(negated);
    writeSumError(f, lane.type, a, negated, result);
    path.constant(0).op("ne");
  });
}

function writeMultiply(path: FastPath, productFits: () => Callable): void {
  const { f, operands, result } = path;
  const [a, b] = operands;
  path.apply(a, "mul", b);
  f.set(result);
  path.isNormal(result);
  f.if();
  path.returnInexactIf(() => writeProductInexact(path, a, b, productFits));
  f.end();
  // A product with a zero that is not NaN is an exact zero. Other zeros underflowed.
  path.magnitude(a, "eq", 0).magnitude(b, "eq", 0);
  f.op("i32.or");
  path.magnitude(result, "eq", 0);
  f.op("i32.and");
  path.returnExactIf();
}

/**
 * Leaves whether a × b, known to have a normal result, had to be rounded. For singles the product of two 24-bit
 * significands is exact in double (48 <= 53 bits, exponents within ±300). For doubles the significands are counted.
 */
function writeProductInexact(path: FastPath, a: Local, b: Local, productFits: () => Callable): void {
  const { f, lane, result } = path;
  if (lane.type === "f32") {
    path.widened(a).widened(b);
    f.op("f64.mul");
    path.widened(result);
    f.op("f64.ne");
    return;
  }
  path.magnitude(a, "ge", lane.smallestNormal).require();
  path.magnitude(b, "ge", lane.smallestNormal).require();
  f.get(a).get(b).call(productFits()).op("i32.eqz");
}

/**
 * a / b = r exactly if r × b = a exactly. For singles the product is exact in double. For doubles, fl(r × b) = a and
 * the product of the significands having at most 53 bits mean that: a is normal, so fl lost nothing to underflow.
 */
function writeDivide(path: FastPath, productFits: () => Callable): void {
  const { f, lane, operands, result } = path;
  const [a, b] = operands;
  path.apply(a, "div", b);
  f.set(result);
  path.isNormal(result);
  f.if();
  path.returnInexactIf(() => {
    if (lane.type === "f64") {
      path.magnitude(a, "ge", lane.smallestNormal).require();
      path.magnitude(b, "ge", lane.smallestNormal).require();
    }
    writeProductDiffers(path, result, b, a, productFits);
  });
  f.end();
  // Zero divided by what is neither zero nor NaN is an exact zero.
  path.magnitude(a, "eq", 0).magnitude(result, "eq", 0);
  f.op("i32.and");
  path.returnExactIf();
}

/** √a = r exactly if r × r = a exactly, as for division. The root of a positive number is always normal. */
function writeSquareRoot(path: FastPath, productFits: () => Callable): void {
  const { f, lane, operands, result } = path;
  const [a] = operands;
  f.get(a);
  path.op("sqrt");
  f.set(result);
  path.isNormal(result);
  f.if();
  path.returnInexactIf(() => {
    if (lane.type === "f64") path.magnitude(a, "ge", lane.smallestNormal).require();
    writeProductDiffers(path, result, result, a, productFits);
  });
  f.end();
  path.magnitude(a, "eq", 0);
  path.returnExactIf();
}

/** Leaves whether x × y is not exactly `expected`. Doubles are normal numbers. */
function writeProductDiffers(path: FastPath, x: Local, y: Local, expected: Local, productFits: () => Callable): void {
  const { f, lane } = path;
  path.widened(x).widened(y);
  f.op("f64.mul");
  path.widened(expected);
  f.op("f64.ne");
  if (lane.type === "f64") f.get(x).get(y).call(productFits()).op("i32.eqz", "i32.or");
}

/**
 * (x, y) -> whether the product of two normal doubles' significands has at most 53 bits once trailing zeros are gone.
 * With t trailing zeros in both together, the product of the 53-bit significands is odd × 2^t and 105 or 106 bits
 * long. If t < 52 the odd part has at least 54 bits. Else it has at most 54, so that a 64-bit product shows it whole.
 */
function defineProductFits(module: ModuleWriter): Callable {
  const f = module.func({ params: ["f64", "f64"], results: ["i32"] });
  const odds: Local[] = [];
  const zeros: Local[] = [];
  for (const operand of f.params) {
    const odd = f.local("i64");
    const trailing = f.local("i64");
    f.get(operand)
      .op("i64.reinterpret_f64")
      .i64(binary64.hiddenBit - 1n)
      .op("i64.and");
    f.i64(binary64.hiddenBit).op("i64.or").tee(odd).op("i64.ctz").set(trailing);
    f.get(odd).get(trailing).op("i64.shr_u").set(odd);
    odds.push(odd);
    zeros.push(trailing);
  }
  f.get(zeros[0]).get(zeros[1]).op("i64.add").i64(BigInt(binary64.fractionBits)).op("i64.ge_u");
  f.get(odds[0])
    .get(odds[1])
    .op("i64.mul")
    .i64(1n << BigInt(binary64.precision))
    .op("i64.lt_u", "i32.and");
  return f;
}

const DROPPED_BITS = BigInt(binary64.fractionBits - binary32.fractionBits);

/**
 * The product of singles is exact in double, the sum with c rounds to 53 bits, and narrowing rounds again to 24. That
 * errs only when the first rounding lands on a midpoint between two singles: from any other double, the true value
 * lies on the same side of all midpoints, for they are doubles themselves. A midpoint that the sum met exactly is right
 * as well; others are left to the exact way.
 */
function writeFusedSingle(path: FastPath): void {
  const { f, operands, result } = path;
  const [a, b, c] = operands;
  const [product, addend, sum] = [f.local("f64"), f.local("f64"), f.local("f64")];
  path.widened(a).widened(b);
  f.op("f64.mul").set(product);
  path.widened(c);
  f.tee(addend).get(product).op("f64.add").tee(sum).op("f32.demote_f64").set(result);
  path.isNormal(result);
  f.if();
  f.get(sum)
    .op("i64.reinterpret_f64")
    .i64((1n << DROPPED_BITS) - 1n)
    .op("i64.and");
  f.i64(1n << (DROPPED_BITS - 1n)).op("i64.eq");
  f.if();
  writeSumError(f, "f64", product, addend, sum);
  f.f64(0).op("f64.eq");
  path.require();
  f.end();
  path.returnInexactIf(() => {
    path.widened(result);
    f.get(sum).op("f64.ne");
    writeSumError(f, "f64", product, addend, sum);
    f.f64(0).op("f64.ne", "i32.or");
  });
  f.end();
  // No sum of doubles underflows to zero, and the product did not either.
  f.get(sum).f64(0).op("f64.eq");
  path.returnExactIf();
}

/** Splits 53 bits into halves of 26 bits and sign: Veltkamp's constant 2^27 + 1. */
const SPLITTER = 2 ** 27 + 1;

/**
 * Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd" (IEEE
 * Trans. Computers 57, 2008), which holds while nothing overflows or underflows:
 *   (product, low) = a × b exactly; (t, tError) = c + low exactly; (v, vError) = product + t exactly;
 *   result = v + odd(tError + vError)
 * where odd() rounds an inexact sum to the neighbour with an odd significand. Within |product| < 2^1000 and |c| < 2^1000
 * no sum overflows. Above 2^-900 every term of the product is a multiple of 2^-1006, hence exact; sums lose nothing to
 * underflow, so c may be small. A factor too large to split (2^996) makes a NaN of everything, the result included.
 */
function writeFusedDouble(path: FastPath): void {
  const { f, operands, result } = path;
  const [a, b, c] = operands;
  const value = (): Local => f.local("f64");

  // With a zero factor the product is an exact zero (or NaN, as the result then is) and the sum is exact.
  path.magnitude(a, "eq", 0).magnitude(b, "eq", 0);
  f.op("i32.or");
  f.if();
  path.apply(a, "mul", b);
  f.get(c).op("f64.add").tee(result).get(result).op("f64.eq");
  path.require();
  f.get(result).op("return");
  f.end();

  const product = value();
  path.apply(a, "mul", b);
  f.set(product);
  path.magnitude(c, "lt", 2 ** 1000).require();
  path.magnitude(product, "gt", 2 ** -900).require();
  path.magnitude(product, "lt", 2 ** 1000).require();

  const low = value();
  writeProductError(f, a, b, product);
  f.set(low);
  const [t, tError] = [value(), value()];
  path.apply(c, "add", low);
  f.set(t);
  writeSumError(f, "f64", c, low, t);
  f.set(tError);
  const [v, vError] = [value(), value()];
  path.apply(product, "add", t);
  f.set(v);
  writeSumError(f, "f64", product, t, v);
  f.set(vError);

  const [tail, tailError] = [value(), value()];
  path.apply(tError, "add", vError);
  f.set(tail);
  writeSumError(f, "f64", tError, vError, tail);
  f.set(tailError);
  writeRoundToOdd(f, tail, tailError);

  path.apply(v, "add", tail);
  f.set(result);
  path.isNormal(result).require();
  path.returnInexactIf(() => {
    f.get(tailError).f64(0).op("f64.ne");
    writeSumError(f, "f64", v, tail, result);
    f.f64(0).op("f64.ne", "i32.or");
  });
}

const FUSED_DOUBLE: Shape = { operands: ["f64", "f64", "f64"], result: "f64" };
/** Biased exponents of a product whose error is exact: from 2^-899 to below 2^1000. */
const EXACT_PRODUCT = [binary64.maxExponent - 899, binary64.maxExponent + 999] as const;
/** Of a result that is normal, and so far from overflow that no step on the way to it overflowed: nor did an addend. */
const SAFE_RESULT = [2, binary64.maxExponent + 999] as const;

/**
 * Leaves the result where NX is set already and rounding is beyond doubt, else what `whole` makes of it: a × b + c = sum +
 * error + low exactly, and rest = fl(error + low) is within half a unit in its last place of the truth. If sum + rest rounds
 * the same with rest a unit larger and smaller, the truth rounds to that, too (Ziv, "Fast evaluation of elementary mathematical
 * functions with correctly rounded last bit", ACM TOMS 17, 1991).
 */
function writeFusedQuickly({ f, places, operands, rm }: FloatWriter, whole: Callable): void {
  const [a, b, c] = operands;
  const value = (): Local => f.local("f64");
  const [product, sum, rest, upper, result] = [value(), value(), value(), value(), value()];
  f.get(a).get(b).op("f64.mul").set(product);
  f.get(rm).i32(Rounding.nearestEven).op("i32.eq");
  f.i32(0).memory("i32.load", places.flags).i32(Flag.inexact).op("i32.and").i32(0).op("i32.ne", "i32.and");
  writeExponentWithin(f, product, EXACT_PRODUCT);
  f.op("i32.and").if();
  f.get(product).get(c).op("f64.add").set(sum);
  writeSumError(f, "f64", product, c, sum);
  writeProductError(f, a, b, product);
  f.op("f64.add").set(rest);
  f.get(sum).get(rest).op("f64.add").set(result);
  f.get(sum)
    .get(rest)
    .f64(1 + 2 ** -51)
    .op("f64.mul", "f64.add")
    .set(upper);
  f.get(sum)
    .get(rest)
    .f64(1 - 2 ** -51)
    .op("f64.mul", "f64.add")
    .get(upper)
    .op("f64.eq");
  writeExponentWithin(f, result, SAFE_RESULT);
  f.op("i32.and").if();
  f.get(result).op("return");
  f.end().end();
  f.get(a).get(b).get(c).get(rm).call(whole);
}

/** Leaves whether the biased exponent is one of these: not that of zero, of subnormals, infinities and NaNs. */
function writeExponentWithin(f: FunctionWriter, x: Local, [low, high]: readonly [number, number]): void {
  f.get(x)
    .op("i64.reinterpret_f64")
    .i64(binary64.fractionBits)
    .op("i64.shr_u", "i32.wrap_i64")
    .i32(0x7ff)
    .op("i32.and");
  f.i32(low)
    .op("i32.sub")
    .i32(high - low)
    .op("i32.le_u");
}

/** Leaves the rounding error of product = x × y (Dekker 1971), exact within the bounds that the caller has checked. */
function writeProductError(f: FunctionWriter, x: Local, y: Local, product: Local): void {
  const halves = [x, y].map((whole) => {
    const [scaled, high, low] = [f.local("f64"), f.local("f64"), f.local("f64")];
    f.get(whole).f64(SPLITTER).op("f64.mul").tee(scaled);
    f.get(scaled).get(whole).op("f64.sub", "f64.sub").set(high);
    f.get(whole).get(high).op("f64.sub").set(low);
    return { high, low };
  });
  const [p, q] = halves;
  f.get(p.high).get(q.high).op("f64.mul").get(product).op("f64.sub");
  f.get(p.high).get(q.low).op("f64.mul", "f64.add");
  f.get(p.low).get(q.high).op("f64.mul", "f64.add");
  f.get(p.low).get(q.low).op("f64.mul", "f64.add");
}

/** Moves an inexact sum with an even significand to its neighbour on the side of its error. */
function writeRoundToOdd(f: FunctionWriter, sum: Local, error: Local): void {
  f.get(error).f64(0).op("f64.ne");
  f.get(sum).op("i64.reinterpret_f64", "i32.wrap_i64").i32(1).op("i32.and", "i32.eqz", "i32.and");
  f.if();
  // One unit in the last place up in magnitude where error and sum have the same sign, down elsewhere.
  f.get(sum).op("i64.reinterpret_f64").i64(1n).i64(-1n);
  f.get(error).f64(0).op("f64.gt").get(sum).f64(0).op("f64.gt", "i32.eq", "select");
  f.op("i64.add", "f64.reinterpret_i64").set(sum);
  f.end();
}
