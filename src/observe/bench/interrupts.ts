/** Interrupts: from the line to the handler's first instruction, and how late timers are. */
import type { Board } from "../../profile/board.ts";
import type { VdevRegistry } from "../../vdev/registry.ts";
import type { BenchMachine } from "./bench-machine.ts";
import { type Figure, figure } from "./figures.ts";
import type { Command } from "./list.ts";
import { type Effort, type Loop, type Rig, samplesOf } from "./measure.ts";
import { median } from "./statistics.ts";

/** Lists of interrupts that count. */
const ROUNDS = 5;
/** Traps take more code than accesses, and more time until it is warm. */
const WARM_UP = 4;

/** A device whose interrupt the doorbell can raise, or the guest itself. */
interface Source {
  readonly subject: string;
  readonly what: string;
  readonly command: (bench: BenchMachine, count: number) => Command;
}

/** Where the board's timer and software interrupts are. */
export interface LocalInterrupts {
  readonly msip?: number;
  readonly mtimecmp?: number;
  readonly mtime?: number;
}

/** By the register maps of what is on the board. */
export function localInterrupts(board: Board, registry: VdevRegistry): LocalInterrupts {
  const found: { msip?: number; mtimecmp?: number; mtime?: number } = {};
  for (const { table, placement } of board.vdevs) {
    if (table !== "vdev") continue;
    for (const { name, at } of placement.regions) {
      const { MSIP, MTIMECMP, MTIME } = registry.get(placement.type)?.registers?.[name] ?? {};
      if (MSIP) found.msip ??= at + MSIP.at;
      if (MTIMECMP) found.mtimecmp ??= at + MTIMECMP.at;
      if (MTIME) found.mtime ??= at + MTIME.at;
    }
  }
  return found;
}

/**
 * Host time from raising a line to the first instruction of its handler. Both ends are exits; what two exits in a row take
 * is measured in the same way, without an interrupt between them, and taken off.
 */
export async function measureDelivery(rigs: readonly Rig[], board: Board, effort: Effort): Promise<Figure[]> {
  const count = Math.max(100, effort.samples * 10);
  const figures: Figure[] = [];
  for (const source of sources(board, rigs[0]?.bench.layout.line !== undefined)) {
    for (const { engine, bench } of rigs) {
      const command = source.command(bench, count);
      const prepare = plicSetUp(board, bench);
      const delays = async (kind: "interrupt" | "accesses") => {
        await bench.run([...prepare, { ...command, kind }]);
        return [...bench.delays];
      };
      const values: number[] = [];
      const until = Bun.nanoseconds() + WARM_UP * effort.warmUp;
      while (Bun.nanoseconds() < until) {
        await delays("accesses");
        await delays("interrupt");
      }
      for (let round = 0; round < ROUNDS; round++) {
        const without = median(await delays("accesses"));
        const all = await delays("interrupt");
        values.push(...all.map((ns) => ns - without));
      }
      figures.push(figure({ subject: source.subject, what: source.what, runner: engine }, values));
    }
  }
  return figures;
}

function sources(board: Board, wired: boolean): Source[] {
  const lines: Source[] = [
    {
      subject: "hart0",
      what: "interrupt raised to handler",
      command: (bench, count) => ({
        kind: "interrupt",
        count,
        address: bench.bell("raiseHart"),
        value: 1n,
        lower: { address: bench.bell("lowerHart"), value: 0 },
        mark: bench.bell("mark"),
      }),
    },
  ];
  const plic = board.vdevs.find(({ placement }) => placement.type === "plic");
  if (plic === undefined || !wired) return lines;
  const at = plic.placement.regions[0]!.at;
  lines.push({
    subject: plic.placement.name,
    what: "line raised to handler",
    command: (bench, count) => ({
      kind: "interrupt",
      count,
      address: bench.bell("raiseLine"),
      value: 1n,
      lower: { address: bench.bell("lowerLine"), value: 0 },
      claim: at + CLAIM,
      mark: bench.bell("mark"),
    }),
  });
  return lines;
}

/** RISC-V Platform-Level Interrupt Controller Specification 1.0.0 §3 to §9: of context 0, which is hart 0's M-mode. */
const ENABLE = 0x2000;
const THRESHOLD = 0x20_0000;
const CLAIM = 0x20_0004;

/** The doorbell's line gets through. */
function plicSetUp(board: Board, bench: BenchMachine): Command[] {
  const plic = board.vdevs.find(({ placement }) => placement.type === "plic");
  const route = bench.layout.line;
  if (plic === undefined || route === undefined) return [];
  const at = plic.placement.regions[0]!.at;
  const write = (offset: number, value: number): Command => ({
    kind: "write",
    count: 1,
    width: 4,
    address: at + offset,
    value: BigInt(value),
  });
  return [
    write(route.line * 4, 1),
    write(ENABLE + (route.line >> 5) * 4, (1 << (route.line & 31)) >>> 0),
    write(THRESHOLD, 0),
  ];
}

/** A software interrupt that the hart sends itself, beyond the accesses that it takes. */
export async function measureSoftwareInterrupt(
  rigs: readonly Rig[],
  { msip }: LocalInterrupts,
  effort: Effort,
): Promise<Figure[]> {
  if (msip === undefined) return [];
  const loop = softwareLoop(msip);
  const samples = await samplesOf(
    rigs.map(({ bench }) => ({ bench, loop })),
    effort,
  );
  return rigs.map(({ engine }, i) =>
    figure({ subject: "hart0", what: "software interrupt, its 2 exits taken off", runner: engine }, samples[i]!),
  );
}

export function softwareLoop(msip: number): Loop {
  const command = (count: number): Command => ({
    kind: "interrupt",
    count,
    address: msip,
    value: 1n,
    lower: { address: msip, value: 0 },
  });
  return { command, baseline: (count) => ({ ...command(count), kind: "accesses" }) };
}

/** How many ns after its time a timer's handler runs, by the board's own counter: guest time. */
export async function measureTimer(
  rigs: readonly Rig[],
  board: Board,
  { mtimecmp, mtime }: LocalInterrupts,
  count: number,
): Promise<Figure[]> {
  if (mtimecmp === undefined || mtime === undefined) return [];
  const figures: Figure[] = [];
  const perTick = 1e9 / board.time.timebase;
  for (const { engine, bench } of rigs) {
    await bench.run([
      {
        kind: "timer",
        count,
        address: mtimecmp,
        // A millisecond.
        delay: Math.max(1, Math.round(board.time.timebase / 1000)),
        lower: { address: mtimecmp + 4, value: 0xffff_ffff },
      },
    ]);
    const late = bench.lateness(count).map((ticks) => ticks * perTick);
    figures.push(figure({ subject: "hart0", what: `timer late, ${board.time.mode} time`, runner: engine }, late));
  }
  return figures;
}
