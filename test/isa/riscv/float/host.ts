// The host's own floating point as an oracle: it rounds to nearest even and is exact about it.

import type { Format } from "../../../../src/isa/riscv/float/format.ts";
import { binary32, binary64 } from "../../../../src/isa/riscv/float/format.ts";

const view = new DataView(new ArrayBuffer(8));

export function toNumber(format: Format, bits: bigint): number {
  if (format === binary32) {
    view.setUint32(0, Number(BigInt.asUintN(32, bits)));
    return view.getFloat32(0);
  }
  view.setBigUint64(0, BigInt.asUintN(64, bits));
  return view.getFloat64(0);
}

/** The pattern of a number, rounded to the format, NaN as RISC-V's canonical one. */
export function toBits(format: Format, value: number): bigint {
  if (Number.isNaN(value)) return format.canonicalNaN;
  if (format === binary32) {
    view.setFloat32(0, value);
    return BigInt(view.getUint32(0));
  }
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

export const single = (value: number): bigint => toBits(binary32, value);
export const double = (value: number): bigint => toBits(binary64, value);
