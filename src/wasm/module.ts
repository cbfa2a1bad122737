/** Writes a WebAssembly module: types, imports, functions, exports. */
import { ByteWriter } from "./bytes.ts";
import { type Callable, FunctionWriter } from "./function.ts";
import { type ValueType, valueTypes } from "./opcodes.ts";

export interface Signature {
  readonly params?: readonly ValueType[];
  readonly results?: readonly ValueType[];
}

const WASM_HEADER = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const FUNCREF = 0x70;
const UNLIKELY = 0;
const Section = { custom: 0, type: 1, import: 2, function: 3, export: 7, code: 10 } as const;

export class ModuleWriter {
  readonly #types: string[] = [];
  readonly #typeBytes: Uint8Array[] = [];
  readonly #imports: { module: string; name: string; write: (out: ByteWriter) => void }[] = [];
  #importedFunctions = 0;
  readonly #functions: FunctionWriter[] = [];
  readonly #exports: { name: string; index: number }[] = [];

  /** Imports the memory that all functions work on. Sizes in 64 KiB pages. */
  importMemory(module: string, name: string, minimum: number, maximum: number): void {
    this.#imports.push({
      module,
      name,
      write: (out) => {
        out.byte(2);
        out.byte(1);
        out.unsigned(minimum);
        out.unsigned(maximum);
      },
    });
  }

  /** Imports a table of functions, for {@link FunctionWriter.callIndirect}. */
  importTable(module: string, name: string, minimum: number): void {
    this.#imports.push({
      module,
      name,
      write: (out) => {
        out.byte(1);
        out.byte(FUNCREF);
        out.byte(0);
        out.unsigned(minimum);
      },
    });
  }

  /** The index of a signature, for indirect calls. */
  signature(signature: Signature): number {
    return this.#typeIndex(signature);
  }

  /** Imports a function. All imports come before the first {@link func}. */
  importFunction(module: string, name: string, signature: Signature): Callable {
    if (this.#functions.length > 0) throw new Error("imports come before functions");
    const type = this.#typeIndex(signature);
    this.#imports.push({
      module,
      name,
      write: (out) => {
        out.byte(0);
        out.unsigned(type);
      },
    });
    return { index: this.#importedFunctions++ };
  }

  func(signature: Signature, exportName?: string): FunctionWriter {
    const index = this.#importedFunctions + this.#functions.length;
    const writer = new FunctionWriter(index, this.#typeIndex(signature), signature.params ?? []);
    this.#functions.push(writer);
    if (exportName !== undefined) this.#exports.push({ name: exportName, index });
    return writer;
  }

  /** Exports a function that was made without a name. */
  export(name: string, { index }: Callable): void {
    this.#exports.push({ name, index });
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    out.append(WASM_HEADER);
    section(out, Section.type, this.#typeBytes, (s, bytes) => s.append(bytes));
    section(out, Section.import, this.#imports, (s, imported) => {
      s.name(imported.module);
      s.name(imported.name);
      imported.write(s);
    });
    section(out, Section.function, this.#functions, (s, f) => s.unsigned(f.type));
    section(out, Section.export, this.#exports, (s, e) => {
      s.name(e.name);
      s.byte(0);
      s.unsigned(e.index);
    });
    this.#writeHints(out);
    section(out, Section.code, this.#functions, (s, f) => {
      const body = f.finish();
      s.unsigned(body.length);
      s.append(body);
    });
    return out.finish();
  }

  /** WebAssembly Code Metadata, branch hints: a custom section before the code. */
  #writeHints(out: ByteWriter): void {
    const hinted = this.#functions
      .map((f) => ({ index: f.index, offsets: f.unlikely }))
      .filter((f) => f.offsets.length > 0);
    if (hinted.length === 0) return;
    const body = new ByteWriter();
    body.name("metadata.code.branch_hint");
    body.unsigned(hinted.length);
    for (const { index, offsets } of hinted) {
      body.unsigned(index);
      body.unsigned(offsets.length);
      for (const offset of offsets) {
        body.unsigned(offset);
        body.unsigned(1);
        body.byte(UNLIKELY);
      }
    }
    out.byte(Section.custom);
    out.unsigned(body.length);
    out.append(body.finish());
  }

  #typeIndex({ params = [], results = [] }: Signature): number {
    const key = `${params.join()}:${results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    const bytes = new ByteWriter();
    bytes.byte(0x60);
    for (const list of [params, results]) {
      bytes.unsigned(list.length);
      for (const type of list) bytes.byte(valueTypes[type]);
    }
    this.#typeBytes.push(bytes.finish());
    return this.#types.push(key) - 1;
  }
}

function section<T>(
  out: ByteWriter,
  id: number,
  items: readonly T[],
  write: (section: ByteWriter, item: T) => void,
): void {
  const body = new ByteWriter();
  body.unsigned(items.length);
  for (const item of items) write(body, item);
  out.byte(id);
  out.unsigned(body.length);
  out.append(body.finish());
}
