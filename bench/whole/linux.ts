/** Linux, from process start to a shell: under vmrun's built-in SBI, and under the OpenSBI that QEMU brings. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findImage, type ImageName, missing } from "../../test/guests/images.ts";
import type { Benchmark, Context, Qemu, Row } from "../benchmark.ts";
import { compare } from "../statistics.ts";
import type { Run } from "./child.ts";
import { contest, withoutQemu } from "./contest.ts";

const KERNELS: readonly { readonly name: string; readonly title: string; readonly image: ImageName }[] = [
  { name: "debian", title: "Debian's kernel", image: "debian/Image" },
  { name: "driver-kernel", title: "driver-rich kernel", image: "driver-kernel/Image.gz" },
];

const STAGES = [
  { title: "first kernel line", mark: "Linux version" },
  { title: "init", mark: "vmrun-initramfs: ready" },
  { title: "shell prompt", mark: "~ # " },
] as const;

export const linux: Benchmark = {
  name: "linux",
  summary: "Linux with a busybox initramfs: to the first kernel line, to init, to the shell",
  kind: "whole",

  async run(context) {
    const { qemu } = context;
    if (!qemu) return withoutQemu;
    const initrd = findImage("debian/initramfs.cpio.gz");
    if (!initrd) return { rows: [], skipped: [missing("debian/initramfs.cpio.gz")] };
    const rows: Row[] = [];
    const skipped: string[] = [];
    for (const { name, title, image } of KERNELS) {
      const found = findImage(image);
      if (found) rows.push(...(await boot(context, qemu, name, title, unpacked(context, name, found), initrd)));
      else skipped.push(`Linux, ${title}: ${missing(image)}`);
    }
    return { rows, skipped };
  },
};

async function boot(
  context: Context,
  qemu: Qemu,
  name: string,
  title: string,
  kernel: string,
  initrd: string,
): Promise<Row[]> {
  const guest = { name, boot: { kernel, initrd }, cmdline: "console=ttyS0" };
  const { vmrun, qemu: peer } = await contest(context, qemu, guest, context.quick ? 1 : 5, {
    marks: STAGES.map((stage) => stage.mark),
    endAtLastMark: true,
  });
  const row = (what: string, pick: (run: Run) => number) =>
    compare(`Linux, ${title}: ${what}`, vmrun.map(pick), peer.map(pick));
  return [
    ...STAGES.map((stage, i) => row(`to ${stage.title}`, (run) => run.marks[i])),
    row("to shell prompt, CPU time", (run) => run.user + run.system),
  ];
}

/** QEMU takes no compressed kernel for this machine; both get the same file. */
function unpacked(context: Context, name: string, path: string): string {
  if (!path.endsWith(".gz")) return path;
  const target = join(context.folder, `${name}.Image`);
  writeFileSync(target, Bun.gunzipSync(readFileSync(path)));
  return target;
}
