/** The board monitor on the boards that ship: what a newcomer sees first, and every device it drives. */
import { describe, expect, test } from "bun:test";
import { answer, dialogue, endedWith, HIFIVE, type Result, VIRT, vmrun } from "./vmrun.ts";

const PROMPT = "monitor> ";
const PLAIN = ["--set", "boot.cmdline=nocolor"];
const LINES = ["harts", "irq", "rng", "rtc", "memtest", "trap", "sleep 5", "time", "fdt /cpus"];

interface Board {
  readonly name: string;
  readonly profile: string;
  readonly harts: number;
}

const boards: Board[] = [1, 4].flatMap((harts) => [
  { name: "virt-rv64", profile: VIRT, harts },
  { name: "hifive-rv64", profile: HIFIVE, harts },
]);

const monitor = (profile: string, harts: number, lines: readonly string[], ...args: string[]): Promise<Result> =>
  vmrun([profile, ...PLAIN, "--set", `cpu.harts=${harts}`, ...args, ...dialogue(PROMPT, lines)]);

describe.each(boards)("$name with $harts harts", ({ name, profile, harts }) => {
  const virt = name === "virt-rv64";

  test("shows the board, drives its devices, and fails with the code it is told", async () => {
    const run = await monitor(profile, harts, [...LINES, "poweroff 7"]);
    endedWith(run, 3);
    expect(run.stderr).toContain("guest reported failure 7");
    const said = (line: string) => answer(run, line, PROMPT);

    const banner = run.stdout.slice(0, run.stdout.indexOf(PROMPT));
    expect(banner).toContain(`vmrun,${name}`);
    expect(banner).toContain(`${harts}, the monitor runs on hart 0`);
    expect(banner).toContain("256 MiB at 0x80000000");
    expect(banner).toMatch(virt ? /ns16550a +0x10000000 .* 10 {2}</ : /sifive,fu540-c000-uart +0x10010000 .* 4 {2}</);

    expect(said("harts").split("\n")).toHaveLength(harts);
    expect(said("harts").match(/woke from WFI, answered/g) ?? []).toHaveLength(harts - 1);
    expect(said("irq").match(/(timer|software|external) +arrived/g)).toHaveLength(3);
    expect(said("irq")).toContain("after 10.000 ms");
    expect(said("memtest").match(/ ok$/gm)).toHaveLength(3);
    expect(said("trap")).toMatch(/illegal instruction[\s\S]*and on behind it/);
    expect(said("time")).toMatch(/ 5\.[01]\d+ s/);
    expect(said("fdt /cpus").match(/cpu@\d/g)).toHaveLength(harts);
    if (virt) {
      expect(said("rng").match(/ [0-9a-f]{2}\b/g)!.length).toBeGreaterThanOrEqual(32);
      expect(said("rtc")).toMatch(/^ *2026-01-01T00:00:00\.\d+Z/);
    } else {
      expect(said("rng")).toContain("no virtio entropy");
      expect(said("rtc")).toContain("no goldfish RTC");
    }
  });

  test("starts over, and powers off", async () => {
    const run = await monitor(profile, harts, ["reboot", "harts", "poweroff"]);
    endedWith(run, 0);
    expect(run.stderr).toContain("guest powered off");
    expect(run.stderr).toContain("1 reboots");
    expect(run.stdout.split(`vmrun,${name}`)).toHaveLength(3);
    expect(answer(run, "harts", PROMPT).split("\n")).toHaveLength(harts);
  });
});

test("--no-reboot makes a reboot the end", async () => {
  const run = await monitor(VIRT, 1, ["reboot"], "--no-reboot");
  endedWith(run, 0);
  expect(run.stderr).toContain("guest rebooted");
  expect(run.stdout.split("vmrun,virt-rv64")).toHaveLength(2);
});

test("what is expected may be UTF-8", async () => {
  endedWith(await vmrun([VIRT, "--expect", "  ┬  ┬  ┬", "--expect", "monitor"]), 0);
  const unmet = await vmrun([VIRT, "--expect", "┬┬┬"]);
  endedWith(unmet, 5);
  expect(unmet.stderr).toContain('without "┬┬┬" having appeared');
});

test("memory above 2 GiB of it works like the rest", async () => {
  const lines = ["mw 13ffff000 12345678", "md 13ffff000 1", "memtest", "poweroff"];
  const run = await monitor(VIRT, 1, lines, "--set", "memory.dram.size=3GiB");
  endedWith(run, 0);
  expect(answer(run, "md 13ffff000 1", PROMPT)).toContain("12345678");
  expect(answer(run, "memtest", PROMPT).match(/ ok$/gm)).toHaveLength(3);
});
