// Writes the smallest ELF file that a loader takes: a header and loadable segments. System V gABI, chapters 4 and 5

const HEADER = 64;
const PROGRAM_HEADER = 56;
const EM_RISCV = 243;

export interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** A static executable of RV64, little endian. */
export function writeElf(entry: number, segments: readonly Segment[]): Uint8Array {
  const start = HEADER + segments.length * PROGRAM_HEADER;
  const size = segments.reduce((sum, { bytes }) => sum + bytes.length, start);
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);

  // Magic, 64 bits, little endian, version 1.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  u16(16, 2); // ET_EXEC
  u16(18, EM_RISCV);
  u32(20, 1);
  u64(24, entry);
  u64(32, HEADER);
  u16(52, HEADER);
  u16(54, PROGRAM_HEADER);
  u16(56, segments.length);

  let offset = start;
  for (const [i, { address, bytes }] of segments.entries()) {
    const at = HEADER + i * PROGRAM_HEADER;
    u32(at, 1); // PT_LOAD
    u32(at + 4, 7); // readable, writable, executable
    u64(at + 8, offset);
    u64(at + 16, address);
    u64(at + 24, address);
    u64(at + 32, bytes.length);
    u64(at + 40, bytes.length);
    u64(at + 48, 1);
    file.set(bytes, offset);
    offset += bytes.length;
  }
  return file;
}
