// Files of boot images: left where they are, as they were when the machine was switched on.
import { afterAll, describe, expect, test } from "bun:test";
import {
  fstatSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VmrunError } from "../../../src/diagnostics/diagnostic.ts";
import { bytesOf, type Contents, Held, ImageFiles, Part } from "../../../src/machine/boot/contents.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-contents-"));
const files = new ImageFiles();
afterAll(() => {
  files.close();
  rmSync(folder, { recursive: true });
});

const MIB = 2 ** 20;
const bytes = Uint8Array.from({ length: 3 * MIB }, (_, i) => i ^ (i >> 8) ^ (i >> 16));

let count = 0;
function write(contents: Uint8Array): string {
  const path = join(folder, `image${count++}`);
  writeFileSync(path, contents);
  // So that whatever is written later is seen to be later.
  utimesSync(path, 1, 1);
  return path;
}

function openLarge(path: string): Contents {
  const file = files.open(path);
  if (file instanceof Held) throw new Error(`${path} is held`);
  return file;
}

function read(file: Contents, at: number, length: number): Uint8Array {
  const into = new Uint8Array(length);
  file.read(at, into);
  return into;
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof VmrunError) return error.diagnostics[0].code;
    throw error;
  }
  return "nothing";
}

test("parts, and parts of parts, are what they cover; beyond the end is nothing", () => {
  for (const whole of [new Held(bytes), files.open(write(bytes))]) {
    const part = new Part(new Part(whole, MIB, MIB), 100, 50);
    expect(bytesOf(part)).toEqual(bytes.subarray(MIB + 100, MIB + 150));
    expect(bytesOf(part, 40, 60)).toEqual(bytes.subarray(MIB + 140, MIB + 150));
    expect(bytesOf(part, 60, 70)).toHaveLength(0);
  }
});

test("a small file is held, and not open any more", () => {
  const before = openFiles();
  const file = files.open(write(bytes.subarray(0, MIB)));
  expect(file).toBeInstanceOf(Held);
  expect(bytesOf(file)).toEqual(bytes.subarray(0, MIB));
  expect(openFiles()).toEqual(before);
});

test("what is no plain file is held, whatever its size", () => {
  const path = join(folder, "pipe");
  const mkfifo = Bun.spawnSync(["mkfifo", path]);
  expect(mkfifo.exitCode).toBe(0);
  const writer = Bun.spawn(["sh", "-c", `head -c ${2 * MIB} /dev/zero > ${path}`]);
  const file = files.open(path);
  expect(file).toBeInstanceOf(Held);
  expect(bytesOf(file)).toEqual(new Uint8Array(2 * MIB));
  writer.kill();
});

test("a file that is not there is the host's error", () => {
  expect(() => files.open(join(folder, "nowhere"))).toThrow("ENOENT");
  expect(() => files.open(folder)).toThrow("EISDIR");
});

describe("a large file", () => {
  test("is read in any parts, as often as they are wanted, into memory that is shared, too", () => {
    const file = openLarge(write(bytes));
    expect(file.size).toBe(bytes.length);
    for (let round = 0; round < 2; round++) {
      expect(read(file, 0, bytes.length)).toEqual(bytes);
      expect(read(file, 12345, 100)).toEqual(bytes.subarray(12345, 12445));
      expect(read(file, bytes.length, 0)).toHaveLength(0);
    }
    const shared = new Uint8Array(new SharedArrayBuffer(64)).subarray(8, 24);
    file.read(MIB, shared);
    expect([...shared]).toEqual([...bytes.subarray(MIB, MIB + 16)]);
  });

  test("is what it was after it is deleted or another is moved there", () => {
    const [gone, replaced] = [write(bytes), write(bytes)];
    const opened = [openLarge(gone), openLarge(replaced)];
    rmSync(gone);
    renameSync(write(new Uint8Array(2 * MIB)), replaced);
    for (const file of opened) expect(read(file, 0, bytes.length)).toEqual(bytes);
  });

  test("is refused when it was written to, grew or was cut short", () => {
    const [written, cut, grown] = [write(bytes), write(bytes), write(bytes)];
    const opened = [openLarge(written), openLarge(cut), openLarge(grown)];
    writeFileSync(written, bytes.toReversed());
    truncateSync(cut, 2 * MIB);
    utimesSync(cut, 1, 1);
    writeFileSync(grown, new Uint8Array(4 * MIB));
    utimesSync(grown, 1, 1);
    for (const file of opened) expect(codeOf(() => read(file, 0, 16))).toBe("boot/changed");
  });

  test("is not read beyond its end", () => {
    expect(codeOf(() => read(openLarge(write(bytes)), bytes.length - 8, 16))).toBe("boot/changed");
  });
});

test("all are closed together", () => {
  const own = new ImageFiles();
  for (let i = 0; i < 3; i++) own.open(write(bytes));
  expect(openFiles().length).toBeGreaterThanOrEqual(3);
  own.close();
  files.close();
  expect(openFiles()).toEqual([]);
});

/** Descriptors of this process that are files of this test. */
function openFiles(): number[] {
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => {
      try {
        return fstatSync(fd).isFile() && readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
      } catch {
        return false;
      }
    });
}
