/**
 * Harts that run at once: bare programs that count what the memory model forbids, and Linux on two of them. No two runs are
 * alike, so what is compared is what has to come out of every run.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { canMap } from "../../src/host/mapping.ts";
import type { ImageName } from "./images.ts";
import { answer, endedWith, LINUX, linux, linuxImages, ROOT, TEST_LIMIT, testWith, VIRT, vmrun } from "./vmrun.ts";

const PARALLEL = ["--set", "cpu.harts=2", "--set", "cpu.parallel=true", "--set", "time.mode=host"];
const RUNS = 5;

if (!canMap()) console.warn("skipped: harts that run at once, since this host cannot map memory");

/** Without the lines that depend on when interrupts come. */
const lasting = (text: string) => text.replaceAll("\r", "").replaceAll(/^~.*\n/gm, "");
const recorded = (name: string) => readFileSync(resolve(import.meta.dir, `trials/${name}.txt`), "utf8");

describe.skipIf(!canMap())("trials", () => {
  for (const name of ["cross", "parallel"]) {
    for (const [engine, runs] of [
      ["interpreter", RUNS],
      ["translator", RUNS],
      ["forced", 1],
    ] as const) {
      test(
        `${name}, ${engine}, ${runs} times`,
        async () => {
          const firmware = resolve(ROOT, `firmware/trials/${name}.elf`);
          for (let i = 0; i < runs; i++) {
            const result = await vmrun([VIRT, ...PARALLEL, "--set", `boot.firmware=${firmware}`, "--engine", engine]);
            endedWith(result, 0);
            expect(lasting(result.stdout)).toBe(recorded(name));
            expect(result.stdout).not.toMatch(/wrong[ a-z]* +[1-9]/);
          }
        },
        TEST_LIMIT,
      );
    }
  }
});

describe.skipIf(!canMap())("Linux on two harts at once", () => {
  const CPUS = "grep -c ^processor /proc/cpuinfo";
  // Both compute at the same time, and the same.
  const SUM = "dd if=/dev/zero bs=64k count=160 2>/dev/null | sha256sum";
  const BOTH = `( (${SUM} >/a) & (${SUM} >/b) & wait ); cmp /a /b && cut -c1-16 /a`;
  const FORK = "i=0; while [ $i -lt 100 ]; do (true); i=$((i+1)); done; echo $i";
  const PIPES = "find / -xdev | sort -r | awk '{ n += length($0) * NR } END { print (n > 0) }'";
  // Ticks of user and system time on each.
  const USED = "awk '/^cpu[0-9]/ { print ($2 + $4 > 0) }' /proc/stat";
  const LINES = [CPUS, BOTH, FORK, PIPES, USED, "poweroff -f"];

  const images = (firmware?: ImageName): ImageName[] => [
    "debian/Image",
    "debian/initramfs.cpio.gz",
    ...(firmware ? [firmware] : []),
  ];
  for (const [name, firmware] of [
    ["on vmrun's SBI", undefined],
    ["under OpenSBI", "debian/fw_dynamic.bin"],
  ] as const) {
    testWith(images(firmware))(name, async () => {
      const result = await linux(LINUX, [...linuxImages("debian/Image", firmware), ...PARALLEL], LINES);
      endedWith(result, 0);
      expect(result.stdout).not.toMatch(/Call Trace|WARNING:|Oops|BUG:|Unable to handle|rcu: INFO/);
      expect(answer(result, CPUS)).toBe("2");
      // sha256sum of 10 MiB of zeroes.
      expect(answer(result, BOTH)).toBe("e5b844cc57f57094");
      expect([FORK, PIPES].map((line) => answer(result, line))).toEqual(["100", "1"]);
      expect(answer(result, USED)).toBe("1\n1");
    });
  }
});
