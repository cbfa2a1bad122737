/** The guests of the engine's benchmark: kernels in `firmware/bench/engine/`, shipped or built when they are wanted. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../whole/contest.ts";

export interface Kernel {
  readonly name: string;
  readonly summary: string;
  /** The image, where it has another name than the kernel. */
  readonly image?: string;
  /** Iterations of a full run. */
  readonly usual: number;
  /** It touches the board: not for Linux. */
  readonly bareOnly?: boolean;
}

/** QEMU 7.2 takes 0.5 to 1 s for the usual count on the machine where it was chosen; for `wide-long`, 3 s. */
export const kernels: readonly Kernel[] = [
  { name: "coremark", usual: 17_000, summary: "lists, matrices, a state machine, CRCs" },
  { name: "records", usual: 2_000_000, summary: "records, strings, small procedures, as in Dhrystone" },
  { name: "fib", usual: 20, summary: "calls and returns" },
  { name: "bytecode", usual: 1_200, summary: "an interpreter: a switch in a loop" },
  { name: "indirect", usual: 18_000_000, summary: "calls through a table, in random order" },
  { name: "sha", usual: 900_000, summary: "SHA-256: long runs of arithmetic" },
  { name: "bignum", usual: 350_000, summary: "long integers: mulhu, carries, division" },
  { name: "sort", usual: 360, summary: "quicksort, heapsort of strings, a hash table" },
  { name: "fma", usual: 700, summary: "double precision with fused multiply-add" },
  { name: "double", usual: 420_000, summary: "double precision without it; divisions, square roots" },
  { name: "single", usual: 1_800, summary: "single precision" },
  { name: "copy", usual: 20_000, summary: "memory copied and filled" },
  { name: "chase", usual: 10, summary: "pointers followed through 8 MiB and 32 KiB" },
  { name: "stream", usual: 140, summary: "long arrays summed, hashed, counted" },
  { name: "atomics", usual: 25_000_000, summary: "amo*, and lr/sc in a loop" },
  { name: "mmio", usual: 2_300_000, summary: "registers of a device", bareOnly: true },
  { name: "traps", usual: 2_000_000, summary: "environment calls and returns", bareOnly: true },
  { name: "wide-short", image: "wide", usual: 60, summary: "2000 functions in rotation, 60 times" },
  { name: "wide-long", image: "wide", usual: 1_000, summary: "2000 functions in rotation, 1000 times" },
];

const FOLDER = join(ROOT, "firmware/bench/engine");

/**
 * The kernel's image with `layout` bytes before its code; made in `folder` where it is not shipped. Throws if it cannot
 * be made.
 */
export function bareImage({ name, image = name }: Kernel, layout: number, folder: string): string {
  const shipped = join(FOLDER, `${image}.elf`);
  if (layout === 0 && existsSync(shipped)) return shipped;
  const target = join(folder, `layout-${layout}`);
  const path = join(target, `${image}.elf`);
  if (!existsSync(path)) build(["bare", target, image], { LAYOUT: String(layout) });
  return path;
}

/** Runs the build script; its complaint is the error. */
export function build(args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const command = [join(FOLDER, "build.sh"), ...args];
  const { exitCode, stderr } = Bun.spawnSync(command, { env: { ...process.env, ...env }, stdin: "ignore" });
  if (exitCode !== 0) throw new Error(stderr.toString().trim() || `${command.join(" ")} ended with ${exitCode}`);
}
