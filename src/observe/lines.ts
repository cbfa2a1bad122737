/** From addresses to source lines: the line programs of `.debug_line`. DWARF 5 §6.2, and versions 2 to 4 */
import { type Section, textAt, viewOf } from "./elf-sections.ts";

/** A run of instructions that come from one line. It ends where the next begins. */
export interface Row {
  readonly address: bigint;
  /** `uart.c:31`; absent where code ends. */
  readonly line?: string;
}

/** Standard opcodes. DWARF 5 §6.2.5.2 */
const Standard = {
  copy: 1,
  advancePc: 2,
  advanceLine: 3,
  setFile: 4,
  constAddPc: 8,
  fixedAdvancePc: 9,
} as const;
/** Extended opcodes. §6.2.5.3 */
const Extended = { endSequence: 1, setAddress: 2 } as const;
/** §7.22, content types of file entries; §7.5.6, forms. */
const PATH = 1;
const FORM = {
  block: 0x09,
  data1: 0x0b,
  data2: 0x05,
  data4: 0x06,
  data8: 0x07,
  data16: 0x1e,
  lineStrp: 0x1f,
  string: 0x08,
  strp: 0x0e,
  udata: 0x0f,
} as const;
/** Rows that are kept at most: a kernel has some millions. */
const MOST = 8_000_000;

/** All rows, by address. What is malformed ends the reading of its unit. */
export function lineRows(sections: readonly Section[]): Row[] {
  const bytes = (name: string) => sections.find((section) => section.name === name)?.bytes ?? new Uint8Array(0);
  const program = bytes(".debug_line");
  const strings = { lines: bytes(".debug_line_str"), all: bytes(".debug_str") };
  const rows: Row[] = [];
  for (let at = 0; at + 4 <= program.length && rows.length < MOST; ) {
    const length = viewOf(program).getUint32(at, true);
    // 64-bit DWARF is for files of more than 4 GiB.
    if (length >= 0xffff_fff0 || at + 4 + length > program.length) break;
    try {
      new Unit(program.subarray(at + 4, at + 4 + length), strings, rows).read();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    at += 4 + length;
  }
  // Stable: of two that begin at one address the later one is in force, but the end of a sequence yields to a beginning.
  return rows.sort((a, b) =>
    a.address < b.address
      ? -1
      : a.address > b.address
        ? 1
        : Number(a.line !== undefined) - Number(b.line !== undefined),
  );
}

interface Strings {
  readonly lines: Uint8Array;
  readonly all: Uint8Array;
}

/** The line program of one compilation unit. */
class Unit {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #strings: Strings;
  readonly #rows: Row[];
  #at = 0;

  constructor(bytes: Uint8Array, strings: Strings, rows: Row[]) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#strings = strings;
    this.#rows = rows;
  }

  read(): void {
    const version = this.#u16();
    if (version < 2 || version > 5) return;
    if (version >= 5) this.#at += 2;
    const headerLength = this.#u32();
    const program = this.#at + headerLength;
    const unit = this.#u8();
    if (version >= 4) this.#u8();
    this.#u8();
    const lineBase = this.#view.getInt8(this.#at++);
    const lineRange = Math.max(1, this.#u8());
    const opcodeBase = this.#u8();
    const lengths = Array.from({ length: Math.max(0, opcodeBase - 1) }, () => this.#u8());
    const files = version >= 5 ? this.#files5() : this.#files2();
    this.#at = program;
    this.#run({ unit, lineBase, lineRange, opcodeBase, lengths }, files);
  }

  #run(
    {
      unit,
      lineBase,
      lineRange,
      opcodeBase,
      lengths,
    }: {
      readonly unit: number;
      readonly lineBase: number;
      readonly lineRange: number;
      readonly opcodeBase: number;
      readonly lengths: readonly number[];
    },
    files: readonly string[],
  ): void {
    let [address, file, line] = [0n, 1, 1];
    const advance = (operation: number) => {
      address += BigInt(operation * unit);
    };
    const emit = () => {
      if (this.#rows.length < MOST) this.#rows.push({ address, line: `${files[file] ?? "?"}:${line}` });
    };
    while (this.#at < this.#bytes.length) {
      const opcode = this.#u8();
      if (opcode >= opcodeBase) {
        const adjusted = opcode - opcodeBase;
        advance(Math.floor(adjusted / lineRange));
        line += lineBase + (adjusted % lineRange);
        emit();
      } else if (opcode === 0) {
        const next = this.#uleb() + this.#at;
        const extended = this.#u8();
        if (extended === Extended.endSequence) {
          this.#rows.push({ address });
          [address, file, line] = [0n, 1, 1];
        } else if (extended === Extended.setAddress) address = this.#view.getBigUint64(this.#at, true);
        this.#at = next;
      } else if (opcode === Standard.copy) emit();
      else if (opcode === Standard.advancePc) advance(this.#uleb());
      else if (opcode === Standard.advanceLine) line += this.#sleb();
      else if (opcode === Standard.setFile) file = this.#uleb();
      else if (opcode === Standard.constAddPc) advance(Math.floor((255 - opcodeBase) / lineRange));
      else if (opcode === Standard.fixedAdvancePc) address += BigInt(this.#u16());
      else for (let i = 0; i < (lengths[opcode - 1] ?? 0); i++) this.#uleb();
    }
  }

  /** Directories, then files; numbers begin at 1. */
  #files2(): string[] {
    while (this.#text() !== "");
    const files = ["?"];
    for (let name = this.#text(); name !== ""; name = this.#text()) {
      files.push(baseName(name));
      for (let i = 0; i < 3; i++) this.#uleb();
    }
    return files;
  }

  #files5(): string[] {
    this.#entries();
    return this.#entries().map(baseName);
  }

  /** A table of directories or files: what its entries hold is said before them. DWARF 5 §6.2.4.1 */
  #entries(): string[] {
    const formats = Array.from({ length: this.#u8() }, () => ({ content: this.#uleb(), form: this.#uleb() }));
    const count = this.#uleb();
    if (count > this.#bytes.length) throw new RangeError("too many files");
    return Array.from({ length: count }, () => {
      let path = "?";
      for (const { content, form } of formats) {
        const text = this.#value(form);
        if (content === PATH && text !== undefined) path = text;
      }
      return path;
    });
  }

  #value(form: number): string | undefined {
    switch (form) {
      case FORM.string:
        return this.#text();
      case FORM.lineStrp:
        return textAt(this.#strings.lines, this.#u32());
      case FORM.strp:
        return textAt(this.#strings.all, this.#u32());
      case FORM.udata:
        this.#uleb();
        return undefined;
      case FORM.block:
        this.#at += this.#uleb();
        return undefined;
      case FORM.data1:
        this.#at += 1;
        return undefined;
      case FORM.data2:
        this.#at += 2;
        return undefined;
      case FORM.data4:
        this.#at += 4;
        return undefined;
      case FORM.data8:
        this.#at += 8;
        return undefined;
      case FORM.data16:
        this.#at += 16;
        return undefined;
      default:
        throw new RangeError(`an unknown form ${form}`);
    }
  }

  #u8(): number {
    return this.#view.getUint8(this.#at++);
  }
  #u16(): number {
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2, true);
  }
  #u32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }
  /** Numbers of 7 bits a byte. DWARF 5 §7.6 */
  #uleb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#u8();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }
  #sleb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#u8();
      value += (byte & 127) * scale;
      if (byte < 128) return byte & 64 ? value - scale * 128 : value;
    }
  }
  #text(): string {
    const text = textAt(this.#bytes, this.#at);
    this.#at += Buffer.byteLength(text) + 1;
    if (this.#at > this.#bytes.length) throw new RangeError("a text without end");
    return text;
  }
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
