import { expect, test } from "bun:test";
import { evaluate, FloatOp } from "../../../../src/isa/riscv/float/dispatch.ts";
import { binary64 } from "../../../../src/isa/riscv/float/format.ts";
import { operand, Random } from "./operands.ts";

test("operation numbers are dense and pairs of S and D are even and odd", () => {
  const entries: [string, number][] = Object.entries(FloatOp);
  expect(entries.map(([, op]) => op)).toEqual(entries.map((_, index) => index));
  expect(entries.filter(([name, op]) => /^[a-z]+D$/.test(name) && op % 2 === 0)).toEqual([]);
});

test("operands may come as the signed integers that WebAssembly hands out", () => {
  const random = new Random(8n);
  for (const op of Object.values(FloatOp)) {
    for (let i = 0; i < 100; i++) {
      const [a, b, c] = [operand(binary64, random), operand(binary64, random), operand(binary64, random)];
      const signed = [a, b, c].map((bits) => BigInt.asIntN(64, bits));
      expect(evaluate(op, i % 5, signed[0], signed[1], signed[2])).toEqual(evaluate(op, i % 5, a, b, c));
    }
  }
});

test("results are patterns of their width", () => {
  const random = new Random(9n);
  for (const [name, op] of Object.entries(FloatOp)) {
    const width = /^(cvtS|[a-z]+S$)/.test(name) ? 32 : 64;
    for (let i = 0; i < 100; i++) {
      const { bits } = evaluate(op, i % 5, operand(binary64, random), operand(binary64, random), 0n);
      expect([name, BigInt.asUintN(width, bits)]).toEqual([name, bits]);
    }
  }
});

test("a number without an operation is an error of the caller", () => {
  expect(() => evaluate(99, 0, 0n, 0n, 0n)).toThrow("no floating-point operation has number 99");
});
