/** Linux to a shell that answers: both kernels, vmrun's own SBI and OpenSBI, one hart and four. */
import { describe, expect } from "bun:test";
import type { ImageName } from "./images.ts";
import { answer, endedWith, LINUX, linux, linuxImages, type Result, testWith } from "./vmrun.ts";

const BUSYBOX = "debian/initramfs.cpio.gz";
const kernels = ["debian/Image", "driver-kernel/Image.gz"] as const;

const CPUS = "cat /proc/cpuinfo";
const MODEL = "cat /proc/device-tree/model; echo";
const INTERRUPTS = "cat /proc/interrupts";
const RANDOM = "dd if=/dev/hwrng bs=16 count=1 2>/dev/null | hexdump -v -e '/1 \"%02x\"'; echo";
const SLEEP = "date +%s; sleep 20; date +%s";
const UTF8 = "printf 'größe %s\\n' ┬";
const OFF = "poweroff -f";
const LINES = [CPUS, MODEL, INTERRUPTS, RANDOM, SLEEP, UTF8, OFF];

function judge(run: Result, harts: number, openSbi: boolean): void {
  endedWith(run, 0);
  expect(run.stderr).toContain("guest powered off");
  expect(run.stdout).toContain(openSbi ? "SBI implementation ID=0x1 " : "SBI implementation ID=0x766d72 ");
  expect(run.stdout.includes("OpenSBI v")).toBe(openSbi);
  expect(run.stdout).toContain("vmrun-initramfs: ready Linux 6.12");
  // A kernel that found something odd says so with a call trace.
  expect(run.stdout).not.toMatch(/Call Trace|WARNING:|Oops|BUG:|Unable to handle/);

  const cpus = answer(run, CPUS);
  expect(cpus.match(/^processor\s+: \d+$/gm)).toHaveLength(harts);
  expect(new Set(cpus.match(/^hart\s+: \d+$/gm)).size).toBe(harts);
  expect(cpus.match(/^isa\s+: rv64imafdc\w*_zicbom_zicboz_zicntr\w*_zba_zbb_zbs_sstc$/gm)).toHaveLength(harts);
  expect(cpus.match(/^mmu\s+: sv57$/gm)).toHaveLength(harts);
  expect(answer(run, MODEL)).toBe("vmrun,virt-rv64\0");

  const counts = interruptCounts(answer(run, INTERRUPTS));
  expect(counts.get("riscv-timer")).toHaveLength(harts);
  for (const count of counts.get("riscv-timer")!) expect(count).toBeGreaterThan(0);
  expect(sum(counts.get("ttyS0"))).toBeGreaterThan(10);
  expect(sum(counts.get("virtio0"))).toBeGreaterThan(0);
  if (harts > 1) expect(sum(counts.get("Function call interrupts"))).toBeGreaterThan(0);

  const random = answer(run, RANDOM);
  expect(random).toMatch(/^[0-9a-f]{32}$/);
  expect(new Set(random).size).toBeGreaterThan(4);

  const [before, after] = answer(run, SLEEP).split("\n").map(Number);
  // The RTC starts at the profile's epoch, and the guest's seconds are those that pass on it.
  expect(before - Date.UTC(2026, 0, 1) / 1000).toBeLessThan(10);
  expect(after - before).toBeWithin(20, 22);
  expect(run.guestTime).toBeGreaterThan(20);
  expect(answer(run, UTF8)).toBe("größe ┬");
}

/** By the name at the end of the line: one count for each CPU. */
function interruptCounts(table: string): Map<string, number[]> {
  const rows = table.split("\n").slice(1);
  return new Map(
    rows.map((row) => {
      const [, counts, what] = /^ *\w+: +((?:\d+ +)+)(.*)$/.exec(row) ?? ["", "", ""];
      const name = /^(?:RISC-V INTC|SiFive PLIC) /.test(what) ? what.split(" ").at(-1)! : what;
      return [name, counts.trim().split(/ +/).map(Number)];
    }),
  );
}

const sum = (counts: readonly number[] = []) => counts.reduce((a, b) => a + b, 0);

describe.each([1, 4])("with %d harts", (harts) => {
  for (const kernel of kernels) {
    testWith([kernel, BUSYBOX])(`${kernel} on vmrun's SBI`, async () => {
      judge(await linux(LINUX, [...linuxImages(kernel), "--set", `cpu.harts=${harts}`], LINES), harts, false);
    });

    testWith([kernel, BUSYBOX, "debian/fw_dynamic.bin"])(`${kernel} on OpenSBI fw_dynamic`, async () => {
      const images = linuxImages(kernel, "debian/fw_dynamic.bin");
      judge(await linux(LINUX, [...images, "--set", `cpu.harts=${harts}`], LINES), harts, true);
    });
  }
});

describe("other forms of OpenSBI", () => {
  for (const firmware of ["debian/fw_jump.bin", "debian/fw_jump.elf", "debian/fw_dynamic.elf"] satisfies ImageName[]) {
    testWith(["driver-kernel/Image.gz", BUSYBOX, firmware])(firmware, async () => {
      const images = linuxImages("driver-kernel/Image.gz", firmware);
      judge(await linux(LINUX, [...images, "--set", "cpu.harts=2"], LINES), 2, true);
    });
  }
});

describe("other harts", () => {
  const UNAME = "uname -m";
  const ARITHMETIC = "awk 'BEGIN { print 1.5 * 3, 2 / 3 }'";
  const NAP = "time sleep 2";
  const openSbi = "debian/fw_dynamic.bin";
  const variants = [
    { name: "rv64gc: timers over SBI, no Zb*", isa: "rv64gc", mmu: "sv57", harts: 1, firmware: undefined },
    { name: "rv64gc: timers over OpenSBI", isa: "rv64gc", mmu: "sv57", harts: 2, firmware: openSbi },
    { name: "four with Sv39", isa: "rv64gc_zicntr", mmu: "sv39", harts: 4, firmware: undefined },
    { name: "Sv48", isa: "rv64gc_zba_zbb_zbs_zicntr_sstc_svadu", mmu: "sv48", harts: 1, firmware: openSbi },
    { name: "Svade: the kernel sets A and D", isa: "rv64gc_sstc_svade", mmu: "sv39", harts: 1, firmware: undefined },
    { name: "Svade under OpenSBI", isa: "rv64gc_zicntr_svade", mmu: "sv57", harts: 1, firmware: openSbi },
  ] as const;
  for (const { name, isa, mmu, harts, firmware } of variants) {
    testWith(["driver-kernel/Image.gz", BUSYBOX, ...(firmware ? [firmware] : [])])(name, async () => {
      const set = [`cpu.isa=${isa}`, `cpu.mmu=${mmu}`, `cpu.harts=${harts}`].flatMap((each) => ["--set", each]);
      const args = [...linuxImages("driver-kernel/Image.gz", firmware), ...set];
      const run = await linux(LINUX, args, [UNAME, CPUS, ARITHMETIC, NAP, OFF]);
      endedWith(run, 0);
      expect(answer(run, UNAME)).toBe("riscv64");
      const cpus = answer(run, CPUS);
      expect(cpus.match(new RegExp(`^mmu\\s+: ${mmu}$`, "gm"))).toHaveLength(harts);
      expect(/^isa\s+: .*_zba/m.test(cpus)).toBe(isa.includes("zba"));
      expect(/^isa\s+: .*_sstc/m.test(cpus)).toBe(isa.includes("sstc"));
      expect(answer(run, ARITHMETIC)).toBe("4.5 0.666667");
      expect(answer(run, NAP)).toMatch(/real\s+0m 2\.0/);
    });
  }
});

describe("time", () => {
  testWith(["driver-kernel/Image.gz", BUSYBOX])(
    "idle guest time costs nothing, and the RTC has its epoch",
    async () => {
      const date = "date -u '+%F %H'";
      const set = ["--set", "time.epoch=1000000000", "--timeout", "3h"];
      const run = await linux(LINUX, [...linuxImages("driver-kernel/Image.gz"), ...set], ["sleep 3600", date, OFF]);
      endedWith(run, 0);
      expect(answer(run, date)).toBe("2001-09-09 02");
      expect(run.guestTime).toBeGreaterThan(3600);
      expect(run.hostTime).toBeLessThan(60);
    },
  );
});

describe("with 3 GiB", () => {
  testWith(["driver-kernel/Image.gz", BUSYBOX])("memory above 2 GiB of it is used", async () => {
    const free = "awk '/MemTotal/ { print $2 }' /proc/meminfo";
    const run = await linux(
      LINUX,
      [...linuxImages("driver-kernel/Image.gz"), "--set", "memory.dram.size=3GiB"],
      [free, OFF],
    );
    endedWith(run, 0);
    expect(Number(answer(run, free))).toBeGreaterThan(2.8 * 2 ** 20);
  });
});
