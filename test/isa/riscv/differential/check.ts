// Compares a machine with what QEMU computed; what differs is told in full.

import { disassemble } from "../../../../src/isa/riscv/disassemble.ts";
import { COUNT, readExpected, SEED } from "./expected.ts";
import type { Program, Runner } from "./program.ts";
import { createProgram, explain, hashDump, parseDumps } from "./program.ts";
import { hasQemu, runOnQemu } from "./qemu.ts";
import type { Sequence } from "./sequence.ts";

/** Failures beyond these are only counted. */
const TOLD_IN_FULL = 3;

/** Runs the first `count` recorded sequences and answers what is wrong, in words; nothing, if all is well. */
export async function checkAgainstRecorded(run: Runner, count = COUNT): Promise<string[]> {
  const program = createProgram(SEED, count);
  const expected = await readExpected();
  const dumps = parseDumps(run(program.elf), count);
  const wrong = dumps.flatMap((dump, i) => (hashDump(dump) === expected[i] ? [] : [i]));
  if (wrong.length === 0) return [];
  const theirs = hasQemu ? parseDumps(runOnQemu(program.elf), count) : undefined;
  return tell(program, wrong, dumps, theirs);
}

/** Runs sequences that were not recorded on both: for longer searches. */
export function checkAgainstQemu(run: Runner, seed: number, count: number): string[] {
  const program = createProgram(seed, count);
  const own = parseDumps(run(program.elf), count);
  const theirs = parseDumps(runOnQemu(program.elf), count);
  const wrong = own.flatMap((dump, i) => (dump === theirs[i] ? [] : [i]));
  return tell(program, wrong, own, theirs);
}

function tell({ sequences }: Program, wrong: readonly number[], own: readonly string[], theirs?: readonly string[]) {
  const told = wrong.slice(0, TOLD_IN_FULL).map((i) => {
    const differences = theirs
      ? explain(own[i], theirs[i])
      : ["(with QEMU installed, this says which registers differ)"];
    return [`sequence ${i}:`, ...differences, ...listing(sequences[i])].join("\n  ");
  });
  const rest = wrong.slice(TOLD_IN_FULL);
  return rest.length === 0 ? told : [...told, `and sequences ${rest.join(", ")}`];
}

/** A sequence as assembler text. */
export function listing({ start, bytes }: Sequence): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const half = view.getUint16(at, true);
    const length = (half & 3) === 3 ? 4 : 2;
    const bits = length === 4 ? view.getUint32(at, true) : half;
    lines.push(`${(start + at).toString(16)}: ${disassemble(bits, BigInt(start + at), length)}`);
    at += length;
  }
  return lines;
}
