/**
 * What a guest pays for touching a device: reads of a UART's line status register, writes of its scratch register, an
 * interrupt that goes through the PLIC (raised and lowered by two writes to the RTC, claimed, completed), and reads of
 * the plainest register that there is.
 * Two counts of accesses are run and the difference taken, so that start-up and warming up are no part of the figure.
 */
import type { Benchmark } from "../benchmark.ts";
import { compare } from "../statistics.ts";
import type { Run } from "./child.ts";
import { printed } from "./compute.ts";
import { benchFirmware, contest, withoutQemu } from "./contest.ts";

/** Ticks per second of the timer that the guest reads, on both boards. */
const TIMEBASE = 10e6;

export const mmio: Benchmark = {
  name: "mmio",
  summary: "mmio.elf: nanoseconds for a register read, a write and an interrupt, as the guest sees them",
  kind: "whole",

  async run(context) {
    const { qemu, quick } = context;
    if (!qemu) return withoutQemu;
    const rounds = quick ? 3 : 7;
    const few = quick ? 1_000_000 : 2_000_000;
    const many = 8 * few;
    const guest = (count: number) => ({
      name: `mmio-${count}`,
      boot: { firmware: benchFirmware("mmio") },
      cmdline: `iterations=${count}`,
      // The guest's stopwatch then shows the host's time, as QEMU's does.
      profile: '[time]\nmode = "host"',
    });
    const short = await contest(context, qemu, guest(few), rounds);
    const long = await contest(context, qemu, guest(many), rounds);
    const perAccess = (pick: (run: Run) => number) => {
      const of = (who: "vmrun" | "qemu") => long[who].map((run, i) => (pick(run) - pick(short[who][i])) / (many - few));
      return [of("vmrun"), of("qemu")] as const;
    };
    return {
      rows: [
        compare("UART LSR read", ...perAccess((run) => Number(printed(run, "read mtime")) / TIMEBASE)),
        compare("UART scratch write", ...perAccess((run) => Number(printed(run, "write mtime")) / TIMEBASE)),
        compare(
          "interrupt: raise, claim, lower, complete",
          ...perAccess((run) => Number(printed(run, "claim mtime")) / TIMEBASE),
        ),
        compare("PLIC priority read", ...perAccess((run) => Number(printed(run, "plain mtime")) / TIMEBASE)),
        compare("all of them once: user CPU time of the process", ...perAccess((run) => run.user)),
      ],
    };
  },
};
