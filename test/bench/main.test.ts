import { expect, test } from "bun:test";
import { resolve } from "node:path";

const MAIN = resolve(import.meta.dir, "../../bench/main.ts");

function bench(...args: string[]) {
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, MAIN, ...args], { stdin: "ignore" });
  return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode };
}

test("--list names what there is", () => {
  const { stdout, exitCode } = bench("--list");
  expect(exitCode).toBe(0);
  expect(stdout).toContain("compute      whole   coremark-like.elf");
  expect(stdout).toContain("bus          parts   bus dispatch");
});

test("an unknown name and an unknown option are refused", () => {
  expect(bench("coffee")).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("called coffee") });
  expect(bench("--coffee")).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--coffee") });
});

test("a run prints the machine, the command and a table; progress goes to standard error", () => {
  const { stdout, stderr, exitCode } = bench("bus", "--quick");
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^\d+ x .*; Bun \d.*\nbun bench\/main.ts bus --quick\n/);
  expect(stdout).toContain("| bus load among 1000 regions, beside 10 ");
  expect(stderr).toContain("bus load among 1000 regions");
});
