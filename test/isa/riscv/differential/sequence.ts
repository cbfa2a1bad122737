// One random sequence of instructions. It is made from its last instruction to its first, so that everything a branch can
// jump to, and the address of everything, is known when the branch is made.

import { createDecoder } from "../../../../src/isa/riscv/decode.ts";
import { compress, encode } from "../../../../src/isa/riscv/encode.ts";
import type { CompressedInstruction } from "../../../../src/isa/riscv/instructions/compressed.ts";
import { compressed } from "../../../../src/isa/riscv/instructions/compressed.ts";
import type { Instruction } from "../../../../src/isa/riscv/instructions/encoding.ts";
import { instructionNamed, instructions } from "../../../../src/isa/riscv/instructions/table.ts";
import type { Random } from "../random.ts";
import { below, chance, pick, randomOperands } from "../random.ts";
import { relative } from "./assembler.ts";
import { CORNER_COUNT, CORNERS, SCRATCH, SCRATCH_DWORDS, SLOT } from "./layout.ts";

/** Left out: what changes privilege or waits, and what QEMU 7.2 does not have. test/isa/riscv has tests of their own. */
const LEFT_OUT = new Set(["mret", "sret", "wfi", "cbo.inval", "cbo.clean", "cbo.flush", "cbo.zero"]);
export const testedRows: readonly Instruction[] = instructions.filter(({ name }) => !LEFT_OUT.has(name));
export const testedShortRows: readonly CompressedInstruction[] = compressed;

const decoder = createDecoder(new Set([...instructions.map(({ extension }) => extension), "c"]));
/** Rows that compute from registers alone: they may stand between LR and SC. */
const simpleRows = testedRows.filter(({ name, semantics }) => semantics.does === "set" && name !== "ctzw");

const FRM = 0x002;
/** Read-only, and 0 here. */
const MHARTID = 0xf14;
/** fflags, frm, fcsr, sscratch, mhartid. */
const CSRS = [0x001, FRM, 0x003, 0x140, MHARTID];

/** An instruction as it lies in memory. */
interface Code {
  readonly bits: number;
  readonly length: 2 | 4;
}

const long = (bits: number): Code => ({ bits, length: 4 });
/** The short form half of the time, where there is one. */
const either = (random: Random, bits: number): Code => {
  const halfword = chance(random, 0.5) ? compress(bits) : undefined;
  return halfword === undefined ? long(bits) : { bits: halfword, length: 2 };
};

const nonZeroRegister = (random: Random) => 1 + below(random, 31);

/** A sequence being made, from its end. */
class Builder {
  /** Address of the first instruction that exists. */
  start: number;
  readonly #codes: Code[] = [];
  /** Addresses that may be jumped to, nearest first. */
  readonly boundaries: number[] = [];

  constructor(
    readonly random: Random,
    readonly end: number,
  ) {
    this.start = end;
  }

  /** Puts an instruction before all others. */
  prepend(code: Code): void {
    this.start -= code.length;
    this.#codes.unshift(code);
  }

  /** Puts `auipc` before all others; `lower` is what the instruction that uses it adds. */
  prependAuipc(rd: number, target: number): void {
    const { upper } = relative(this.start - 4, target);
    this.prepend(long(encode("auipc", { rd, imm: upper })));
  }

  /** What the instruction has to add to an `auipc` that will stand `distance` bytes before everything that exists. */
  lower(distance: number, target: number): number {
    return relative(this.start - distance, target).lower;
  }

  /** Puts code before all others that loads an address. */
  prependAddress(rd: number, target: number): void {
    // Whether the second instruction has a short form depends on the address, which depends on its length: take the long one.
    this.prepend(long(encode("addi", { rd, rs1: rd, imm: this.lower(8, target) })));
    this.prependAuipc(rd, target);
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.end - this.start);
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (const { bits, length } of this.#codes) {
      if (length === 2) view.setUint16(at, bits, true);
      else view.setUint32(at, bits, true);
      at += length;
    }
    return bytes;
  }
}

export interface Sequence {
  readonly start: number;
  readonly bytes: Uint8Array;
  /** Names of the rows that were chosen to be tested. */
  readonly names: readonly string[];
}

/** A sequence that ends at `end` with a jump to `dump`. */
export function createSequence(random: Random, end: number, dump: number): Sequence {
  const builder = new Builder(random, end);
  builder.prepend(long(encode("jal", { rd: 0, imm: dump - (end - 4) })));
  builder.boundaries.unshift(builder.start);
  const names: string[] = [];
  // The longest unit takes less than 80 bytes.
  const size = SLOT - 80 - below(random, SLOT / 2);
  while (end - builder.start < size) {
    const name = prependUnit(builder);
    builder.boundaries.unshift(builder.start);
    names.push(name);
  }
  return { start: builder.start, bytes: builder.bytes(), names };
}

function prependUnit(builder: Builder): string {
  const { random } = builder;
  if (chance(random, 0.03)) return prependIllegal(builder);
  return chance(random, 0.3)
    ? prependShort(builder, pick(random, testedShortRows))
    : prependLong(builder, pick(random, testedRows));
}

/** Encodings that no extension gives a meaning to. */
function prependIllegal(builder: Builder): string {
  const { random } = builder;
  const reservedMode = encode("fadd.d", { rd: 1, rs1: 2, rs2: 3, rm: pick(random, [5, 6]) });
  const word = pick(random, [0xffffffff, reservedMode, encode("csrrwi", { rd: 1, rs1: 1, imm: MHARTID })]);
  const halfword = pick(
    random,
    [0x0000, 0x0004, 0x2001, 0x4002, 0x6002, 0x6081, 0x6101, 0x8000, 0x8002, 0x9c41, 0x9c61],
  );
  builder.prepend(chance(random, 0.5) ? long(word) : { bits: halfword, length: 2 });
  return "illegal";
}

function prependLong(builder: Builder, row: Instruction): string {
  const { random } = builder;
  const { semantics } = row;
  switch (semantics.does) {
    case "branch": {
      const rs1 = below(random, 32);
      const rs2 = chance(random, 0.3) ? rs1 : below(random, 32);
      const imm = pickTarget(builder) - (builder.start - 4);
      builder.prepend(long(encode(row.name, { rs1, rs2, imm })));
      break;
    }
    case "jump":
      builder.prepend(
        long(encode(row.name, { rd: below(random, 32), imm: pickTarget(builder) - (builder.start - 4) })),
      );
      break;
    case "jumpTo": {
      const target = pickTarget(builder);
      const rs1 = nonZeroRegister(random);
      const lower = builder.lower(8, target);
      // The lowest bit of a target does not count.
      const imm = lower === 2047 ? lower : lower + below(random, 2);
      builder.prepend(long(encode(row.name, { rd: below(random, 32), rs1, imm })));
      builder.prependAuipc(rs1, target);
      break;
    }
    case "load":
    case "store":
      prependMemory(
        builder,
        row,
        long(encode(row.name, randomOperands(random, row, { rs1: nonZeroRegister(random) }))),
      );
      break;
    case "amo":
      prependMemory(
        builder,
        row,
        long(encode(row.name, randomOperands(random, row, { rs1: nonZeroRegister(random) }))),
      );
      break;
    case "loadReserved":
    case "storeConditional":
      prependReservation(builder, semantics.width);
      break;
    case "service":
      if (semantics.service === "csr") prependCsr(builder, row);
      else builder.prepend(long(encode(row.name, randomOperands(random, row))));
      break;
    default: {
      const bits = encode(row.name, randomOperands(random, row));
      builder.prepend(either(random, bits));
      if (row.name === "ctzw") prependSignExtension(builder, bits);
      prependOperands(builder, row, bits);
    }
  }
  return row.name;
}

function prependShort(builder: Builder, form: CompressedInstruction): string {
  const { random } = builder;
  let halfword: number;
  let bits: number;
  do {
    halfword = form.match | (random() & 0xffff & ~form.mask);
    // A random draw may belong to the special case of this row.
  } while (compressed.find(({ mask, match }) => (halfword & mask) === match) !== form);
  bits = decoder.expand(halfword);
  const decoded = decoder.decode(bits);
  const code: Code = { bits: halfword, length: 2 };
  // A reserved encoding.
  if (!decoded) {
    builder.prepend(code);
    return form.name;
  }
  const { instruction: row, rd, rs1 } = decoded;
  switch (row.semantics.does) {
    case "branch":
    case "jump": {
      const imm = pickTarget(builder) - (builder.start - 2);
      bits = row.semantics.does === "jump" ? encode(row.name, { rd, imm }) : encode(row.name, { rs1, rs2: 0, imm });
      builder.prepend({ bits: compress(bits)!, length: 2 });
      break;
    }
    case "jumpTo": {
      const target = pickTarget(builder);
      builder.prepend(code);
      builder.prependAddress(rs1, target);
      break;
    }
    case "load":
    case "store":
      prependMemory(builder, row, code);
      break;
    default:
      builder.prepend(code);
      prependOperands(builder, row, bits);
  }
  return form.name;
}

/** One of the next instructions that may be jumped to. */
function pickTarget(builder: Builder): number {
  return builder.boundaries[Math.min(below(builder.random, 4), builder.boundaries.length - 1)];
}

/** An access through rs1, and before it what makes rs1 point into the scratch area. */
function prependMemory(builder: Builder, row: Instruction, code: Code): void {
  const { random } = builder;
  const { semantics } = row;
  const width = "width" in semantics ? semantics.width : 1;
  const atomic = semantics.does === "amo" || semantics.does === "loadReserved";
  const alignment = chance(random, atomic ? 0.1 : 0.3) ? 1 : width;
  const bits = code.length === 2 ? decoder.expand(code.bits) : code.bits;
  const { rs1, imm } = decoder.decode(bits)!;
  const address = SCRATCH + below(random, (SCRATCH_DWORDS * 8 - width) / alignment + 1) * alignment;
  builder.prepend(code);
  builder.prependAddress(rs1, address - imm);
}

/** LR, a few instructions, SC: to the reserved place, to another one, or twice. */
function prependReservation(builder: Builder, width: 4 | 8): void {
  const { random } = builder;
  const suffix = width === 4 ? ".w" : ".d";
  const base = nonZeroRegister(random);
  const other = () => {
    const register = below(random, 32);
    return register === base ? 0 : register;
  };
  const conditional = () =>
    encode(`sc${suffix}`, randomOperands(random, instructionNamed(`sc${suffix}`), { rd: other(), rs1: base }));
  const reserve = long(
    encode(`lr${suffix}`, randomOperands(random, instructionNamed(`lr${suffix}`), { rd: other(), rs1: base })),
  );
  const aligned = SCRATCH + width + below(random, (SCRATCH_DWORDS * 8) / width - 2) * width;
  if (chance(random, 0.05)) {
    // Misaligned: a trap, and no reservation.
    builder.prepend(reserve);
    builder.prependAddress(base, aligned + 1 + below(random, width - 1));
    return;
  }
  builder.prepend(long(conditional()));
  const variant = below(random, 10);
  // Again, when nothing is reserved any more; or elsewhere than what is reserved.
  if (variant < 2) builder.prepend(long(conditional()));
  if (variant === 2 || variant === 3) {
    builder.prepend(long(encode("addi", { rd: base, rs1: base, imm: pick(random, [width, -width]) })));
  }
  for (let i = below(random, 3); i > 0; i--) {
    const row = pick(random, simpleRows);
    builder.prepend(either(random, encode(row.name, randomOperands(random, row, { rd: other() }))));
  }
  builder.prepend(reserve);
  builder.prependAddress(base, aligned);
}

/** An access to a CSR; where it may have left a reserved rounding mode, a good one follows more often than not. */
function prependCsr(builder: Builder, row: Instruction): void {
  const { random } = builder;
  const imm = pick(random, CSRS);
  if (chance(random, 0.8)) {
    builder.prepend(long(encode("csrrwi", { rd: 0, rs1: below(random, 5), imm: FRM })));
  }
  // QEMU 7.2 lets CSRRS and CSRRC of a read-only CSR pass where rs1 is another register than x0 but holds 0.
  const reads = imm === MHARTID && ["csrrs", "csrrc"].includes(row.name) ? { rs1: 0 } : {};
  builder.prepend(long(encode(row.name, randomOperands(random, row, { imm, ...reads }))));
}

/** QEMU 7.2 counts on into the high word where the low word is 0: let the high word be 0 then. */
function prependSignExtension(builder: Builder, bits: number): void {
  const rs1 = (bits >>> 15) & 31;
  builder.prepend(long(encode("addiw", { rd: rs1, rs1, imm: 0 })));
}

/** Sometimes loads interesting values into the operands of the instruction that was just put. */
function prependOperands(builder: Builder, row: Instruction, bits: number): void {
  const { random } = builder;
  for (const name of row.syntax.split(",")) {
    const field = { rs1: 15, fs1: 15, rs2: 20, fs2: 20, fs3: 27 }[name];
    if (field === undefined || !chance(random, 0.35)) continue;
    const register = (bits >>> field) & 31;
    const float = name.startsWith("f");
    if (!float && register === 0) continue;
    const through = float ? nonZeroRegister(random) : register;
    // An instruction of one operand must not lose it to the address of another.
    if (float && bits !== 0 && usesInteger(row, bits, through)) continue;
    const corner = CORNERS + below(random, CORNER_COUNT) * 8;
    const imm = builder.lower(8, corner);
    builder.prepend(long(encode(float ? "fld" : "ld", { rd: register, rs1: through, imm })));
    builder.prependAuipc(through, corner);
  }
}

function usesInteger(row: Instruction, bits: number, register: number): boolean {
  return row.syntax.split(",").includes("rs1") && ((bits >>> 15) & 31) === register;
}
