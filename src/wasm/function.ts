/** Writes the body of one WebAssembly function. */
import { ByteWriter } from "./bytes.ts";
import {
  ATOMIC_FENCE,
  ATOMIC_PREFIX,
  type AtomicOpcode,
  atomicOpcodes,
  type MemoryOpcode,
  memoryOpcodes,
  type Opcode,
  opcodes,
  type ValueType,
  valueTypes,
} from "./opcodes.ts";

/** A parameter or local variable. */
export interface Local {
  readonly index: number;
  readonly type: ValueType;
}

/** A block, loop or if that branches can name. */
export interface Label {
  /** Nesting depth at which it was opened. */
  readonly depth: number;
}

/** What can be called: a function of the module or an import. */
export interface Callable {
  readonly index: number;
}

const EMPTY_BLOCK = 0x40;

export class FunctionWriter implements Callable {
  readonly #code = new ByteWriter();
  readonly #locals: ValueType[] = [];
  #depth = 0;
  /** Names for people, which the module does not carry. */
  readonly #names: { readonly local: (string | undefined)[]; readonly label: [offset: number, name: string][] } = {
    local: [],
    label: [],
  };
  /** Where conditional branches are that are hardly ever taken: offsets in the code. */
  readonly #unlikely: number[] = [];
  readonly params: readonly Local[];

  constructor(
    readonly index: number,
    readonly type: number,
    params: readonly ValueType[],
  ) {
    this.params = params.map((t, i) => ({ index: i, type: t }));
  }

  /** A fresh local variable, zero at entry. */
  local(type: ValueType, name?: string): Local {
    this.#locals.push(type);
    this.#names.local.push(name);
    return { index: this.params.length + this.#locals.length - 1, type };
  }

  /** Instructions without immediates, in order. */
  op(...names: readonly Opcode[]): this {
    for (const name of names) {
      const code = opcodes[name];
      if (code > 0xff) {
        this.#code.byte(code >> 8);
        this.#code.unsigned(code & 0xff);
      } else this.#code.byte(code);
    }
    return this;
  }

  get(local: Local): this {
    return this.#indexed(0x20, local.index);
  }
  set(local: Local): this {
    return this.#indexed(0x21, local.index);
  }
  tee(local: Local): this {
    return this.#indexed(0x22, local.index);
  }

  i32(value: number): this {
    this.#code.byte(0x41);
    this.#code.signed32(value);
    return this;
  }
  /** A number has to be a whole one that fits; it is the quicker way. */
  i64(value: bigint | number): this {
    this.#code.byte(0x42);
    if (typeof value === "number" && (value | 0) === value) this.#code.signed32(value);
    else this.#code.signed64(BigInt(value));
    return this;
  }
  f32(value: number): this {
    this.#code.byte(0x43);
    this.#code.float32(value);
    return this;
  }
  f64(value: number): this {
    this.#code.byte(0x44);
    this.#code.float64(value);
    return this;
  }

  /** A load or store; `offset` is added to the address operand. Alignment is left unpromised: it is a hint only. */
  memory(name: MemoryOpcode, offset = 0): this {
    this.#code.byte(memoryOpcodes[name]);
    this.#code.unsigned(0);
    this.#code.unsigned(offset);
    return this;
  }

  /** An access that is one step for every thread that has the memory. Its address has to be a multiple of its width. */
  atomic(name: AtomicOpcode, offset = 0): this {
    this.#code.byte(ATOMIC_PREFIX);
    this.#code.unsigned(atomicOpcodes[name]);
    this.#code.unsigned(name.startsWith("i64") ? 3 : 2);
    this.#code.unsigned(offset);
    return this;
  }

  /** Orders every access before it against every one after it, as other threads see them. */
  atomicFence(): this {
    this.#code.byte(ATOMIC_PREFIX);
    this.#code.unsigned(ATOMIC_FENCE);
    this.#code.byte(0);
    return this;
  }

  /** `memory.fill`: operands are address, byte value, length. */
  memoryFill(): this {
    this.#code.byte(0xfc);
    this.#code.unsigned(11);
    this.#code.byte(0);
    return this;
  }

  block(result?: ValueType, name?: string): Label {
    if (name !== undefined) this.#names.label.push([this.#code.length, name]);
    return this.#open(0x02, result);
  }
  loop(result?: ValueType, name?: string): Label {
    if (name !== undefined) this.#names.label.push([this.#code.length, name]);
    return this.#open(0x03, result);
  }
  if(result?: ValueType): Label {
    return this.#open(0x04, result);
  }
  /** An `if` whose body is hardly ever executed: compilers keep it out of the way. */
  ifUnlikely(): Label {
    this.#unlikely.push(this.#code.length);
    return this.#open(0x04, undefined);
  }
  else(): this {
    this.#code.byte(0x05);
    return this;
  }
  end(): this {
    this.#depth--;
    this.#code.byte(0x0b);
    return this;
  }
  br(label: Label): this {
    return this.#indexed(0x0c, this.#distance(label));
  }
  brIf(label: Label): this {
    return this.#indexed(0x0d, this.#distance(label));
  }
  /** As {@link brIf}, where the branch is hardly ever taken. */
  brIfUnlikely(label: Label): this {
    this.#unlikely.push(this.#code.length);
    return this.brIf(label);
  }
  /** Branches to `labels[operand]`, to `fallback` beyond their end. */
  brTable(labels: readonly Label[], fallback: Label): this {
    this.#code.byte(0x0e);
    this.#code.unsigned(labels.length);
    for (const label of labels) this.#code.unsigned(this.#distance(label));
    this.#code.unsigned(this.#distance(fallback));
    return this;
  }

  call(callee: Callable): this {
    return this.#indexed(0x10, callee.index);
  }

  /** As {@link call}, in place of this function. */
  returnCall(callee: Callable): this {
    return this.#indexed(0x12, callee.index);
  }

  /** Calls the function at the table index on top of the stack, by its signature's index. */
  callIndirect(signature: number): this {
    this.#code.byte(0x11);
    this.#code.unsigned(signature);
    this.#code.unsigned(0);
    return this;
  }

  /** As {@link callIndirect}, in place of this function. */
  returnCallIndirect(signature: number): this {
    this.#code.byte(0x13);
    this.#code.unsigned(signature);
    this.#code.unsigned(0);
    return this;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#code.length;
  }

  /** What locals and labels are called, as `functionText` takes it. */
  get names(): { readonly locals: ReadonlyMap<number, string>; readonly labels: ReadonlyMap<number, string> } {
    const locals = new Map<number, string>();
    this.#names.local.forEach((name, i) => {
      if (name !== undefined) locals.set(this.params.length + i, name);
    });
    return { locals, labels: new Map(this.#names.label) };
  }

  /** Offsets of unlikely branches in what {@link finish} answers. */
  get unlikely(): readonly number[] {
    const declarations = this.#declarations().length;
    return this.#unlikely.map((offset) => declarations + offset);
  }

  /** The body with its declarations of locals, as the code section holds it. */
  finish(): Uint8Array {
    if (this.#depth !== 0) throw new Error(`function ${this.index}: ${this.#depth} blocks were not ended`);
    const out = new ByteWriter();
    out.append(this.#declarations());
    out.append(this.#code.finish());
    out.byte(0x0b);
    return out.finish();
  }

  #declarations(): Uint8Array {
    const out = new ByteWriter();
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    out.unsigned(runs.length);
    for (const run of runs) {
      out.unsigned(run.count);
      out.byte(valueTypes[run.type]);
    }
    return out.finish();
  }

  #indexed(code: number, index: number): this {
    this.#code.byte(code);
    this.#code.unsigned(index);
    return this;
  }

  #open(code: number, result: ValueType | undefined): Label {
    this.#code.byte(code);
    this.#code.byte(result === undefined ? EMPTY_BLOCK : valueTypes[result]);
    return { depth: ++this.#depth };
  }

  #distance(label: Label): number {
    return this.#depth - label.depth;
  }
}
