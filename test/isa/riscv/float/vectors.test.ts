// Replays what another implementation computed, over every operation, rounding mode and combination of flags.

import { describe, expect, test } from "bun:test";
import { evaluate, FloatOp } from "../../../../src/isa/riscv/float/dispatch.ts";

interface Vector {
  readonly line: string;
  readonly operation: string;
  readonly rm: number;
  readonly operands: readonly bigint[];
}

const hex = (digits: string): bigint => BigInt(`0x${digits}`);

/** A line is `operation rm operands = result flags`. */
function parse(line: string): Vector {
  const [question] = line.split(" = ");
  const [operation, rm, ...operands] = question.split(" ");
  return { line, operation, rm: Number(rm), operands: operands.map(hex) };
}

const text = await Bun.file(new URL("vectors.txt", import.meta.url)).text();
const vectors = text
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map(parse);

describe("recorded vectors", () => {
  for (const [name, op] of Object.entries(FloatOp)) {
    test(name, () => {
      const own = vectors.filter(({ operation }) => operation === name);
      expect(own.length).toBeGreaterThan(0);
      const replayed = own.map(({ line, rm, operands: [a, b = 0n, c = 0n] }) => {
        const { bits, flags } = evaluate(op, rm, a, b, c);
        return `${line.split(" = ")[0]} = ${bits.toString(16)} ${flags}`;
      });
      expect(replayed).toEqual(own.map(({ line }) => line));
    });
  }

  test("name only operations that exist", () => {
    expect(vectors.filter(({ operation }) => !(operation in FloatOp))).toEqual([]);
  });
});
