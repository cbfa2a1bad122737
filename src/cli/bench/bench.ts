/** `vmrun bench`: what the exits of a board cost, register by register, and what changed since a saved run. */
import { resolve } from "node:path";
import { fail } from "../../diagnostics/diagnostic.ts";
import { type BenchOptions, benchBoardOf, subjectsOf } from "../../observe/bench/bench.ts";
import { compareReports } from "../../observe/bench/compare.ts";
import type { BenchReport } from "../../observe/bench/figures.ts";
import { FULL, QUICK } from "../../observe/bench/measure.ts";
import { mergePasses } from "../../observe/bench/passes.ts";
import { benchCsv, benchTable, comparisonText } from "../../observe/bench/report.ts";
import { parseReport, readReport, reportText, saveReport } from "../../observe/bench/saved.ts";
import { withPlaces } from "../../profile/provenance.ts";
import { occurrences, positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadFromArguments, profileArguments } from "../profile-argument.ts";
import { summaries } from "../summaries.ts";
import { benchArguments, enginesFrom, ProgressLine } from "./arguments.ts";

/** Runs where figures are kept or compared. */
const PASSES = 5;
const MOST_PASSES = 100;
const CLI = resolve(import.meta.dir, "../../cli.ts");
const SHIPPED = resolve(import.meta.dir, "../../../profiles/virt-rv64.toml");

const args = {
  profile: { ...profileArguments.profile, required: false, description: "board profile; virt-rv64 when omitted" },
  set: profileArguments.set,
  only: {
    type: "string",
    valueHint: "NAME",
    description: "a vdev, a register as uart0.SCR, hart0 (interrupts) or board (tree, start). Repeats",
  },
  widths: { type: "boolean", description: "accesses narrower than the register as well" },
  ...benchArguments,
  passes: {
    type: "string",
    valueHint: "N",
    description: "so many runs in processes of their own, whose medians count; 5 with --save and --against, else 1",
  },
  save: { type: "string", valueHint: "FILE", description: "write the figures to FILE, for --against" },
  against: {
    type: "string",
    valueHint: "FILE",
    description: "tell what changed since a saved run beyond noise; exit code 9 if anything became slower",
  },
  vs: {
    type: "string",
    valueHint: "qemu",
    description:
      "the same guest under qemu-system-riscv64 in turns, as far as its virt board has the same; with ratios",
  },
  list: { type: "boolean", description: "tell what would be measured, and what not and why" },
} as const;

export const bench = defineCommand({
  meta: {
    name: "bench",
    description: summaries.bench,
  },
  args,
  async run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const paths = positionals(rawArgs, args);
    if (paths.length > 1) fail("cli/usage", "it takes one profile");
    if (given.json && given.csv) fail("cli/usage", "--json and --csv exclude each other");
    if (given.vs !== undefined && given.vs !== "qemu") {
      fail("cli/vs", `vmrun cannot be compared with "${given.vs}"`, { hint: "--vs qemu" });
    }
    if (given.vs !== undefined && given.widths) fail("cli/usage", "--vs measures registers in their own width");
    const engines = enginesFrom(rawArgs);
    const path = paths[0] ?? SHIPPED;
    const saved = given.against === undefined ? undefined : readReport(given.against);
    const { board, registry, provenance } = await loadFromArguments(path, rawArgs);
    const widths = given.widths ? "all" : "own";
    if (given.list) {
      const { accesses, queues, left } = withPlaces(provenance, () => subjectsOf(board, registry, widths));
      const lines = [...accesses, ...queues].map(
        (one) => `${one.subject}  ${one.what}${"width" in one ? `/${one.width}` : ""}`,
      );
      lines.push("hart0  interrupts, timers", "board  device tree, machine start");
      lines.push(...left.map(({ subject, reason }) => `${subject}  left out: ${reason}`));
      process.stdout.write(`${lines.join("\n")}\n`);
      return ExitCode.success;
    }
    const line = new ProgressLine();
    const passes = passesFrom(given);
    const options: BenchOptions = {
      engines,
      effort: given.quick ? QUICK : FULL,
      quick: given.quick === true,
      widths,
      only: occurrences(rawArgs, ["only"]).map(({ value }) => value),
      progress: (...step) => line.tell(...step),
    };
    const measured =
      passes > 1
        ? runPasses(passes, passArguments(path, rawArgs, given), line)
        : given.vs
          ? (await import("../../observe/bench/qemu.ts")).benchAgainstQemu(board, registry, board.name, options)
          : benchBoardOf(board, registry, board.name, options);
    const report = await measured.finally(() => line.clear());
    if (given.save !== undefined) saveReport(given.save, report);
    const compared = saved && compareReports(saved, report);
    if (given.json) process.stdout.write(reportText(report));
    else if (given.csv) process.stdout.write(benchCsv(report));
    else process.stdout.write(benchTable(report));
    if (compared === undefined) return ExitCode.success;
    // Programs read the figures; a person reads this.
    const out = given.json || given.csv ? process.stderr : process.stdout;
    out.write(`\n${comparisonText(compared, given.against!)}`);
    return compared.changes.some(({ verdict }) => verdict === "slower") ? ExitCode.different : ExitCode.success;
  },
});

interface Given {
  readonly passes?: string;
  readonly save?: string;
  readonly against?: string;
  readonly quick?: boolean;
  readonly widths?: boolean;
  readonly vs?: string;
}

function passesFrom({ passes, save, against }: Given): number {
  if (passes === undefined) return save === undefined && against === undefined ? 1 : PASSES;
  const count = Number(passes);
  if (/^\d+$/.test(passes) && count >= 1 && count <= MOST_PASSES) return count;
  return fail("cli/passes", `--passes takes a number from 1 to ${MOST_PASSES}, and "${passes}" is none`);
}

/** The same measurement, once, as JSON. */
function passArguments(path: string, rawArgs: readonly string[], { quick, widths, vs }: Given): string[] {
  const repeated = occurrences(rawArgs, ["set", "only", "engine"]).map(({ name, value }) => `--${name}=${value}`);
  const flags = [...(quick ? ["--quick"] : []), ...(widths ? ["--widths"] : []), ...(vs ? [`--vs=${vs}`] : [])];
  return ["bench", path, ...repeated, ...flags, "--json"];
}

async function runPasses(count: number, args: readonly string[], line: ProgressLine): Promise<BenchReport> {
  const reports: BenchReport[] = [];
  for (let pass = 1; pass <= count; pass++) {
    line.tell("a process of its own", pass, count);
    const child = Bun.spawn([process.execPath, CLI, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [text, notes] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    if ((await child.exited) !== 0) {
      fail("bench/pass", `run ${pass} of ${count} failed: ${notes.trim() || child.signalCode || child.exitCode}`);
    }
    reports.push(parseReport(text, `run ${pass}`));
  }
  return mergePasses(reports);
}
