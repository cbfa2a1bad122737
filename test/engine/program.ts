/**
 * Tiny guests for tests, written as assembly text and encoded by the instruction table.
 *
 *     assemble(0x8000_0000, `
 *       li   t0, 0x10000000
 *     again:
 *       sb   a0, 0(t0)
 *       bnez a0, again
 *     `)
 *
 * Beside the table's instructions: `c.` before one (its 16-bit form), the pseudo-instructions below, and the directives
 * `.half`, `.word`, `.dword`, `.zero N`, `.org ADDRESS`.
 */
import { csrNumber } from "../../src/isa/riscv/csr.ts";
import { compress, encode, type Operands } from "../../src/isa/riscv/encode.ts";
import { instructionNamed } from "../../src/isa/riscv/instructions/table.ts";

export interface Program {
  readonly at: number;
  readonly bytes: Uint8Array;
  /** Addresses by label. */
  readonly labels: Readonly<Record<string, number>>;
}

const ABI = (
  "zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6 " +
  "ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 " +
  "ft8 ft9 ft10 ft11"
).split(" ");

/** The number of an integer or floating-point register. */
export function register(name: string): number {
  const index = ABI.indexOf(name);
  if (index < 0) throw new RangeError(`no register is called ${name}`);
  return index & 31;
}

/** Pseudo-instructions of one instruction each. RISC-V Assembly Programmer's Manual */
const pseudo: Readonly<Record<string, (args: readonly string[]) => string>> = {
  nop: () => "addi zero, zero, 0",
  mv: ([rd, rs]) => `addi ${rd}, ${rs}, 0`,
  j: ([target]) => `jal zero, ${target}`,
  jr: ([rs]) => `jalr zero, 0(${rs})`,
  ret: () => "jalr zero, 0(ra)",
  beqz: ([rs, target]) => `beq ${rs}, zero, ${target}`,
  bnez: ([rs, target]) => `bne ${rs}, zero, ${target}`,
  csrr: ([rd, csr]) => `csrrs ${rd}, ${csr}, zero`,
  csrw: ([csr, rs]) => `csrrw zero, ${csr}, ${rs}`,
  csrs: ([csr, rs]) => `csrrs zero, ${csr}, ${rs}`,
  csrc: ([csr, rs]) => `csrrc zero, ${csr}, ${rs}`,
};

interface Statement {
  readonly at: number;
  readonly name: string;
  readonly args: readonly string[];
}

export function assemble(at: number, text: string): Program {
  const labels: Record<string, number> = {};
  const statements: Statement[] = [];
  let here = at;
  for (const line of text.split("\n")) {
    const [, label, name, rest] = /^\s*(?:(\w+):)?\s*([\w.]+)?\s*([^#]*?)\s*(?:#.*)?$/.exec(line)!;
    if (label !== undefined) labels[label] = here;
    if (name === undefined) continue;
    const statement = { at: here, name, args: rest === "" ? [] : rest.split(/\s*,\s*/) };
    statements.push(statement);
    here += sizeOf(statement);
  }
  const bytes = new Uint8Array(here - at);
  for (const statement of statements) bytes.set(encodeStatement(statement, labels), statement.at - at);
  return { at, bytes, labels };
}

function sizeOf({ at, name, args }: Statement): number {
  switch (name) {
    case ".half":
      return 2;
    case ".word":
      return 4;
    case ".dword":
      return 8;
    case ".zero":
      return Number(args[0]);
    case ".org":
      if (Number(args[0]) < at) throw new RangeError(`.org ${args[0]} goes back from 0x${at.toString(16)}`);
      return Number(args[0]) - at;
    case "li":
      return 4 * loadImmediate(register(args[0]), BigInt(args[1])).length;
    case "la":
      return 8;
    default:
      return name.startsWith("c.") ? 2 : 4;
  }
}

function encodeStatement({ at, name, args }: Statement, labels: Readonly<Record<string, number>>): Uint8Array {
  const integer = (text: string): bigint => (Object.hasOwn(labels, text) ? BigInt(labels[text]) : BigInt(text));
  switch (name) {
    case ".half":
      return new Uint8Array(Uint16Array.of(Number(integer(args[0]))).buffer);
    case ".word":
      return words([Number(integer(args[0]))]);
    case ".dword":
      return new Uint8Array(BigInt64Array.of(integer(args[0])).buffer);
    case ".zero":
    case ".org":
      return new Uint8Array();
    case "li":
      return words(loadImmediate(register(args[0]), BigInt(args[1])));
    case "la": {
      const distance = Number(integer(args[1])) - at;
      const upper = (distance + 0x800) & ~0xfff;
      const rd = register(args[0]);
      return words([encode("auipc", { rd, imm: upper }), encode("addi", { rd, rs1: rd, imm: distance - upper })]);
    }
  }
  if (Object.hasOwn(pseudo, name)) {
    const [, real, rest] = /^(\S+) (.*)$/.exec(pseudo[name](args))!;
    return encodeStatement({ at, name: real, args: rest.split(", ") }, labels);
  }
  if (name.startsWith("c.")) {
    const [full] = new Uint32Array(encodeStatement({ at, name: name.slice(2), args }, labels).buffer);
    const short = compress(full);
    if (short === undefined) throw new RangeError(`${name} ${args.join(", ")} has no 16-bit form`);
    return new Uint8Array(Uint16Array.of(short).buffer);
  }
  return words([encode(name, operands(name, args, at, labels))]);
}

function operands(name: string, args: readonly string[], at: number, labels: Readonly<Record<string, number>>) {
  const found: Record<string, number> = {};
  const syntax = instructionNamed(name)
    .syntax.split(",")
    .filter((part) => part !== "");
  syntax.forEach((part, i) => {
    const text = args[i];
    // Rounding modes are left to the encoder.
    if (part.startsWith("rm")) return;
    if (text === undefined) throw new RangeError(`${name} needs ${part}`);
    switch (part) {
      case "offset(rs1)":
      case "(rs1)": {
        const [, offset, base] = /^(-?\w*)\((\w+)\)$/.exec(text)!;
        if (part === "offset(rs1)") found.imm = Number(offset);
        found.rs1 = register(base);
        return;
      }
      case "target":
        found.imm = (labels[text] ?? Number(text)) - at;
        return;
      case "csr":
        found.imm = /^\d/.test(text) ? Number(text) : csrNumber(text);
        return;
      case "zimm":
        found.rs1 = Number(text);
        return;
      case "upper":
        found.imm = (Number(text) << 12) | 0;
        return;
      case "imm":
      case "shamt":
      case "pred":
      case "succ":
        found[part === "shamt" ? "imm" : part] = Number(text);
        return;
      default:
        found[part.replace("f", "r")] = register(text);
    }
  });
  return found as Operands;
}

/** Any 64-bit constant: the upper bits first, then twelve at a time. */
function loadImmediate(rd: number, value: bigint): number[] {
  const wide = BigInt.asIntN(64, value);
  if (wide === BigInt.asIntN(12, wide)) return [encode("addi", { rd, rs1: 0, imm: Number(wide) })];
  const low = Number(BigInt.asIntN(12, wide));
  if (wide === BigInt.asIntN(32, wide)) {
    const upper = Number(BigInt.asIntN(32, wide - BigInt(low)));
    const lui = encode("lui", { rd, imm: upper });
    return low === 0 ? [lui] : [lui, encode("addiw", { rd, rs1: rd, imm: low })];
  }
  const upper = loadImmediate(rd, (wide - BigInt(low)) >> 12n);
  return [...upper, encode("slli", { rd, rs1: rd, imm: 12 }), encode("addi", { rd, rs1: rd, imm: low })];
}

function words(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}
