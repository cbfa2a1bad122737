/** A board's device tree as a file, without a guest. */
import { join } from "node:path";
import type { Benchmark } from "../benchmark.ts";
import { compare } from "../statistics.ts";
import { watch } from "./child.ts";
import { benchFirmware, takeTurns, vmrunFdtCommand, withoutQemu, writeProfile } from "./contest.ts";

export const tree: Benchmark = {
  name: "tree",
  summary: "vmrun fdt beside -M virt,dumpdtb",
  kind: "whole",

  async run(context) {
    const { qemu, quick, folder } = context;
    if (!qemu) return withoutQemu;
    const profile = writeProfile(context, { name: "tree", boot: { firmware: benchFirmware("poweroff") } });
    const { path } = qemu;
    const runs = await takeTurns(context, "tree", quick ? 5 : 15, {
      vmrun: () => watch(vmrunFdtCommand(profile, join(folder, "vmrun.dtb"))),
      qemu: () => watch([path, "-M", `virt,dumpdtb=${join(folder, "qemu.dtb")}`, "-display", "none"]),
    });
    const wall = (who: "vmrun" | "qemu") => runs[who].map((run) => run.wall);
    return { rows: [compare("device tree to a file, whole process", wall("vmrun"), wall("qemu"))] };
  },
};
