/** Gives semantics trees their meaning as WebAssembly; where operands come from is up to the interpreter and the translator. */
import { HartField } from "../isa/riscv/hart.ts";
import { type Expr, type FloatField, rs2, type Semantics, type Shared } from "../isa/riscv/semantics.ts";
import type { FunctionWriter, Local } from "../wasm/function.ts";
import type { ValueType } from "../wasm/opcodes.ts";
import { at, LOADS, STORES } from "./places.ts";
import { pushTable, pushTlbEntry } from "./tlb-code.ts";

/** Combinations of old value and rs2 that WebAssembly does in one step. */
const AT_ONCE: Readonly<Record<string, "add" | "and" | "or" | "xor">> = {
  "i64.add": "add",
  "i64.and": "and",
  "i64.or": "or",
  "i64.xor": "xor",
};

export abstract class CodeWriter {
  readonly #spare: Record<ValueType, Local[]> = { i32: [], i64: [], f32: [], f64: [] };
  #used: Record<ValueType, number> = { i32: 0, i64: 0, f32: 0, f64: 0 };
  protected readonly variables = new Map<Shared, Local>();

  /** Guest address and linear-memory offset of the access being written. */
  protected readonly address: Local;
  protected readonly offset: Local;
  /** What an atomic instruction found in memory. */
  readonly #old: Local;

  /** @param parallel Other threads have the memory, too: what is one step for harts is to be one for threads. */
  constructor(
    protected readonly f: FunctionWriter,
    protected readonly parallel: boolean,
  ) {
    this.address = f.local("i64", "address");
    this.offset = f.local("i32", "offset");
    this.#old = f.local("i64", "old");
  }

  /** Pushes an integer register. */
  protected abstract x(field: "rs1" | "rs2"): void;
  /** Pushes the 64 bits of a floating-point register. */
  protected abstract fBits(field: FloatField): void;
  /** Pushes the immediate, sign-extended to i64. */
  protected abstract immediate(): void;
  /** Pushes the address of the instruction. */
  protected abstract pc(): void;
  /** Sets integer register rd to what `value` pushes. */
  protected abstract setX(value: () => void): void;
  /** Puts where the RAM at x[rs1] lies into `offset`, for an aligned access. */
  protected abstract atomicOffset(width: 4 | 8, access: "load" | "store"): void;

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

  /** Leaves the tag of the TLB's entry for an address on the stack, and where the entry lies in `offset`. */
  protected tlbEntry(address: Local, table: number): void {
    const { f } = this;
    pushTlbEntry(f, address, () => pushTable(f, table));
    f.tee(this.offset).memory("i64.load");
  }

  /** Orders accesses where other threads see them. Answers whether fetches are to be ordered, which is not done here. */
  protected fence(orders: "accesses" | "fetches"): boolean {
    if (this.parallel && orders === "accesses") this.f.atomicFence();
    return this.parallel && orders === "fetches";
  }

  protected amo(semantics: Extract<Semantics, { does: "amo" }>): void {
    const { f } = this;
    const { width, old, combine } = semantics;
    this.atomicOffset(width, "store");
    if (this.parallel) return this.#amoAtOnce(semantics);
    f.get(this.offset).memory(LOADS.signed[width]).set(this.#old);
    this.variables.set(old, this.#old);
    f.get(this.offset);
    this.expr(combine);
    f.memory(STORES[width]);
    this.setX(() => f.get(this.#old));
  }

  /** The same in one step for every thread that has the memory. */
  #amoAtOnce({ width, old, combine }: Extract<Semantics, { does: "amo" }>): void {
    const { f } = this;
    const type = width === 4 ? "i32" : "i64";
    const found = this.#old;
    this.variables.set(old, found);
    const kind = combine === rs2 ? "xchg" : combine.kind === "op" ? AT_ONCE[combine.op] : undefined;
    if (kind !== undefined) {
      f.get(this.offset);
      this.x("rs2");
      if (width === 4) f.op("i32.wrap_i64");
      f.atomic(`${type}.atomic.rmw.${kind}`);
      if (width === 4) f.op("i64.extend_i32_s");
      f.set(found);
      return this.setX(() => f.get(found));
    }
    // Minimum and maximum: again, until nobody came between.
    const before = this.temporary("i64");
    f.get(this.offset).memory(LOADS.signed[width]).set(found);
    const again = f.loop();
    f.get(found).set(before);
    this.#exchange(
      width,
      () => f.get(before),
      () => this.expr(combine),
    );
    if (width === 4) f.op("i64.extend_i32_s");
    f.tee(found).get(before).op("i64.ne").brIf(again).end();
    this.setX(() => f.get(found));
  }

  /** Puts a value at `offset` if another one is there; leaves what was there on the stack, a word as i32. */
  #exchange(width: 4 | 8, expected: () => void, next: () => void): void {
    const { f } = this;
    f.get(this.offset);
    for (const value of [expected, next]) {
      value();
      if (width === 4) f.op("i32.wrap_i64");
    }
    f.atomic(width === 4 ? "i32.atomic.rmw.cmpxchg" : "i64.atomic.rmw.cmpxchg");
  }

  protected loadReserved(width: 4 | 8): void {
    const { f } = this;
    this.atomicOffset(width, "load");
    f.i32(0).get(this.offset).memory("i32.store", at(HartField.reservation));
    if (!this.parallel) return this.setX(() => f.get(this.offset).memory(LOADS.signed[width]));
    // With the strongest of orders, whatever aq and rl ask for. RISC-V Unpriv §14.2
    f.atomicFence().get(this.offset).memory(LOADS.signed[width]).set(this.#old).atomicFence();
    f.i32(0).get(this.#old).memory("i64.store", at(HartField.reserved));
    this.setX(() => f.get(this.#old));
  }

  protected storeConditional(width: 4 | 8): void {
    const { f } = this;
    this.atomicOffset(width, "store");
    const holds = this.temporary("i32");
    f.i32(0).memory("i32.load", at(HartField.reservation)).get(this.offset).op("i32.eq").tee(holds).if();
    if (this.parallel) {
      // Whoever has stored since shows by another value; one that put the old value back does not, and nobody can tell.
      const reserved = () => f.i32(0).memory("i64.load", at(HartField.reserved));
      this.#exchange(width, reserved, () => this.x("rs2"));
      if (width === 4) reserved().op("i32.wrap_i64", "i32.eq");
      else reserved().op("i64.eq");
      f.set(holds).end();
    } else {
      f.get(this.offset);
      this.x("rs2");
      f.memory(STORES[width]).end();
    }
    f.i32(0).i32(-1).memory("i32.store", at(HartField.reservation));
    this.setX(() => f.get(holds).op("i32.eqz", "i64.extend_i32_u"));
  }
}
