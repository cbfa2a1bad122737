// A program of many sequences as an ELF file, and what it prints.

import { createHash } from "node:crypto";
import { createRandom } from "../random.ts";
import type { Segment } from "./elf.ts";
import { writeElf } from "./elf.ts";
import { createHarness } from "./harness.ts";
import {
  CORNER_COUNT,
  CORNERS,
  DUMP_DWORDS,
  Dump,
  HARNESS,
  MAX_SEQUENCES,
  RECORD_DWORDS,
  RECORDS,
  Record,
  SCRATCH_DWORDS,
  SLOT,
  SLOTS,
} from "./layout.ts";
import type { Sequence } from "./sequence.ts";
import { createSequence } from "./sequence.ts";
import { randomFloat, randomInteger } from "./values.ts";

/** Runs an ELF file on a machine like QEMU's `virt` until it powers off, and answers what it printed. */
export type Runner = (elf: Uint8Array) => string;

export interface Program {
  readonly elf: Uint8Array;
  readonly sequences: readonly Sequence[];
}

/** The same seed gives the same sequences, also where fewer of them are asked for. */
export function createProgram(seed: number, count: number): Program {
  if (count > MAX_SEQUENCES) throw new RangeError(`at most ${MAX_SEQUENCES} sequences fit into a program`);
  const { code, dump } = createHarness(count);
  const records = new BigUint64Array(count * RECORD_DWORDS);
  const sequences: Sequence[] = [];
  const segments: Segment[] = [{ address: HARNESS, bytes: code }];
  for (let i = 0; i < count; i++) {
    const random = createRandom(seed * MAX_SEQUENCES + i);
    const sequence = createSequence(random, SLOTS + (i + 1) * SLOT, dump);
    const record = records.subarray(i * RECORD_DWORDS, (i + 1) * RECORD_DWORDS);
    record[Record.entry] = BigInt(sequence.start);
    record[Record.fcsr] = BigInt((random() % 5) << 5);
    for (let j = 0; j < SCRATCH_DWORDS; j++)
      record[Record.scratch + j] = j % 2 ? randomFloat(random) : randomInteger(random);
    for (let j = 0; j < 32; j++) record[Record.f + j] = randomFloat(random);
    for (let j = 0; j < 32; j++) record[Record.x + j] = randomInteger(random);
    sequences.push(sequence);
    segments.push({ address: sequence.start, bytes: sequence.bytes });
  }
  const random = createRandom(seed);
  const corners = BigUint64Array.from({ length: CORNER_COUNT }, (_, i) =>
    i % 2 ? randomFloat(random) : randomInteger(random),
  );
  segments.push({ address: CORNERS, bytes: new Uint8Array(corners.buffer) });
  segments.push({ address: RECORDS, bytes: new Uint8Array(records.buffer) });
  return { elf: writeElf(HARNESS, merge(segments)), sequences };
}

/** One segment for all the code: loaders may limit how many there are. */
function merge(segments: readonly Segment[]): readonly Segment[] {
  const [code, data] = [segments.slice(0, -2), segments.slice(-2)];
  const end = Math.max(...code.map(({ address, bytes }) => address + bytes.length));
  const bytes = new Uint8Array(end - HARNESS);
  for (const segment of code) bytes.set(segment.bytes, segment.address - HARNESS);
  return [{ address: HARNESS, bytes }, ...data];
}

/** The dumps, one line for each sequence. Fails where the output is not what a complete run prints. */
export function parseDumps(output: string, count: number): string[] {
  const lines = output.split(/\r?\n/).filter((line) => line !== "");
  const wrong = lines.findIndex((line) => !/^[0-9a-f]+$/.test(line) || line.length !== DUMP_DWORDS * 16);
  if (wrong >= 0) throw new Error(`sequence ${wrong} printed no dump: ${lines[wrong].slice(0, 80)}`);
  if (lines.length !== count) throw new Error(`${lines.length} of ${count} sequences printed a dump`);
  return lines;
}

/** Short, for the recorded file: 32 bits tell two different dumps apart often enough. */
export function hashDump(dump: string): string {
  return createHash("sha256").update(dump).digest("hex").slice(0, 8);
}

/** What of two dumps differs, for people. */
export function explain(own: string, other: string): string[] {
  const dword = (dump: string, i: number) =>
    `0x${dump
      .slice(i * 16, i * 16 + 16)
      .match(/../g)!
      .reverse()
      .join("")}`;
  return Array.from({ length: DUMP_DWORDS }, (_, i) => i)
    .filter((i) => dword(own, i) !== dword(other, i))
    .map((i) => `${placeName(i)}: ${dword(own, i)}, expected ${dword(other, i)}`);
}

function placeName(i: number): string {
  if (i === Dump.traps) return "traps taken";
  if (i < Dump.f) return `x${i}`;
  if (i < Dump.fcsr) return `f${i - Dump.f}`;
  if (i === Dump.fcsr) return "fcsr";
  if (i === Dump.sscratch) return "sscratch";
  if (i === Dump.trapHash) return "hash of traps";
  return `scratch+${(i - Dump.scratch) * 8}`;
}
