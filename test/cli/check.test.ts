import { expect, test } from "bun:test";
import { VIRT, vmrun } from "./vmrun.ts";

test("a valid profile is told to be valid", async () => {
  const { code, out, err } = await vmrun(["check", VIRT]);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toMatch(/: virt-rv64 is a valid board with \d+ vdevs\n$/);
});

test("--resolved shows values and where they come from; --set repeats, and the last one wins", async () => {
  const set = ["--set", "cpu.harts=2", "--set=memory.dram.size=64MiB", "--set", "cpu.harts=3"];
  const { code, out } = await vmrun(["check", "--resolved", VIRT, ...set]);
  expect(code).toBe(0);
  expect(out).toMatch(/harts\s*=\s*3\b/);
  expect(out).toContain("64MiB");
  expect(out).toContain("--set");
});

test("every error is told, with its place, and counted", async () => {
  const { code, out, err } = await vmrun(["check", VIRT, "--set", "cpu.hart=2", "--set", "time.mode=real"]);
  expect([code, out]).toEqual([2, ""]);
  expect(err).toContain("cpu.hart");
  expect(err).toMatch(/did you mean .*harts/);
  expect(err).toMatch(/\n2 errors\n$/);
});
