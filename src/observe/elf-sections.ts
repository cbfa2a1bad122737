/** The sections of a 64-bit little-endian ELF file, as far as they lie inside it. What is malformed is left out. */

export interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** Number of the section that this one refers to. */
  readonly link: number;
  readonly bytes: Uint8Array;
}

const HEADER = 64;
const SECTION_HEADER = 64;
/** A section without bytes in the file. */
const NOBITS = 8;
const COMPRESSED = 0x800;
export const EXECUTABLE = 4;
const MOST = 10_000;

/** `undefined` for what is no such file. System V ABI, gabi41 chapter 4 */
export function elfSections(file: Uint8Array): Section[] | undefined {
  if (file.length < HEADER || !elfMagic(file) || file[4] !== 2 || file[5] !== 1) return undefined;
  const view = viewOf(file);
  const offset = Number(view.getBigUint64(40, true));
  const count = Math.min(view.getUint16(60, true), MOST);
  if (view.getUint16(58, true) !== SECTION_HEADER || offset + count * SECTION_HEADER > file.length) return [];
  const headers = Array.from({ length: count }, (_, i) => {
    const at = offset + i * SECTION_HEADER;
    const type = view.getUint32(at + 4, true);
    const flags = Number(view.getBigUint64(at + 8, true));
    const from = Number(view.getBigUint64(at + 24, true));
    const length = Number(view.getBigUint64(at + 32, true));
    const there = type !== NOBITS && (flags & COMPRESSED) === 0 && from + length <= file.length;
    const bytes = there ? file.subarray(from, from + length) : new Uint8Array(0);
    return { name: view.getUint32(at, true), type, flags, link: view.getUint32(at + 40, true), bytes };
  });
  const names = headers[view.getUint16(62, true)]?.bytes ?? new Uint8Array(0);
  return headers.map((header) => ({ ...header, name: textAt(names, header.name) }));
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The zero-terminated text at `at`; empty where there is none. */
export function textAt(bytes: Uint8Array, at: number): string {
  const end = at < bytes.length ? bytes.indexOf(0, at) : -1;
  return end < 0 ? "" : Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString();
}

function elfMagic(file: Uint8Array): boolean {
  return file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;
}
