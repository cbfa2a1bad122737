/** Every instruction, in one table: decoder, interpreter, translator, disassembler, encoder and tests are all made from it. */
import { atomic } from "./atomic.ts";
import { base } from "./base.ts";
import { addressGeneration, basicBits, singleBits } from "./bits.ts";
import type { Instruction } from "./encoding.ts";
import { float } from "./float.ts";
import { multiply } from "./multiply.ts";
import { system } from "./system.ts";

export const instructions: readonly Instruction[] = [
  ...base,
  ...multiply,
  ...atomic,
  ...addressGeneration,
  ...basicBits,
  ...singleBits,
  ...float,
  ...system,
];

const byName = new Map(instructions.map((row) => [row.name, row]));

/** The row of the table with this name. */
export function instructionNamed(name: string): Instruction {
  const row = byName.get(name);
  if (!row) throw new RangeError(`no instruction is called "${name}"`);
  return row;
}
