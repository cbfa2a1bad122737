/** Where figures come from: the machine, the versions, the command. */
import { cpus, loadavg, release, type } from "node:os";
import type { Qemu } from "./benchmark.ts";

const QEMU = "qemu-system-riscv64";

/** QEMU as it is installed, if it is. */
export function findQemu(): Qemu | undefined {
  const path = Bun.which(QEMU);
  if (path === null) return undefined;
  const { stdout, success } = Bun.spawnSync([path, "--version"], { stdin: "ignore", stderr: "ignore" });
  if (!success) return undefined;
  const version = /version (\S+)/.exec(stdout.toString())?.[1] ?? "of unknown version";
  return { path, version };
}

export function describeMachine(qemu: Qemu | undefined): string {
  const processors = cpus();
  const model = processors[0]?.model.trim() ?? "unknown processor";
  return [
    `${processors.length} x ${model}`,
    `${type()} ${release()}`,
    `Bun ${Bun.version}`,
    qemu ? `QEMU ${qemu.version}` : "no QEMU",
    `load ${loadavg()[0].toFixed(1)} before the first run`,
  ].join("; ");
}

export const NO_QEMU = `no ${QEMU} in PATH (Debian package qemu-system-misc): nothing to compare whole runs with`;
