/** A tree to a devicetree blob (DTSpec v0.4 §5), byte for byte what dtc writes for the same tree. */
import { fail } from "../diagnostics/diagnostic.ts";
import {
  align4,
  HEADER_SIZE,
  Header,
  LAST_COMPATIBLE_VERSION,
  MAGIC,
  MAX_SIZE,
  RESERVATION_SIZE,
  Token,
  VERSION,
} from "./format.ts";
import { type Fdt, type FdtNode, walk } from "./tree.ts";
import { assertExpressible, assertWellFormed } from "./wellformed.ts";

export interface WriteOptions {
  /** Zero bytes at the end, counted in the blob's size: room for a boot loader to edit in place. As `dtc -p`. */
  readonly padding?: number;
  /** Zero bytes at the end until the blob has at least this size. As `dtc -S`. */
  readonly size?: number;
  /** And until its size is a multiple of this. As `dtc -a`. */
  readonly align?: number;
  /** Room for so many more reservations. As `dtc -R`. */
  readonly spareReservations?: number;
  /** 17, or 16 for readers of before 2007. As `dtc -V`. */
  readonly version?: 16 | 17;
  /** Also where siblings have the same name, or an illegal one, which readers may refuse. As `dtc -f`. */
  readonly force?: boolean;
  /**
   * Property names that the strings block begins with, in this order; those that the tree lacks are passed over. For the
   * bytes of tools that edit a blob in place, whose names keep the order of their coming.
   */
  readonly names?: Iterable<string>;
}

/** Header, reservations, structure, strings, padding: the order and the packing of dtc. */
export function writeDtb(fdt: Fdt, options: WriteOptions = {}): Uint8Array {
  const { names = [], spareReservations = 0, version = VERSION, force = false } = options;
  if (force) assertExpressible(fdt);
  else assertWellFormed(fdt);

  const { structureSize, strings } = measure(fdt.root, names);
  // Aligned for the 64-bit numbers there (DTSpec §5.6): version 16 has a header of 36 bytes.
  const reservationsOffset = HEADER_SIZE;
  const reservations = fdt.reservations.length + countOf("spare reservations", spareReservations) + 1;
  const structureOffset = reservationsOffset + RESERVATION_SIZE * reservations;
  const stringsOffset = structureOffset + structureSize;
  const totalSize = padded(stringsOffset + strings.size, options);
  if (totalSize > MAX_SIZE) fail("fdt/too-large", `the tree takes ${totalSize} bytes; at most ${MAX_SIZE} are allowed`);

  const blob = new Uint8Array(totalSize);
  const view = new DataView(blob.buffer);
  view.setUint32(Header.magic, MAGIC);
  view.setUint32(Header.totalSize, totalSize);
  view.setUint32(Header.structureOffset, structureOffset);
  view.setUint32(Header.stringsOffset, stringsOffset);
  view.setUint32(Header.reservationsOffset, reservationsOffset);
  view.setUint32(Header.version, version);
  view.setUint32(Header.lastCompatibleVersion, LAST_COMPATIBLE_VERSION);
  view.setUint32(Header.bootCpu, fdt.bootCpu);
  view.setUint32(Header.stringsSize, strings.size);
  if (version >= 17) view.setUint32(Header.structureSize, structureSize);

  // The entry of zeros that ends the list is already there.
  fdt.reservations.forEach(({ address, size }, i) => {
    view.setBigUint64(reservationsOffset + RESERVATION_SIZE * i, address);
    view.setBigUint64(reservationsOffset + RESERVATION_SIZE * i + 8, size);
  });
  const end = writeNode(fdt.root, blob, view, structureOffset, strings);
  view.setUint32(end, Token.end);
  strings.copyTo(blob, stringsOffset);
  return blob;
}

/** The size of a blob whose content takes `used` bytes. */
function padded(used: number, { padding = 0, size = 0, align = 1 }: WriteOptions): number {
  countOf("bytes of padding", padding);
  countOf("bytes", size);
  if (countOf("bytes of alignment", align) === 0) fail("fdt/value", "an alignment to 0 bytes is not possible");
  const wanted = Math.max(used + padding, size);
  return wanted + ((align - (wanted % align)) % align);
}

function countOf(what: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > MAX_SIZE)
    fail("fdt/value", `${value} ${what} are not possible`);
  return value;
}

/** The size of the structure block, and the names it refers to. */
function measure(root: FdtNode, first: Iterable<string>): { structureSize: number; strings: StringsBlock } {
  const names = new Set<string>();
  let structureSize = 4;
  for (const { node } of walk(root)) {
    structureSize += 4 + align4(node.name.length + 1) + 4;
    for (const [name, value] of node.properties) {
      names.add(name);
      structureSize += 12 + align4(value.length);
    }
  }
  const ordered = new Set<string>();
  for (const name of first) if (names.has(name)) ordered.add(name);
  return { structureSize, strings: new StringsBlock(ordered.union(names)) };
}

/** Writes at `start` and gives the offset behind the node. Gaps left by alignment stay zero. */
function writeNode(node: FdtNode, blob: Uint8Array, view: DataView, start: number, strings: StringsBlock): number {
  let at = start;
  view.setUint32(at, Token.beginNode);
  writeAscii(blob, at + 4, node.name);
  at += 4 + align4(node.name.length + 1);
  for (const [name, value] of node.properties) {
    view.setUint32(at, Token.property);
    view.setUint32(at + 4, value.length);
    view.setUint32(at + 8, strings.offsetOf(name));
    blob.set(value, at + 12);
    at += 12 + align4(value.length);
  }
  for (const child of node.children) at = writeNode(child, blob, view, at, strings);
  view.setUint32(at, Token.endNode);
  return at + 4;
}

/**
 * Property names in order of first use. A name that is the tail of an earlier one shares its bytes, at the lowest
 * offset, as in dtc: `reg` after `my-reg` costs nothing.
 */
class StringsBlock {
  readonly size: number;
  /** The names that have bytes of their own. */
  readonly #stored: string[] = [];
  readonly #offsets = new Map<string, number>();

  constructor(names: ReadonlySet<string>) {
    let size = 0;
    for (const name of names) {
      if (this.#offsets.has(name)) continue;
      // Tails are settled when the longer name is placed: looking each name up in the block would take quadratic time.
      for (let i = 0; i < name.length; i++) {
        const tail = name.slice(i);
        if (names.has(tail) && !this.#offsets.has(tail)) this.#offsets.set(tail, size + i);
      }
      this.#stored.push(name);
      size += name.length + 1;
    }
    this.size = size;
  }

  offsetOf(name: string): number {
    return this.#offsets.get(name)!;
  }

  copyTo(blob: Uint8Array, start: number): void {
    let at = start;
    for (const name of this.#stored) {
      writeAscii(blob, at, name);
      at += name.length + 1;
    }
  }
}

/** Names are ASCII by the rule in names.ts. */
function writeAscii(blob: Uint8Array, start: number, text: string): void {
  for (let i = 0; i < text.length; i++) blob[start + i] = text.charCodeAt(i);
}
