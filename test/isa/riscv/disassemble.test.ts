import { describe, expect, test } from "bun:test";
import { csrs } from "../../../src/isa/riscv/csr-table.ts";
import { createDecoder } from "../../../src/isa/riscv/decode.ts";
import { disassemble } from "../../../src/isa/riscv/disassemble.ts";
import { encode } from "../../../src/isa/riscv/encode.ts";
import { instructions } from "../../../src/isa/riscv/instructions/table.ts";
import { disassembleHalfwords, disassembleWords, HOW_TO_GET_BINUTILS, hasBinutils } from "./binutils.ts";
import { BLOCK, blockHashes, halfwords, ownTexts } from "./compressed-texts.ts";
import { below, createRandom, pick, randomOperands } from "./random.ts";

if (!hasBinutils) console.warn(`skipped: comparison with objdump. ${HOW_TO_GET_BINUTILS}`);

/**
 * Instructions with fields that the architecture tells us to ignore, and binutils 2.40 wants to be 0: RISC-V Unpriv §2.7, §6,
 * and the rounding mode of conversions that are always exact.
 */
const JUDGED_DIFFERENTLY = new Set(["fence", "fence.i", "fcvt.d.w", "fcvt.d.wu", "fcvt.d.s"]);

/** The one encoding that binutils names although it is reserved: C.ADDI16SP by 0. RISC-V Unpriv §27.5.1 */
const RESERVED_BUT_NAMED = 0x6101;

describe("compressed", () => {
  test("all 49,152 encodings read as recorded from binutils", async () => {
    const recorded = await Bun.file(new URL("compressed-texts.txt", import.meta.url)).text();
    const own = ownTexts();
    expect(own.length).toBe(49152);
    own[halfwords.indexOf(RESERVED_BUT_NAMED)] = "c.addi16sp sp,0";
    const hashes = blockHashes(own);
    const differing = recorded
      .trim()
      .split("\n")
      .flatMap((hash, i) => (hash === hashes[i] ? [] : [`from 0x${(i * BLOCK).toString(16)}`]));
    expect(differing).toEqual([]);
    expect(recorded.trim().split("\n").length).toBe(hashes.length);
  });

  test.skipIf(!hasBinutils)("all 49,152 encodings read as binutils has them", () => {
    const theirs = disassembleHalfwords(halfwords);
    const own = ownTexts();
    const differing = [...halfwords].flatMap((halfword, i) =>
      own[i] === theirs[i] ? [] : [`0x${halfword.toString(16)}: ${own[i]}, binutils: ${theirs[i]}`],
    );
    expect(differing).toEqual(["0x6101: .2byte 0x6101, binutils: c.addi16sp sp,0"]);
  });
});

describe("32-bit", () => {
  const random = createRandom(2);
  const csrNumbers = csrs.map(({ number }) => number);

  test.skipIf(!hasBinutils)("every instruction of the table reads as binutils has it", () => {
    const words: number[] = [];
    for (const row of instructions) {
      for (let i = 0; i < 50; i++) {
        const known = row.immediate === "csr" ? { imm: pick(random, csrNumbers) } : {};
        // binutils 2.40 does not know other modes where the result is always exact.
        const exact = row.syntax.endsWith("rm?") ? { rm: 0 } : {};
        words.push(encode(row.name, randomOperands(random, row, { ...known, ...exact })));
      }
    }
    const theirs = disassembleWords(words);
    const own = words.map((bits, i) => disassemble(bits, BigInt(i * 4), 4));
    const differing = words.flatMap((bits, i) =>
      sameText(own[i], theirs[i]) ? [] : [`0x${bits.toString(16)}: ${own[i]}, binutils: ${theirs[i]}`],
    );
    expect(differing).toEqual([]);
  });

  test.skipIf(!hasBinutils)("every CSR has the name that binutils gives it", () => {
    const words = csrNumbers.map((imm) => encode("csrrs", { rd: 5, imm, rs1: 6 }));
    expect(words.map((bits) => disassemble(bits, 0n, 4))).toEqual(disassembleWords(words));
  });

  // Random words are hardly ever instructions, so these are instructions of the table with some of their fixed bits changed.
  test.skipIf(!hasBinutils)(
    "what the table does not know, binutils does not know either, and the other way round",
    () => {
      const decoder = createDecoder(new Set(instructions.map(({ extension }) => extension)));
      const words = Array.from({ length: 20000 }, () => {
        const { match, mask } = pick(random, instructions);
        const changed = random() & ~mask;
        const flips = (1 << below(random, 32)) | (random() & random() & random());
        return ((((match | changed) ^ (flips & mask)) & ~3) | 3) >>> 0;
      }).filter((bits) => (bits & 0x1c) !== 0x1c);
      const theirs = disassembleWords(words);
      const differing = words.flatMap((bits, i) => {
        const known = !theirs[i].startsWith(".4byte") && !theirs[i].includes("unknown");
        const decoded = decoder.decode(bits) !== undefined;
        if (known === decoded || JUDGED_DIFFERENTLY.has(decoder.decode(bits)?.instruction.name ?? "")) return [];
        return [`0x${bits.toString(16)}: ${disassemble(bits, BigInt(i * 4), 4)}, binutils: ${theirs[i]}`];
      });
      expect(differing).toEqual([]);
      // Both answers must be common, or nothing was compared.
      const known = words.filter((bits) => decoder.decode(bits)).length;
      expect(known).toBeGreaterThan(2000);
      expect(words.length - known).toBeGreaterThan(2000);
    },
  );

  test("reads well without binutils", () => {
    const at = (bits: number) => disassemble(bits, 0x80000000n, 4);
    expect(at(encode("lui", { rd: 10, imm: 0xfffff000 | 0 }))).toBe("lui a0,0xfffff");
    expect(at(encode("beq", { rs1: 10, rs2: 11, imm: -8 }))).toBe("beq a0,a1,0x7ffffff8");
    expect(at(encode("jal", { rd: 1, imm: 0x1234 }))).toBe("jal ra,0x80001234");
    expect(at(encode("sd", { rs1: 2, rs2: 8, imm: -16 }))).toBe("sd s0,-16(sp)");
    expect(at(encode("amoadd.w", { rd: 10, rs1: 12, rs2: 11, aq: 1, rl: 1 }))).toBe("amoadd.w.aqrl a0,a1,(a2)");
    expect(at(encode("fmadd.d", { rd: 0, rs1: 1, rs2: 2, rs3: 3, rm: 1 }))).toBe("fmadd.d ft0,ft1,ft2,ft3,rtz");
    expect(at(encode("csrrwi", { rd: 0, imm: 0x300, rs1: 8 }))).toBe("csrrwi zero,mstatus,8");
    expect(at(encode("fence", { pred: 3, succ: 1 }))).toBe("fence rw,w");
    expect(at(0x8330000f)).toBe("fence.tso");
    expect(at(0xc0001073)).toBe("unimp");
    expect(at(0xffffffff)).toBe(".4byte 0xffffffff");
    // Rounding modes 5 and 6 do not exist.
    expect(at(0x0015d053)).toBe(".4byte 0x15d053");
  });
});

/** objdump writes a branch target without `0x` where it lies in a section. */
function sameText(own: string, theirs: string): boolean {
  return own === theirs || own.replace(/0x([0-9a-f]+)$/, "$1") === theirs;
}
