/** `bun run bench engine`: how fast guest code runs, kernel by kernel, in times of QEMU's speed. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findImage, missing } from "../../test/guests/images.ts";
import type { Context } from "../benchmark.ts";
import { describeMachine, findQemu, NO_QEMU } from "../surroundings.ts";
import { bareScores } from "./bare.ts";
import { kernels } from "./kernels.ts";
import { jobs, linuxScores } from "./linux.ts";
import { ENGINES, type Engine, type JobScore, jobTable, type Score, scoreTable } from "./scores.ts";

const HELP = `bun run bench engine [KERNELS...] [--engine KIND]... [--layouts N] [--rounds N] [--quick] [--json FILE] [--list]
bun run bench engine --linux [JOBS...] [...]

Runs each kernel on bare metal under qemu-system-riscv64 and under vmrun, in turns, and compares what both print. Speeds
are QEMU's time over vmrun's, from medians: 2x is twice as fast. Without "whole", what starting takes is taken off both.

With --linux, the same kernels and other jobs as programs under Linux, timed by what they print. It takes the images of
firmware/linux/, and a RISC-V compiler.

  KERNELS, JOBS  all when omitted
  --engine KIND  ${ENGINES.join(", ")}; translator when omitted; may be repeated
  --layouts N    the code in N places, to see what depends on it; takes a RISC-V compiler
  --rounds N     3 when omitted
  --quick        a quarter of the work, one round
  --json FILE    write the figures to FILE, too
  --list         tell what there is`;

/** Bytes before the code: none, then such that functions meet the borders of pages elsewhere. */
const LAYOUTS = [0, 1366, 2732, 4, 682, 2048, 3412, 30];

/** Answers the exit code: 1 if something could not be measured, or vmrun and QEMU disagreed. */
export async function engine(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (typeof options === "string") return complain(options);
  const { values, positionals } = options;
  if (values.help) return say(HELP);
  const known = values.linux ? jobs : kernels;
  if (values.list) return say(known.map((k) => `${k.name.padEnd(12)} ${k.summary}`).join("\n"));
  const unknown = positionals.filter((name) => !known.some((one) => one.name === name));
  if (unknown.length > 0) return complain(`nothing here is called ${unknown.join(", ")}; --list tells what there is`);
  const wanted = ({ name }: { readonly name: string }) => positionals.length === 0 || positionals.includes(name);
  const engines = values.engine.map((name) => ENGINES.find((known) => known === name));
  if (!engines.every((known): known is Engine => known !== undefined))
    return complain(`--engine takes ${ENGINES.join(", ")}`);
  const [layouts, rounds] = [Number(values.layouts), Number(values.rounds ?? (values.quick ? 1 : 3))];
  if (!(layouts >= 1 && layouts <= LAYOUTS.length) || !(rounds >= 1)) return complain(HELP);
  const qemu = findQemu();
  if (!qemu) return complain(NO_QEMU);

  const machine = describeMachine(qemu);
  const command = ["bun bench/main.ts engine", ...args].join(" ");
  say(`${machine}\n${command}`);
  const folder = mkdtempSync(join(tmpdir(), "vmrun-bench-"));
  const begun = Bun.nanoseconds();
  const context: Context = {
    quick: values.quick,
    qemu,
    folder,
    partTime: 0,
    progress: (text) => process.stderr.write(`${((Bun.nanoseconds() - begun) / 1e9).toFixed(0)} s  ${text}\n`),
  };
  const plan = { engines, rounds, layouts: LAYOUTS.slice(0, layouts) };
  const scores: Score[] = [];
  const jobScores: JobScore[] = [];
  const failures: string[] = [];
  const attempt = async (name: string, measure: () => Promise<void>) => {
    try {
      await measure();
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : error}`);
    }
  };
  try {
    if (values.linux)
      await attempt("Linux", async () => {
        const possible = jobs.filter(({ needs }) => needs === undefined || findImage(needs) !== undefined);
        jobScores.push(...(await linuxScores(context, qemu, possible.filter(wanted), engines, rounds)));
      });
    else
      for (const kernel of kernels.filter(wanted))
        await attempt(kernel.name, async () => {
          scores.push(...(await bareScores(context, qemu, kernel, plan)));
        });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  for (const engine of engines) {
    const own = scores.filter((s) => s.engine === engine);
    const ownJobs = jobScores.filter((s) => s.engine === engine);
    const title = `\nvmrun, ${engine}: times QEMU's speed\n\n`;
    if (own.length > 0) say(title + scoreTable(own));
    if (ownJobs.length > 0) say(title + jobTable(ownJobs));
  }
  if (values.linux)
    for (const { name, needs } of jobs.filter(wanted))
      if (needs !== undefined && findImage(needs) === undefined) say(`\nSKIPPED ${name}: ${missing(needs)}`);
  for (const failure of failures) process.stderr.write(`FAILED ${failure}\n`);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ machine, command, scores, jobScores, failures }, null, 2)}\n`);
  return failures.length === 0 && [...scores, ...jobScores].every((s) => s.same !== false) ? 0 : 1;
}

function readOptions(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        engine: { type: "string", multiple: true, default: ["translator"] },
        layouts: { type: "string", default: "1" },
        rounds: { type: "string" },
        linux: { type: "boolean", default: false },
        quick: { type: "boolean", default: false },
        json: { type: "string" },
        list: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    return `${error instanceof Error ? error.message : error}\n\n${HELP}`;
  }
}

function say(text: string): 0 {
  process.stdout.write(`${text}\n`);
  return 0;
}

function complain(text: string): 2 {
  process.stderr.write(`${text}\n`);
  return 2;
}
