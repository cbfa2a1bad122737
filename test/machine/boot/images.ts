/** Images made by hand for the tests of this folder, and a fixed source of chance to spoil them with. */
import { VmrunError } from "../../../src/diagnostics/diagnostic.ts";

export interface SegmentSpec {
  readonly type?: number;
  readonly at: number | bigint;
  readonly virtual?: number | bigint;
  readonly bytes?: Uint8Array;
  readonly memorySize?: number | bigint;
  readonly offset?: number | bigint;
}

export interface ElfSpec {
  readonly entry: number | bigint;
  readonly segments: readonly SegmentSpec[];
  readonly type?: number;
  readonly machine?: number;
}

/** The header, the program headers, then the bytes of each segment in turn. */
export function makeElf({ entry, segments, type = 2, machine = 243 }: ElfSpec): Uint8Array {
  const start = 64 + 56 * segments.length;
  const total = segments.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), start);
  const out = new Uint8Array(total);
  const view = new DataView(out.buffer);
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, type, true);
  view.setUint16(18, machine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(entry), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, segments.length, true);
  let data = start;
  segments.forEach(({ type: kind = 1, at, virtual = at, bytes = new Uint8Array(), memorySize, offset }, i) => {
    const header = 64 + 56 * i;
    view.setUint32(header, kind, true);
    view.setBigUint64(header + 8, BigInt(offset ?? data), true);
    view.setBigUint64(header + 16, BigInt(virtual), true);
    view.setBigUint64(header + 24, BigInt(at), true);
    view.setBigUint64(header + 32, BigInt(bytes.length), true);
    view.setBigUint64(header + 40, BigInt(memorySize ?? bytes.length), true);
    out.set(bytes, data);
    data += bytes.length;
  });
  return out;
}

export interface LinuxSpec {
  readonly size?: number;
  readonly textOffset?: number | bigint;
  readonly imageSize?: number | bigint;
  readonly flags?: number;
}

/** A Linux `Image` for riscv64: an EFI program too, as distributions build it. */
export function makeLinux({ size = 0x1000, textOffset = 0x20_0000, imageSize = 0x2000, flags = 0 }: LinuxSpec = {}) {
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  out.set(text("MZ"));
  view.setBigUint64(8, BigInt(textOffset), true);
  view.setBigUint64(16, BigInt(imageSize), true);
  view.setUint32(24, flags, true);
  out.set(text("RISCV"), 0x30);
  out.set(text("RSC\x05"), 0x38);
  view.setUint32(0x3c, 0x40, true);
  out.set(text("PE\0\0"), 0x40);
  return out;
}

/** One byte for each character. */
export function text(characters: string): Uint8Array {
  return Uint8Array.from(characters, (c) => c.charCodeAt(0));
}

export function filled(size: number, value: number): Uint8Array {
  return new Uint8Array(size).fill(value);
}

/** What `run` throws, which must be a VmrunError with one diagnostic. */
export function refusal(run: () => unknown) {
  try {
    run();
  } catch (error) {
    if (!(error instanceof VmrunError)) throw error;
    return error.diagnostics[0];
  }
  throw new Error("nothing was refused");
}

/** Numbers below `limit`, the same ones for the same seed (xorshift32). */
export function chance(seed: number): (limit: number) => number {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const TELLING = [0x00, 0x01, 0x7f, 0x80, 0xff];

/** A copy with a few bytes changed, mostly in the headers, and at times cut short. */
export function spoil(bytes: Uint8Array, next: (limit: number) => number): Uint8Array {
  const out = bytes.slice(0, next(3) === 0 ? next(bytes.length + 1) : bytes.length);
  for (let changes = 1 + next(6); changes > 0 && out.length > 0; changes--) {
    const at = next(4) === 0 ? next(out.length) : next(Math.min(out.length, 256));
    out[at] = next(2) === 0 ? TELLING[next(TELLING.length)] : next(256);
    // Whole fields of ones or zeros find limits that single bytes do not.
    if (next(4) === 0) out.fill(next(2) * 0xff, at & ~7, (at & ~7) + 8);
  }
  return out;
}
