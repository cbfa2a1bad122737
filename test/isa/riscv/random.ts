// Random numbers, and random instructions from the table; the same seed gives the same ones everywhere.

import type { Operands } from "../../../src/isa/riscv/encode.ts";
import { encode, operandsOf } from "../../../src/isa/riscv/encode.ts";
import type { Instruction } from "../../../src/isa/riscv/instructions/encoding.ts";
import { instructions } from "../../../src/isa/riscv/instructions/table.ts";

/** 32 random bits, as an unsigned number. */
export type Random = () => number;

/** SplitMix32: every seed is as good as another, so neighbouring seeds give unrelated streams. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}

export const below = (random: Random, limit: number): number => Math.floor((random() / 2 ** 32) * limit);
export const pick = <T>(random: Random, from: readonly T[]): T => from[below(random, from.length)];
export const chance = (random: Random, probability: number): boolean => random() < probability * 2 ** 32;
export const random64 = (random: Random): bigint => (BigInt(random()) << 32n) | BigInt(random());

/** A value that the immediate of this row can have; the extremes come often. */
export function randomImmediate(random: Random, row: Instruction): number {
  const within = (bits: number, step: number): number => {
    const half = 2 ** (bits - 1);
    const corners = [0, step, -step, half - step, -half];
    if (chance(random, 0.25)) return pick(random, corners);
    return (below(random, (2 * half) / step) - half / step) * step;
  };
  switch (row.immediate) {
    case "I":
    case "S":
      return within(12, 1);
    case "B":
      return within(13, 2);
    case "J":
      return within(21, 2);
    case "U":
      return (random() & ~0xfff) | 0;
    case "csr":
      return below(random, 4096);
    case "shamt":
      return below(random, (row.mask & 0x02000000) !== 0 ? 32 : 64);
    case "none":
      return 0;
  }
}

const ROUNDING_MODES = [0, 1, 2, 3, 4, 7];

/** Operands for a row, but for those that are given. */
export function randomOperands(random: Random, row: Instruction, given: Operands = {}): Operands {
  const operands: Record<string, number> = {};
  for (const name of operandsOf(row)) {
    operands[name] =
      given[name] ??
      (name === "imm"
        ? randomImmediate(random, row)
        : name === "rm"
          ? pick(random, ROUNDING_MODES)
          : below(random, name === "aq" || name === "rl" ? 2 : name === "pred" || name === "succ" ? 16 : 32));
  }
  return operands;
}

export interface RandomInstruction {
  readonly row: Instruction;
  readonly operands: Operands;
  readonly bits: number;
}

/** Any instruction of these extensions (of all, if none are named), every row as likely as another. */
export function randomInstruction(random: Random, extensions?: ReadonlySet<string>): RandomInstruction {
  const rows = extensions ? instructions.filter(({ extension }) => extensions.has(extension)) : instructions;
  const row = pick(random, rows);
  const operands = randomOperands(random, row);
  return { row, operands, bits: encode(row.name, operands) };
}
