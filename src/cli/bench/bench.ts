/** `vmrun bench`: what the exits of a board cost, register by register, and what changed since a saved run. */
import { resolve } from "node:path";
import { fail } from "../../diagnostics/diagnostic.ts";
import { type BenchOptions, benchBoardOf, subjectsOf } from "../../observe/bench/bench.ts";
import { compareReports } from "../../observe/bench/compare.ts";
import { FULL, QUICK } from "../../observe/bench/measure.ts";
import { benchCsv, benchTable, comparisonText } from "../../observe/bench/report.ts";
import { readReport, reportText, saveReport } from "../../observe/bench/saved.ts";
import { withPlaces } from "../../profile/provenance.ts";
import { occurrences, positionals, refuseUnknown } from "../arguments.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit-codes.ts";
import { loadFromArguments, profileArguments } from "../profile-argument.ts";
import { benchArguments, enginesFrom, ProgressLine } from "./arguments.ts";

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
    description:
      "Measure what vdevs cost the guest: registers, virtqueues, interrupts; or consoles (vmrun bench console)",
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
    const options: BenchOptions = {
      engines,
      effort: given.quick ? QUICK : FULL,
      quick: given.quick === true,
      widths,
      only: occurrences(rawArgs, ["only"]).map(({ value }) => value),
      progress: (...step) => line.tell(...step),
    };
    const measured = given.vs
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
