/**
 * The same guest under QEMU's `virt` machine, in turns with vmrun: what both boards have at the same address. QEMU's guest
 * tells time by `mtime`, which there follows the host's clock.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail } from "../../diagnostics/diagnostic.ts";
import type { Board } from "../../profile/board.ts";
import type { VdevRegistry } from "../../vdev/registry.ts";
import { type BenchOptions, describeHost, selector, subjectsOf } from "./bench.ts";
import { GUEST } from "./bench-board.ts";
import { BenchMachine } from "./bench-machine.ts";
import { type BenchReport, type Figure, type FigureKey, figure, type Ratio } from "./figures.ts";
import { localInterrupts, softwareLoop } from "./interrupts.ts";
import { BUFFERS_OFFSET, type Command, encodeList, LIST_OFFSET } from "./list.ts";
import { accessLoop, calibrate, type Loop, queueLoop, type Rig } from "./measure.ts";
import { median } from "./statistics.ts";

const QEMU = "qemu-system-riscv64";
const ROUNDS = { full: 9, quick: 3 } as const;
/** Of each loop in a round. */
const SAMPLES = 7;
/** Ticks of `mtime`. QEMU hw/riscv/virt.c, RISCV_ACLINT_DEFAULT_TIMEBASE_FREQ */
const NS_PER_TICK = 100;
const RAM = 0x8000_0000;
const MTIME = 0x0200_bff8;
const UART = 0x1000_0000;
const FINISHER = 0x0010_0000;
const PATIENCE_MS = 120_000;

/** What QEMU's `virt` has, by type and address. QEMU hw/riscv/virt.c, virt_memmap */
const DEVICES: ReadonlyMap<string, number> = new Map([
  ["syscon-power", FINISHER],
  ["goldfish-rtc", 0x0010_1000],
  ["clint", 0x0200_0000],
  ["plic", 0x0c00_0000],
  ["ns16550a", UART],
  ["virtio-entropy", 0x1000_1000],
]);

interface Contest {
  readonly key: Omit<FigureKey, "runner">;
  /** For vmrun, and for QEMU, where buffers may lie elsewhere. */
  readonly ours: (rig: Rig) => Loop;
  readonly theirs: Loop;
}

/** Where QEMU is installed. Throws a `VmrunError` where it is not. */
export function findQemu(): { readonly path: string; readonly version: string } {
  const path = Bun.which(QEMU);
  if (path === null) {
    fail("bench/no-qemu", `there is no ${QEMU} in PATH to compare with`, {
      hint: "Debian, Ubuntu: apt install qemu-system-misc; or leave --vs out",
    });
  }
  const { stdout } = Bun.spawnSync([path, "--version"], { stdin: "ignore", stderr: "ignore" });
  return { path, version: /version (\S+)/.exec(stdout.toString())?.[1] ?? "of unknown version" };
}

/** Throws a `VmrunError` where there is no QEMU, or the board has nothing where QEMU's has it. */
export async function benchAgainstQemu(
  board: Board,
  registry: VdevRegistry,
  profile: string,
  options: Omit<BenchOptions, "widths">,
): Promise<BenchReport> {
  const qemu = findQemu();
  const { engines, effort, quick, only, progress } = options;
  const contests = sharedContests(board, registry, only);
  const local = localInterrupts(board, registry);
  const rounds = quick ? ROUNDS.quick : ROUNDS.full;
  const rigs: Rig[] = engines.map((engine) => ({
    engine,
    bench: new BenchMachine(board, registry, { engine, clock: local.mtime }),
  }));
  const folder = mkdtempSync(join(tmpdir(), "vmrun-bench-"));
  /** By runner and contest: a median of each round. */
  const medians: number[][][] = [...rigs, undefined].map(() => contests.map(() => []));
  try {
    const counts: number[] = [];
    for (const [i, { ours, key }] of contests.entries()) {
      progress(`${key.subject} ${key.what}: warming up`, i + 1, contests.length);
      // The first engine's pace is everyone's measure: loops of QEMU's have the same length.
      for (const rig of rigs) {
        const count = await calibrate(rig.bench, ours(rig), effort);
        counts[i] ??= count;
      }
    }
    for (let round = 1; round <= rounds; round++) {
      for (const [r, rig] of rigs.entries()) {
        progress(`vmrun, ${rig.engine}`, round, rounds);
        for (const [i, { ours }] of contests.entries()) {
          const outcomes = await rig.bench.run(listOf(ours(rig), counts[i]!));
          medians[r]![i]!.push(
            perTurn(
              outcomes.map(({ ns }) => ns),
              counts[i]!,
              ours(rig),
            ),
          );
        }
      }
      progress(`QEMU ${qemu.version}`, round, rounds);
      const lists = contests.map(({ theirs }, i) => listOf(theirs, counts[i]!));
      const ticks = await underQemu(qemu.path, folder, lists.flat());
      let at = 0;
      for (const [i, { theirs }] of contests.entries()) {
        const own = ticks.slice(at, at + lists[i]!.length).map((each) => each * NS_PER_TICK);
        medians[rigs.length]![i]!.push(perTurn(own, counts[i]!, theirs));
        at += lists[i]!.length;
      }
    }
  } finally {
    for (const { bench } of rigs) bench.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const figures: Figure[] = [];
  const ratios: Ratio[] = [];
  for (const [i, { key }] of contests.entries()) {
    const theirs = medians[rigs.length]![i]!;
    for (const [r, { engine }] of rigs.entries()) {
      const ours = medians[r]![i]!;
      figures.push(figure({ ...key, runner: engine }, ours));
      const each = ours.map((value, round) => value / theirs[round]!);
      ratios.push({
        ...key,
        runner: engine,
        ratio: median(each),
        low: Math.min(...each),
        high: Math.max(...each),
        rounds,
      });
    }
    figures.push(figure({ ...key, runner: "qemu" }, theirs));
  }
  const machine = `${describeHost()}; QEMU ${qemu.version}`;
  return { format: 1, profile, machine, quick, figures, ratios, left: [] };
}

function sharedContests(board: Board, registry: VdevRegistry, only: readonly string[]): Contest[] {
  const subjects = subjectsOf(board, registry, "own");
  const wanted = selector(only, subjects, board);
  const shared = new Set(
    board.vdevs.flatMap(({ table, placement: { name, type, regions }, options }) => {
      const spread = type === "ns16550a" && options.reg_shift !== 0;
      return table === "vdev" && !spread && DEVICES.get(type) === regions[0]?.at ? [name] : [];
    }),
  );
  const chosen = <T extends { readonly vdev: string; readonly subject: string }>(all: readonly T[]) =>
    all.filter(({ vdev, subject }) => shared.has(vdev) && wanted(subject));
  const contests: Contest[] = chosen(subjects.accesses).map((one) => {
    const { subject, what, width } = one;
    return { key: { subject, what, width }, ours: () => accessLoop(one), theirs: accessLoop(one) };
  });
  for (const one of chosen(subjects.queues)) {
    const { subject, what } = one;
    const theirs = queueLoop(one, { buffer: (offset) => RAM + BUFFERS_OFFSET + offset, fill() {} });
    contests.push({ key: { subject, what }, ours: ({ bench }) => queueLoop(one, bench), theirs });
  }
  const { msip } = localInterrupts(board, registry);
  if (msip !== undefined && msip === DEVICES.get("clint") && wanted("hart0")) {
    const loop = softwareLoop(msip);
    const what = "software interrupt, its 2 exits taken off";
    contests.push({ key: { subject: "hart0", what }, ours: () => loop, theirs: loop });
  }
  if (contests.length === 0) {
    fail("bench/vs-qemu", "nothing that was asked for is at the same place on QEMU's virt board", {
      hint: "profiles/virt-rv64.toml has QEMU's memory map",
    });
  }
  return contests;
}

function listOf(loop: Loop, count: number): Command[] {
  return Array.from({ length: SAMPLES }, () => [
    loop.command(count),
    ...(loop.baseline ? [loop.baseline(count)] : []),
  ]).flat();
}

/** The median of a round, without what the loop takes by itself. */
function perTurn(times: readonly number[], count: number, { baseline }: Loop): number {
  const stride = baseline ? 2 : 1;
  const own = median(times.filter((_, i) => i % stride === 0));
  const off = baseline ? median(times.filter((_, i) => i % stride === 1)) : 0;
  return (own - off) / count;
}

/** Ticks that each command took. */
async function underQemu(path: string, folder: string, commands: readonly Command[]): Promise<number[]> {
  const file = join(folder, "list");
  writeFileSync(file, encodeList(commands, { clock: MTIME, console: UART, finisher: FINISHER }));
  const child = Bun.spawn(
    [
      ...[path, "-M", "virt", "-m", "128M", "-display", "none", "-serial", "stdio", "-monitor", "none"],
      ...["-bios", GUEST, "-device", `loader,file=${file},addr=0x${(RAM + LIST_OFFSET).toString(16)},force-raw=on`],
      ...["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-rng-device,bus=virtio-mmio-bus.0"],
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: PATIENCE_MS, killSignal: "SIGKILL" },
  );
  const [text, notes] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  const answers = [...text.matchAll(/([0-9a-f]{16}) ([0-9a-f]{16}) [0-9a-f]{16} ([0-9a-f]{16})\n/g)];
  const whole = answers.length === commands.length;
  const wrong = answers.findIndex(([, done, , faults], i) => {
    return Number.parseInt(done!, 16) !== commands[i]?.count || Number.parseInt(faults!, 16) > 0;
  });
  if (!whole || wrong >= 0) {
    const what = whole ? `did not do command ${wrong} as often as it was asked to` : "came to no end";
    fail("bench/qemu", `the guest ${what} under QEMU${notes ? `, which said: ${notes.trim().slice(-300)}` : ""}`);
  }
  return answers.map(([, , ticks]) => Number.parseInt(ticks!, 16));
}
