import { describe, expect, test } from "bun:test";
import { createDecoder } from "../../../src/isa/riscv/decode.ts";
import type { OperandName } from "../../../src/isa/riscv/encode.ts";
import { compress, encode, operandsOf } from "../../../src/isa/riscv/encode.ts";
import { compressed } from "../../../src/isa/riscv/instructions/compressed.ts";
import { instructions } from "../../../src/isa/riscv/instructions/table.ts";
import { createRandom, randomInstruction, randomOperands } from "./random.ts";

const decoder = createDecoder(new Set([...instructions.map(({ extension }) => extension), "c"]));

/** What is in the bits, under the names of operands. */
function fieldsOf(bits: number): Record<OperandName, number> {
  const decoded = decoder.decode(bits)!;
  const { rd, rs1, rs2, rs3, rm, imm } = decoded;
  const field = (shift: number, width: number) => (bits >>> shift) & ((1 << width) - 1);
  return { rd, rs1, rs2, rs3, rm, imm, pred: field(24, 4), succ: field(20, 4), aq: field(26, 1), rl: field(25, 1) };
}

describe("encode", () => {
  test("what is encoded decodes to the same instruction and operands", () => {
    const random = createRandom(1);
    for (const row of instructions) {
      for (let i = 0; i < 200; i++) {
        const operands = randomOperands(random, row);
        const bits = encode(row.name, operands);
        expect(decoder.decode(bits)?.instruction.name).toBe(row.name);
        expect(fieldsOf(bits)).toMatchObject(operands);
      }
    }
  });

  test("operands and fixed bits together make up the whole encoding", () => {
    const random = createRandom(3);
    for (const row of instructions) {
      // Fields that may hold anything, and are no operand: RISC-V Unpriv §2.7, §6.
      if (row.name.startsWith("fence")) continue;
      let free = 0;
      for (let i = 0; i < 500; i++) free |= encode(row.name, randomOperands(random, row)) ^ row.match;
      expect({ name: row.name, covered: (free | row.mask) >>> 0 }).toEqual({ name: row.name, covered: 0xffffffff });
      expect({ name: row.name, overwritten: free & row.mask }).toEqual({ name: row.name, overwritten: 0 });
    }
  });

  test("known encodings", () => {
    expect(encode("addi", { rd: 10, rs1: 11, imm: -1 })).toBe(0xfff58513);
    expect(encode("srai", { rd: 10, rs1: 11, imm: 63 })).toBe(0x43f5d513);
    expect(encode("jal", { rd: 1, imm: -2 })).toBe(0xfffff0ef);
    expect(encode("bltu", { rs1: 1, rs2: 2, imm: 4094 })).toBe(0x7e20efe3);
    expect(encode("fcvt.d.w", { rd: 1, rs1: 2 })).toBe(0xd20100d3);
    expect(encode("fadd.d", { rd: 1, rs1: 2, rs2: 3 })).toBe(0x023170d3);
    expect(encode("lr.w", { rd: 10, rs1: 11, aq: 1, rl: 1 })).toBe(0x1605a52f);
    expect(encode("mret")).toBe(0x30200073);
  });

  test("refuses what does not fit", () => {
    expect(() => encode("addi", { rd: 10, rs1: 11, imm: 2048 })).toThrow("addi: the immediate cannot be 2048");
    expect(() => encode("addi", { rd: 32, rs1: 11, imm: 0 })).toThrow("addi: rd cannot be 32");
    expect(() => encode("addi", { rd: 1, rs1: 11 })).toThrow("addi needs imm");
    expect(() => encode("addi", { rd: 1, rs1: 11, rs2: 4, imm: 0 })).toThrow("addi takes no rs2");
    expect(() => encode("slliw", { rd: 1, rs1: 1, imm: 32 })).toThrow("slliw: the immediate cannot be 32");
    expect(() => encode("beq", { rs1: 1, rs2: 1, imm: 3 })).toThrow("beq: the immediate cannot be 3");
    expect(() => encode("lui", { rd: 1, imm: 0x1001 })).toThrow("lui: the immediate cannot be 4097");
    expect(() => encode("nonsense")).toThrow('no instruction is called "nonsense"');
  });
});

describe("compress", () => {
  test("every short form that is found means what it stands for", () => {
    const random = createRandom(4);
    let found = 0;
    for (let i = 0; i < 50000; i++) {
      const { bits } = randomInstruction(random);
      const halfword = compress(bits);
      if (halfword === undefined) continue;
      found++;
      expect(decoder.expand(halfword)).toBe(bits);
    }
    expect(found).toBeGreaterThan(100);
  });

  test("knows the well-known ones", () => {
    expect(compress(encode("jalr", { rd: 0, rs1: 1, imm: 0 }))).toBe(0x8082);
    expect(compress(encode("addi", { rd: 0, rs1: 0, imm: 0 }))).toBe(0x0001);
    expect(compress(encode("ebreak"))).toBe(0x9002);
    expect(compress(encode("mul", { rd: 8, rs1: 8, rs2: 9 }))).toBeUndefined();
  });
});

describe("the table", () => {
  test("names are unique", () => {
    const names = [...instructions, ...compressed].map(({ name }) => name);
    expect(names.length).toBe(new Set(names).size);
  });

  test("matches fix no bit outside their masks, and every row is an encoding of 32 bits", () => {
    for (const { name, match, mask } of instructions) {
      expect({ name, outside: match & ~mask, low: match & mask & 3 }).toEqual({ name, outside: 0, low: 3 });
    }
    for (const { name, match, mask } of compressed)
      expect({ name, outside: match & ~mask }).toEqual({ name, outside: 0 });
  });

  test("where two rows match the same bits, one is a special case of the other", () => {
    for (const [i, a] of instructions.entries()) {
      for (const b of instructions.slice(i + 1)) {
        const apart = ((a.match ^ b.match) & a.mask & b.mask) !== 0;
        const nested = a.mask !== b.mask && ((a.mask & b.mask) === a.mask || (a.mask & b.mask) === b.mask);
        if (!apart && !nested) throw new Error(`${a.name} and ${b.name} share encodings`);
      }
    }
  });

  test("of compressed rows that match the same bits, the special case stands first", () => {
    for (const [i, a] of compressed.entries()) {
      for (const b of compressed.slice(i + 1)) {
        const apart = ((a.match ^ b.match) & a.mask & b.mask) !== 0;
        if (!apart && (a.mask & b.mask) !== b.mask) throw new Error(`${a.name} hides encodings of ${b.name}`);
      }
    }
  });

  test("every compressed encoding expands to an instruction or is reserved", () => {
    const reserved: number[] = [];
    for (let halfword = 0; halfword < 0x10000; halfword++) {
      if ((halfword & 3) === 3) continue;
      const bits = decoder.expand(halfword);
      if (bits === 0) reserved.push(halfword);
      else expect(decoder.decode(bits)).toBeDefined();
    }
    // RISC-V Unpriv §27.8: quadrant 0 funct3 4; c.addi4spn, c.addiw, c.lwsp, c.ldsp, c.jr, c.lui and c.addi16sp without an operand.
    expect(reserved.length).toBe(2048 + 8 + 64 + 64 + 64 + 1 + 32 + 4 * 32);
  });

  test("operands are known by name", () => {
    for (const row of instructions) {
      const count = row.syntax === "" ? 0 : row.syntax.split(",").length + (row.syntax.includes("offset(") ? 1 : 0);
      expect(operandsOf(row).length).toBe(count + (row.extension === "a" ? 2 : 0));
    }
  });
});
