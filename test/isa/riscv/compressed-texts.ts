// All encodings of 16 bits and their texts; compressed-texts.txt holds a hash of every 256 of binutils'.
// `bun test/isa/riscv/compressed-texts.ts` records them again.

import { createHash } from "node:crypto";
import { disassemble } from "../../../src/isa/riscv/disassemble.ts";
import { disassembleHalfwords } from "./binutils.ts";

/** Halfwords whose low bits do not announce a longer instruction, in order. */
export const halfwords = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((halfword) => (halfword & 3) !== 3);

/** Encodings that share a hash: those of 256 consecutive numbers. */
export const BLOCK = 256;
const TEXTS_PER_BLOCK = (BLOCK / 4) * 3;

/** Our texts; the halfwords lie one behind the other from address 0. */
export function ownTexts(): string[] {
  return Array.from(halfwords, (halfword, i) => disassemble(halfword, BigInt(i * 2), 2));
}

export function blockHashes(texts: readonly string[]): string[] {
  return Array.from({ length: texts.length / TEXTS_PER_BLOCK }, (_, block) => {
    const own = texts.slice(block * TEXTS_PER_BLOCK, (block + 1) * TEXTS_PER_BLOCK);
    return createHash("sha256").update(own.join("\n")).digest("hex").slice(0, 8);
  });
}

if (import.meta.main) {
  const hashes = blockHashes(disassembleHalfwords(halfwords));
  await Bun.write(new URL("compressed-texts.txt", import.meta.url), `${hashes.join("\n")}\n`);
}
