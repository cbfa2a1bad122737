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

testWith([KERNEL, BUSYBOX])("Linux sees the caches that the board tells of, and who shares them", async () => {
  const files = "level type size coherency_line_size number_of_sets ways_of_associativity shared_cpu_list";
  const show = `for i in /sys/devices/system/cpu/cpu2/cache/index*; do (cd $i; echo $(cat ${files})); done`;
  const caches = ["l1i.size=32KiB", "l1i.sets=64", "l1d.size=48KiB", "l1d.sets=64"];
  caches.push("l2.size=512KiB", "l2.sets=1024", "l2.harts=2", "l3.size=4MiB", "l3.line=128", "l3.sets=2048");
  const set = ["cpu.harts=4", ...caches.map((each) => `cpu.cache.${each}`)].flatMap((each) => ["--set", each]);
  const run = await linux(LINUX, [...linuxImages(KERNEL), ...set], [show, "poweroff -f"]);
  endedWith(run, 0);
  expect(answer(run, show)).toMatchInlineSnapshot(`
    "1 Instruction 32K 64 64 8 2
    1 Data 48K 64 64 12 2
    2 Unified 512K 64 1024 8 2-3
    3 Unified 4096K 128 2048 16 0-3"
  `);
});
