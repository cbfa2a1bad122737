/** Property values: JavaScript values to the bytes of DTSpec v0.4 §2.2.4, and back. */
import { fail } from "../diagnostics/diagnostic.ts";
import { quoted } from "./names.ts";

/**
 * A number is one u32 cell, a bigint one u64, a string is NUL-terminated, `true` is the empty value;
 * arrays are cells or a string list, bytes stand for themselves.
 */
export type PropertyInput = number | bigint | string | readonly number[] | readonly string[] | Uint8Array | true;

const U32_END = 2 ** 32;
const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The bytes of a value, always a fresh array. `path` names the property in errors. */
export function encodeValue(value: PropertyInput, path: string): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (typeof value === "number") return encodeCells([value], path);
  if (typeof value === "bigint") return encodeU64(value, path);
  if (typeof value === "string") return encodeStrings([value], path);
  // `new`, not `slice`: a Node Buffer's slice would share the caller's memory.
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (isStrings(value)) return encodeStrings(value, path);
  return encodeCells(value, path);
}

export function decodeCells(bytes: Uint8Array, path: string): number[] {
  if (bytes.length % 4 !== 0) wrongShape(path, `${bytes.length} bytes are not a whole number of u32 cells`);
  const view = viewOf(bytes);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i));
}

export function decodeU32(bytes: Uint8Array, path: string): number {
  if (bytes.length !== 4) wrongShape(path, `${bytes.length} bytes are not one u32 cell`);
  return viewOf(bytes).getUint32(0);
}

export function decodeU64(bytes: Uint8Array, path: string): bigint {
  if (bytes.length !== 8) wrongShape(path, `${bytes.length} bytes are not one u64`);
  return viewOf(bytes).getBigUint64(0);
}

export function decodeStrings(bytes: Uint8Array, path: string): string[] {
  if (bytes.length === 0) return [];
  if (bytes[bytes.length - 1] !== 0) wrongShape(path, "a string list must end with NUL");
  // UTF-8 never uses a zero byte inside a character, so splitting after decoding is safe.
  return utf8Decoder.decode(bytes.subarray(0, -1)).split("\0");
}

/** Each value as two cells, high then low: for `reg` and `ranges` under `#address-cells = <2>`. */
export function cells64(...values: number[]): number[] {
  return values.flatMap((value) => {
    if (!Number.isSafeInteger(value) || value < 0) outOfRange("cells64", value, "2^53 - 1");
    return [Math.floor(value / U32_END), value % U32_END];
  });
}

function encodeCells(cells: readonly number[], path: string): Uint8Array {
  const bytes = new Uint8Array(4 * cells.length);
  const view = viewOf(bytes);
  cells.forEach((cell, i) => {
    if (!Number.isInteger(cell) || cell < 0 || cell >= U32_END) outOfRange(path, cell, "0xffffffff");
    view.setUint32(4 * i, cell);
  });
  return bytes;
}

function encodeU64(value: bigint, path: string): Uint8Array {
  if (BigInt.asUintN(64, value) !== value) outOfRange(path, value, "0xffffffffffffffff");
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, value);
  return bytes;
}

function encodeStrings(strings: readonly string[], path: string): Uint8Array {
  for (const text of strings) {
    if (typeof text !== "string" || text.includes("\0")) {
      fail("fdt/value", `${quoted(String(text))} cannot stand in a NUL-terminated string`, { place: { path } });
    }
  }
  return utf8Encoder.encode(strings.map((text) => `${text}\0`).join(""));
}

function isStrings(values: readonly number[] | readonly string[]): values is readonly string[] {
  return typeof values[0] === "string";
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function outOfRange(path: string, value: number | bigint, largest: string): never {
  const hint = typeof value === "number" ? "write a 64-bit value as a bigint or with cells64()" : undefined;
  fail("fdt/value", `${String(value)} is not an integer from 0 to ${largest}`, { place: { path }, hint });
}

function wrongShape(path: string, message: string): never {
  fail("fdt/shape", message, { place: { path } });
}
