// profiles/soc-pass.toml with Linux: its own drivers on hardware in another process, whose clocks it has a part of.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  answer,
  command,
  dialogue,
  endedWith,
  linuxImages,
  PROFILES,
  PROMPT,
  type Result,
  ROOT,
  SETTLE,
  TEST_LIMIT,
  testWith,
  vmrun,
  Workshop,
} from "./vmrun.ts";

const SOC = resolve(PROFILES, "soc-pass.toml");
const LINUX = () => [
  ...["--set", "boot.firmware=builtin"],
  ...linuxImages("driver-kernel/Image.gz"),
  ...["--set", "boot.cmdline=console=ttyS0 uio_pdrv_genirq.of_id=vmrun,soc-audio"],
];
const withLinux = testWith(["driver-kernel/Image.gz", "debian/initramfs.cpio.gz"]);

const RATES =
  "mount -t debugfs d /sys/kernel/debug; cd /sys/kernel/debug/clk; for c in */clk_rate; do echo $c $(cat $c); done; cd";
const UART = "echo from the guest >/dev/ttyS1";
const DISK = "seq 1 400 >/tmp/s; dd if=/tmp/s of=/dev/mmcblk0 bs=512 2>/dev/null; sync";
const SAME = "echo 3 >/proc/sys/vm/drop_caches; head -c $(stat -c %s /tmp/s) /dev/mmcblk0 | cmp - /tmp/s && echo same";
/** Memory's PLL is the host's; the guest's own has a divider that may be 8 to 64. */
const DDR = "devmem 0x1000200c 32 0; devmem 0x1000200c";
const OWN = "devmem 0x1000201c 32 0x82068ec0; devmem 0x1000201c; devmem 0x1000201c 32 0x82040ec0; devmem 0x1000201c";
/** The gate and divider of the audio clock, in a page of their own; then a period of one interface, and its interrupt. */
const AUDIO =
  "devmem 0x10003000 32 0x80000001; devmem 0x10006004 32 64; devmem 0x10006000 32 3; dd if=/dev/uio0 bs=4 count=1 2>/dev/null | wc -c";
const LINES = [RATES, UART, DISK, SAME, DDR, OWN, AUDIO];

describe("Linux's own drivers", () => {
  withLinux("drive clocks, UART, eMMC and audio, each as far as the profile lets them", async () => {
    const run = await vmrun([SOC, ...LINUX(), ...dialogue(PROMPT, [SETTLE, ...LINES, "poweroff"])]);
    endedWith(run, 0);
    drivesAll(run);
    expect(run.stdout).toContain("mmcblk0: mmc0:0001 VMRUN1 64.0 MiB");
    expect(answer(run, DDR)).toBe("0x82048DC0");
    // 2^5 is allowed, 2^0 is not; the other bits of that write are as they were.
    expect(answer(run, OWN).split("\n")).toEqual(["0x82068EC0", "0x82068EC0"]);
    expect(run.stderr).toContain("ccu: ethpll: 0x82060ec0 becomes 0x82068ec0");
    expect(await rates()).toEqual(expect.arrayContaining([["corepll", 249_999_998]]));
    const linux = new Map(
      answer(run, RATES)
        .split("\n")
        .map((line) => [line.split("/")[0]!, Number(line.split(" ")[1])]),
    );
    for (const [name, rate] of await rates()) {
      const shown = linux.get(name === "ethpll" ? "gemgxlpll" : name);
      // Linux leaves fractions of a hertz out at every step.
      expect([name, Math.abs((shown ?? 0) - rate) <= 1]).toEqual([name, true]);
    }
  });

  withLinux("do the same on the profile that `pass plan` proposes", async () => {
    using workshop = new Workshop();
    const plan = workshop.path("plan.toml");
    const used = [UART, DISK, SAME, AUDIO];
    const observed = await spawned([
      "pass",
      "plan",
      SOC,
      ...LINUX(),
      "-o",
      plan,
      ...dialogue(PROMPT, [SETTLE, ...used, "poweroff"]),
    ]);
    expect([observed.code, observed.stdout]).toEqual([0, ""]);
    const text = readFileSync(plan, "utf8");
    // The eMMC's driver opened the gate of its clock, and nobody went near the PLL's dividers.
    expect(text).toContain('name = "ethgate"\noffset = 0x20\n');
    expect(/name = "ethgate"[\s\S]*?pass = (\w+)/.exec(text)![1]).toBe("0x80000000");
    expect(/name = "ethpll"[\s\S]*?pass = (\w+)/.exec(text)![1]).toBe("0x0");
    expect(/name = "capture"[\s\S]*?\n\n|name = "capture"[\s\S]*$/.exec(text)![0]).toContain("it can do without");
    expect(/name = "serial1"[\s\S]*?size = (\w+)/.exec(text)![1]).toBe("0x8");
    const run = await vmrun([plan, ...LINUX(), ...dialogue(PROMPT, [SETTLE, ...used, "poweroff"])]);
    endedWith(run, 0);
    drivesAll(run);
  });
});

function drivesAll(run: Result): void {
  expect(run.stderr).toContain("soc.ts: uart: from the guest");
  expect(answer(run, SAME)).toEndWith("same");
  expect(answer(run, AUDIO)).toBe("4");
}

/** Of the clocks that Linux has by its driver, as `vmrun clocks` computes them. */
async function rates(): Promise<[string, number][]> {
  const { stdout } = await spawned(["clocks", SOC, "--json"]);
  const lines = JSON.parse(stdout) as { clock: string; rate: number }[];
  return lines
    .filter(({ clock }) => clock.startsWith("ccu.") && clock !== "ccu.audio")
    .map(({ clock, rate }) => [clock.slice("ccu.".length), Math.round(rate)]);
}

async function spawned(args: readonly string[]): Promise<{ code: number; stdout: string }> {
  const child = Bun.spawn(command(args), { cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, stdout };
}

test(
  "the board monitor runs on it with no image at all, and nothing stays behind",
  async () => {
    const run = await vmrun([
      SOC,
      "--set",
      "boot.cmdline=nocolor",
      ...dialogue("monitor> ", ["md.w 10002000 4", "poweroff"]),
    ]);
    endedWith(run, 0);
    expect(answer(run, "md.w 10002000 4", "monitor> ")).toContain("00000000 82060ec0 80000000 82048dc0");
    const again = await vmrun([SOC, "--set", "boot.cmdline=nocolor", ...dialogue("monitor> ", ["poweroff"])]);
    endedWith(again, 0);
  },
  TEST_LIMIT,
);
