/** From bits to assembler text, by the table: the form of `objdump -d -M no-aliases`. */
import { csrName } from "./csr.ts";
import { createDecoder, type Decoded } from "./decode.ts";
import { type CompressedInstruction, compressed } from "./instructions/compressed.ts";
import { Major } from "./instructions/encoding.ts";
import { instructions } from "./instructions/table.ts";
import { floatNames, integerNames } from "./register-names.ts";

/** 5 and 6 are reserved; encodings that carry them do not decode. RISC-V Unpriv §21.2 */
const roundingModes = ["rne", "rtz", "rdn", "rup", "rmm", "", "", "dyn"];
const DYNAMIC = 7;

/** What compilers put where control must not come: a write of a read-only CSR. */
const UNIMP = 0xc0001073;
/** FENCE with fm = TSO. RISC-V Unpriv §2.7 */
const FENCE_TSO = 0x83300000;

const everything = createDecoder(new Set([...instructions.map(({ extension }) => extension), "c"]));

/** The text of one instruction of `length` bytes at `address`, which branch targets are relative to. */
export function disassemble(bits: number, address: bigint, length: 2 | 4): string {
  return length === 2 ? short(bits & 0xffff, address) : long(bits >>> 0, address);
}

function short(halfword: number, address: bigint): string {
  const form = compressed.find((candidate) => (halfword & candidate.mask) === candidate.match);
  // The all-zero halfword is illegal, but by definition and under a name. RISC-V Unpriv §27.5
  if (form?.name === "c.unimp") return form.name;
  const bits = everything.expand(halfword);
  const decoded = everything.decode(bits);
  if (!form || !decoded) return `.2byte ${hex(halfword)}`;
  return text(form, decoded, bits, address);
}

function long(bits: number, address: bigint): string {
  if (bits === UNIMP) return "unimp";
  const decoded = everything.decode(bits);
  if (!decoded) return `.4byte ${hex(bits)}`;
  const { instruction } = decoded;
  if (instruction.name === "fence" && (bits & 0xfff00000) >>> 0 === FENCE_TSO) return "fence.tso";
  return text(instruction, decoded, bits, address);
}

function text(form: Pick<CompressedInstruction, "name" | "syntax">, fields: Decoded, bits: number, address: bigint) {
  const operands = form.syntax
    .split(",")
    .map((name) => operand(name, fields, bits, address))
    .filter((shown) => shown !== "");
  const name = form.name + ordering(bits);
  return operands.length === 0 ? name : `${name} ${operands.join(",")}`;
}

/** Atomics carry their ordering in the mnemonic. RISC-V Unpriv §14.1 */
function ordering(bits: number): string {
  if ((bits & 0x7f) !== Major.amo) return "";
  return ["", ".rl", ".aq", ".aqrl"][(bits >>> 25) & 3];
}

/** An operand by its name in the syntax; names that are none, such as `sp`, stand for themselves. */
function operand(name: string, fields: Decoded, bits: number, address: bigint): string {
  const { rd, rs1, rs2, rs3, rm, imm } = fields;
  switch (name) {
    case "rd":
      return integerNames[rd];
    case "rs1":
      return integerNames[rs1];
    case "rs2":
      return integerNames[rs2];
    case "fd":
      return floatNames[rd];
    case "fs1":
      return floatNames[rs1];
    case "fs2":
      return floatNames[rs2];
    case "fs3":
      return floatNames[rs3];
    case "(rs1)":
      return `(${integerNames[rs1]})`;
    case "offset(rs1)":
    case "offset(sp)":
      return `${imm}(${integerNames[rs1]})`;
    case "imm":
      return `${imm}`;
    case "shamt":
      return hex(imm);
    case "upper":
      return hex(imm >>> 12);
    case "target":
      return `0x${BigInt.asUintN(64, address + BigInt(imm)).toString(16)}`;
    case "csr":
      return csrName(imm);
    case "zimm":
      return `${rs1}`;
    case "rm":
      return rm === DYNAMIC ? "" : roundingModes[rm];
    case "rm?":
      return rm === 0 ? "" : roundingModes[rm];
    case "pred":
      return accesses(bits >>> 24);
    case "succ":
      return accesses(bits >>> 20);
    default:
      return name;
  }
}

/** A set of FENCE: device input and output, memory reads and writes. RISC-V Unpriv §2.7 */
function accesses(set: number): string {
  const shown = [...("iorw" as const)].filter((_, i) => ((set >> (3 - i)) & 1) !== 0).join("");
  return shown || "unknown";
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
