/** The door of the benchmarks: which to run, in what order, and how the figures are shown. `bun run bench --help` */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Benchmark, Context, Report } from "./benchmark.ts";
import { benchmarks, select } from "./catalogue.ts";
import { describeMachine, findQemu } from "./surroundings.ts";
import { comparisons } from "./table.ts";

const HELP = `bun run bench [NAMES...] [--quick] [--json FILE] [--list]
bun run bench engine --help        how fast guest code runs, kernel by kernel

Compares vmrun with qemu-system-riscv64, and hot paths with something that everyone knows. Every figure is a ratio of
times (below 1: vmrun, or the path, takes less), from runs that take turns; absolute times are medians of the same runs.

  NAMES        benchmarks, or "whole" (processes beside QEMU) or "parts" (inside this process); all when omitted
  --quick      fewer rounds and shorter runs: a minute for everything
  --json FILE  write the figures to FILE, too
  --list       tell what there is`;

/** CPU time for one measurement of a part, ns. */
const PART_TIME = { full: 150e6, quick: 15e6 } as const;

interface Result {
  readonly benchmark: Benchmark;
  readonly report: Report;
}

async function main(args: string[]): Promise<number> {
  if (args[0] === "engine") return (await import("./engine/main.ts")).engine(args.slice(1));
  const options = readOptions(args);
  if (options === undefined) return 2;
  const { values, positionals } = options;
  if (values.help) return say(HELP);
  if (values.list) return say(benchmarks.map((b) => `${b.name.padEnd(12)} ${b.kind}   ${b.summary}`).join("\n"));
  const chosen = select(positionals);
  if (typeof chosen === "string") {
    process.stderr.write(`${chosen}\n`);
    return 2;
  }

  const qemu = findQemu();
  const machine = describeMachine(qemu);
  const command = ["bun bench/main.ts", ...args].join(" ");
  say(`${machine}\n${command}`);
  const folder = mkdtempSync(join(tmpdir(), "vmrun-bench-"));
  const begun = Bun.nanoseconds();
  let failures = 0;
  const results: Result[] = [];
  try {
    for (const benchmark of chosen) {
      const context: Context = {
        quick: values.quick,
        qemu,
        folder,
        partTime: values.quick ? PART_TIME.quick : PART_TIME.full,
        progress: (text) => process.stderr.write(`${((Bun.nanoseconds() - begun) / 1e9).toFixed(0)} s  ${text}\n`),
      };
      try {
        results.push({ benchmark, report: await benchmark.run(context) });
      } catch (error) {
        failures++;
        process.stderr.write(`${benchmark.name} failed: ${error instanceof Error ? error.message : error}\n`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  show(results);
  if (values.json !== undefined) writeFileSync(values.json, toJson(machine, command, results));
  return failures === 0 ? 0 : 1;
}

function readOptions(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        quick: { type: "boolean", default: false },
        json: { type: "string" },
        list: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${HELP}\n`);
    return undefined;
  }
}

function show(results: readonly Result[]): void {
  const rowsOf = (kind: Benchmark["kind"]) =>
    results.filter(({ benchmark }) => benchmark.kind === kind).flatMap(({ report }) => report.rows);
  const [whole, parts] = [rowsOf("whole"), rowsOf("parts")];
  if (whole.length > 0) say(`\n${comparisons(whole, "whole runs", "vmrun", "QEMU")}`);
  if (parts.length > 0) say(`\n${comparisons(parts, "parts", "path", "yardstick")}`);
  for (const { benchmark, report } of results)
    for (const reason of report.skipped ?? []) say(`\nSKIPPED ${benchmark.name}: ${reason}`);
}

function toJson(machine: string, command: string, results: readonly Result[]): string {
  const entries = results.map(({ benchmark: { name, kind }, report }) => ({ name, kind, ...report }));
  return `${JSON.stringify({ machine, command, results: entries }, null, 2)}\n`;
}

function say(text: string): 0 {
  process.stdout.write(`${text}\n`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
