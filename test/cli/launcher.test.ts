// The first lines of src/cli.ts, as a shell reads them: which Bun is started, with what.
import { afterAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const CLI = resolve(import.meta.dir, "../../src/cli.ts");
const POLICY = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp";
/** Of WebAssembly, where a guest's code becomes the host's: x86-64's. */
const WEB_POLICY = "BUN_JSC_thresholdForOMGOptimizeAfterWarmUp";
const patience = existsSync("/lib64/ld-linux-x86-64.so.2") ? "60000000" : "";
const COLLECTOR = "BUN_JSC_gcMaxHeapSize";
const folder = mkdtempSync(join(tmpdir(), "vmrun-launcher-"));
afterAll(() => rmSync(folder, { recursive: true }));

// Stands where Bun is looked for, and tells.
const bun = join(folder, "bun");
writeFileSync(bun, `#!/bin/sh\nprintf '%s\\n' "$${POLICY}" "$${WEB_POLICY}" "$${COLLECTOR}" "$@"\nexit 7\n`);
chmodSync(bun, 0o755);

function launch(path: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const { PATH, ...rest } = process.env;
  delete rest[POLICY];
  delete rest[WEB_POLICY];
  delete rest[COLLECTOR];
  delete rest["VMRUN_NO_NATIVE"];
  const child = Bun.spawnSync([path, ...args], { env: { ...rest, ...environment, PATH: `${folder}:${PATH}` } });
  return {
    lines: child.stdout.toString().split("\n").slice(0, -1),
    said: child.stderr.toString(),
    code: child.exitCode,
  };
}

test("Bun gets the words as they are, and compiles with patience", () => {
  const words = ["run", "a b", "", "$HOME", "--set=x='y'"];
  expect(launch(CLI, words)).toEqual({ lines: ["1000000", patience, "8000000", CLI, ...words], said: "", code: 7 });
});

test("who says otherwise is heard", () => {
  expect(launch(CLI, [], { [POLICY]: "5", [WEB_POLICY]: "6", [COLLECTOR]: "7" }).lines).toEqual(["5", "6", "7", CLI]);
});

test("WebAssembly is compiled as soon as usual where it is what guest code becomes", () => {
  expect(launch(CLI, ["run"], { VMRUN_NO_NATIVE: "1" }).lines).toEqual(["1000000", "", "8000000", CLI, "run"]);
  expect(launch(CLI, ["run", "--engine", "portable"]).lines.slice(0, 2)).toEqual(["1000000", ""]);
});

test("a link to it, as packages have them, is as good", () => {
  const link = join(folder, "vmrun");
  symlinkSync(CLI, link);
  expect(launch(link, ["fdt"]).lines).toEqual(["1000000", patience, "8000000", link, "fdt"]);
  rmSync(bun);
  symlinkSync(process.execPath, bun);
  const version = launch(link, ["--version"]);
  expect([version.code, version.said, version.lines.length]).toEqual([0, "", 1]);
});
