// What a start loads: modules are most of its time, and each is loaded again by every process.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "vmrun-start-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const preload = join(folder, "loaded.ts");
const loaded = join(folder, "loaded.json");
writeFileSync(
  preload,
  `import { writeFileSync } from "node:fs";
process.on("exit", () => writeFileSync(process.env.LOADED!, JSON.stringify(Object.keys(require.cache))));`,
);
const profile = join(folder, "poweroff.toml");
writeFileSync(
  profile,
  `schema = 1
include = ${JSON.stringify(join(ROOT, "profiles/virt-rv64.toml"))}
boot.firmware = ${JSON.stringify(join(ROOT, "firmware/bench/poweroff.elf"))}
`,
);

/** The modules that a command line loads, from the root of the repository. */
async function modulesOf(...args: string[]): Promise<string[]> {
  const child = Bun.spawn([process.execPath, "--preload", preload, join(ROOT, "src/cli.ts"), ...args], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    env: { ...process.env, LOADED: loaded, XDG_CACHE_HOME: folder },
  });
  expect(await child.exited).toBe(0);
  const files = (await Bun.file(loaded).json()) as string[];
  return files.filter((file) => file !== preload).map((file) => relative(ROOT, file));
}

describe("a start loads what it needs and little more:", () => {
  test("vmrun --help", async () => {
    const modules = await modulesOf("--help");
    expect(
      modules.filter((file) =>
        /^src\/(?!cli|diagnostics|vdev\/|host\/(cache-folder|file-facts|jit-policy))/.test(file),
      ),
    ).toEqual([]);
  });

  test("vmrun fdt", async () => {
    const modules = await modulesOf("fdt", join(ROOT, "profiles/virt-rv64.toml"), "-o", join(folder, "board.dtb"));
    expect(modules.length).toBeLessThanOrEqual(78);
    expect(modules.filter((file) => /^src\/(engine|isa|machine|observe|wasm)\//.test(file))).toEqual([]);
  });

  test("vmrun run, with the interpreter that an earlier run has kept", async () => {
    const first = await modulesOf("run", profile);
    expect(first).toContain("src/engine/interpreter/generate.ts");
    const modules = await modulesOf("run", profile);
    expect(modules.length).toBeLessThanOrEqual(148);
    const rare =
      /^node_modules\/(?!valibot)|^src\/(wasm|observe|debug|isa\/riscv\/float\/(?!mail)|engine\/(translator\/(?!contract)|interpreter\/generate)|host\/(channels|disk|linux|modules|termios)|fdt\/(dts|checks|reader))/;
    expect(modules.filter((file) => rare.test(file))).toEqual([]);
  });
});
