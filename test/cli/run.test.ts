// A run as a script sees it: what goes where, and the exit code of every way to end.
import { describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import { boot } from "../../src/index.ts";
import { ROOT, VIRT, vmrun } from "./vmrun.ts";

test("input from a pipe reaches the guest, its output alone goes to standard output", async () => {
  const { code, out, err } = await vmrun([VIRT], "poweroff\n");
  expect(code).toBe(0);
  expect(out).toContain("poweroff");
  expect(out).not.toContain("vmrun:");
  expect(err).toMatch(/^vmrun: guest powered off: .* instructions, .* exits\n$/);
});

test("`vmrun run PROFILE` is the same, and says nothing more when it is to be quiet", async () => {
  const { code, out, err } = await vmrun(["run", "-q", VIRT], "poweroff\n");
  expect([code, err]).toEqual([0, ""]);
  expect(out).toBe((await vmrun(["run", "--quiet", VIRT], "poweroff\n")).out);
});

describe("exit codes", () => {
  test("3: the guest failed", async () => {
    const { code, err } = await vmrun([VIRT], "poweroff 9\n");
    expect(code).toBe(3);
    expect(err).toContain("guest reported failure 9");
  });

  test("4: time is up, the guest's and the host's", async () => {
    const guest = await vmrun([VIRT, "--timeout", "50ms"], "sleep 1000\n");
    expect(guest.code).toBe(4);
    expect(guest.err).toContain("guest time is up");
    const host = await vmrun([VIRT, "--host-timeout=1ms"], "bench\nbench\nbench\n");
    expect(host.code).toBe(4);
    expect(host.err).toContain("host time is up");
  });

  test("5: what was expected did not appear", async () => {
    const { code, err } = await vmrun([VIRT, "--expect", "> ", "--expect", "never"], "poweroff\n");
    expect(code).toBe(5);
    expect(err).toContain('guest powered off without "never" having appeared');
  });

  test("6: the guest waits for ever", async () => {
    const { code, err } = await vmrun([VIRT]);
    expect(code).toBe(6);
    expect(err).toContain("guest waits for ever");
  });

  test("7: an access that the profile does not let pass", async () => {
    const { code, err } = await vmrun([VIRT, "--set", "unsupported.memory=abort"], "md 30000000 1\n");
    expect(code).toBe(7);
    expect(err).toContain("0x30000000, where nothing is");
  });

  test("130 and 143: a signal", async () => {
    for (const [signal, expected] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const child = Bun.spawn([process.execPath, resolve(ROOT, "src/cli.ts"), VIRT], {
        cwd: ROOT,
        stdin: "pipe",
        stdout: "pipe",
        stderr: "pipe",
      });
      // Output means that it runs.
      await child.stdout.getReader().read();
      child.kill(signal);
      expect(await child.exited).toBe(expected);
    }
  });
});

describe("--show-region", () => {
  test("shows what was translated, and says of which addresses nothing was", async () => {
    let entry = 0n;
    using guest = boot(VIRT, { engine: "forced" });
    guest.machine.followTranslation(({ page, region }) => {
      entry = page + BigInt(region.entry.at);
    });
    guest.type("poweroff\n");
    guest.runUntil({ guestTime: 20 });
    const address = entry.toString(16);
    const options = ["--engine", "forced", "--show-region", address, "--show-region=0xffff_ffff_0000_0000"];
    const { code, err } = await vmrun([VIRT, ...options], "poweroff\n");
    expect(code).toBe(0);
    expect(err).toContain(`\nregion at 0x${address}, thorough: `);
    expect(err).toContain(`\n;; 0x${address}  `);
    expect(err).toContain("\nnothing was translated at 0xffffffff00000000: ");
  });

  test("is refused without a translator, and without an address", async () => {
    const interpreted = await vmrun([VIRT, "--engine", "interpreter", "--show-region", "80000000"]);
    expect([interpreted.code, interpreted.err]).toEqual([2, expect.stringContaining("error[cli/show-region]")]);
    const nowhere = await vmrun([VIRT, "--show-region", "main"]);
    expect([nowhere.code, nowhere.err]).toEqual([2, expect.stringContaining('guest address, and "main" is none')]);
  });
});

describe("a dialogue", () => {
  test("ends with success after the last expectation", async () => {
    const steps = ["--expect", "> ", "--input", "time\\n", "--expect", "> "];
    const { code, out, err } = await vmrun([VIRT, ...steps]);
    expect(code).toBe(0);
    expect(err).toContain("everything expected has appeared");
    expect(out).toContain("time");
  });
});

describe("a reboot", () => {
  test("happens, or ends the run", async () => {
    const prompt = ["--expect", "> "];
    const steps = [...prompt, "--input", "reboot\\n", ...prompt, "--input", "poweroff\\n"];
    const { code, err } = await vmrun([VIRT, ...steps]);
    expect(code).toBe(0);
    expect(err).toContain("1 reboots");
    const ended = await vmrun([VIRT, "--no-reboot"], "reboot\npoweroff\n");
    expect(ended.code).toBe(0);
    expect(ended.err).toContain("guest rebooted");
  });
});
