import { expect, test } from "bun:test";
import { ExitCode } from "../../src/cli/exit-codes.ts";

test("no two ends of a run look alike", () => {
  const codes = Object.values(ExitCode);
  expect(new Set(codes).size).toBe(codes.length);
});
