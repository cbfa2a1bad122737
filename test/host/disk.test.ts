import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { openDisk } from "../../src/host/disk.ts";
import type { DiskImage } from "../../src/vdev/host.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-disk-"));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
function image(size: number, fill = 0x55): string {
  const path = join(folder, `image${count++}`);
  writeFileSync(path, new Uint8Array(size).fill(fill));
  return path;
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as VmrunError).diagnostics[0].code;
  }
}

describe("an image", () => {
  test("is read and written in place, inside its bounds", () => {
    const path = image(4096);
    const disk: DiskImage = openDisk(path, { readOnly: false });
    expect(disk.size).toBe(4096);
    expect(disk.write(512, Uint8Array.of(1, 2, 3))).toBe(true);
    const back = new Uint8Array(4);
    expect(disk.read(511, back)).toBe(true);
    expect([...back]).toEqual([0x55, 1, 2, 3]);
    expect(disk.write(4095, Uint8Array.of(1, 2))).toBe(false);
    expect(disk.read(4096, back)).toBe(false);
    expect(disk.read(-1, back)).toBe(false);
    expect(disk.flush()).toBe(true);
    disk.close();
    disk.close();
    expect(disk.read(0, back)).toBe(false);
    expect(disk.flush()).toBe(false);
    expect([...readFileSync(path).subarray(510, 516)]).toEqual([0x55, 0x55, 1, 2, 3, 0x55]);
    expect(readFileSync(path).length).toBe(4096);
  });

  test("gives space back and reads zeroes there", () => {
    const path = image(1 << 20);
    const disk = openDisk(path, { readOnly: false });
    const before = statSync(path).blocks;
    expect(disk.discard(4096, 512 * 1024)).toBe(true);
    expect(disk.discard(1 << 20, 1)).toBe(false);
    expect(disk.flush()).toBe(true);
    const bytes = readFileSync(path);
    expect(bytes.length).toBe(1 << 20);
    expect([bytes[4095], bytes[4096], bytes[4095 + 512 * 1024], bytes[4096 + 512 * 1024]]).toEqual([0x55, 0, 0, 0x55]);
    expect(statSync(path).blocks).toBeLessThanOrEqual(before);
    disk.close();
  });

  test("opened read-only is not written", () => {
    const path = image(512);
    const disk = openDisk(path, { readOnly: true });
    expect(disk.write(0, Uint8Array.of(1))).toBe(false);
    expect(disk.discard(0, 512)).toBe(false);
    expect(disk.flush()).toBe(true);
    disk.close();
    expect(readFileSync(path)[0]).toBe(0x55);
  });

  test("that was cut short under the machine gives an error, not stale bytes", () => {
    const path = image(4096);
    const disk = openDisk(path, { readOnly: true });
    truncateSync(path, 1000);
    expect(disk.read(512, new Uint8Array(512))).toBe(false);
    disk.close();
  });
});

describe("what is no disk is refused", () => {
  test("with a code for each reason", () => {
    symlinkSync("nowhere", join(folder, "dangling"));
    expect(codeOf(() => openDisk(join(folder, "nothing"), { readOnly: true }))).toBe("disk/missing");
    expect(codeOf(() => openDisk(join(folder, "dangling"), { readOnly: true }))).toBe("disk/missing");
    expect(codeOf(() => openDisk(folder, { readOnly: true }))).toBe("disk/kind");
    expect(codeOf(() => openDisk(folder, { readOnly: false }))).toBe("disk/kind");
    expect(codeOf(() => openDisk("/dev/null", { readOnly: false }))).toBe("disk/kind");
    expect(codeOf(() => openDisk("a\0b", { readOnly: true }))).toBe("disk/open");
  });

  test.skipIf(process.getuid?.() === 0)("for want of permission", () => {
    const path = image(512);
    chmodSync(path, 0o400);
    expect(codeOf(() => openDisk(path, { readOnly: false }))).toBe("disk/permission");
    openDisk(path, { readOnly: true }).close();
  });

  test.skipIf(process.platform !== "linux")("while another writes it", () => {
    const path = image(512);
    const writer = openDisk(path, { readOnly: false });
    expect(codeOf(() => openDisk(path, { readOnly: false }))).toBe("disk/in-use");
    expect(codeOf(() => openDisk(path, { readOnly: true }))).toBe("disk/in-use");
    writer.close();
    const readers = [openDisk(path, { readOnly: true }), openDisk(path, { readOnly: true })];
    expect(codeOf(() => openDisk(path, { readOnly: false }))).toBe("disk/in-use");
    for (const reader of readers) reader.close();
    openDisk(path, { readOnly: false }).close();
  });
});
