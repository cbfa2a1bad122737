/** Linux hands back the tree that it was given: it is the board's, but for what the firmware on the way has to change. */
import { expect } from "bun:test";
import { diffTrees } from "../../src/fdt/diff.ts";
import { readDtb } from "../../src/fdt/reader.ts";
import { boardTree } from "../../src/profile/devicetree.ts";
import { loadProfile } from "../../src/profile/load.ts";
import { createRegistry } from "../../src/vdev/registry.ts";
import { builtins } from "../../src/vdevs/index.ts";
import type { ImageName } from "./images.ts";
import { answer, endedWith, LINUX, linux, linuxImages, testWith } from "./vmrun.ts";

const KERNEL = "debian/Image";
const BUSYBOX = "debian/initramfs.cpio.gz";
const READ = "base64 /sys/firmware/fdt";

async function changes(firmware?: ImageName): Promise<string[]> {
  const images = linuxImages(KERNEL, firmware);
  const run = await linux(LINUX, images, [READ, "poweroff -f"]);
  endedWith(run, 0);
  const guest = readDtb(new Uint8Array(Buffer.from(answer(run, READ), "base64")));
  const registry = createRegistry(builtins);
  const { board } = loadProfile(LINUX, { registry, set: images.filter((each) => each !== "--set") });
  return diffTrees(boardTree(board, registry), guest).map(
    ({ change, path, property, what }) => `${change} ${path}: ${property ?? what}`,
  );
}

/** The machine's: where the initial RAM disk is. The kernel's: it takes the seed out, once used. */
const COMMON = ["removed /chosen: rng-seed", "added /chosen: linux,initrd-start", "added /chosen: linux,initrd-end"];

testWith([KERNEL, BUSYBOX])("vmrun's own SBI changes nothing", async () => {
  expect((await changes()).sort()).toEqual([...COMMON].sort());
});

testWith([KERNEL, BUSYBOX, "debian/fw_dynamic.bin"])(
  "OpenSBI reserves its own memory, and takes its contexts of the PLIC out",
  async () => {
    const found = await changes("debian/fw_dynamic.bin");
    expect(found.filter((each) => !COMMON.includes(each)).sort()).toMatchInlineSnapshot(`
    [
      "added /reserved-memory: node",
      "changed /soc/plic@c000000: interrupts-extended",
    ]
  `);
  },
);
