import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "../../bench/benchmark.ts";
import { benchmarks, select } from "../../bench/catalogue.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

function contextWithoutQemu(): Context & { readonly said: string[] } {
  const said: string[] = [];
  return { quick: true, qemu: undefined, folder, partTime: 1, progress: (text) => said.push(text), said };
}

describe("parts", () => {
  for (const part of benchmarks.filter((b) => b.kind === "parts")) {
    test(`${part.name} runs and compares`, async () => {
      const context = contextWithoutQemu();
      const { rows, skipped } = await part.run(context);
      expect(rows.length).toBeGreaterThan(0);
      expect(skipped).toBeUndefined();
      expect(context.said).toEqual(rows.map((row) => row.what));
      for (const { ratio, low, high, seconds } of rows) {
        expect(low).toBeGreaterThan(0);
        expect(ratio).toBeGreaterThanOrEqual(low);
        expect(high).toBeGreaterThanOrEqual(ratio);
        expect(seconds.subject).toBeGreaterThan(0);
        expect(seconds.peer).toBeGreaterThan(0);
      }
    });
  }
});

describe("whole runs", () => {
  for (const whole of benchmarks.filter((b) => b.kind === "whole")) {
    test(`${whole.name} says that it is skipped where there is no QEMU`, async () => {
      const { rows, skipped } = await whole.run(contextWithoutQemu());
      expect(rows).toEqual([]);
      expect(skipped?.[0]).toContain("no qemu-system-riscv64 in PATH");
    });
  }
});

describe("the catalogue", () => {
  test("has every name once", () => {
    const names = benchmarks.map((b) => b.name);
    expect(new Set([...names, "whole", "parts"]).size).toBe(names.length + 2);
  });

  test("is all of it without names, else what is named, in its own order", () => {
    const names = (chosen: ReturnType<typeof select>) =>
      typeof chosen === "string" ? chosen : chosen.map((b) => b.name);
    expect(select([])).toBe(benchmarks);
    expect(names(select(["uart", "bus"]))).toEqual(["bus", "uart"]);
    expect(names(select(["whole"]))).toEqual(benchmarks.filter((b) => b.kind === "whole").map((b) => b.name));
    expect(names(select(["bus", "bis"]))).toBe("no benchmark is called bis; --list tells what there is");
  });
});
