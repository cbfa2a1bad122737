/** Kernels on bare metal: QEMU and vmrun's engines take turns. */
import type { Context, Qemu } from "../benchmark.ts";
import { type Run, watch } from "../whole/child.ts";
import { type Guest, qemuCommand, vmrunCommand, writeProfile } from "../whole/contest.ts";
import { bareImage, type Kernel } from "./kernels.ts";
import { type Engine, QUICK, type Runs, type Score, score } from "./scores.ts";

export interface Plan {
  readonly engines: readonly Engine[];
  /** Bytes before the code. */
  readonly layouts: readonly number[];
  readonly rounds: number;
}

export async function bareScores(context: Context, qemu: Qemu, kernel: Kernel, plan: Plan): Promise<Score[]> {
  const scores: Score[] = [];
  for (const layout of plan.layouts) scores.push(...(await contest(context, qemu, kernel, layout, plan)));
  return scores;
}

type Participant = Engine | "qemu";

async function contest(
  context: Context,
  qemu: Qemu,
  kernel: Kernel,
  layout: number,
  { engines, rounds }: Plan,
): Promise<Score[]> {
  const count = Math.max(1, Math.round(context.quick ? kernel.usual / QUICK : kernel.usual));
  const firmware = bareImage(kernel, layout, context.folder);
  const guest = (name: string, iterations: number): Guest => ({
    name: `${kernel.name}-${name}`,
    boot: { firmware },
    cmdline: `iterations=${iterations}`,
  });
  const guests = { work: guest("work", count), start: guest("start", 0) };
  const profiles = { work: writeProfile(context, guests.work), start: writeProfile(context, guests.start) };
  const command = (who: Participant, part: keyof Runs) =>
    who === "qemu" ? qemuCommand(qemu, guests[part]) : vmrunCommand(profiles[part], ["--engine", who]);

  const participants: readonly Participant[] = ["qemu", ...engines];
  const runs = new Map(participants.map((who) => [who, { work: [] as Run[], start: [] as Run[] }]));
  // The first short run of each finds cold caches of files: it does not count.
  for (const who of participants) await watch(command(who, "start"));
  for (let round = 1; round <= rounds; round++)
    for (const who of participants) {
      context.progress(`${kernel.name}${layout ? ` +${layout}` : ""}: round ${round} of ${rounds}, ${who}`);
      for (const part of ["start", "work"] as const) runs.get(who)![part].push(await watch(command(who, part)));
    }

  const theirs = runs.get("qemu")!;
  return engines.map((engine) => {
    const ours = runs.get(engine)!;
    const instructions = executed(ours.work[0]) - executed(ours.start[0]);
    const same = new Set([...ours.work, ...theirs.work].map((run) => run.output)).size === 1;
    return score({ kernel: kernel.name, layout, engine }, ours, theirs, instructions, same);
  });
}

/** Instructions, from vmrun's last line. */
function executed({ notes }: Run): number {
  const count = /([\d,]+) instructions/.exec(notes)?.[1];
  if (count === undefined) throw new Error(`vmrun told no count of instructions:\n${notes}`);
  return Number(count.replaceAll(",", ""));
}
