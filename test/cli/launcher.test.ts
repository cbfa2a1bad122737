// The first lines of src/cli.ts, as a shell reads them: which Bun is started, with what.
import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const CLI = resolve(import.meta.dir, "../../src/cli.ts");
const POLICY = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp";
const folder = mkdtempSync(join(tmpdir(), "vmrun-launcher-"));
afterAll(() => rmSync(folder, { recursive: true }));

// Stands where Bun is looked for, and tells.
const bun = join(folder, "bun");
writeFileSync(bun, `#!/bin/sh\nprintf '%s\\n' "$${POLICY}" "$@"\nexit 7\n`);
chmodSync(bun, 0o755);

function launch(path: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const { PATH, ...rest } = process.env;
  delete rest[POLICY];
  const child = Bun.spawnSync([path, ...args], { env: { ...rest, ...environment, PATH: `${folder}:${PATH}` } });
  return {
    lines: child.stdout.toString().split("\n").slice(0, -1),
    said: child.stderr.toString(),
    code: child.exitCode,
  };
}

test("Bun gets the words as they are, and compiles with patience", () => {
  const words = ["run", "a b", "", "$HOME", "--set=x='y'"];
  expect(launch(CLI, words)).toEqual({ lines: ["1000000", CLI, ...words], said: "", code: 7 });
});

test("who says otherwise is heard", () => {
  expect(launch(CLI, [], { [POLICY]: "5" }).lines).toEqual(["5", CLI]);
});

test("a link to it, as packages have them, is as good", () => {
  const link = join(folder, "vmrun");
  symlinkSync(CLI, link);
  expect(launch(link, ["fdt"]).lines).toEqual(["1000000", link, "fdt"]);
  rmSync(bun);
  symlinkSync(process.execPath, bun);
  const version = launch(link, ["--version"]);
  expect([version.code, version.said, version.lines.length]).toEqual([0, "", 1]);
});
