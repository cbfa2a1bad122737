/** Integer code without devices: how quick the engine is once it is warm, and what a whole run costs. */
import type { Benchmark } from "../benchmark.ts";
import { compare, mips } from "../statistics.ts";
import type { Run } from "./child.ts";
import { benchFirmware, contest, withoutQemu } from "./contest.ts";

export const compute: Benchmark = {
  name: "compute",
  summary: "coremark-like.elf: instructions per second, wall and CPU time",
  kind: "whole",

  async run(context) {
    const { qemu, quick } = context;
    if (!qemu) return withoutQemu;
    const rounds = quick ? 3 : 7;
    const iterations = quick ? 10_000 : 37_000;
    const guest = (name: string, count: number) => ({
      name,
      boot: { firmware: benchFirmware("coremark-like") },
      cmdline: `iterations=${count}`,
    });
    const short = await contest(context, qemu, guest("coremark-like-start", 1), rounds);
    const long = await contest(context, qemu, guest("coremark-like", iterations), rounds);
    const checksums = new Set([...long.vmrun, ...long.qemu].map((run) => printed(run, "checksum")));
    if (checksums.size !== 1) throw new Error(`coremark-like's checksums differ: ${[...checksums].join(", ")}`);

    // QEMU's `instret` is host time unless it counts; both execute the same instructions, and vmrun's count is exact.
    const executed = Number(printed(long.vmrun[0], "instret")) - Number(printed(short.vmrun[0], "instret"));
    const perInstruction = (who: "vmrun" | "qemu") =>
      long[who].map((run, i) => (run.wall - short[who][i].wall) / executed);
    const times = (pick: (run: Run) => number) => [long.vmrun.map(pick), long.qemu.map(pick)] as const;
    const size = `${iterations} iterations`;
    return {
      rows: [
        compare(
          "coremark-like: time per instruction, start-up taken off",
          perInstruction("vmrun"),
          perInstruction("qemu"),
          mips,
        ),
        compare(`coremark-like, ${size}: wall time`, ...times((run) => run.wall)),
        compare(`coremark-like, ${size}: user CPU time`, ...times((run) => run.user)),
      ],
    };
  },
};

/** A figure that the guest printed. */
export function printed(run: Run, label: string): string {
  const value = new RegExp(`^${label} +(\\S+)`, "m").exec(run.output)?.[1];
  if (value === undefined) throw new Error(`the guest printed no "${label}":\n${run.output}`);
  return value;
}
