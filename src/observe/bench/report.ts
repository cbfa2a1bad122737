/** What was measured as a table for people, and as CSV for programs. */
import type { Comparison } from "./compare.ts";
import { type BenchReport, type Figure, RUNNERS, type RunnerName, rowName, spread } from "./figures.ts";
import { duration, threeDigits } from "./statistics.ts";

/** Rows of cells in columns; those in `right` are numbers. Nothing trails. */
export function aligned(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

const TITLES: Readonly<Record<RunnerName, string>> = {
  interpreter: "INTERPRETER",
  translator: "TRANSLATOR",
  qemu: "QEMU",
  host: "HOST",
};

/** A row for what was measured, a column for each who did it: the median, and how far half of the runs lie from it. */
export function benchTable({ figures, ratios = [] }: BenchReport): string {
  const rows = new Map<string, Map<RunnerName, Figure>>();
  for (const figure of figures) {
    const row = rows.get(rowName(figure)) ?? new Map();
    rows.set(rowName(figure), row.set(figure.runner, figure));
  }
  if (rows.size === 0) return "";
  const runners = RUNNERS.filter((runner) => figures.some((figure) => figure.runner === runner));
  const against = runners.filter((runner) => ratios.some((ratio) => ratio.runner === runner));
  const head = ["", "WHAT", "BYTES", ...runners.flatMap((runner) => [TITLES[runner], "+-"])];
  for (const runner of against) head.push(`${TITLES[runner]}/QEMU`);
  const body = [...rows].map(([name, row]) => {
    const { subject, what, width } = [...row.values()][0]!;
    const cells = runners.flatMap((runner) => {
      const figure = row.get(runner);
      return figure ? [duration(figure.median), duration(spread(figure))] : ["", ""];
    });
    const shares = against.map((runner) => {
      const ratio = ratios.find((one) => one.runner === runner && rowName(one) === name);
      return ratio ? `${threeDigits(ratio.ratio)}x (${threeDigits(ratio.low)}-${threeDigits(ratio.high)})` : "";
    });
    return [subject, what, width === undefined ? "" : String(width), ...cells, ...shares];
  });
  return aligned(
    [head, ...body],
    head.map((_, i) => i).filter((i) => i > 1),
  );
}

const COLUMNS = ["subject", "what", "width", "runner", "median", "deviation", "min", "max", "samples"] as const;

/** Times are in ns. */
export function benchCsv({ figures }: BenchReport): string {
  return csv(COLUMNS, figures);
}

/** RFC 4180, a header first; what a row does not have is empty. */
export function csv<Column extends string>(
  columns: readonly Column[],
  rows: readonly { readonly [name in Column]?: string | number }[],
): string {
  const lines = rows.map((row) => columns.map((column) => quoted(row[column] ?? "")).join(","));
  return `${[columns.join(","), ...lines].join("\r\n")}\r\n`;
}

function quoted(value: string | number): string {
  const text = typeof value === "number" && !Number.isInteger(value) ? value.toFixed(3) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** What changed beyond noise, the worst first; and what cannot be compared. */
export function comparisonText({ changes, gone, added, doubts }: Comparison, path: string): string {
  const told = changes.filter(({ verdict }) => verdict !== "same").sort((a, b) => b.ratio - a.ratio);
  const text = doubts.map((doubt) => `beware: ${doubt}\n`);
  const count = (verdict: string) => changes.filter((change) => change.verdict === verdict).length;
  text.push(
    `Against ${path}: ${count("slower")} slower, ${count("faster")} faster, ${count("same")} as before (or within noise)\n`,
  );
  if (told.length > 0) {
    const rows = told.map(({ name, before, after, ratio, verdict }) => [
      verdict,
      name,
      duration(before.median),
      duration(after.median),
      `${threeDigits(ratio)}x`,
    ]);
    text.push(aligned([["", "WHAT", "BEFORE", "NOW", "RATIO"], ...rows], [2, 3, 4]));
  }
  if (gone.length > 0) text.push(`not measured this time: ${gone.join(", ")}\n`);
  if (added.length > 0) text.push(`not measured then: ${added.join(", ")}\n`);
  return text.join("");
}
