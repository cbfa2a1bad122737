// Runs programs on QEMU's `virt`.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const QEMU = "qemu-system-riscv64";
const TIMEOUT_MS = 120_000;

export const hasQemu = Bun.which(QEMU) !== null;
export const HOW_TO_GET_QEMU = `${QEMU} is not installed: apt-get install qemu-system-misc`;

/** What the program printed to the serial port until it powered off. */
export function runOnQemu(elf: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-qemu-"));
  try {
    const [kernel, output] = [join(folder, "program.elf"), join(folder, "output.txt")];
    writeFileSync(kernel, elf);
    // A file takes whatever the guest prints, so nothing is lost; a terminal or pipe may not be ready.
    const { exitCode, signalCode, stderr } = Bun.spawnSync(
      [
        ...[QEMU, "-M", "virt", "-m", "64M", "-cpu", "rv64,zba=true,zbb=true,zbs=true", "-bios", "none"],
        ...["-kernel", kernel, "-display", "none", "-monitor", "none", "-serial", `file:${output}`, "-nodefaults"],
      ],
      { timeout: TIMEOUT_MS },
    );
    if (exitCode !== 0) throw new Error(`${QEMU} ended with ${signalCode ?? exitCode}: ${stderr}`);
    return readFileSync(output, "latin1");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
