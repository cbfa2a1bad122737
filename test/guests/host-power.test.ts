/** The monitor asks its host to run a command: it takes the profile's word and the command line's. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "vmrun-host-power-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** `mw` writes COMMAND, `sleep` gives the host time, `md` shows STATUS. */
async function ask(file: string, ...options: string[]) {
  const path = join(folder, file);
  const commands = `vdev.hostpower.commands=[["touch", ${JSON.stringify(path)}]]`;
  const script = [
    "--expect",
    "monitor",
    "--input",
    "mw 10031000 706f0000\\nsleep 100\\n",
    "--expect",
    "> ",
    "--expect",
    "> ",
    "--input",
    "poweroff\\n",
  ];
  const run = Bun.spawn(
    ["bun", "src/cli.ts", "run", "profiles/devices-rv64.toml", "--set", commands, ...options, ...script],
    { cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  const errors = await new Response(run.stderr).text();
  await run.exited;
  for (let waited = 0; waited < 1000 && !existsSync(path); waited += 50) {
    if (errors.includes("refused") || errors.includes("not allowed")) break;
    await Bun.sleep(50);
  }
  return { ran: existsSync(path), errors };
}

test("with both it runs", async () => {
  const { ran, errors } = await ask("both", "--set", "vdev.hostpower.allow=true", "--allow-host-power");
  expect([ran, errors.includes('hostpower: the guest runs ["touch"')]).toEqual([true, true]);
});

test("without the profile's it is refused", async () => {
  const { ran, errors } = await ask("flag", "--allow-host-power");
  expect([ran, errors.includes("hostpower: refused: the profile does not allow")]).toEqual([false, true]);
});

test("without the flag it is refused", async () => {
  const { ran, errors } = await ask("profile", "--set", "vdev.hostpower.allow=true");
  expect([ran, errors.includes("was not run; start with --allow-host-power")]).toEqual([false, true]);
});
