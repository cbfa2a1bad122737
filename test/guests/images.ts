/**
 * Where guest tests find their images: in the folders of `VMRUN_GUESTS` (separated by ":"), first hit wins.
 * Without it, in the cache folder that the scripts of `firmware/linux/` fill.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";

/** What the scripts in `firmware/linux/` make, by the folder each one fills. */
const MADE_BY = {
  debian: "firmware/linux/fetch-debian.sh",
  "driver-kernel": "firmware/linux/build-driver-kernel.sh",
  host: "firmware/linux/fetch-host.sh",
  perl: "firmware/linux/fetch-perl.sh",
  stopwatch: "firmware/linux/stopwatch/build.sh",
} as const;

export type ImageName =
  | "debian/Image"
  | "debian/initramfs.cpio.gz"
  | "debian/fw_jump.bin"
  | "debian/fw_jump.elf"
  | "debian/fw_dynamic.bin"
  | "debian/fw_dynamic.elf"
  | "debian/u-boot.bin"
  | "driver-kernel/Image.gz"
  | "host/vmlinuz"
  | "host/initramfs.cpio.gz"
  | "perl/perl.cpio"
  | "stopwatch/initramfs.cpio.gz";

const CACHE = resolve(import.meta.dir, "../../firmware/linux/cache");

/** The image's path, or undefined if no folder holds it. */
export function findImage(name: ImageName): string | undefined {
  const folders = (process.env.VMRUN_GUESTS ?? "").split(":").filter((folder) => folder !== "");
  if (folders.length === 0) folders.push(CACHE);
  return folders.map((folder) => resolve(folder, name)).find((path) => existsSync(path));
}

/** For the message of a skipped test: what is missing, and the command that makes it. */
export function missing(name: ImageName): string {
  const [folder] = name.split("/") as [keyof typeof MADE_BY];
  return `no ${name}: run ${MADE_BY[folder]}, or name its folder in VMRUN_GUESTS`;
}
