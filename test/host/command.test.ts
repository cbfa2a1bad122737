import { expect, test } from "bun:test";
import { runCommand } from "../../src/host/command.ts";

test("a command's status and both of its outputs come back", async () => {
  const { status, output } = await runCommand(["sh", "-c", "echo out; echo err >&2; exit 3"]);
  expect(status).toBe(3);
  expect(output.split("\n").sort()).toEqual(["", "err", "out"]);
});

test("arguments are not looked at by a shell", async () => {
  expect((await runCommand(["echo", "$HOME; `id`", "*"])).output).toBe("$HOME; `id` *\n");
});

test("output is bounded, and a talkative command still ends", async () => {
  const { status, output } = await runCommand(["head", "-c", "1000000", "/dev/zero"]);
  expect([status, output.length]).toEqual([0, 65536]);
});

test("children that stay behind are not waited for", async () => {
  const begun = performance.now();
  expect((await runCommand(["sh", "-c", "echo started; sleep 5 &"])).output).toBe("started\n");
  expect(performance.now() - begun).toBeLessThan(4000);
});

test("a program that does not exist is an error", async () => {
  expect(runCommand(["/does/not/exist"])).rejects.toThrow();
  expect(runCommand([])).rejects.toThrow("without a program");
});
