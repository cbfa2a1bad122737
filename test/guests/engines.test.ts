/**
 * Programs that are hard for a translator (`firmware/trials/`), and the kernels of the engine's benchmark: every engine prints
 * what QEMU prints, and executes the same number of instructions, also where interrupts come at every instruction in turn.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { kernels } from "../../bench/engine/kernels.ts";
import type { EngineKind } from "../../src/engine/engine.ts";
import { boot } from "../../src/index.ts";
import {
  answer,
  endedWith,
  LINUX,
  linux,
  linuxImages,
  type Result,
  ROOT,
  TEST_LIMIT,
  testWith,
  VIRT,
} from "./vmrun.ts";

const ENGINES: readonly EngineKind[] = ["interpreter", "translator", "forced", "native"];
/** Seconds of guest time; the longest takes a tenth of one. */
const PATIENCE = 10;

function run(engine: EngineKind, firmware: string, cmdline: string) {
  // A tick of the timer is as long as an instruction.
  const set = ["cpu.harts=2", "time.timebase=1GHz", `boot.firmware=${firmware}`, `boot.cmdline=${cmdline}`];
  using guest = boot(VIRT, { engine, set });
  const outcome = guest.runUntil({ guestTime: PATIENCE });
  const { instructions, bus } = guest.machine;
  return { outcome, console: guest.console.replaceAll("\r", ""), instructions, exits: bus.exits };
}

const qemu = Bun.which("qemu-system-riscv64");
const testWithQemu = qemu === null ? test.skip : test;

function runQemu(firmware: string, cmdline: string): string {
  const machine = ["-M", "virt", "-smp", "2", "-m", "256M", "-display", "none", "-serial", "stdio", "-monitor", "none"];
  const { stdout } = Bun.spawnSync(
    [qemu!, ...machine, "-bios", "none", "-kernel", firmware, ...(cmdline ? ["-append", cmdline] : [])],
    { stdin: "ignore", timeout: TEST_LIMIT / 2 },
  );
  return stdout.toString().replaceAll("\r", "");
}

/** Without the lines that depend on when interrupts come. */
const lasting = (text: string) => text.replaceAll(/^~.*\n/gm, "");

/** The recorded text is QEMU 7.2's. */
const recorded = (name: string) => readFileSync(resolve(import.meta.dir, `trials/${name}.txt`), "utf8");

const trials = ["cross", "faults", "modes", "parallel", "remap", "selfcode", "timers"].map((name) => ({
  name,
  cmdline: "",
}));
/** Also each by itself: what one leaves behind can bring out what is wrong in the next, or hide it. */
const remaps = recorded("remap")
  .trimEnd()
  .split("\n")
  .map((line, part) => ({ name: "remap", cmdline: `parts=${1 << part}`, line }));

describe.each([...trials, ...remaps])("trial $name $cmdline", ({ name, cmdline, ...rest }) => {
  const firmware = resolve(ROOT, `firmware/trials/${name}.elf`);
  const text = "line" in rest ? `${rest.line}\n` : recorded(name);
  let interpreted: ReturnType<typeof run>;

  test.each([...ENGINES])(
    "%s",
    (engine) => {
      const found = run(engine, firmware, cmdline);
      expect(lasting(found.console)).toBe(text);
      expect(found.console).not.toMatch(/wrong +[1-9]/);
      interpreted ??= found;
      expect(found).toEqual(interpreted);
    },
    TEST_LIMIT,
  );

  testWithQemu("QEMU", () => expect(lasting(runQemu(firmware, cmdline))).toBe(text), TEST_LIMIT);
});

describe("kernels", () => {
  /** Enough for `translator` to translate; what takes long in one iteration gets one. */
  const count = (usual: number) => Math.max(1, Math.min(20_000, Math.round(usual / 500)));

  for (const { name, image, usual } of kernels) {
    if (image !== undefined) continue;
    const firmware = resolve(ROOT, `firmware/bench/engine/${name}.elf`);
    const cmdline = `iterations=${count(usual)}`;
    test(
      name,
      () => {
        const [interpreted, ...translated] = ENGINES.map((engine) => run(engine, firmware, cmdline));
        expect(interpreted.console).toMatch(/^checksum +[0-9a-f]+$/m);
        for (const other of translated) expect(other).toEqual(interpreted);
        if (qemu !== null) expect(interpreted.console).toBe(runQemu(firmware, cmdline));
      },
      TEST_LIMIT,
    );
  }
});

describe("Linux boots, compresses, sorts and forks", () => {
  const GZIP = "gzip -9 </bin/busybox | gunzip | cmp - /bin/busybox && echo alike";
  const SORT = "find / -xdev | sort -r | awk '{ n += length($0) * NR } END { print (n > 0) }'";
  const FORK = "i=0; while [ $i -lt 40 ]; do (true); i=$((i+1)); done; echo $i";
  const LINES = [GZIP, SORT, FORK, "poweroff -f"];
  let interpreted: Result;

  for (const engine of ENGINES) {
    testWith(["driver-kernel/Image.gz", "debian/initramfs.cpio.gz"])(engine, async () => {
      const result = await linux(LINUX, [...linuxImages("driver-kernel/Image.gz"), "--engine", engine], LINES);
      endedWith(result, 0);
      expect([GZIP, SORT, FORK].map((line) => answer(result, line))).toEqual(["alike", "1", "40"]);
      interpreted ??= result;
      expect(result.instructions).toBe(interpreted.instructions);
      // Not `toBe`: a whole boot in a failure's message helps nobody.
      expect(result.stdout === interpreted.stdout).toBe(true);
    });
  }
});

/** Much code of many kinds, on threads of their own, with answers that are known; and as many instructions as interpreted. */
describe("Debian's kernel finds nothing wrong with its own cryptography", () => {
  let interpreted: Result;
  const IDLE =
    "until read _ _ _ running _ </proc/loadavg; case $running in 1/*) true;; *) false;; esac; do sleep 1; done";
  const TESTED = "grep -c '^selftest *: passed' /proc/crypto";
  const UNTESTED = "grep -c '^selftest *: unknown' /proc/crypto";
  const WRONG = "dmesg | grep -cE 'Oops|BUG:|self-tests for .* failed'";

  for (const engine of ["interpreter", "translator", "native"] satisfies EngineKind[]) {
    testWith(["debian/Image", "debian/initramfs.cpio.gz"])(engine, async () => {
      const images = [...linuxImages("debian/Image"), "--engine", engine];
      const result = await linux(LINUX, images, [IDLE, TESTED, UNTESTED, WRONG, "poweroff -f"]);
      endedWith(result, 0);
      expect(Number(answer(result, TESTED))).toBeGreaterThan(40);
      expect([UNTESTED, WRONG].map((line) => answer(result, line))).toEqual(["0", "0"]);
      interpreted ??= result;
      expect(result.instructions).toBe(interpreted.instructions);
    });
  }
});
