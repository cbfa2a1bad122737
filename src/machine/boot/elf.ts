/** ELF executables for riscv64: where each segment goes and where execution starts. Everything in the file is checked. */
import { fail } from "../../diagnostics/diagnostic.ts";
import { hex } from "../../profile/place.ts";
import { bytesOf, type Contents, Part } from "./contents.ts";

export interface ElfSegment {
  /** Physical address, `p_paddr`. */
  readonly at: number;
  readonly contents: Contents;
  /** Bytes in memory; what `contents` does not fill is zero. */
  readonly memorySize: number;
}

export interface ElfImage {
  /** Physical address of the first instruction. */
  readonly entry: number;
  /** By ascending address; at least one, and no two meet. */
  readonly segments: readonly ElfSegment[];
  /** ET_DYN: relocates itself, so that all of it may be moved by the same distance. */
  readonly movable: boolean;
}

const HEADER_SIZE = 64;
const IDENTITY_SIZE = 16;
const SEGMENT_HEADER_SIZE = 56;
/** Far beyond any firmware or kernel. Bounds the work that a hostile file can ask for. */
const MAX_SEGMENTS = 256;

/** ELF-64 Object File Format 1.5, figures 2 and 6: offsets of fields. */
const Header = {
  type: 16,
  machine: 18,
  version: 20,
  entry: 24,
  segments: 32,
  segmentSize: 54,
  segmentCount: 56,
} as const;
const Segment = { type: 0, offset: 8, virtual: 16, physical: 24, fileSize: 32, memorySize: 40 } as const;
const SegmentType = { load: 1, interpreter: 3 } as const;
const FileType = { relocatable: 1, executable: 2, dynamic: 3, core: 4 } as const;
const EM_RISCV = 243;

const MACHINES: Readonly<Record<number, string>> = {
  3: "x86",
  8: "MIPS",
  20: "PowerPC",
  21: "64-bit PowerPC",
  22: "s390x",
  40: "Arm",
  43: "SPARC",
  62: "x86-64",
  183: "AArch64",
  247: "BPF",
  258: "LoongArch",
};

/** `\x7fELF`. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

export function readElf(contents: Contents, file: string): ElfImage {
  const fields = new Fields(contents, file);
  const type = checkIdentity(fields);
  const table = fields.offset(Header.segments, "the program header table begins at");
  const count = fields.u16(Header.segmentCount);
  checkTable(fields, table, count);

  const segments: LocatedSegment[] = [];
  let entry: number | undefined;
  const virtualEntry = fields.u64(Header.entry);
  for (let i = 0; i < count; i++) {
    const at = table + i * SEGMENT_HEADER_SIZE;
    const kind = fields.u32(at + Segment.type);
    if (kind === SegmentType.interpreter) {
      fields.fail("elf/dynamic", at, "this ELF asks for a dynamic loader: it is a program for an operating system", {
        hint: "a guest that starts on the bare machine is linked with `-static` and without PT_INTERP",
      });
    }
    if (kind !== SegmentType.load) continue;
    const segment = readSegment(fields, at);
    const inside = virtualEntry - fields.u64(at + Segment.virtual);
    if (inside >= 0n && inside < BigInt(segment.memorySize)) entry = segment.at + Number(inside);
    if (segment.memorySize > 0) segments.push(segment);
  }
  if (segments.length === 0) {
    fields.fail("elf/empty", table, "this ELF has no loadable segment", {
      hint: "`readelf -l` shows what it has; a program to run has PT_LOAD",
    });
  }
  segments.sort((a, b) => a.at - b.at);
  checkOverlaps(fields, segments);
  return {
    entry: entry ?? fields.address(Header.entry, "the entry point"),
    segments: segments.map(({ at, contents, memorySize }) => ({ at, contents, memorySize })),
    movable: type === FileType.dynamic,
  };
}

interface LocatedSegment extends ElfSegment {
  readonly header: number;
}

/** That the file is a riscv64 executable at all. Answers `e_type`. */
function checkIdentity(fields: Fields): number {
  const { size } = fields;
  const identity = fields.bytes(0, IDENTITY_SIZE);
  if (!isElf(identity)) fields.fail("elf/magic", 0, "this is no ELF file: it does not begin with 7f 45 4c 46");
  if (size < HEADER_SIZE) {
    fields.fail("elf/truncated", size, `the file ends after ${size} of the ELF header's 64 bytes`);
  }
  // The class decides the layout of the header, but e_machine stands at the same offset in both, so name it first.
  const wanted = { hint: "vmrun's CPU is riscv64: build for ELF64, little endian, EM_RISCV" };
  if (identity[5] === 2) fields.fail("elf/byte-order", 5, "this ELF is big endian", wanted);
  if (identity[5] !== 1) fields.fail("elf/byte-order", 5, `EI_DATA is ${identity[5]}; little endian is 1`, wanted);
  const machine = fields.u16(Header.machine);
  if (machine !== EM_RISCV) {
    const name = MACHINES[machine] ?? `machine ${machine}`;
    fields.fail("elf/machine", Header.machine, `this ELF is for ${name}; vmrun's CPU is riscv64`, {
      hint: "build it with a riscv64 compiler, or name another file",
    });
  }
  if (identity[4] === 1) fields.fail("elf/class", 4, "this ELF is for 32-bit RISC-V; vmrun's CPU is riscv64", wanted);
  if (identity[4] !== 2) fields.fail("elf/class", 4, `EI_CLASS is ${identity[4]}; ELF64 is 2`, wanted);
  const version = fields.u32(Header.version);
  if (version !== 1) fields.fail("elf/version", Header.version, `e_version is ${version}; the only version is 1`);
  const type = fields.u16(Header.type);
  if (type === FileType.relocatable) {
    fields.fail("elf/type", Header.type, "this ELF is an object file, not yet linked", { hint: "link it with `ld`" });
  }
  if (type === FileType.core) fields.fail("elf/type", Header.type, "this ELF is a core dump, not a program");
  if (type !== FileType.executable && type !== FileType.dynamic) {
    fields.fail("elf/type", Header.type, `e_type is ${type}; vmrun loads ET_EXEC (2) and static ET_DYN (3)`);
  }
  return type;
}

function checkTable(fields: Fields, table: number, count: number): void {
  const size = fields.u16(Header.segmentSize);
  if (count > 0 && size !== SEGMENT_HEADER_SIZE) {
    fields.fail("elf/header", Header.segmentSize, `e_phentsize is ${size}; a program header of ELF64 has 56 bytes`);
  }
  if (count > MAX_SEGMENTS) {
    const message = `${count} program headers; vmrun reads at most ${MAX_SEGMENTS}`;
    fields.fail("elf/header", Header.segmentCount, message);
  }
  const end = table + count * SEGMENT_HEADER_SIZE;
  if (end > fields.size) {
    const message = `the program headers end at ${hex(end)}, the file at ${hex(fields.size)}`;
    fields.fail("elf/truncated", Header.segments, message, { hint: "the file was cut short, or its header is wrong" });
  }
}

function readSegment(fields: Fields, header: number): LocatedSegment {
  const offset = fields.offset(header + Segment.offset, "a segment's bytes begin at");
  const fileSize = fields.offset(header + Segment.fileSize, "a segment's size in the file is");
  const memorySize = fields.address(header + Segment.memorySize, "the segment's size in memory");
  const at = fields.address(header + Segment.physical, "the segment's address");
  const end = offset + fileSize;
  if (end > fields.size) {
    const message = `a segment's bytes end at ${hex(end)}, the file at ${hex(fields.size)}`;
    fields.fail("elf/truncated", header + Segment.offset, message, { hint: "the file was cut short" });
  }
  if (fileSize > memorySize) {
    const message = `a segment has ${hex(fileSize)} bytes in the file, ${hex(memorySize)} in memory: more than fit`;
    fields.fail("elf/segment", header + Segment.fileSize, message);
  }
  if (!Number.isSafeInteger(at + memorySize)) {
    fields.fail("elf/address", header + Segment.physical, `a segment at ${hex(at)} reaches beyond 2^53`);
  }
  return { at, contents: new Part(fields.contents, offset, fileSize), memorySize, header };
}

function checkOverlaps(fields: Fields, sorted: readonly LocatedSegment[]): void {
  for (let i = 1; i < sorted.length; i++) {
    const [below, above] = [sorted[i - 1], sorted[i]];
    const end = below.at + below.memorySize;
    if (end <= above.at) continue;
    fields.fail(
      "elf/overlap",
      above.header + Segment.physical,
      `two segments overlap: one ends at ${hex(end)}, the next begins at ${hex(above.at)}`,
      {
        related: [
          { place: { file: fields.file, offset: below.header + Segment.physical }, message: "the other segment" },
        ],
        hint: "segments are loaded at their physical addresses (LMA); check AT() in the linker script",
      },
    );
  }
}

/** Reads fields, and says which one is wrong. */
class Fields {
  constructor(
    readonly contents: Contents,
    readonly file: string,
  ) {}

  get size(): number {
    return this.contents.size;
  }

  bytes(at: number, size: number): Uint8Array {
    return bytesOf(this.contents, at, at + size);
  }

  u16(at: number): number {
    return this.#view(at, 2).getUint16(0, true);
  }

  u32(at: number): number {
    return this.#view(at, 4).getUint32(0, true);
  }

  u64(at: number): bigint {
    return this.#view(at, 8).getBigUint64(0, true);
  }

  #view(at: number, size: number): DataView {
    return new DataView(this.bytes(at, size).buffer);
  }

  /** A 64-bit value that counts bytes of this file. */
  offset(at: number, what: string): number {
    const value = this.u64(at);
    if (value > BigInt(this.size)) {
      const message = `${what} 0x${value.toString(16)}, but the file ends at ${hex(this.size)}`;
      this.fail("elf/truncated", at, message, { hint: "the file was cut short, or its header is wrong" });
    }
    return Number(value);
  }

  /** A 64-bit value of the guest's physical address space. */
  address(at: number, what: string): number {
    const value = this.u64(at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      this.fail("elf/address", at, `${what} is 0x${value.toString(16)}, beyond 2^53`, {
        hint: "physical addresses are meant; of Linux, use arch/riscv/boot/Image in place of vmlinux",
      });
    }
    return Number(value);
  }

  fail(
    code: string,
    offset: number,
    message: string,
    more: Omit<Parameters<typeof fail>[2] & object, "place"> = {},
  ): never {
    fail(code, message, { place: { file: this.file, offset }, ...more });
  }
}
