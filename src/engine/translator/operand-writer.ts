/** Where the operands of a region's instructions are, and where results go: locals, of which some hold no more than a word. */
import type { Expr, FloatField } from "../../isa/riscv/semantics.ts";
import type { FunctionWriter } from "../../wasm/function.ts";
import { CodeWriter } from "../code-writer.ts";
import { NAN_BOX } from "../places.ts";
import { RegisterLocals } from "./locals.ts";
import { isCopy, isNarrow, NARROW_BITWISE, NARROW_COMPARISONS } from "./narrow.ts";
import type { Operation } from "./region.ts";

export abstract class OperandWriter extends CodeWriter {
  protected readonly registers: RegisterLocals;
  /** The instruction being written, and whether its result stays narrow. */
  protected operation!: Operation;
  protected staysNarrow = false;

  /**
   * @param parallel See {@link CodeWriter}.
   * @param keepsNarrow Whether narrow values are looked for at all.
   */
  constructor(
    f: FunctionWriter,
    parallel: boolean,
    readonly keepsNarrow: boolean,
  ) {
    super(f, parallel);
    this.registers = new RegisterLocals(f);
  }

  /** Pushes an address given relative to the entry's page. */
  protected abstract pushAddress(relative: number): void;

  protected override x(field: "rs1" | "rs2"): void {
    this.registers.push(this.operation[field]);
  }

  protected override fBits(field: FloatField): void {
    this.registers.pushFloat(this.operation[field]);
    this.f.op("i64.reinterpret_f64");
  }

  protected override immediate(): void {
    this.f.i64(this.operation.imm);
  }

  protected override pc(): void {
    this.pushAddress(this.operation.at);
  }

  protected override setX(value: () => void): void {
    // Nothing that computes has an effect of its own.
    if (this.operation.rd === 0) return;
    value();
    this.define(false);
  }

  /** Sets rd to what an expression computes. */
  protected set(value: Expr): void {
    if (this.operation.rd === 0) return;
    if (this.staysNarrow) this.low(value);
    else this.expr(value);
    this.define(this.staysNarrow);
  }

  /** rd has a new value, which is on the stack: as an i32, where `narrow`. */
  protected define(narrow: boolean): void {
    this.registers.set(this.operation.rd, narrow);
  }

  protected defineF(): void {
    this.registers.setFloat(this.operation.rd);
  }

  protected setF(to: "s" | "d", bits: () => void): void {
    bits();
    if (to === "s") this.f.i64(NAN_BOX).op("i64.or");
    this.f.op("f64.reinterpret_i64");
    this.defineF();
  }

  #isNarrow(e: Expr): boolean {
    return this.keepsNarrow && isNarrow(e, this.operation, this.registers.narrow);
  }

  protected override expr(e: Expr): void {
    if (e.kind !== "op") return super.expr(e);
    if (e.op === "i32.wrap_i64") return this.low(e.args[0]);
    if (e.type === "i64" && this.#isShorterLow(e) && this.#isNarrow(e)) {
      this.low(e);
      this.f.op("i64.extend_i32_s");
      return;
    }
    const comparison = NARROW_COMPARISONS[e.op];
    if (comparison === undefined || !e.args.every((arg) => this.#isNarrow(arg))) return super.expr(e);
    for (const arg of e.args) this.low(arg);
    this.f.op(comparison);
  }

  /** Whether all 64 bits of a narrow result are had by computing its low word: not where it is an extended word already. */
  #isShorterLow({ op, args }: Extract<Expr, { kind: "op" }>): boolean {
    if (NARROW_BITWISE[op] !== undefined) return args.every((arg) => this.#isNarrow(arg));
    return !op.startsWith("i64.extend");
  }

  /** Pushes the low word of an i64 expression: all there is to it, where it is narrow. */
  protected low(e: Expr): void {
    const { f } = this;
    if (e.kind === "x") return this.registers.pushLow(this.operation[e.field]);
    if (e.kind === "imm") return void f.i32(this.operation.imm);
    if (e.kind === "constant") return void f.i32(Number(BigInt.asIntN(32, e.value)));
    if (e.kind === "op" && this.#isNarrow(e) && this.#lowOfOp(e)) return;
    super.expr(e);
    f.op("i32.wrap_i64");
  }

  /** The same for narrow results of operations; `false` where there is no shorter way. */
  #lowOfOp({ op, args }: Extract<Expr, { kind: "op" }>): boolean {
    const { f } = this;
    const bitwise = NARROW_BITWISE[op];
    if (bitwise !== undefined) {
      for (const arg of args) this.low(arg);
      f.op(bitwise);
    } else if (op === "i64.extend_i32_s" || op === "i64.extend_i32_u") this.expr(args[0]);
    else if (op === "i64.add" && isCopy(args, this.operation)) this.low(args[0]);
    else if (op === "i64.shr_s") {
      this.low(args[0]);
      f.i32(Math.min(31, this.operation.imm)).op("i32.shr_s");
    } else if (op === "i64.extend8_s" || op === "i64.extend16_s") {
      this.low(args[0]);
      f.op(op === "i64.extend8_s" ? "i32.extend8_s" : "i32.extend16_s");
    } else return false;
    return true;
  }

  /** An operand as a native number. A single that is not NaN-boxed is the canonical NaN. RISC-V Unpriv §22.2 */
  protected floatOperand(from: "x" | "s" | "d", field: FloatField): void {
    const { f } = this;
    if (from === "x") return this.registers.push(this.operation.rs1);
    this.registers.pushFloat(this.operation[field]);
    if (from === "d") return;
    const bits = this.temporary("i64");
    f.op("i64.reinterpret_f64").tee(bits).op("i32.wrap_i64").i32(0x7fc00000);
    f.get(bits).i64(32).op("i64.shr_u").i64(0xffffffff).op("i64.eq", "select", "f32.reinterpret_i32");
  }
}
