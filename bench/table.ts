/** Markdown tables whose columns line up, so that they read the same in a terminal, in a pipe and in a note. */

import { threeDigits } from "../src/observe/bench/statistics.ts";
import type { Row } from "./benchmark.ts";

type Align = "left" | "right";

export interface Column {
  readonly title: string;
  readonly align: Align;
}

export function table(columns: readonly Column[], lines: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, i) => Math.max(title.length, 3, ...lines.map((line) => line[i].length)));
  const row = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (columns[i].align === "left" ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(" | ")} |`;
  const rule = columns.map(({ align }, i) =>
    align === "left" ? "-".repeat(widths[i]) : `${"-".repeat(widths[i] - 1)}:`,
  );
  return [row(columns.map(({ title }) => title)), `| ${rule.join(" | ")} |`, ...lines.map(row)].join("\n");
}

/** Comparisons as a table: the ratio first, then how far it moved, then what it is made of. */
export function comparisons(rows: readonly Row[], what: string, subject: string, peer: string): string {
  const columns: Column[] = [
    { title: what, align: "left" },
    { title: `${subject} / ${peer}`, align: "right" },
    { title: "from", align: "right" },
    { title: "to", align: "right" },
    { title: subject, align: "right" },
    { title: peer, align: "right" },
    { title: "runs", align: "right" },
  ];
  return table(
    columns,
    rows.map((r) => [
      r.what,
      `${threeDigits(r.ratio)}x`,
      threeDigits(r.low),
      threeDigits(r.high),
      r.subject,
      r.peer,
      String(r.rounds),
    ]),
  );
}
