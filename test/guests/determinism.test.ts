/** Same profile, same input: the same output, byte for byte, and the same number of instructions. */
import { expect, test } from "bun:test";
import {
  dialogue,
  endedWith,
  LINUX,
  linux,
  linuxImages,
  type Result,
  TEST_LIMIT,
  testWith,
  VIRT,
  vmrun,
} from "./vmrun.ts";

async function twice(run: () => Promise<Result>): Promise<Result> {
  const [first, second] = [await run(), await run()];
  endedWith(first, 0);
  expect(first.instructions).toBeGreaterThan(0);
  expect({ instructions: second.instructions, guestTime: second.guestTime, code: second.code }).toEqual({
    instructions: first.instructions,
    guestTime: first.guestTime,
    code: first.code,
  });
  // Not `toBe`: a whole boot in a failure's message helps nobody.
  expect(firstDifference(first.stdout, second.stdout)).toBeUndefined();
  return first;
}

function firstDifference(a: string, b: string): readonly [string, string] | undefined {
  if (a === b) return undefined;
  const lines = b.split("\n");
  const at = a.split("\n").findIndex((line, i) => line !== lines[i]);
  return [a.split("\n")[at] ?? "", lines[at] ?? ""];
}

for (const harts of [1, 4]) {
  const set = ["--set", `cpu.harts=${harts}`];
  test(
    `the monitor with ${harts} harts`,
    async () => {
      const lines = ["harts", "irq", "rng 64", "rtc", "memtest 1", "sleep 2", "time", "reboot", "harts", "poweroff"];
      await twice(() => vmrun([VIRT, ...set, ...dialogue("> ", lines)]));
    },
    TEST_LIMIT,
  );

  testWith(["driver-kernel/Image.gz", "debian/initramfs.cpio.gz"])(`Linux with ${harts} harts`, async () => {
    const lines = [
      "cat /proc/interrupts",
      "hexdump -C /dev/hwrng | head",
      "sleep 2",
      "cat /proc/uptime",
      "poweroff -f",
    ];
    await twice(() => linux(LINUX, [...linuxImages("driver-kernel/Image.gz"), ...set], lines));
  });
}

test("another seed, other random numbers", async () => {
  const run = (seed: number) => vmrun([VIRT, "--set", `seed=${seed}`, ...dialogue("> ", ["rng", "poweroff"])]);
  const [first, second] = [await run(1), await run(2)];
  endedWith(first, 0);
  expect(first.stdout).not.toBe(second.stdout);
});
