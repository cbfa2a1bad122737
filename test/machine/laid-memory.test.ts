// What the host has behind guest memory: what a guest finds there, what is left of it, and what happens when it goes away.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Diagnostic, VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { boot } from "../../src/index.ts";
import type { Guest } from "../../src/machine/guest.ts";
import { assemble } from "../engine/program.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-laid-"));
afterAll(() => rmSync(folder, { recursive: true }));

const RAM = 0x8000_0000;
const WINDOW = 0x9000_0000;
const SIZE = 0x1_0000;
const PAGE = 4096;
const LIMIT = { instructions: 100_000 };
const [A0, A1, S10, S11] = [10, 11, 26, 27];

/** Reads a byte of the window into a0, adds 1, and writes it back; a trap is counted in s11, its cause goes to s10. */
const COUNT = `
    la   t0, trap
    csrw mtvec, t0
    li   t0, ${WINDOW}
    lbu  a0, 0(t0)
    addi t1, a0, 1
    sb   t1, 0(t0)
    li   t2, ${WINDOW + 3 * PAGE}
  wait:
    lbu  a1, 0(t2)
    j    wait
  trap:
    addi s11, s11, 1
    csrr s10, mcause
    csrr t6, mepc
    addi t6, t6, 4
    csrw mepc, t6
    mret`;

let boards = 0;
/** A board with a window of memory by these keys, whose guest counts in it. */
function profile(keys: string, text = COUNT): string {
  const at = join(folder, `board${boards++}`);
  mkdirSync(at);
  writeFileSync(join(at, "program.bin"), assemble(RAM, text).bytes);
  const path = join(at, "board.toml");
  writeFileSync(
    path,
    `schema = 1
[[memory]]
name = "dram"
at = ${RAM}
size = "4MiB"
[[memory]]
name = "window"
at = ${WINDOW}
size = ${SIZE}
${keys}
[boot]
firmware = "none"
kernel = "program.bin"
`,
  );
  return path;
}

function image(name: string, fill: number, size = SIZE): string {
  const path = join(folder, name);
  writeFileSync(path, new Uint8Array(size).fill(fill));
  return path;
}

const fileKeys = (path: string, more = "") => `backing = "file"\nfile = ${JSON.stringify(path)}\n${more}`;
const x = (guest: Guest, index: number) => Number(guest.machine.harts[0]!.x(index));
const messages = (guest: Guest) => guest.log.map(({ source, message }) => `${source}: ${message}`);
/** Runs the counting guest; answers what it read. */
function count(guest: Guest): number {
  guest.runUntil(LIMIT);
  return x(guest, A0);
}
function refusal(work: () => unknown): Diagnostic | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof VmrunError) return error.diagnostics[0]!;
    throw error;
  }
  return undefined;
}
const codeOf = (work: () => unknown) => refusal(work)?.code;
const placeOf = (work: () => unknown) => refusal(work)?.place;

/** With the host's mappings, and without. */
const ways = [
  ["mapped", undefined],
  ["plain", "1"],
] as const;
function plainly<Result>(value: string | undefined, work: () => Result): Result {
  const before = process.env.VMRUN_PLAIN_MEMORY;
  if (value === undefined) delete process.env.VMRUN_PLAIN_MEMORY;
  else process.env.VMRUN_PLAIN_MEMORY = value;
  try {
    return work();
  } finally {
    if (before === undefined) delete process.env.VMRUN_PLAIN_MEMORY;
    else process.env.VMRUN_PLAIN_MEMORY = before;
  }
}

describe.each(ways)("%s", (way, plain) => {
  const start = (keys: string, set: string[] = []) => plainly(plain, () => boot(profile(keys), { set }));

  test("a file keeps what guests write, over resets and runs", () => {
    const path = image(`kept-${way}`, 7);
    const guest = start(fileKeys(path));
    expect(count(guest)).toBe(7);
    guest.machine.reset();
    expect(count(guest)).toBe(8);
    guest.close();
    expect([...readFileSync(path).subarray(0, 2)]).toEqual([9, 7]);
    using next = start(fileKeys(path));
    expect(count(next)).toBe(9);
  });

  test("a private file is the same at every reset, and never written", () => {
    const path = image(`private-${way}`, 7);
    using guest = start(fileKeys(path, "private = true"));
    expect(count(guest)).toBe(7);
    guest.machine.reset();
    expect(count(guest)).toBe(7);
    expect(readFileSync(path)[0]).toBe(7);
  });

  test("ROM comes from its file; stores fault", () => {
    using guest = start(fileKeys(image(`rom-${way}`, 7), 'kind = "rom"'));
    expect([count(guest), x(guest, S11), x(guest, S10)]).toEqual([7, 1, 7]);
  });

  test("a part of a file is where it begins", () => {
    const path = image(`part-${way}`, 0, 2 * SIZE);
    writeFileSync(path, Uint8Array.of(5), { flag: "r+" });
    const guest = start(fileKeys(path, `file_at = ${SIZE}`));
    expect(count(guest)).toBe(0);
    guest.close();
    expect([readFileSync(path)[0], readFileSync(path)[SIZE]]).toEqual([5, 1]);
  });

  test("a memfd of the guest's own is cleared at a reset, memory that is shared is not", () => {
    using own = start('backing = "memfd"');
    using shared = start(`backing = "memfd"\nshare = "test-${process.pid}-${way}"`);
    for (const guest of [own, shared]) expect(count(guest)).toBe(0);
    for (const guest of [own, shared]) guest.machine.reset();
    expect([count(own), count(shared)]).toEqual([0, 1]);
  });

  test("huge pages, or what stands in for them, serve as memory", () => {
    using guest = start('backing = "huge"', ["memory.window.size=4MiB"]);
    expect(count(guest)).toBe(0);
    guest.machine.reset();
    expect(count(guest)).toBe(0);
  });
});

test("a board whose memory cannot be mapped says so once", () => {
  const keys = `${fileKeys(image("said", 0))}\n[[memory]]\nname = "more"\nsize = "64KiB"\nbacking = "memfd"\nshare = "said"`;
  using guest = plainly("1", () => boot(profile(keys)));
  expect(messages(guest)).toEqual([
    "memory: this host cannot map memory: more, window are plain memory; " +
      "files are written when the guest ends; what is shared is this guest's alone",
  ]);
});

/** A file system of this many bytes, for as long as `work` takes; `false` where nobody may mount one. */
function onSmallDisk(bytes: number, work: (at: string) => void): boolean {
  const at = join(folder, `disk${boards++}`);
  mkdirSync(at);
  const { exitCode } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", at]);
  if (exitCode !== 0) return false;
  try {
    work(at);
  } finally {
    Bun.spawnSync(["umount", at]);
  }
  return true;
}

describe.if(process.platform === "linux")("a full disk", () => {
  const hasMount = process.getuid?.() === 0 && onSmallDisk(PAGE, () => {});

  test.if(hasMount)("is told of at once, where it is full at start", () => {
    onSmallDisk(4 * PAGE, (at) => {
      const path = join(at, "holes");
      writeFileSync(path, "");
      truncateSync(path, SIZE);
      expect(codeOf(() => boot(profile(fileKeys(path))))).toBe("memory/no-space");
      using guest = boot(profile(fileKeys(path, "private = true")));
      expect(count(guest)).toBe(0);
    });
  });

  test.if(hasMount)("is an access fault where it fills up later", () => {
    onSmallDisk(SIZE + PAGE, (at) => {
      const path = join(at, "holes");
      writeFileSync(path, "");
      truncateSync(path, SIZE);
      using guest = boot(profile(fileKeys(path)));
      writeFileSync(join(at, "filler"), new Uint8Array(SIZE));
      count(guest);
      // The page that was there before holds; the others cannot come.
      guest.runUntil(LIMIT);
      expect(guest.machine.memory.view(WINDOW + 3 * PAGE, 1)).toBeUndefined();
      expect(messages(guest)[0]).toStartWith("memory window: the host had no room for ");
      expect(x(guest, S10)).toBe(5);
    });
  });
});

describe.if(process.platform === "linux")("mapped memory", () => {
  test("is shared by guests that name it alike", () => {
    const keys = `backing = "memfd"\nshare = "test-${process.pid}"`;
    using left = boot(profile(keys));
    const right = boot(profile(keys));
    expect(count(left)).toBe(0);
    expect(count(right)).toBe(1);
    left.machine.reset();
    expect(count(left)).toBe(2);
    right.close();
    using again = boot(profile(keys));
    expect(count(again)).toBe(3);
  });

  test("that is shared has one size", () => {
    const keys = `backing = "memfd"\nshare = "test-${process.pid}"`;
    using _guest = boot(profile(keys));
    const other = profile(keys);
    expect(codeOf(() => boot(other, { set: [`memory.window.size=${2 * SIZE}`] }))).toBe("memory/share-size");
  });

  test("of a file has one writer or many readers; a refusal says where the profile asks for it", () => {
    const path = image("locked", 1);
    using _writer = boot(profile(fileKeys(path)));
    expect(codeOf(() => boot(profile(fileKeys(path))))).toBe("memory/in-use");
    const again = profile(fileKeys(path));
    expect(placeOf(() => boot(again))).toMatchObject({
      file: again,
      line: 11,
      source: `file = ${JSON.stringify(path)}`,
    });
    expect(codeOf(() => boot(profile(fileKeys(path, "private = true"))))).toBe("memory/in-use");
    const read = image("read", 1);
    using _one = boot(profile(fileKeys(read, "private = true")));
    using _two = boot(profile(fileKeys(read, "private = true")));
  });

  test("of a file that is cut short faults from there on, and whole again after a reset", () => {
    const path = image("short", 7);
    using guest = boot(profile(fileKeys(path)));
    expect([count(guest), x(guest, A1), x(guest, S11)]).toEqual([7, 7, 0]);
    truncateSync(path, PAGE);
    guest.runUntil(LIMIT);
    guest.runUntil(LIMIT);
    expect(x(guest, S11)).toBeGreaterThan(100);
    // A load access fault.
    expect(x(guest, S10)).toBe(5);
    expect(messages(guest)).toEqual([
      "memory window: what lies behind it was cut short, 4096 of its 65536 bytes are left; accesses beyond fault from here on",
    ]);
    // Whoever reaches for it on the guest's behalf finds no memory there.
    expect(guest.machine.memory.view(WINDOW, 8)).toBeDefined();
    expect(guest.machine.memory.view(WINDOW + PAGE, 8)).toBeUndefined();
    expect(guest.machine.memory.view(WINDOW, SIZE)).toBeUndefined();
    truncateSync(path, SIZE);
    guest.machine.reset();
    guest.machine.harts[0]!.setX(S11, 0n);
    expect([count(guest), x(guest, A1), x(guest, S11)]).toEqual([8, 0, 0]);
  });

  test("of a file that is cut short is no danger to whoever copies from it", () => {
    const path = image("copied", 7);
    using guest = boot(profile(fileKeys(path)));
    const view = guest.machine.memory.view(WINDOW, SIZE)!;
    truncateSync(path, 0);
    expect(view.slice().every((byte) => byte === 0)).toBe(true);
    guest.runUntil(LIMIT);
    expect(guest.machine.memory.view(WINDOW, 1)).toBeUndefined();
    expect(messages(guest)[0]).toContain("it is empty now");
  });
});
