/** What starting costs: the guest prints one character and powers off. */
import type { Benchmark } from "../benchmark.ts";
import { compare } from "../statistics.ts";
import type { Run } from "./child.ts";
import { benchFirmware, contest, withoutQemu } from "./contest.ts";

export const start: Benchmark = {
  name: "start",
  summary: "poweroff.elf: process start to the firmware's first character, and to the end",
  kind: "whole",

  async run(context) {
    const { qemu, quick } = context;
    if (!qemu) return withoutQemu;
    const guest = { name: "poweroff", boot: { firmware: benchFirmware("poweroff") } };
    const runs = await contest(context, qemu, guest, quick ? 9 : 25, { marks: ["X"] });
    const times = (pick: (run: Run) => number) => [runs.vmrun.map(pick), runs.qemu.map(pick)] as const;
    return {
      rows: [
        compare("process start to the firmware's first character", ...times((run) => run.marks[0])),
        compare("process start to its end, guest powers off at once", ...times((run) => run.wall)),
        compare("the same: CPU time, user and system", ...times((run) => run.user + run.system)),
      ],
    };
  },
};
