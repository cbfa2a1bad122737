/** Everything that `vmrun bench` measures of a board, in order. */
import { cpus, release, type } from "node:os";
import { fail } from "../../diagnostics/diagnostic.ts";
import type { Board } from "../../profile/board.ts";
import { nearestName, type VdevRegistry } from "../../vdev/registry.ts";
import { BenchMachine } from "./bench-machine.ts";
import type { BenchReport, Figure } from "./figures.ts";
import { localInterrupts, measureDelivery, measureSoftwareInterrupt, measureTimer } from "./interrupts.ts";
import { type BenchEngine, type Effort, measureAccess, measureQueue, type Rig, warmUp } from "./measure.ts";
import { findSubjects, type Subjects } from "./subjects.ts";

export interface BenchOptions {
  readonly engines: readonly BenchEngine[];
  readonly effort: Effort;
  readonly quick: boolean;
  readonly widths: "own" | "all";
  /** Names of vdevs, `vdev.REGISTER`, or of what has no vdev: `hart0`, `board`. Everything when empty. */
  readonly only: readonly string[];
  /** Told before each measurement: what, which of how many. */
  progress(what: string, at: number, of: number): void;
}

/** Rounds of timers: guest time, in which the host does nothing. */
const TIMERS = { full: 200, quick: 20 } as const;

/** Figures of different machines do not compare. */
export function describeHost(): string {
  const processors = cpus();
  return `${processors.length} x ${processors[0]?.model.trim() ?? "unknown processor"}; ${type()} ${release()}; Bun ${Bun.version}`;
}

/** What could be measured of the board. */
export function subjectsOf(board: Board, registry: VdevRegistry, widths: "own" | "all"): Subjects {
  const probe = new BenchMachine(board, registry);
  try {
    const subjects = findSubjects(probe.machine, probe.layout.board, registry, widths);
    return { ...pick(subjects), left: [...probe.layout.left, ...subjects.left] };
  } finally {
    probe.close();
  }
}

function pick({ accesses, queues }: Subjects): Pick<Subjects, "accesses" | "queues"> {
  return { accesses, queues };
}

/** `wanted("uart0.SCR")`: everything that is asked for by its name, or by that of its vdev. Throws for names of nothing. */
export function selector(only: readonly string[], { accesses, queues }: Subjects, board: Board) {
  const known = new Set([
    ...[...accesses, ...queues].flatMap(({ subject, vdev }) => [subject, subject.replace("[0]", ""), vdev]),
    ...board.vdevs.map(({ placement }) => placement.name),
    ...["hart0", "board"],
  ]);
  for (const name of only) {
    if (known.has(name)) continue;
    const near = nearestName(name, [...known]);
    fail("bench/unknown", `nothing that can be measured is called "${name}"`, {
      hint: near ? `did you mean "${near}"?` : "vmrun bench --list tells what there is",
    });
  }
  return (subject: string) =>
    only.length === 0 || only.some((name) => [name, `${name}[0]`].includes(subject) || subject.startsWith(`${name}.`));
}

/** Throws a `VmrunError` where the board cannot be measured. */
export async function benchBoardOf(
  board: Board,
  registry: VdevRegistry,
  profile: string,
  options: BenchOptions,
): Promise<BenchReport> {
  const { engines, effort, quick, widths, only, progress } = options;
  const subjects = subjectsOf(board, registry, widths);
  const wanted = selector(only, subjects, board);
  const local = localInterrupts(board, registry);
  const rigs: Rig[] = engines.map((engine) => ({
    engine,
    bench: new BenchMachine(board, registry, { engine, clock: local.mtime }),
  }));
  const parts = () => import("./parts.ts");
  const hart = wanted("hart0");
  const steps: { readonly what: string; run(): Promise<readonly Figure[]> }[] = [
    ...subjects.accesses
      .filter(({ subject }) => wanted(subject))
      .map((subject) => ({
        what: `${subject.subject} ${subject.what}`,
        run: () => measureAccess(rigs, subject, effort),
      })),
    ...subjects.queues
      .filter(({ subject }) => wanted(subject))
      .map((subject) => ({
        what: `${subject.subject} ${subject.what}`,
        run: () => measureQueue(rigs, subject, effort),
      })),
    ...(hart
      ? [
          { what: "interrupts", run: () => measureDelivery(rigs, board, effort) },
          { what: "software interrupts", run: () => measureSoftwareInterrupt(rigs, local, effort) },
          {
            what: "timers",
            run: () => measureTimer(rigs, board, local, quick ? TIMERS.quick : TIMERS.full),
          },
        ]
      : []),
    {
      what: "snapshots",
      run: async () => (await parts()).measureSnapshots(rigs[0]!.bench, wanted, effort),
    },
    ...(wanted("board")
      ? [
          { what: "device tree", run: async () => [await (await parts()).measureTree(board, registry, effort)] },
          {
            what: "machine start",
            run: async () => [await (await parts()).measureStart(board, registry, engines[0]!, effort)],
          },
        ]
      : []),
  ];
  const figures: Figure[] = [];
  try {
    progress("warming up", 0, steps.length);
    await warmUp(rigs, subjects.accesses, effort);
    for (const [i, { what, run }] of steps.entries()) {
      progress(what, i + 1, steps.length);
      figures.push(...(await run()));
    }
  } finally {
    for (const { bench } of rigs) bench.close();
  }
  const left = subjects.left.filter(({ subject }) => wanted(subject));
  return { format: 1, profile, machine: describeHost(), quick, figures, left };
}
