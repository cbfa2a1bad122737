/** A file as persistent memory: Debian's Linux finds it by of_pmem, writes to /dev/pmem0, and the file has it. */
import { expect } from "bun:test";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { Glob } from "bun";
import { findImage } from "./images.ts";
import { answer, endedWith, host, LINUX, linux, linuxImages, ROOT, testWith, Workshop } from "./vmrun.ts";

/** Loaded in this order. Debian's kernel has them as modules, which are not in the initramfs of the other tests. */
const MODULES = ["libnvdimm", "nd_btt", "nd_pmem", "of_pmem"];
const PACKAGES = "firmware/linux/cache/apt/debs";

const test_ = testWith(["debian/Image", "debian/initramfs.cpio.gz"], { "dpkg-deb": "dpkg", xz: "xz-utils" });
const deb = [
  ...new Glob(`${PACKAGES}/linux-image-*_riscv64.deb`).scanSync({ cwd: ROOT, absolute: true, followSymlinks: true }),
][0];
const pmemTest: typeof test_ =
  deb === undefined ? () => console.warn(`skipped: no kernel package in ${PACKAGES}`) : test_;

pmemTest("what Linux writes to persistent memory is in the file, and there at the next boot", async () => {
  using shop = new Workshop();
  const initrd = shop.path("initramfs");
  writeFileSync(
    initrd,
    Buffer.concat([padded(readFileSync(findImage("debian/initramfs.cpio.gz")!)), archive(modules(shop))]),
  );
  const file = shop.path("pmem.img");
  writeFileSync(file, "");
  truncateSync(file, 32 << 20);
  const memory = `backing = "file"\nfile = ${JSON.stringify(file)}\ndescribe = "pmem"`;
  const profile = shop.profile(LINUX, `[[memory]]\nname = "pmem0"\nat = 0x1_0000_0000\nsize = "32MiB"\n${memory}\n`);
  const images = [...linuxImages("debian/Image"), "--set", `boot.initrd=${initrd}`];
  const load = MODULES.map((name) => `insmod /pmem/${name}.ko`);

  const write = "echo kept by the file > /dev/pmem0; sync; cat /sys/block/pmem0/size";
  const first = await linux(profile, images, [...load, write, "poweroff -f"]);
  endedWith(first, 0);
  expect(answer(first, write)).toBe("65536");
  expect(readFileSync(file).subarray(0, 17).toString()).toBe("kept by the file\n");

  const read = "head -n 1 /dev/pmem0";
  const second = await linux(profile, images, [...load, read, "poweroff -f"]);
  endedWith(second, 0);
  expect(answer(second, read)).toBe("kept by the file");
});

function modules(shop: Workshop): Map<string, Uint8Array> {
  host("dpkg-deb", "-x", deb!, shop.path("kernel"));
  return new Map(
    MODULES.map((name) => {
      const [packed] = new Glob(`**/${name}.ko.xz`).scanSync({ cwd: shop.path("kernel"), absolute: true });
      host("xz", "-d", packed!);
      return [`pmem/${name}.ko`, readFileSync(packed!.slice(0, -".xz".length))];
    }),
  );
}

/** An archive that the kernel unpacks over the first: Linux, Documentation/driver-api/early-userspace/buffer-format.rst. */
function archive(files: ReadonlyMap<string, Uint8Array>): Buffer {
  const entry = (name: string, mode: number, bytes: Uint8Array) => {
    const fields = [0, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length + 1, 0];
    const head = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}${name}\0`;
    return Buffer.concat([padded(Buffer.from(head)), padded(bytes)]);
  };
  const nothing = new Uint8Array();
  return Buffer.concat([
    entry("pmem", 0o40755, nothing),
    ...[...files].map(([name, bytes]) => entry(name, 0o100644, bytes)),
    entry("TRAILER!!!", 0, nothing),
  ]);
}

function padded(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, new Uint8Array(-bytes.length & 3)]);
}
