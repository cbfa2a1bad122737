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
const policies: number[] = [];
Bun.unsafe.setJITPolicy = (scale) => void policies.push(scale);
process.on("exit", () => writeFileSync(process.env.LOADED!, JSON.stringify({ modules: Object.keys(require.cache), policies })));`,
);
const profile = join(folder, "poweroff.toml");
writeFileSync(
  profile,
  `schema = 1
include = ${JSON.stringify(join(ROOT, "profiles/virt-rv64.toml"))}
boot.firmware = ${JSON.stringify(join(ROOT, "firmware/bench/poweroff.elf"))}
`,
);

/** What a command line loads, as paths from the root of the repository, and how reluctantly it compiles, step by step. */
async function startOf(...args: string[]): Promise<{ modules: string[]; policies: number[] }> {
  const child = Bun.spawn([process.execPath, "--preload", preload, join(ROOT, "src/cli.ts"), ...args], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    env: { ...process.env, LOADED: loaded, XDG_CACHE_HOME: folder },
  });
  expect(await child.exited).toBe(0);
  const { modules, policies } = (await Bun.file(loaded).json()) as Awaited<ReturnType<typeof startOf>>;
  return { modules: modules.filter((file) => file !== preload).map((file) => relative(ROOT, file)), policies };
}

describe("a start loads what it needs and little more:", () => {
  test("vmrun --help", async () => {
    const { modules, policies } = await startOf("--help");
    expect(policies).toEqual([]);
    expect(modules.filter((file) => /^src\/(?!cli|diagnostics|vdev\/)/.test(file))).toEqual([]);
  });

  test("vmrun fdt", async () => {
    const board = join(ROOT, "profiles/virt-rv64.toml");
    const { modules, policies } = await startOf("fdt", board, "-o", join(folder, "board.dtb"));
    expect(policies).toEqual([10]);
    expect(modules.length).toBeLessThanOrEqual(78);
    expect(modules.filter((file) => /^src\/(engine|isa|machine|observe|wasm)\//.test(file))).toEqual([]);
  });

  test("vmrun run, with the interpreter that an earlier run has kept", async () => {
    const { modules: first } = await startOf("run", profile);
    expect(first).toContain("src/engine/interpreter/generate.ts");
    const { modules, policies } = await startOf("run", profile);
    // What guests run into is compiled as usual.
    expect(policies).toEqual([10, 1]);
    expect(modules.length).toBeLessThanOrEqual(148);
    const rare =
      /^node_modules\/(?!valibot)|^src\/(wasm|observe|debug|isa\/riscv\/float\/(?!mail)|engine\/(translator\/(?!contract)|interpreter\/generate)|host\/(channels|disk|linux|modules|termios)|fdt\/(dts|checks|reader))/;
    expect(modules.filter((file) => rare.test(file))).toEqual([]);
  }, 30_000);
});
