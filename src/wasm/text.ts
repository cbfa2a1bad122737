/**
 * WebAssembly as people read it: the text format, one instruction to a line, of the code that function.ts writes.
 * Labels stand only where a branch names them; a branch that is hardly ever taken says so in a comment. Assemblers take
 * the text; alignment, which is never promised, is not in it.
 */
import { ByteReader } from "./byte-reader.ts";
import { ATOMIC_FENCE, ATOMIC_PREFIX, atomicOpcodes, memoryOpcodes, opcodes, valueTypes } from "./opcodes.ts";

/** Names of what the binary format only numbers. */
export interface TextNames {
  /** By index, parameters among them. */
  readonly locals?: ReadonlyMap<number, string>;
  /** Of blocks, loops and ifs, by the offset of their instruction behind the declarations of locals. */
  readonly labels?: ReadonlyMap<number, string>;
  readonly functions?: ReadonlyMap<number, string>;
  /** What lies at an offset that a load or store adds to its address; told in a comment. */
  place?(offset: number): string | undefined;
}

export interface CodeLine {
  /** Offset of the instruction, behind the declarations of locals. */
  readonly offset: number;
  /** How many blocks are around it. */
  readonly depth: number;
  readonly text: string;
}

export interface FunctionText {
  /** `(local ...)` of the text format, empty where there are none. */
  readonly locals: readonly string[];
  readonly lines: readonly CodeLine[];
}

export interface FunctionContext {
  readonly names?: TextNames;
  /** How many parameters there are: they are numbered before the locals. */
  readonly params: number;
  /** Offsets in the body of branches that are hardly ever taken, as branch hints have them. */
  readonly unlikely?: readonly number[];
}

const plain = byCode(opcodes);
const memory = byCode(memoryOpcodes);
const atomic = byCode(atomicOpcodes);
/** Value types by their binary codes. */
export const typeNames = byCode(valueTypes);
const EMPTY_BLOCK = 0x40;
const PREFIX = 0xfc;
const MEMORY_FILL = 11;
/** Constants from here on are shown in hexadecimal: they are addresses and masks. */
const WIDE = 0x10000n;

/** The text of a function's body: declarations of locals and code, as the code section holds them. */
export function functionText(body: Uint8Array, context: FunctionContext): FunctionText {
  return new CodeReader(new ByteReader(body), context).read();
}

/** Lines of code under one another, indented by their nesting and by `indent` more. */
export function indented({ depth, text }: Pick<CodeLine, "depth" | "text">, indent = 0): string {
  return "  ".repeat(depth + indent) + text;
}

interface Opened {
  readonly line: { -readonly [K in keyof CodeLine]: CodeLine[K] };
  readonly label: string;
  /** What follows the label. */
  readonly rest: string;
  named: boolean;
}

class CodeReader {
  readonly #in: ByteReader;
  readonly #context: FunctionContext;
  readonly #names: TextNames;
  readonly #unlikely: ReadonlySet<number>;
  readonly #locals: string[] = [];
  readonly #lines: CodeLine[] = [];
  readonly #opened: Opened[] = [];

  constructor(input: ByteReader, context: FunctionContext) {
    this.#in = input;
    this.#context = context;
    this.#names = context.names ?? {};
    this.#unlikely = new Set(context.unlikely);
  }

  read(): FunctionText {
    const input = this.#in;
    const declared = this.#declarations();
    const start = input.at;
    for (;;) {
      const at = input.at;
      const code = input.byte();
      if (code === 0x0b && this.#opened.length === 0) break;
      this.#instruction(at, at - start, code);
    }
    if (!input.done) input.fail("bytes behind the end of the function");
    return { locals: declared, lines: this.#lines };
  }

  /** One line for each run of locals that have no names, and for each that has one. */
  #declarations(): string[] {
    const input = this.#in;
    const { params } = this.#context;
    const taken = new Set<string>();
    const name = (index: number): string | undefined => {
      const given = this.#names.locals?.get(index);
      const free = given === undefined || !taken.has(given) ? given : `${given}.${index}`;
      if (free !== undefined) taken.add(free);
      this.#locals.push(free === undefined ? `${index}` : `$${free}`);
      return free;
    };
    for (let index = 0; index < params; index++) name(index);
    const declared: string[] = [];
    for (let runs = input.unsigned(); runs > 0; runs--) {
      const count = input.unsigned();
      const type = this.#type(input.byte());
      // As engines limit it. WebAssembly JavaScript Interface §6.1
      if (this.#locals.length + count > 50_000) input.fail("too many locals");
      let unnamed = 0;
      const flush = () => {
        if (unnamed > 0) declared.push(`(local${` ${type}`.repeat(unnamed)})`);
        unnamed = 0;
      };
      for (let i = 0; i < count; i++) {
        const known = name(this.#locals.length);
        if (known === undefined) unnamed++;
        else {
          flush();
          declared.push(`(local $${known} ${type})`);
        }
      }
      flush();
    }
    return declared;
  }

  #instruction(at: number, offset: number, code: number): void {
    const input = this.#in;
    const line = (text: string) => {
      this.#lines.push({ offset, depth: this.#opened.length, text });
    };
    switch (code) {
      case 0x02:
        return this.#open(at, offset, "block");
      case 0x03:
        return this.#open(at, offset, "loop");
      case 0x04:
        return this.#open(at, offset, "if");
      case 0x05:
        this.#lines.push({ offset, depth: this.#innermost() - 1, text: "else" });
        return;
      case 0x0b:
        return this.#close(offset);
      case 0x0c:
        return line(`br ${this.#label()}`);
      case 0x0d:
        return line(`br_if ${this.#label()}${this.#hint(at)}`);
      case 0x0e: {
        const count = input.unsigned();
        const labels: string[] = [];
        for (let i = 0; i <= count; i++) labels.push(this.#label());
        return line(`br_table ${labels.join(" ")}`);
      }
      case 0x10:
        return line(`call ${this.#function()}`);
      case 0x12:
        return line(`return_call ${this.#function()}`);
      case 0x11:
      case 0x13: {
        const type = input.unsigned();
        const table = input.unsigned();
        const name = code === 0x11 ? "call_indirect" : "return_call_indirect";
        return line(`${name}${table === 0 ? "" : ` ${table}`} (type ${type})`);
      }
      case 0x20:
        return line(`local.get ${this.#local()}`);
      case 0x21:
        return line(`local.set ${this.#local()}`);
      case 0x22:
        return line(`local.tee ${this.#local()}`);
      case 0x41:
        return line(`i32.const ${integer(input.signed())}`);
      case 0x42:
        return line(`i64.const ${integer(input.signed())}`);
      case 0x43:
        return line(`f32.const ${float32(input.bits32())}`);
      case 0x44:
        return line(`f64.const ${float64(input.bits64())}`);
      case PREFIX: {
        const second = input.unsigned();
        if (second === MEMORY_FILL) {
          input.byte();
          return line("memory.fill");
        }
        return line(plain.get((PREFIX << 8) | second) ?? this.#unknown((PREFIX << 8) | second));
      }
      case ATOMIC_PREFIX: {
        const second = input.unsigned();
        if (second === ATOMIC_FENCE) {
          input.byte();
          return line("atomic.fence");
        }
        return line(this.#atomicAccess(atomic.get(second) ?? this.#unknown((ATOMIC_PREFIX << 8) | second)));
      }
    }
    const access = memory.get(code);
    line(access === undefined ? (plain.get(code) ?? this.#unknown(code)) : this.#access(access));
  }

  #open(at: number, offset: number, what: string): void {
    const type = this.#in.byte();
    const result = type === EMPTY_BLOCK ? "" : ` (result ${this.#type(type)})`;
    const depth = this.#opened.length;
    const line = { offset, depth, text: what };
    this.#lines.push(line);
    const label = `$${this.#names.labels?.get(offset) ?? depth + 1}`;
    this.#opened.push({ line, label, rest: result + this.#hint(at), named: false });
  }

  #close(offset: number): void {
    this.#innermost();
    const { line, label, rest, named } = this.#opened.pop()!;
    const shown = named ? ` ${label}` : "";
    line.text += shown + rest;
    this.#lines.push({ offset, depth: line.depth, text: `end${shown}` });
  }

  #innermost(): number {
    if (this.#opened.length === 0) this.#in.fail("no block is open");
    return this.#opened.length;
  }

  #label(): string {
    const distance = this.#in.unsigned();
    const target = this.#opened.at(-1 - distance);
    if (distance > this.#opened.length) this.#in.fail(`there is no block ${distance} blocks out`);
    // The function itself.
    if (target === undefined) return `${distance}`;
    target.named = true;
    return target.label;
  }

  #local(): string {
    const index = this.#in.unsigned();
    return this.#locals[index] ?? this.#in.fail(`there is no local ${index}`);
  }

  #function(): string {
    const index = this.#in.unsigned();
    const name = this.#names.functions?.get(index);
    return name === undefined ? `${index}` : `$${name}`;
  }

  /** What is atomic has the alignment of its width, and need not say so. */
  #atomicAccess(name: string): string {
    const width = name.startsWith("i64") ? 3 : 2;
    const alignment = this.#in.unsigned();
    if (alignment !== width) this.#in.fail(`${name} is not aligned`);
    return this.#placed(name, 0);
  }

  #access(name: string): string {
    return this.#placed(name, this.#in.unsigned());
  }

  #placed(name: string, alignment: number): string {
    const offset = this.#in.unsigned();
    const place = this.#names.place?.(offset);
    return [
      name,
      ...(offset === 0 ? [] : [`offset=${offset}`]),
      ...(alignment === 0 ? [] : [`align=${2 ** alignment}`]),
      ...(place === undefined ? [] : [`;; ${place}`]),
    ].join(" ");
  }

  #hint(at: number): string {
    return this.#unlikely.has(at) ? " ;; unlikely" : "";
  }

  #type(code: number): string {
    return typeNames.get(code) ?? this.#in.fail(`0x${code.toString(16)} is no type`);
  }

  #unknown(code: number): never {
    return this.#in.fail(`0x${code.toString(16)} is no instruction that vmrun writes`);
  }
}

function integer(value: bigint): string {
  const size = value < 0n ? -value : value;
  const digits = size < WIDE ? `${size}` : `0x${size.toString(16)}`;
  return value < 0n ? `-${digits}` : digits;
}

function float32(bits: number): string {
  const value = new DataView(Uint32Array.of(bits).buffer).getFloat32(0, true);
  return Number.isNaN(value) ? nan(bits >>> 31 !== 0, (bits & 0x7fffff).toString(16)) : float(value);
}

function float64(bits: bigint): string {
  const value = new DataView(BigUint64Array.of(bits).buffer).getFloat64(0, true);
  return Number.isNaN(value) ? nan(bits >> 63n !== 0n, (bits & 0xfffffffffffffn).toString(16)) : float(value);
}

function nan(negative: boolean, payload: string): string {
  return `${negative ? "-" : ""}nan:0x${payload}`;
}

function float(value: number): string {
  if (Object.is(value, -0)) return "-0";
  return `${value}`.replace("Infinity", "inf");
}

function byCode(table: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(table).map(([name, code]) => [code, name]));
}
