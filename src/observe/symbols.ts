/** Names for a guest's addresses: from an ELF file's symbols and line table, a kernel's System.map, or /proc/kallsyms. */
import { fail } from "../diagnostics/diagnostic.ts";
import { EXECUTABLE, elfSections, type Section, textAt, viewOf } from "./elf-sections.ts";
import type { Symbolizer } from "./exits.ts";
import { lineRows, type Row } from "./lines.ts";

const SYMTAB = 2;
const SYMBOL_SIZE = 24;
const FUNCTION = 2;
const NOTYPE = 0;
/** What is farther behind a symbol of unknown size than this is not part of it. */
const FARTHEST = 1n << 20n;

export interface SymbolFile {
  /** For messages. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

interface Symbol {
  readonly address: bigint;
  /** 0 where it is unknown. */
  readonly size: bigint;
  readonly name: string;
}

export class Symbols implements Symbolizer {
  readonly #symbols: readonly Symbol[];
  readonly #sections: readonly Section[][];
  /** Read when first asked for: most runs end without. */
  #rows: readonly Row[] | undefined;

  /** @param files ELF files and lists of symbols, in any mixture. Throws a `VmrunError` for what is neither. */
  constructor(files: readonly SymbolFile[]) {
    const sections: Section[][] = [];
    const symbols: Symbol[] = [];
    for (const { path, bytes } of files) {
      const elf = elfSections(bytes);
      if (elf) sections.push(elf);
      const found = elf ? elfSymbols(elf) : listedSymbols(bytes);
      if (!elf && found.length === 0) {
        fail("observe/symbols", `${path} is neither an ELF file nor a list of symbols (System.map, /proc/kallsyms)`);
      }
      // One by one: there may be more than a call takes arguments.
      for (const symbol of found) symbols.push(symbol);
    }
    this.#symbols = symbols.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
    this.#sections = sections;
  }

  get size(): number {
    return this.#symbols.length;
  }

  resolve(pc: bigint): { readonly symbol: string; readonly line?: string } | undefined {
    const symbol = lastAt(this.#symbols, pc);
    if (symbol === undefined) return undefined;
    const distance = pc - symbol.address;
    if (symbol.size > 0n ? distance >= symbol.size : distance > FARTHEST) return undefined;
    this.#rows ??= this.#sections.flatMap(lineRows);
    return { symbol: symbol.name, line: lastAt(this.#rows, pc)?.line };
  }
}

/** The last that is at or below an address; they are sorted. */
function lastAt<T extends { readonly address: bigint }>(sorted: readonly T[], address: bigint): T | undefined {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle].address <= address) low = middle + 1;
    else high = middle;
  }
  return sorted[low - 1];
}

/** Functions, and labels in code as assembly has them. */
function elfSymbols(sections: readonly Section[]): Symbol[] {
  const table = sections.find(({ type }) => type === SYMTAB);
  if (table === undefined) return [];
  const names = sections[table.link]?.bytes ?? new Uint8Array(0);
  const view = viewOf(table.bytes);
  const symbols: Symbol[] = [];
  for (let at = 0; at + SYMBOL_SIZE <= table.bytes.length; at += SYMBOL_SIZE) {
    const type = table.bytes[at + 4] & 15;
    const section = sections[view.getUint16(at + 6, true)];
    if ((type !== FUNCTION && type !== NOTYPE) || section === undefined || (section.flags & EXECUTABLE) === 0) continue;
    const name = textAt(names, view.getUint32(at, true));
    // Mapping symbols and local labels say nothing to a person.
    if (name === "" || /^(\$|\.L)/.test(name)) continue;
    symbols.push({ name, address: view.getBigUint64(at + 8, true), size: view.getBigUint64(at + 16, true) });
  }
  return symbols;
}

/** Lines of `ffffffff80002000 T _start`; of a module's symbols, its name in brackets behind. */
function listedSymbols(file: Uint8Array): Symbol[] {
  const symbols: Symbol[] = [];
  for (const line of Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString("latin1").split("\n")) {
    const match = /^(?:0x)?([0-9a-f]{6,16})\s+([a-zA-Z])\s+(\S+)(?:\s+(\[\S+\]))?\s*$/i.exec(line);
    if (match && /[tTwW]/.test(match[2])) {
      const name = match[4] ? `${match[3]} ${match[4]}` : match[3];
      if (!/^(\$|\.L)/.test(name)) symbols.push({ name, address: BigInt(`0x${match[1]}`), size: 0n });
    }
  }
  return symbols;
}
