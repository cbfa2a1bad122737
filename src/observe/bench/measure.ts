/**
 * Measures what guest code does, engine by engine in turns. Every figure is of many short runs of a loop: on a host that
 * has other work, most of them are not interrupted, and the median is of those. What the loop takes by itself is measured
 * beside it and taken off.
 */
import type { EngineKind } from "../../engine/engine.ts";
import type { BenchMachine } from "./bench-machine.ts";
import { type Figure, figure } from "./figures.ts";
import { type ChainPart, type Command, MOST_COMMANDS } from "./list.ts";
import { median } from "./statistics.ts";
import type { AccessSubject, QueueSubject } from "./subjects.ts";

export type BenchEngine = Extract<EngineKind, "interpreter" | "translator">;

/** How much is measured. */
export interface Effort {
  /** Runs of each loop that count. */
  readonly samples: number;
  /** Host time that one is to take, ns. */
  readonly sampleTime: number;
  /** Host time that a loop runs before it counts, ns: guest code gets hot, and the host's code for it. */
  readonly warmUp: number;
}

/** Less of a warm-up would measure how code gets hot: translated code is the guest's after some 0.1 s. */
export const FULL: Effort = { samples: 41, sampleTime: 1e6, warmUp: 250e6 };
export const QUICK: Effort = { samples: 15, sampleTime: 200e3, warmUp: 50e6 };

/** Of a loop: the first try, and the most. */
const FEW = 64;
const MOST = 1 << 20;

export interface Rig {
  readonly engine: BenchEngine;
  readonly bench: BenchMachine;
}

/** A command, and the one that it is compared with. */
export interface Loop {
  command(count: number): Command;
  /** What takes the same but for what is measured; nothing is taken off where it is absent. */
  baseline?(count: number): Command;
}

/** Reads or writes of a register. */
export function accessLoop({ kind, width, address, value }: AccessSubject): Loop {
  return {
    command: (count) => ({ kind, width, address, value, count }),
    baseline: (count) => ({ kind: "nothing", count }),
  };
}

/** The kick, the device's work and the look at the used ring; the driver's own few instructions are among them. */
export function queueLoop({ address, queue, chain }: QueueSubject, bench: Pick<BenchMachine, "buffer" | "fill">): Loop {
  let offset = 0;
  const parts = chain.map((buffer): ChainPart => {
    const at = bench.buffer(offset);
    const length = "room" in buffer ? buffer.room : buffer.bytes.length;
    if ("bytes" in buffer) bench.fill(at, Uint8Array.from(buffer.bytes));
    offset += (length + 15) & ~15;
    return { address: at, length, writable: "room" in buffer };
  });
  return { command: (count) => ({ kind: "virtqueue", address, queue, size: 16, chain: parts, count }) };
}

/** ns for one turn of the loop, from every run that counts. */
export async function samplesOf(
  rigs: readonly { bench: BenchMachine; loop: Loop }[],
  effort: Effort,
): Promise<number[][]> {
  const counts: number[] = [];
  for (const { bench, loop } of rigs) counts.push(await calibrate(bench, loop, effort));
  const results: number[][] = rigs.map(() => []);
  // In turns, a few runs at a time: whatever else the host does meets all of them.
  const share = 4;
  for (let done = 0; done < effort.samples; done += share) {
    for (const [i, { bench, loop }] of rigs.entries()) {
      const count = counts[i]!;
      const some = Math.min(share, effort.samples - done);
      const commands = Array.from({ length: some }, () => [loop.command(count), ...base(loop, count)]).flat();
      const outcomes = await bench.run(commands);
      const each = outcomes.map(({ ns }) => ns / count);
      const stride = loop.baseline ? 2 : 1;
      const own = each.filter((_, at) => at % stride === 0);
      const off = loop.baseline ? median(each.filter((_, at) => at % stride === 1)) : 0;
      results[i]!.push(...own.map((ns) => ns - off));
    }
  }
  return results;
}

function base({ baseline }: Loop, count: number): Command[] {
  return baseline ? [baseline(count)] : [];
}

/** Of the code that all accesses share, ns. */
const SHARED_WARM_UP = 100e6;

/** Everything once, again and again: what is measured first is not to be the coldest. */
export async function warmUp(rigs: readonly Rig[], subjects: readonly AccessSubject[], effort: Effort): Promise<void> {
  const loops = subjects.slice(0, MOST_COMMANDS).map((subject) => accessLoop(subject).command(FEW));
  for (const { bench } of rigs) {
    const until = Bun.nanoseconds() + Math.min(SHARED_WARM_UP, 5 * effort.warmUp);
    while (Bun.nanoseconds() < until) await bench.run(loops);
  }
}

/** How many turns take about so long, once the guest is warm. */
export async function calibrate(
  bench: BenchMachine,
  loop: Loop,
  { sampleTime: ns, warmUp: warm }: Effort,
): Promise<number> {
  let count = FEW;
  const until = Bun.nanoseconds() + warm;
  for (;;) {
    const outcomes = await bench.run([loop.command(count), loop.command(count), ...base(loop, count)]);
    const took = Math.min(outcomes[0]!.ns, outcomes[1]!.ns);
    const short = took < ns / 4 && count < MOST;
    if (!short && Bun.nanoseconds() >= until) return aimed(count, took, ns);
    count = short ? Math.min(MOST, count * 4) : aimed(count, took, ns);
  }
}

/** How many take so long, if `count` took that. */
function aimed(count: number, took: number, ns: number): number {
  return Math.max(FEW, Math.min(MOST, Math.round((ns * count) / Math.max(took, 0.1 * count))));
}

export async function measureAccess(rigs: readonly Rig[], subject: AccessSubject, effort: Effort): Promise<Figure[]> {
  const loop = accessLoop(subject);
  return named(
    rigs,
    subject,
    await samplesOf(
      rigs.map(({ bench }) => ({ bench, loop })),
      effort,
    ),
  );
}

export async function measureQueue(rigs: readonly Rig[], subject: QueueSubject, effort: Effort): Promise<Figure[]> {
  const loops = rigs.map(({ bench }) => ({ bench, loop: queueLoop(subject, bench) }));
  return named(rigs, subject, await samplesOf(loops, effort));
}

function named(
  rigs: readonly Rig[],
  { subject, what, ...rest }: AccessSubject | QueueSubject,
  samples: readonly number[][],
): Figure[] {
  const width = "width" in rest ? rest.width : undefined;
  return rigs.map(({ engine }, i) => figure({ subject, what, width, runner: engine }, samples[i]!));
}
