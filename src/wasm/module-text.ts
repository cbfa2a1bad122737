/** A whole module in the text format of WebAssembly: what module.ts writes, as people and assemblers read it. */
import { ByteReader } from "./byte-reader.ts";
import { functionText, indented, type TextNames, typeNames } from "./text.ts";

const FUNCREF = 0x70;
const MODULE_HEADER = 0x1_6d73_6100n;

interface Header {
  readonly types: { readonly params: readonly string[]; readonly results: readonly string[] }[];
  /** Without the closing parentheses of their lines. */
  readonly imports: string[];
  importedFunctions: number;
  /** Types of the functions, by their place behind the imported ones. */
  functions: readonly number[];
  /** By index of the function. */
  readonly exports: Map<number, string[]>;
  readonly unlikely: Map<number, number[]>;
}

/**
 * The text of a module as module.ts writes it; names of a function's locals and labels by its index.
 * @throws RangeError where it is no such module
 */
export function moduleText(bytes: Uint8Array, names?: (index: number) => TextNames | undefined): string {
  const input = new ByteReader(bytes);
  if (input.bits64() !== MODULE_HEADER) input.fail("not a module of version 1");
  const header: Header = {
    types: [],
    imports: [],
    importedFunctions: 0,
    functions: [],
    exports: new Map(),
    unlikely: new Map(),
  };
  const code: string[] = [];
  while (!input.done) {
    const section = input.byte();
    const part = input.part(input.unsigned());
    if (section === 0) readHints(part, header.unlikely);
    else if (section === 10) {
      const bodies = list(part, () => part.part(part.unsigned()).rest());
      code.push(...bodies.flatMap((body, i) => functionLines(header, i, body, names)));
    } else readHeader(section, part, header);
  }
  const signatures = header.types.map((type, i) => `  (type (;${i};) (func${signature(type)}))`);
  return `${["(module", ...signatures, ...header.imports, ...code].join("\n")})\n`;
}

function readHeader(section: number, part: ByteReader, header: Header): void {
  const type = () => typeNames.get(part.byte()) ?? part.fail("a type that vmrun does not write");
  switch (section) {
    case 1:
      list(part, () => {
        if (part.byte() !== 0x60) part.fail("not a function type");
        header.types.push({ params: list(part, type), results: list(part, type) });
      });
      return;
    case 2:
      list(part, () => {
        const from = `${JSON.stringify(part.name())} ${JSON.stringify(part.name())}`;
        header.imports.push(`  (import ${from} ${imported(part, header)})`);
      });
      return;
    case 3:
      header.functions = list(part, () => part.unsigned());
      return;
    case 7:
      list(part, () => {
        const name = part.name();
        if (part.byte() !== 0) part.fail("an export that is no function");
        const index = part.unsigned();
        header.exports.set(index, [...(header.exports.get(index) ?? []), name]);
      });
      return;
    default:
      part.fail(`section ${section} is none that vmrun writes`);
  }
}

function imported(part: ByteReader, header: Header): string {
  const limits = () => {
    const bounded = part.byte() === 1;
    const minimum = part.unsigned();
    return bounded ? `${minimum} ${part.unsigned()}` : `${minimum}`;
  };
  switch (part.byte()) {
    case 0:
      return `(func (;${header.importedFunctions++};) (type ${part.unsigned()}))`;
    case 1:
      if (part.byte() !== FUNCREF) part.fail("a table of something else than functions");
      return `(table ${limits()} funcref)`;
    case 2:
      return `(memory ${limits()})`;
    default:
      return part.fail("an import that vmrun does not write");
  }
}

/** Branch hints, of WebAssembly Code Metadata; other custom sections are passed over. */
function readHints(part: ByteReader, unlikely: Map<number, number[]>): void {
  if (part.name() !== "metadata.code.branch_hint") return;
  list(part, () => {
    const index = part.unsigned();
    const hints = list(part, () => {
      const offset = part.unsigned();
      part.unsigned();
      return { offset, likely: part.byte() !== 0 };
    });
    unlikely.set(
      index,
      hints.filter(({ likely }) => !likely).map(({ offset }) => offset),
    );
  });
}

function functionLines(
  header: Header,
  position: number,
  body: Uint8Array,
  namesOf: ((index: number) => TextNames | undefined) | undefined,
): string[] {
  const index = header.importedFunctions + position;
  const type = header.functions[position] ?? 0;
  const known = header.types[type];
  if (known === undefined) throw new RangeError(`WebAssembly: function ${index} has no type`);
  const names = namesOf?.(index);
  const { locals, lines } = functionText(body, {
    names,
    params: known.params.length,
    unlikely: header.unlikely.get(index),
  });
  const exported = (header.exports.get(index) ?? []).map((name) => ` (export ${JSON.stringify(name)})`).join("");
  const head = `  (func (;${index};)${exported} (type ${type})${signature(known, names?.locals)}`;
  const code = lines.map((line) => indented(line, 2));
  return [head, ...locals.map((declaration) => `    ${declaration}`), ...code, "  )"];
}

function signature({ params, results }: Header["types"][number], names?: ReadonlyMap<number, string>): string {
  const named = params.some((_, i) => names?.has(i));
  const parameter = (type: string, i: number) => ` (param${names?.has(i) ? ` $${names.get(i)}` : ""} ${type})`;
  const shown = named ? params.map(parameter).join("") : params.length > 0 ? ` (param ${params.join(" ")})` : "";
  return results.length > 0 ? `${shown} (result ${results.join(" ")})` : shown;
}

function list<T>(part: ByteReader, read: () => T): T[] {
  const items: T[] = [];
  for (let count = part.unsigned(); count > 0; count--) items.push(read());
  return items;
}
