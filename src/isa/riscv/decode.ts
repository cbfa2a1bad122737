/** From bits to instructions, by the table. */
import { compressed } from "./instructions/compressed.ts";
import type { Instruction } from "./instructions/encoding.ts";
import { instructions } from "./instructions/table.ts";

/** An instruction with its operand fields. Reused by the decoder: copy what must last. */
export interface Decoded {
  /** Index into the table. */
  index: number;
  instruction: Instruction;
  rd: number;
  rs1: number;
  rs2: number;
  rs3: number;
  /** Rounding mode, or funct3. */
  rm: number;
  /** Sign-extended to 32 bits; a CSR number for CSR instructions. */
  imm: number;
}

export interface Decoder {
  /** Decodes a 32-bit encoding; `undefined` where it is no instruction of this machine. */
  decode(bits: number): Decoded | undefined;
  /** The 32-bit form of a compressed encoding; 0 (which is illegal) where it is none of this machine's. */
  expand(halfword: number): number;
}

/** Of a compressed encoding that was not asked for: no instruction of 32 bits is even. */
const UNKNOWN = 2;

/** A decoder for a machine with these extensions (lower-case names; `zicsr` and `zifencei` among them). */
export function createDecoder(extensions: ReadonlySet<string>): Decoder {
  // Candidates by major opcode and funct3, which every format has in the same place.
  const buckets: number[][] = Array.from({ length: 256 }, () => []);
  // More fixed bits first: an exact encoding wins over a pattern that contains it.
  const byFixedBits: number[][] = Array.from({ length: 33 }, () => []);
  for (const [index, { extension, mask }] of instructions.entries()) {
    if (extensions.has(extension)) byFixedBits[32 - popcount(mask)].push(index);
  }
  for (const index of byFixedBits.flat()) {
    const { match, mask } = instructions[index];
    // The major opcode is fixed in every encoding, funct3 in most.
    const opcode = ((match >>> 2) & 31) << 3;
    for (let funct3 = 0; funct3 < 8; funct3++) {
      if ((((funct3 << 12) ^ match) & mask & 0x7000) === 0) buckets[opcode | funct3].push(index);
    }
  }

  const shortForms = extensions.has("c")
    ? compressed.filter((c) => c.extension === undefined || extensions.has(c.extension))
    : [];
  // By upper and lower byte: most of the upper ones are never seen.
  const expanded = new Array<Int32Array | undefined>(256).fill(undefined);
  const decoded: Decoded = { index: 0, instruction: instructions[0], rd: 0, rs1: 0, rs2: 0, rs3: 0, rm: 0, imm: 0 };

  return {
    decode(bits) {
      if ((bits & 3) !== 3) return undefined;
      const bucket = buckets[(((bits >>> 2) & 31) << 3) | ((bits >>> 12) & 7)];
      for (const index of bucket) {
        const candidate = instructions[index];
        if (((bits ^ candidate.match) & candidate.mask) !== 0) continue;
        const rm = (bits >>> 12) & 7;
        const { semantics } = candidate;
        // Rounding modes 5 and 6 are reserved. RISC-V Unpriv §21.2
        if (semantics.does === "float" && semantics.rounds && (rm === 5 || rm === 6)) return undefined;
        decoded.index = index;
        decoded.instruction = candidate;
        decoded.rd = (bits >>> 7) & 31;
        decoded.rs1 = (bits >>> 15) & 31;
        decoded.rs2 = (bits >>> 20) & 31;
        decoded.rs3 = bits >>> 27;
        decoded.rm = rm;
        decoded.imm = immediate(candidate, bits);
        return decoded;
      }
      return undefined;
    },
    expand(halfword) {
      expanded[halfword >>> 8] ??= new Int32Array(256).fill(UNKNOWN);
      const known = expanded[halfword >>> 8]!;
      const low = halfword & 0xff;
      if (known[low] === UNKNOWN) {
        const form = shortForms.find((c) => (halfword & c.mask) === c.match);
        known[low] = form ? form.expand(halfword) : 0;
      }
      return known[low] >>> 0;
    },
  };
}

/** The immediate of an encoding. RISC-V Unpriv §2.3 */
export function immediate(instruction: Instruction, bits: number): number {
  switch (instruction.immediate) {
    case "I":
      return bits >> 20;
    case "S":
      return ((bits >> 25) << 5) | ((bits >>> 7) & 31);
    case "B":
      return ((bits >> 31) << 12) | ((bits << 4) & 0x800) | ((bits >>> 20) & 0x7e0) | ((bits >>> 7) & 0x1e);
    case "U":
      return bits & ~0xfff;
    case "J":
      return ((bits >> 31) << 20) | (bits & 0xff000) | ((bits >>> 9) & 0x800) | ((bits >>> 20) & 0x7fe);
    case "shamt":
      return (bits >>> 20) & 63;
    case "csr":
      return bits >>> 20;
    case "none":
      return 0;
  }
}

/** Sums of ever more bits side by side. */
function popcount(value: number): number {
  const pairs = value - ((value >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
