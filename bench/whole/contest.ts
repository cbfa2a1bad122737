/** vmrun and QEMU on the same guest, taking turns. */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { keptProgram, PROGRAMS, programFolder } from "../../src/cli/kept/door.ts";
import { makePrograms } from "../../src/cli/kept/make.ts";
import type { Context, Qemu, Report } from "../benchmark.ts";
import { NO_QEMU } from "../surroundings.ts";
import { type Run, type WatchOptions, watch } from "./child.ts";

export const ROOT = resolve(import.meta.dir, "../..");

/** RAM of both machines: what the shipped board has. */
const MEMORY_MIB = 256;

export const benchFirmware = (name: string) => join(ROOT, "firmware/bench", `${name}.elf`);

/** What both machines start. */
export interface Guest {
  /** For file names and messages. */
  readonly name: string;
  /** Bare firmware, which starts in M-mode; or a kernel, under each machine's own SBI. */
  readonly boot: { readonly firmware: string } | { readonly kernel: string; readonly initrd: string };
  readonly cmdline?: string;
  /** Further keys of the board's profile, as TOML. */
  readonly profile?: string;
}

export interface Contest {
  readonly vmrun: readonly Run[];
  readonly qemu: readonly Run[];
}

/** Runs both machines `rounds` times in turns, after one run each that does not count. */
export async function contest(
  context: Context,
  qemu: Qemu,
  guest: Guest,
  rounds: number,
  options?: WatchOptions,
): Promise<Contest> {
  return takeTurns(context, guest.name, rounds, {
    vmrun: () => watch(vmrunCommand(writeProfile(context, guest)), options),
    qemu: () => watch(qemuCommand(qemu, guest), options),
  });
}

/** The first run of each finds cold caches of files: it does not count. vmrun is as it is a second after its first start. */
export async function takeTurns<T>(
  context: Context,
  name: string,
  rounds: number,
  { vmrun, qemu }: { vmrun: () => Promise<T>; qemu: () => Promise<T> },
): Promise<{ vmrun: T[]; qemu: T[] }> {
  const programs = programFolder();
  if (programs && !PROGRAMS.every((program) => keptProgram(programs, program))) await makePrograms(programs);
  const runs = { vmrun: [] as T[], qemu: [] as T[] };
  for (let round = 0; round <= rounds; round++) {
    context.progress(`${name}: ${round === 0 ? "warming up" : `round ${round} of ${rounds}`}`);
    const [a, b] = [await vmrun(), await qemu()];
    if (round === 0) continue;
    runs.vmrun.push(a);
    runs.qemu.push(b);
  }
  return runs;
}

/** vmrun from source, as people run it: by its first lines, which look for a Bun. */
const VMRUN = [...(Bun.which("bun") ? [] : [process.execPath]), join(ROOT, "src/cli.ts")];

export function vmrunCommand(profile: string, options: readonly string[] = ["--quiet"]): string[] {
  return [...VMRUN, "run", ...options, profile];
}

export function vmrunFdtCommand(profile: string, output: string): string[] {
  return [...VMRUN, "fdt", profile, "-o", output];
}

/** The shipped virt board with this guest. */
export function writeProfile(context: Context, guest: Guest): string {
  const { boot, cmdline, profile = "" } = guest;
  const text = JSON.stringify;
  const lines = [
    "schema = 1",
    `include = ${text(join(ROOT, "profiles/virt-rv64.toml"))}`,
    `name = ${text(guest.name)}`,
    profile,
    "[boot]",
    ...("firmware" in boot
      ? [`firmware = ${text(boot.firmware)}`]
      : ['firmware = "builtin"', `kernel = ${text(boot.kernel)}`, `initrd = ${text(boot.initrd)}`]),
    ...(cmdline === undefined ? [] : [`cmdline = ${text(cmdline)}`]),
  ];
  const path = join(context.folder, `${guest.name}.toml`);
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}

export function qemuCommand(qemu: Qemu, { boot, cmdline }: Guest): string[] {
  const bare = "firmware" in boot;
  return [
    ...[qemu.path, "-M", "virt", "-m", `${MEMORY_MIB}M`, "-display", "none", "-serial", "stdio", "-monitor", "none"],
    // The shipped board has a source of entropy.
    ...["-device", "virtio-rng-device"],
    ...(bare ? ["-bios", "none", "-kernel", boot.firmware] : ["-kernel", boot.kernel, "-initrd", boot.initrd]),
    ...(cmdline === undefined ? [] : ["-append", cmdline]),
  ];
}

export const withoutQemu: Report = { rows: [], skipped: [NO_QEMU] };
