/** Guest registers in locals, while a region is written: which local holds each, and what memory has yet to learn of. */
import { HartField } from "../../isa/riscv/hart.ts";
import { floatNames, integerNames } from "../../isa/riscv/register-names.ts";
import type { FunctionWriter, Local } from "../../wasm/function.ts";
import type { ValueType } from "../../wasm/opcodes.ts";
import { at } from "../places.ts";
import type { Registers } from "./registers.ts";

/** What holds at a place in the code. */
export interface RegisterState extends Registers {
  /** Integer registers whose narrow local counts. `x` and `f` are those that memory is behind with. */
  readonly narrow: number;
}

export class RegisterLocals {
  readonly #wide: (Local | undefined)[] = new Array(32);
  readonly #narrow: (Local | undefined)[] = new Array(32);
  readonly #float: (Local | undefined)[] = new Array(32);
  #state: { x: number; f: number; narrow: number } = { x: 0, f: 0, narrow: 0 };

  constructor(readonly f: FunctionWriter) {}

  /** Integer registers whose narrow local counts. */
  get narrow(): number {
    return this.#state.narrow;
  }

  /** Whether a wide local is behind its narrow one, in what memory has yet to learn of. */
  get isBehind(): boolean {
    return (this.#state.x & this.#state.narrow) !== 0;
  }

  get state(): RegisterState {
    return { ...this.#state };
  }
  set state(state: RegisterState) {
    this.#state = { ...state };
  }

  /** Fills locals from memory. */
  load({ x, f: floats }: Registers): void {
    const { f } = this;
    each(x, (i) => {
      f.i32(0)
        .memory("i64.load", placeOfX(i))
        .set(this.#local(this.#wide, i, "i64"));
    });
    each(floats, (i) => {
      f.i32(0)
        .memory("f64.load", placeOfF(i))
        .set(this.#local(this.#float, i, "f64"));
    });
  }

  /** Whether the register's low word is all there is to it. */
  isNarrow(index: number): boolean {
    return ((this.#state.narrow >>> index) & 1) === 1;
  }

  /** Pushes an integer register. */
  push(index: number): void {
    if (index === 0) this.f.i64(0);
    else if (this.isNarrow(index)) this.f.get(this.#local(this.#narrow, index, "i32")).op("i64.extend_i32_s");
    else this.f.get(this.#local(this.#wide, index, "i64"));
  }

  /** Pushes its low word. */
  pushLow(index: number): void {
    if (index === 0) this.f.i32(0);
    else if (this.isNarrow(index)) this.f.get(this.#local(this.#narrow, index, "i32"));
    else this.f.get(this.#local(this.#wide, index, "i64")).op("i32.wrap_i64");
  }

  pushFloat(index: number): void {
    this.f.get(this.#local(this.#float, index, "f64"));
  }

  /** Takes an integer register's new value from the stack: an i64, or an i32 that is extended to it. */
  set(index: number, narrow: boolean): void {
    this.f.set(narrow ? this.#local(this.#narrow, index, "i32") : this.#local(this.#wide, index, "i64"));
    const bit = 1 << index;
    this.#state.narrow = narrow ? this.#state.narrow | bit : this.#state.narrow & ~bit;
    this.#state.x |= bit;
  }

  setFloat(index: number): void {
    this.f.set(this.#local(this.#float, index, "f64"));
    this.#state.f |= 1 << index;
  }

  /** Stores registers as they are here; what holds elsewhere does not change. */
  store({ x, f: floats }: Registers): void {
    const { f } = this;
    each(x, (i) => {
      f.i32(0);
      this.push(i);
      f.memory("i64.store", placeOfX(i));
    });
    each(floats, (i) => {
      f.i32(0);
      this.pushFloat(i);
      f.memory("f64.store", placeOfF(i));
    });
  }

  /** Stores wide locals, whatever counts here. */
  storeWide(registers: Registers): void {
    const { narrow } = this.#state;
    this.#state.narrow = 0;
    this.store(registers);
    this.#state.narrow = narrow;
  }

  /** Gives wide locals the values of narrow registers, for code that takes all from there. */
  copyToWide(): void {
    const { narrow } = this.#state;
    this.widen(this.#state.x);
    this.#state.narrow = narrow;
  }

  /** Brings narrow registers into their wide locals. */
  widen(registers: number): void {
    each(registers & this.#state.narrow, (i) => {
      this.push(i);
      this.f.set(this.#local(this.#wide, i, "i64"));
    });
    this.#state.narrow &= ~registers;
  }

  #local(locals: (Local | undefined)[], index: number, type: ValueType): Local {
    const names = locals === this.#float ? floatNames : integerNames;
    locals[index] ??= this.f.local(type, locals === this.#narrow ? `${names[index]}_w` : names[index]);
    return locals[index];
  }
}

const placeOfX = (index: number): number => at(HartField.x) + index * 8;
const placeOfF = (index: number): number => at(HartField.f) + index * 8;

function each(registers: number, act: (index: number) => void): void {
  for (let rest = registers; rest !== 0; rest &= rest - 1) act(31 - Math.clz32(rest & -rest));
}
