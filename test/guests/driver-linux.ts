/** The driver-rich Linux on `profiles/devices-rv64.toml`, with a shell to type at. */
import { resolve } from "node:path";
import { boot, type Guest } from "../../src/index.ts";
import { findImage, missing } from "./images.ts";

const PROFILE = resolve(import.meta.dir, "../../profiles/devices-rv64.toml");
const KERNEL = "driver-kernel/Image.gz";
const INITRD = "stopwatch/initramfs.cpio.gz";
const PROMPT = "~ # ";
/** Seconds of guest time; idle ones cost nothing. */
const PATIENCE = 60;

/** Why these tests cannot run here, if they cannot. */
export const unavailable: string | undefined = [KERNEL, INITRD]
  .map((name) => (findImage(name as typeof KERNEL) ? undefined : missing(name as typeof KERNEL)))
  .find((reason) => reason !== undefined);

/** Boots to the shell. */
export function bootLinux(cmdline: string, set: readonly string[] = []): Guest {
  const guest = boot(PROFILE, {
    set: [
      "boot.firmware=builtin",
      `boot.kernel=${findImage(KERNEL)}`,
      `boot.initrd=${findImage(INITRD)}`,
      `boot.cmdline=console=ttyS0 ${cmdline}`,
      ...set,
    ],
  });
  waitFor(guest, "vmrun-initramfs: ready");
  waitFor(guest, PROMPT);
  // The shell folds what it echoes at the terminal's width.
  shell(guest, "stty cols 1000");
  return guest;
}

/** Runs a command; answers what it printed. */
export function shell(guest: Guest, command: string): string {
  const before = guest.console.length;
  guest.type(`${command}\n`);
  waitFor(guest, PROMPT);
  const [, ...lines] = guest.console.slice(before).replaceAll("\r", "").split("\n");
  return lines.slice(0, -1).join("\n");
}

export function waitFor(guest: Guest, text: string): void {
  const outcome = guest.runUntil({ text, guestTime: PATIENCE });
  if (outcome !== "text")
    throw new Error(`${outcome} before ${JSON.stringify(text)}; the console ends with\n${guest.console.slice(-2000)}`);
}
