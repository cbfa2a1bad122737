/** Gives semantics trees their meaning as WebAssembly; where operands come from is up to the interpreter and the translator. */
import type { Expr, FloatField, Shared } from "../isa/riscv/semantics.ts";
import type { FunctionWriter, Local } from "../wasm/function.ts";
import type { ValueType } from "../wasm/opcodes.ts";

export abstract class CodeWriter {
  readonly #spare: Record<ValueType, Local[]> = { i32: [], i64: [], f32: [], f64: [] };
  #used: Record<ValueType, number> = { i32: 0, i64: 0, f32: 0, f64: 0 };
  protected readonly variables = new Map<Shared, Local>();

  constructor(protected readonly f: FunctionWriter) {}

  /** Pushes an integer register. */
  protected abstract x(field: "rs1" | "rs2"): void;
  /** Pushes the 64 bits of a floating-point register. */
  protected abstract fBits(field: FloatField): void;
  /** Pushes the immediate, sign-extended to i64. */
  protected abstract immediate(): void;
  /** Pushes the address of the instruction. */
  protected abstract pc(): void;

  /** Locals of the last instruction are free again. */
  protected startInstruction(): void {
    this.#used = { i32: 0, i64: 0, f32: 0, f64: 0 };
    this.variables.clear();
  }

  protected temporary(type: ValueType): Local {
    const index = this.#used[type]++;
    this.#spare[type][index] ??= this.f.local(type);
    return this.#spare[type][index];
  }

  /** Pushes the value of an expression. */
  protected expr(e: Expr): void {
    const { f } = this;
    switch (e.kind) {
      case "x":
        return this.x(e.field);
      case "f":
        return this.fBits(e.field);
      case "imm":
        return this.immediate();
      case "pc":
        return this.pc();
      case "constant":
        if (e.type === "i64") f.i64(e.value);
        else f.i32(Number(e.value));
        return;
      case "op":
        for (const arg of e.args) this.expr(arg);
        f.op(e.op);
        return;
      case "mulHigh": {
        const high = this.temporary("i64");
        for (const arg of e.args) this.expr(arg);
        f.op(e.signed ? "i64.mul_wide_s" : "i64.mul_wide_u");
        f.set(high).op("drop").get(high);
        return;
      }
      case "choose":
        this.expr(e.condition);
        f.if(e.type);
        this.expr(e.yes);
        f.else();
        this.expr(e.no);
        f.end();
        return;
      case "let": {
        const local = this.temporary(e.variable.type);
        this.expr(e.value);
        f.set(local);
        this.variables.set(e.variable, local);
        this.expr(e.body);
        return;
      }
      case "shared":
        f.get(this.variables.get(e)!);
        return;
    }
  }
}
