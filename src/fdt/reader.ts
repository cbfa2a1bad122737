/**
 * A devicetree blob to a tree (DTSpec v0.4 §5). The bytes may come from a guest or a stranger: whatever they hold, the
 * result is a tree or a located error, in time and memory linear in their number.
 */
import { type Diagnostic, fail } from "../diagnostics/diagnostic.ts";
import {
  align4,
  HEADER_SIZE,
  HEADER_SIZE_V16,
  Header,
  LAST_COMPATIBLE_VERSION,
  MAGIC,
  MAX_DEPTH,
  MAX_NAME_LENGTH,
  MAX_SIZE,
  RESERVATION_SIZE,
  Token,
  VERSION,
} from "./format.ts";
import { nodeNameFault, propertyNameFault, quoted } from "./names.ts";
import type { Fdt, FdtNode } from "./tree.ts";
import { rootNameFault } from "./wellformed.ts";

export interface ReadOptions {
  /** Name of the file the bytes came from, for errors. */
  readonly file?: string;
  /**
   * Hears of names that are doubled or illegal; without it they are errors. The nodes then stay, and of two properties
   * with one name the first, which is the one that libfdt finds.
   */
  readonly tolerate?: (finding: Diagnostic) => void;
}

/** A range of the input, `end` exclusive. */
interface Block {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

interface Layout {
  readonly header: Block;
  readonly structure: Block;
  readonly strings: Block;
  readonly reservationsOffset: number;
  readonly bootCpu: number;
}

export function readDtb(bytes: Uint8Array, options: ReadOptions = {}): Fdt {
  const input = new Input(bytes, options);
  const layout = readHeader(input);
  const { reservations, block } = readReservations(input, layout.reservationsOffset);
  refuseOverlaps(input, [layout.header, block, layout.structure, layout.strings]);
  return { root: readStructure(input, layout.structure, layout.strings), reservations, bootCpu: layout.bootCpu };
}

/** The bytes, their numbers and names, and errors that point at them. Callers keep offsets inside. */
class Input {
  /** A plain view: slice() copies, where a Node Buffer's own would share memory. */
  readonly bytes: Uint8Array;
  /** The same bytes, for its readers: decoding names is most of the work on a large tree, and native. */
  readonly #buffer: Buffer;
  readonly #file: string | undefined;
  readonly #tolerate: ReadOptions["tolerate"];
  /** End of what the header claims; at most the end of the bytes. */
  end: number;

  constructor(bytes: Uint8Array, { file, tolerate }: ReadOptions) {
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
    this.#tolerate = tolerate;
    this.end = bytes.byteLength;
  }

  u32(offset: number): number {
    return this.#buffer.readUInt32BE(offset);
  }

  u64(offset: number): bigint {
    return this.#buffer.readBigUInt64BE(offset);
  }

  /** The NUL-terminated name at `offset`, or undefined if no NUL comes before `end` or within a name's length. */
  name(offset: number, end: number): string | undefined {
    const limit = Math.min(end, offset + MAX_NAME_LENGTH + 1);
    for (let at = offset; at < limit; at++) {
      if (this.bytes[at] === 0) return this.#buffer.toString("latin1", offset, at);
    }
    return undefined;
  }

  refuse(code: string, message: string, offset: number, path?: string, hint?: string): never {
    fail(code, message, { place: { file: this.#file, offset, path }, hint });
  }

  /** Refuses what leaves the rest of the tree with a meaning, unless the caller wants it in spite of that. */
  object(code: string, message: string, offset: number, path: string): void {
    if (!this.#tolerate) this.refuse(code, message, offset, path);
    this.#tolerate({ code, severity: "warning", message, place: { file: this.#file, offset, path } });
  }
}

function readHeader(input: Input): Layout {
  const available = input.bytes.length;
  if (available < 4) input.refuse("fdt/truncated", `${available} bytes are too few for a devicetree blob`, 0);
  const magic = input.u32(Header.magic);
  if (magic !== MAGIC) {
    const hint = magic === 0xedfe_0dd0 ? "its bytes are swapped: a blob is big-endian" : undefined;
    input.refuse("fdt/magic", `not a devicetree blob: magic is ${hex(magic)}, not ${hex(MAGIC)}`, 0, undefined, hint);
  }
  if (available < HEADER_SIZE_V16) input.refuse("fdt/truncated", "the header is cut off", available);

  const version = input.u32(Header.version);
  const lastCompatible = input.u32(Header.lastCompatibleVersion);
  if (version < LAST_COMPATIBLE_VERSION || lastCompatible > VERSION) {
    const message = `version ${version} (compatible with ${lastCompatible}) is not readable: ${LAST_COMPATIBLE_VERSION} and ${VERSION} are`;
    input.refuse("fdt/version", message, Header.version, undefined, "dtc -I dtb -O dtb brings older blobs up to date");
  }
  const headerSize = version >= 17 ? HEADER_SIZE : HEADER_SIZE_V16;

  const totalSize = input.u32(Header.totalSize);
  if (totalSize < headerSize) {
    input.refuse("fdt/header", `a total size of ${totalSize} bytes does not hold the header`, Header.totalSize);
  }
  if (totalSize > available) {
    input.refuse("fdt/truncated", `the header says ${totalSize} bytes, only ${available} are there`, Header.totalSize);
  }
  if (totalSize > MAX_SIZE) {
    input.refuse("fdt/too-large", `${totalSize} bytes are more than the ${MAX_SIZE} allowed`, Header.totalSize);
  }
  input.end = totalSize;

  const strings = blockAt(input, "strings", Header.stringsOffset, 1, () => input.u32(Header.stringsSize));
  const reservationsOffset = blockAt(input, "reservation", Header.reservationsOffset, 8, () => 0).start;
  const structure = blockAt(input, "structure", Header.structureOffset, 4, (start) => {
    if (version >= 17) return input.u32(Header.structureSize);
    // Version 16 does not say where the structure ends: at the latest where something else begins.
    const next = [strings.start, reservationsOffset].filter((other) => other > start);
    return Math.min(...next, totalSize) - start;
  });
  const header = { name: "header", start: 0, end: headerSize };
  return { header, structure, strings, reservationsOffset, bootCpu: input.u32(Header.bootCpu) };
}

/** A block as the header's field at `field` places it, held inside the blob and to the alignment of DTSpec §5.6. */
function blockAt(input: Input, name: string, field: number, alignment: number, size: (start: number) => number): Block {
  const start = input.u32(field);
  const outside = () =>
    input.refuse("fdt/header", `the ${name} block at ${hex(start)} reaches beyond the ${input.end} bytes`, field);
  if (start > input.end) outside();
  const end = start + size(start);
  if (end > input.end) outside();
  if (start % alignment !== 0) {
    input.refuse("fdt/header", `the ${name} block at ${hex(start)} is not aligned to ${alignment} bytes`, field);
  }
  return { name, start, end };
}

function readReservations(input: Input, start: number): { reservations: Fdt["reservations"]; block: Block } {
  const reservations: Fdt["reservations"] = [];
  for (let at = start; ; at += RESERVATION_SIZE) {
    if (at + RESERVATION_SIZE > input.end) {
      input.refuse(
        "fdt/truncated",
        "the reservation block has no end",
        start,
        undefined,
        "its last entry must be zeros",
      );
    }
    const address = input.u64(at);
    const size = input.u64(at + 8);
    // DTSpec §5.3 ends the list with two zeros; dtc, libfdt and Linux all look at the size alone.
    if (size === 0n) return { reservations, block: { name: "reservation", start, end: at + RESERVATION_SIZE } };
    reservations.push({ address, size });
  }
}

function refuseOverlaps(input: Input, blocks: readonly Block[]): void {
  const placed = blocks.filter(({ start, end }) => start < end).sort((a, b) => a.start - b.start);
  for (let i = 1; i < placed.length; i++) {
    const before = placed[i - 1]!;
    const after = placed[i]!;
    if (after.start < before.end) {
      input.refuse("fdt/overlap", `the ${after.name} block begins inside the ${before.name} block`, after.start);
    }
  }
}

/** A node whose end has not been seen yet. */
interface Open {
  readonly node: FdtNode;
  readonly childNames: Set<string>;
}

function readStructure(input: Input, structure: Block, strings: Block): FdtNode {
  const { end } = structure;
  const open: Open[] = [];
  const names = new Map<number, string>();
  let root: FdtNode | undefined;
  let at = structure.start;

  const path = () =>
    `/${open
      .slice(1)
      .map(({ node }) => node.name)
      .join("/")}`;

  const cutOff = (offset: number): never =>
    input.refuse("fdt/truncated", "the structure block ends early", offset, path());

  const beginNode = (tokenAt: number): void => {
    const name = input.name(at, end);
    if (name === undefined) unterminated(input, "a node's name", at, end, path());
    const parent = open.at(-1);
    const fault = parent ? nodeNameFault(name) : rootNameFault(name);
    if (fault && !parent) input.refuse("fdt/name", fault, at, path());
    if (fault) input.object("fdt/name", fault, at, path());
    if (root && !parent) input.refuse("fdt/structure", "a second root node", tokenAt);
    if (open.length >= MAX_DEPTH) {
      input.refuse("fdt/too-deep", `nodes are nested more than ${MAX_DEPTH} levels deep`, tokenAt, path());
    }
    if (parent?.childNames.has(name)) {
      input.object("fdt/duplicate-node", `two nodes are named ${quoted(name)}`, at, path());
    }
    const node: FdtNode = { name, properties: new Map(), children: [] };
    parent?.childNames.add(name);
    parent?.node.children.push(node);
    root ??= node;
    open.push({ node, childNames: new Set() });
    at += align4(name.length + 1);
  };

  const propertyName = (offset: number, tokenAt: number): string => {
    const known = names.get(offset);
    if (known !== undefined) return known;
    const start = strings.start + offset;
    if (start >= strings.end) {
      input.refuse(
        "fdt/structure",
        `a property's name at ${hex(offset)} is outside the strings block`,
        tokenAt + 8,
        path(),
      );
    }
    const name = input.name(start, strings.end);
    if (name === undefined) unterminated(input, "a property's name", start, strings.end, path());
    const fault = propertyNameFault(name);
    if (fault) input.object("fdt/name", fault, start, path());
    names.set(offset, name);
    return name;
  };

  const property = (tokenAt: number): void => {
    // Properties behind a subnode break DTSpec §5.4.2, but dtc and Linux read them and the meaning is plain.
    const owner = open.at(-1)?.node;
    if (!owner) input.refuse("fdt/structure", "a property outside of any node", tokenAt);
    if (at + 8 > end) cutOff(tokenAt);
    const length = input.u32(at);
    const name = propertyName(input.u32(at + 4), tokenAt);
    const start = at + 8;
    if (length > end - start) {
      const message = `property ${name} claims ${length} bytes, ${end - start} are left`;
      input.refuse("fdt/truncated", message, tokenAt + 4, path());
    }
    if (owner.properties.has(name)) {
      input.object("fdt/duplicate-property", `property ${name} occurs twice`, tokenAt, path());
    } else owner.properties.set(name, input.bytes.slice(start, start + length));
    at = start + align4(length);
  };

  for (;;) {
    if (at + 4 > end) cutOff(Math.min(at, end));
    const tokenAt = at;
    const token = input.u32(at);
    at += 4;
    switch (token) {
      case Token.beginNode:
        beginNode(tokenAt);
        break;
      case Token.property:
        property(tokenAt);
        break;
      case Token.endNode:
        if (!open.pop()) input.refuse("fdt/structure", "a node ends that never began", tokenAt);
        break;
      case Token.nop:
        break;
      case Token.end:
        if (open.length > 0) input.refuse("fdt/structure", "the tree ends inside a node", tokenAt, path());
        if (!root) input.refuse("fdt/structure", "there is no root node", tokenAt);
        return root;
      default:
        input.refuse("fdt/structure", `${hex(token)} is not a token`, tokenAt, path());
    }
  }
}

function unterminated(input: Input, what: string, start: number, end: number, path: string): never {
  const tooLong = end - start > MAX_NAME_LENGTH;
  if (tooLong) input.refuse("fdt/name", `${what} is longer than ${MAX_NAME_LENGTH} characters`, start, path);
  input.refuse("fdt/unterminated", `${what} has no NUL before its block ends`, start, path);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
