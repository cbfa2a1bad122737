/** Debian's U-Boot for QEMU's RISC-V board, in S-mode on OpenSBI: it drives the board by the device tree alone. */
import { expect } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { findImage, type ImageName } from "./images.ts";
import { answer, dialogue, endedWith, host, testWith, VIRT, vmrun, Workshop } from "./vmrun.ts";

const PROMPT = "=> ";
const IMAGES: ImageName[] = ["debian/u-boot.bin", "debian/fw_dynamic.bin"];

testWith(IMAGES, { mke2fs: "e2fsprogs" })("reaches its prompt, lists virtio, reads a file system, resets", async () => {
  using shop = new Workshop();
  writeFileSync(shop.path("hello"), "hello from the host\n");
  writeFileSync(shop.path("disk.img"), "");
  truncateSync(shop.path("disk.img"), 8 * 2 ** 20);
  host("mke2fs", "-q", "-t", "ext4", shop.path("disk.img"));
  host("debugfs", "-w", "-R", `write ${shop.path("hello")} hello`, shop.path("disk.img"));
  const board = shop.profile(VIRT, `[[vdev]]\ntype = "virtio-blk"\nname = "disk0"\nfile = "disk.img"\n`);

  const load = "load virtio 0 $loadaddr hello; md.b $loadaddr 14";
  const tree = "fdt addr $fdtcontroladdr; fdt print / model; fdt print /cpus/cpu@1 riscv,isa-base";
  const lines = ["version", "virtio info", "ls virtio 0", load, tree, "date", "bdinfo"];
  const stopAutoboot = ["--expect", "Hit any key to stop autoboot", "--input", " "];
  const run = await vmrun([
    board,
    ...["--set", `boot.firmware=${findImage("debian/fw_dynamic.bin")}`],
    ...["--set", `boot.kernel=${findImage("debian/u-boot.bin")}`],
    ...["--set", "cpu.harts=2"],
    ...stopAutoboot,
    ...dialogue(PROMPT, [...lines, "reset"]),
    ...stopAutoboot,
    ...dialogue(PROMPT, ["poweroff"]),
  ]);
  endedWith(run, 0);
  const said = (line: string) => answer(run, line, PROMPT);
  expect(run.stdout).toContain("Model: vmrun,virt-rv64");
  expect(run.stdout).toContain("DRAM:  256 MiB");
  expect(said("version")).toMatch(/^U-Boot 20\d\d\./);
  expect(said("virtio info")).toMatch(/Device 0: \S+ VirtIO Block Device[\s\S]*Capacity: 8\.0 MB/);
  expect(said("ls virtio 0")).toMatch(/20 +hello/);
  expect(said(load)).toContain("68 65 6c 6c 6f 20 66 72");
  expect(said(tree)).toContain('model = "vmrun,virt-rv64"');
  expect(said(tree)).toContain('riscv,isa-base = "rv64i"');
  expect(said("date")).toContain("2026-01-01");
  expect(said("bdinfo")).toMatch(/size += 0x0000000010000000/);
  expect(run.stdout.split("Model: vmrun,virt-rv64")).toHaveLength(3);
});
