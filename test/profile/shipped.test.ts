import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { render, VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { explainBoard } from "../../src/profile/explain.ts";
import { hostFiles, type ProfileFiles } from "../../src/profile/files.ts";
import { loadProfile } from "../../src/profile/load.ts";
import { createRegistry } from "../../src/vdev/registry.ts";
import { builtins } from "../../src/vdevs/index.ts";

const registry = createRegistry(builtins);
const root = join(import.meta.dir, "../..");

/** Everything below firmware/ is there, or, of the Linux guest, nothing is: whatever this machine has built. */
function files(linux: boolean): ProfileFiles {
  return {
    ...hostFiles,
    facts(path) {
      if (!path.startsWith(join(root, "firmware"))) return hostFiles.facts(path);
      return linux || !path.includes("cache") ? { kind: "file", size: 0 } : undefined;
    },
  };
}

const load = (name: string, set: string[] = [], linux = true) =>
  loadProfile(join(root, "profiles", `${name}.toml`), { registry, set, files: files(linux) });

describe("virt-rv64", () => {
  test("has QEMU's memory map", () => {
    const { board } = load("virt-rv64");
    const map = board.vdevs.map(({ placement: { type, regions, interrupts } }) => [
      type,
      regions[0]!.at,
      interrupts[0]?.line ?? "none",
    ]);
    expect(map).toEqual([
      ["syscon-power", 0x10_0000, "none"],
      ["goldfish-rtc", 0x10_1000, 11],
      ["clint", 0x200_0000, "none"],
      ["plic", 0xc00_0000, "none"],
      ["ns16550a", 0x1000_0000, 10],
      ["virtio-entropy", 0x1000_1000, 1],
    ]);
    expect(board.memory).toMatchObject([{ at: 0x8000_0000, size: 256 << 20 }]);
  });

  test("virtio devices without an address fill the slots of QEMU's map in order", () => {
    const set = Array.from({ length: 7 }, (_, i) => `vdev.con${i}.type=virtio-console`);
    const placements = load("virt-rv64", set)
      .board.vdevs.slice(6)
      .map(({ placement }) => placement);
    expect(placements.map(({ regions }) => regions[0]!.at)).toEqual(set.map((_, i) => 0x1000_2000 + 0x1000 * i));
    expect(placements.map(({ interrupts }) => interrupts[0]!.line)).toEqual(set.map((_, i) => 2 + i));
  });
});

test("every board explained loads as the same board", () => {
  for (const name of ["virt-rv64", "hifive-rv64", "linux-rv64", "devices-rv64"]) {
    const { board, provenance } = load(name);
    const text = explainBoard(board, provenance, registry);
    const explained = join(root, "profiles", "explained.toml");
    const again = loadProfile(explained, {
      registry,
      files: {
        ...files(true),
        facts: (path) => (path === explained ? { kind: "file", size: text.length } : files(true).facts(path)),
        read: () => text,
      },
    });
    expect(again.board).toEqual(board);
  }
});

test("linux-rv64 without its guest says how to get it", () => {
  let shown = "";
  try {
    load("linux-rv64", [], false);
  } catch (error) {
    if (error instanceof VmrunError) shown = error.diagnostics.map(render).join("\n").replaceAll(`${root}/`, "");
  }
  expect(shown).toMatchInlineSnapshot(`
    "profiles/linux-rv64.toml:14:10: error[profile/missing-file]: boot.kernel names firmware/linux/cache/debian/Image, which does not exist
       14 | kernel = "../firmware/linux/cache/debian/Image"
          |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: run firmware/linux/fetch-debian.sh to make the kernel and the initramfs
    profiles/linux-rv64.toml:15:10: error[profile/missing-file]: boot.initrd names firmware/linux/cache/debian/initramfs.cpio.gz, which does not exist
       15 | initrd = "../firmware/linux/cache/debian/initramfs.cpio.gz"
          |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: run firmware/linux/fetch-debian.sh to make the kernel and the initramfs"
  `);
});
