/** From names and operands to bits, by the table: the assembler of tests, fuzzers and small firmware. */
import { createDecoder, immediate } from "./decode.ts";
import { compressed } from "./instructions/compressed.ts";
import type { ImmediateFormat, Instruction } from "./instructions/encoding.ts";
import { instructionNamed } from "./instructions/table.ts";

/** Operand fields, as {@link Decoded} has them: `imm` is the value, also of branch offsets, `lui` and CSR numbers. */
export interface Operands {
  readonly rd?: number;
  /** A register, or the five-bit immediate of CSR instructions. */
  readonly rs1?: number;
  readonly rs2?: number;
  readonly rs3?: number;
  readonly imm?: number;
  /** Rounding mode; left out, it is what assemblers choose: dynamic, or 0 where the result is always exact. */
  readonly rm?: number;
  /** Sets of FENCE, bits `iorw`. */
  readonly pred?: number;
  readonly succ?: number;
  /** Ordering of atomics; left out: none. */
  readonly aq?: number;
  readonly rl?: number;
}
export type OperandName = keyof Operands;

interface Field {
  readonly shift: number;
  readonly width: number;
}

const fields: Readonly<Record<Exclude<OperandName, "imm">, Field>> = {
  rd: { shift: 7, width: 5 },
  rs1: { shift: 15, width: 5 },
  rs2: { shift: 20, width: 5 },
  rs3: { shift: 27, width: 5 },
  rm: { shift: 12, width: 3 },
  pred: { shift: 24, width: 4 },
  succ: { shift: 20, width: 4 },
  aq: { shift: 26, width: 1 },
  rl: { shift: 25, width: 1 },
};

const named: Readonly<Record<string, readonly OperandName[]>> = {
  rd: ["rd"],
  fd: ["rd"],
  rs1: ["rs1"],
  fs1: ["rs1"],
  "(rs1)": ["rs1"],
  zimm: ["rs1"],
  rs2: ["rs2"],
  fs2: ["rs2"],
  fs3: ["rs3"],
  "offset(rs1)": ["imm", "rs1"],
  imm: ["imm"],
  shamt: ["imm"],
  upper: ["imm"],
  target: ["imm"],
  csr: ["imm"],
  rm: ["rm"],
  "rm?": ["rm"],
  pred: ["pred"],
  succ: ["succ"],
};

/** The operands that an instruction takes. */
export function operandsOf(row: Instruction): readonly OperandName[] {
  const names = row.syntax.split(",").flatMap((name) => named[name] ?? []);
  return row.extension === "a" ? [...names, "aq", "rl"] : names;
}

/** The 32-bit encoding of an instruction. Refuses operands that it does not take, that are missing, or do not fit. */
export function encode(name: string, operands: Operands = {}): number {
  const row = instructionNamed(name);
  const taken = operandsOf(row);
  for (const given of Object.keys(operands) as OperandName[]) {
    if (!taken.includes(given)) throw new RangeError(`${name} takes no ${given}`);
  }
  let bits = row.match;
  for (const operand of taken) {
    const value = operands[operand] ?? implicit(row, operand);
    bits |= operand === "imm" ? placeImmediate(row, value) : placeField(row, operand, value);
  }
  return bits >>> 0;
}

function implicit(row: Instruction, operand: OperandName): number {
  if (operand === "rm") return row.syntax.endsWith("rm?") ? 0 : 7;
  if (operand === "aq" || operand === "rl") return 0;
  throw new RangeError(`${row.name} needs ${operand}`);
}

function placeField(row: Instruction, operand: Exclude<OperandName, "imm">, value: number): number {
  const { shift, width } = fields[operand];
  if (!Number.isInteger(value) || value < 0 || value >= 1 << width) {
    throw new RangeError(`${row.name}: ${operand} cannot be ${value}`);
  }
  return value << shift;
}

function placeImmediate(row: Instruction, value: number): number {
  const bits = scatter(row.immediate, value);
  // What comes back different did not fit, or is odd where only even values exist; so did what touches fixed bits.
  if (immediate(row, bits) !== value || (bits & row.mask) !== 0) {
    throw new RangeError(`${row.name}: the immediate cannot be ${value}`);
  }
  return bits;
}

/** Where the bits of an immediate go. RISC-V Unpriv §2.3 */
function scatter(format: ImmediateFormat, value: number): number {
  switch (format) {
    case "I":
    case "csr":
      return value << 20;
    case "S":
      return ((value >> 5) << 25) | ((value & 31) << 7);
    case "B":
      return ((value >> 12) << 31) | ((value & 0x7e0) << 20) | ((value & 0x1e) << 7) | ((value & 0x800) >> 4);
    case "U":
      return value;
    case "J":
      return ((value >> 20) << 31) | ((value & 0x7fe) << 20) | ((value & 0x800) << 9) | (value & 0xff000);
    case "shamt":
      return (value & 63) << 20;
    case "none":
      return 0;
  }
}

let shortForms: ReadonlyMap<number, number> | undefined;

/** A 16-bit encoding that means exactly what these 32 bits mean, if there is one. */
export function compress(bits: number): number | undefined {
  shortForms ??= invertExpansion();
  return shortForms.get(bits >>> 0);
}

/** The layouts of compressed operands are written down once, in `expand`; the way back is found by trying them all. */
function invertExpansion(): ReadonlyMap<number, number> {
  const decoder = createDecoder(new Set(["c", ...compressed.flatMap(({ extension }) => extension ?? [])]));
  const forms = new Map<number, number>();
  for (let halfword = 0; halfword < 0x10000; halfword++) {
    const bits = (halfword & 3) === 3 ? 0 : decoder.expand(halfword);
    if (bits !== 0 && !forms.has(bits)) forms.set(bits, halfword);
  }
  return forms;
}
