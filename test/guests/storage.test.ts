/** Disks and character channels under Linux, judged from the host: file system checks, bytes, blocks in use. */
import { expect } from "bun:test";
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { answer, endedWith, host, LINUX, linux, linuxImages, SETTLE, testWith, Workshop } from "./vmrun.ts";

// Debian's own kernel: virtio-blk is not in every driver-rich one.
const IMAGES = ["debian/Image", "debian/initramfs.cpio.gz"] as const;
const E2FSPROGS = { mke2fs: "e2fsprogs", e2fsck: "e2fsprogs", debugfs: "e2fsprogs" };
const MIB = 2 ** 20;
const OFF = "poweroff -f";

/** A sparse ext4 image, with the files of `content`. */
function ext4(shop: Workshop, name: string, content: Readonly<Record<string, string>> = {}): string {
  const files = shop.path(`${name}.files`);
  mkdirSync(files);
  for (const [file, text] of Object.entries(content)) writeFileSync(`${files}/${file}`, text);
  const path = shop.path(name);
  writeFileSync(path, "");
  truncateSync(path, 64 * MIB);
  host("mke2fs", "-q", "-t", "ext4", "-d", files, path);
  return path;
}

const used = (path: string) => statSync(path).blocks * 512;
const checksum = (path: string) => new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");

const withDisks = testWith([...IMAGES], E2FSPROGS);

withDisks("an ext4 disk is written over a reboot and comes back sound; a read-only one unchanged", async () => {
  using shop = new Workshop();
  const disk = ext4(shop, "disk.img");
  const fixed = ext4(shop, "fixed.img", { hello: "from the host\n" });
  const before = checksum(fixed);
  const board = shop.profile(
    LINUX,
    `[[vdev]]\ntype = "virtio-blk"\nname = "disk0"\nfile = "disk.img"\n
     [[vdev]]\ntype = "virtio-blk"\nname = "disk1"\nfile = "fixed.img"\nread_only = true\n`,
  );
  const mount = "mount -t ext4 /dev/vda /mnt && cd /mnt && pwd && cd";
  const write = "echo 'from the guest' >/mnt/f; dd if=/dev/urandom of=/mnt/big bs=1M count=8 2>/dev/null";
  const sum = "sha256sum </mnt/big";
  const leave = "umount /mnt; grep -c vda /proc/mounts";
  const readOnly = "mkdir /ro; mount -o ro -t ext4 /dev/vdb /ro; cat /ro/hello; umount /ro; cat /sys/block/vdb/ro";
  const spoil = "dd if=/dev/zero of=/dev/vdb bs=512 count=1 2>&1 | head -1";
  const again = "cat /mnt/f";

  const first = [mount, write, sum, leave, readOnly, spoil, "reboot -f"];
  const second = ["mount -t ext4 /dev/vda /mnt", again, `${sum} # again`, "umount /mnt", OFF];
  const run = await linux(board, linuxImages(IMAGES[0]), [...first, `${SETTLE} # again`, ...second]);
  endedWith(run, 0);
  expect(run.stderr).toContain("1 reboots");
  expect(run.stdout.split("Linux version 6.12")).toHaveLength(3);

  expect(answer(run, mount)).toBe("/mnt");
  expect(answer(run, leave)).toBe("0");
  expect(answer(run, readOnly)).toBe("from the host\n1");
  expect(answer(run, spoil)).toMatch(/Operation not permitted|Read-only|can't open/);
  expect(answer(run, again)).toBe("from the guest");
  expect(answer(run, sum)).toMatch(/^[0-9a-f]{64} /);
  expect(answer(run, `${sum} # again`)).toBe(answer(run, sum));

  host("e2fsck", "-fn", disk);
  expect(host("debugfs", "-R", "cat /f", disk)).toBe("from the guest\n");
  host("debugfs", "-R", `dump /big ${shop.path("big")}`, disk);
  expect(`${checksum(shop.path("big"))}  -`).toBe(answer(run, sum));
  expect(checksum(fixed)).toBe(before);
});

withDisks("what a guest discards goes back to the host", async () => {
  using shop = new Workshop();
  const disk = ext4(shop, "disk.img");
  const board = shop.profile(LINUX, `[[vdev]]\ntype = "virtio-blk"\nname = "disk0"\nfile = "disk.img"\n`);
  const fill =
    "mount -t ext4 /dev/vda /mnt; dd if=/dev/urandom of=/mnt/big bs=1M count=12 2>/dev/null; sync; echo full";

  const full = await linux(board, linuxImages(IMAGES[0]), [fill, "umount /mnt", OFF]);
  endedWith(full, 0);
  expect(answer(full, fill)).toBe("full");
  const most = used(disk);
  expect(most).toBeGreaterThan(12 * MIB);

  const trim = "mount -t ext4 /dev/vda /mnt; rm /mnt/big; sync; fstrim -v /mnt";
  const trimmed = await linux(board, linuxImages(IMAGES[0]), [trim, "umount /mnt", OFF]);
  endedWith(trimmed, 0);
  expect(Number(/(\d+) bytes/.exec(answer(trimmed, trim))?.[1])).toBeGreaterThan(12 * MIB);
  expect(used(disk)).toBeLessThan(most - 10 * MIB);
  host("e2fsck", "-fn", disk);
});

testWith([...IMAGES])("virtio consoles are further consoles, and their ports are channels with names", async () => {
  using shop = new Workshop();
  const board = shop.profile(
    LINUX,
    `[[vdev]]\ntype = "virtio-console"\nname = "console0"\nhost = "file:console0.log"
     ports = [{ name = "org.vmrun.channel", host = "file:channel.log" }]
     [[vdev]]\ntype = "virtio-console"\nname = "console1"\nhost = "file:console1.log"\ncolumns = 100\nrows = 30\n`,
  );
  const names = "cat /sys/class/virtio-ports/*/name";
  // Which of them is hvc1 depends on who is done first: console0 hears of its ports by messages. Only console1 has a size.
  const find = "one=0; stty -F /dev/hvc1 size 2>/dev/null | grep -q '30 100' && one=1; stty -F /dev/hvc$one size";
  const say =
    "for n in 0 1; do (stty raw; seq 1 $((n * 1000 + 999)) >&0) <>/dev/hvc$(((1 - one) ^ n)); done; echo said";
  const send =
    "port=$(dirname $(grep -l org.vmrun /sys/class/virtio-ports/*/name)); seq 1 5000 >/dev/$(basename $port)";
  const run = await linux(board, linuxImages(IMAGES[0]), [names, find, say, send, OFF]);
  endedWith(run, 0);
  expect(answer(run, names)).toBe("org.vmrun.channel");
  expect(answer(run, find)).toBe("30 100");
  expect(answer(run, say)).toBe("said");
  const numbers = (to: number) => Array.from({ length: to }, (_, i) => `${i + 1}\n`).join("");
  expect(readFileSync(shop.path("console0.log"), "latin1")).toBe(numbers(999));
  expect(readFileSync(shop.path("console1.log"), "latin1")).toBe(numbers(1999));
  expect(readFileSync(shop.path("channel.log"), "latin1")).toBe(numbers(5000));
});

testWith([...IMAGES])("a second run is refused a disk that is being written", async () => {
  using shop = new Workshop();
  writeFileSync(shop.path("disk.img"), new Uint8Array(MIB));
  const two = ["a", "b"].map((n) => `[[vdev]]\ntype = "virtio-blk"\nname = "${n}"\nfile = "disk.img"\n`);
  const run = await linux(shop.profile(LINUX, two.join("\n")), linuxImages(IMAGES[0]), [OFF]);
  endedWith(run, 2);
  expect(run.stderr).toContain("is in use as a disk already");
});
