/** A run of `vmrun bench` in a file: written by `--save`, read by `--against`. */
import { readFileSync, writeFileSync } from "node:fs";
import * as v from "valibot";
import { fail } from "../../diagnostics/diagnostic.ts";
import { type BenchReport, RUNNERS } from "./figures.ts";

const number = v.pipe(v.number(), v.finite());
const key = { subject: v.string(), what: v.string(), width: v.optional(number), runner: v.picklist(RUNNERS) };
const Report = v.object({
  format: v.literal(1),
  profile: v.string(),
  machine: v.string(),
  quick: v.boolean(),
  figures: v.array(
    v.object({
      ...key,
      median: number,
      deviation: number,
      min: number,
      max: number,
      samples: number,
      passes: v.optional(v.array(number)),
    }),
  ),
  ratios: v.optional(v.array(v.object({ ...key, ratio: number, low: number, high: number, rounds: number }))),
  left: v.array(v.object({ subject: v.string(), reason: v.string() })),
});

export function reportText(report: BenchReport): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** Throws a `VmrunError` where the file cannot be written. */
export function saveReport(path: string, report: BenchReport): void {
  try {
    writeFileSync(path, reportText(report));
  } catch (error) {
    fail("bench/save", `cannot write ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

/** Throws a `VmrunError` where there is no such file or it holds something else. */
export function readReport(path: string): BenchReport {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    fail("bench/saved", `cannot read ${path}: ${error instanceof Error ? error.message : error}`, {
      hint: "vmrun bench --save FILE writes one",
    });
  }
  return parseReport(text, path);
}

/** `name` is what the text is called where it is none. */
export function parseReport(text: string, name: string): BenchReport {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const checked = v.safeParse(Report, json);
  if (checked.success) return checked.output;
  return fail("bench/saved", `${name} is no saved run of vmrun bench`, {
    hint: "vmrun bench --save FILE writes one; those of other versions may have another format",
  });
}
