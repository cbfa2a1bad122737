// What the helpers of fast.ts are written with: instructions of one format, flags, and the frame of a fast path that
// can give up in favour of the exact implementation.

import type { Callable, FunctionWriter, Label, Local } from "../../../wasm/function.ts";
import type { ModuleWriter } from "../../../wasm/module.ts";
import type { ValueType } from "../../../wasm/opcodes.ts";
import type { FloatOp } from "./dispatch.ts";
import type { Format } from "./format.ts";
import { binary32, binary64, Flag, Rounding } from "./format.ts";
import type { FloatPlaces } from "./mail.ts";

/** Where helpers are defined and what they may call. */
export interface HelperContext {
  readonly module: ModuleWriter;
  readonly places: FloatPlaces;
  readonly softFloat: Callable;
}

/** A helper's operands and result as native numbers: i64 is an integer register. */
export interface Shape {
  readonly operands: readonly ValueType[];
  readonly result: ValueType;
}

/** The native type that a helper computes in. */
export interface Lane {
  readonly type: "f32" | "f64";
  readonly format: Format;
  readonly smallestNormal: number;
  /** 2^emax: half of where overflow begins. */
  readonly largestPower: number;
}

const laneOf = (type: Lane["type"], format: Format): Lane => ({
  type,
  format,
  smallestNormal: 2 ** format.minExponent,
  largestPower: 2 ** format.maxExponent,
});
export const single = laneOf("f32", binary32);
export const double = laneOf("f64", binary64);

type Arithmetic = "add" | "sub" | "mul" | "div" | "sqrt" | "abs" | "neg" | "min" | "max";
type Comparison = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

/**
 * A helper in the making: its function, and instructions of its lane. Methods append instructions; those that take
 * locals leave one value on the stack unless they say otherwise.
 */
export class FloatWriter {
  readonly f: FunctionWriter;
  readonly operands: readonly Local[];
  readonly rm: Local;
  readonly places: FloatPlaces;

  constructor(
    { module, places }: HelperContext,
    readonly lane: Lane,
    readonly shape: Shape,
  ) {
    this.f = module.func({ params: [...shape.operands, "i32"], results: [shape.result] });
    this.operands = this.f.params.slice(0, shape.operands.length);
    this.rm = this.f.params[shape.operands.length];
    this.places = places;
  }

  /** Instructions of the lane's type. */
  op(...names: readonly (Arithmetic | Comparison)[]): this {
    for (const name of names) this.f.op(`${this.lane.type}.${name}`);
    return this;
  }

  constant(value: number): this {
    if (this.lane.type === "f32") this.f.f32(value);
    else this.f.f64(value);
    return this;
  }

  apply(x: Local, name: Arithmetic | Comparison, y: Local): this {
    this.f.get(x).get(y);
    return this.op(name);
  }

  widened(x: Local): this {
    this.f.get(x);
    if (x.type === "f32") this.f.op("f64.promote_f32");
    return this;
  }

  /** Compares |x| with a constant. */
  magnitude(x: Local, relation: Comparison, limit: number): this {
    this.f.get(x);
    return this.op("abs").constant(limit).op(relation);
  }

  isNormal(x: Local): this {
    this.magnitude(x, "gt", this.lane.smallestNormal).magnitude(x, "lt", Number.POSITIVE_INFINITY);
    this.f.op("i32.and");
    return this;
  }

  isNaN(x: Local): this {
    return this.apply(x, "ne", x);
  }

  /** Leaves 1 if x, known to be a NaN, is a quiet one; looks at its bits, for arithmetic would quieten it. */
  quietBit(x: Local): this {
    const position = this.lane.format.fractionBits - 1;
    if (this.lane.type === "f32") this.f.get(x).op("i32.reinterpret_f32").i32(position).op("i32.shr_u");
    else this.f.get(x).op("i64.reinterpret_f64").i64(BigInt(position)).op("i64.shr_u", "i32.wrap_i64");
    this.f.i32(1).op("i32.and");
    return this;
  }

  isSignalling(x: Local): this {
    this.isNaN(x).quietBit(x);
    this.f.op("i32.gt_u");
    return this;
  }

  /** Sets a flag. Leaves nothing. */
  accrue(flag: number): this {
    const { f, places } = this;
    f.i32(0).i32(0).memory("i32.load", places.flags).i32(flag).op("i32.or").memory("i32.store", places.flags);
    return this;
  }

  /** Sets a flag if the condition on the stack holds. Leaves nothing. */
  accrueIf(flag: number): this {
    this.f.if();
    this.accrue(flag);
    this.f.end();
    return this;
  }
}

/** A helper that leaves what it cannot prove to the exact implementation: everything is inside a block with that exit. */
export class FastPath extends FloatWriter {
  readonly result: Local;
  readonly #slow: Label;

  constructor(context: HelperContext, lane: Lane, shape: Shape) {
    super(context, lane, shape);
    this.result = this.f.local(shape.result);
    this.#slow = this.f.block();
  }

  /** Goes to the exact implementation unless the condition on the stack holds. Leaves nothing. */
  require(): this {
    this.f.op("i32.eqz").brIf(this.#slow);
    return this;
  }

  /** Goes to the exact implementation in all modes but the host's. */
  requireNearestEven(): this {
    this.f.get(this.rm).i32(Rounding.nearestEven).op("i32.eq");
    return this.require();
  }

  /** Returns the result, having set NX as `writeInexact` says: it leaves 0 or 1. Not even asked if NX is set already. */
  returnInexactIf(writeInexact: () => void): void {
    const { f, places } = this;
    f.i32(0).memory("i32.load", places.flags).i32(Flag.inexact).op("i32.and", "i32.eqz");
    f.if();
    f.i32(0).i32(0).memory("i32.load", places.flags);
    writeInexact();
    f.op("i32.or").memory("i32.store", places.flags);
    f.end();
    f.get(this.result).op("return");
  }

  /** Returns the result without any flag if the condition on the stack holds. */
  returnExactIf(): void {
    this.f.if();
    this.f.get(this.result).op("return");
    this.f.end();
  }

  /** Ends the function with the call that serves everything else. */
  otherwise(softFloat: Callable, op: FloatOp): Callable {
    const { f, places, operands, shape } = this;
    f.end();
    operands.forEach((operand, index) => {
      f.i32(0).get(operand);
      if (operand.type === "f32") f.op("i32.reinterpret_f32", "i64.extend_i32_u");
      else if (operand.type === "f64") f.op("i64.reinterpret_f64");
      f.memory("i64.store", places.mail + index * 8);
    });
    f.i32(op).get(this.rm).call(softFloat);
    f.i32(0).memory(`${shape.result}.load`, places.mail);
    return f;
  }
}

/** Defines a helper of which `write` writes the fast path: it returns, or it runs to its end where it cannot serve. */
export function defineFastPath(
  context: HelperContext,
  op: FloatOp,
  lane: Lane,
  shape: Shape,
  write: (path: FastPath) => void,
): Callable {
  const path = new FastPath(context, lane, shape);
  write(path);
  return path.otherwise(context.softFloat, op);
}

/** Defines a helper that serves every operand by itself: `write` leaves its result. */
export function defineWhole(
  context: HelperContext,
  lane: Lane,
  shape: Shape,
  write: (writer: FloatWriter) => void,
): Callable {
  const writer = new FloatWriter(context, lane, shape);
  write(writer);
  return writer.f;
}
