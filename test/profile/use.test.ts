import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { render, VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { loadProfile, loadProfileWithVdevs } from "../../src/profile/load.ts";
import { BASE, registry } from "./support.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vmrun-use-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const vdev = (type: string, more = "") => `import { defineVdev } from "vmrun";
import * as v from "valibot";
export const device = defineVdev({
  type: "${type}", summary: "a vdev of a test", options: v.object({ level: v.optional(v.number(), 3) }),
  regions: [{ name: "regs", size: 0x1000 }], ${more}
  create: () => ({ regions: [{ read: () => 0, write: () => {} }], reset() {}, snapshot: () => null, restore() {} }),
});
`;

const board = (use: string, type?: string) =>
  `${BASE.replace("schema = 1", `schema = 1\nuse = ${use}`)}${type ? `[[vdev]]\ntype = "${type}"\nname = "it"\n` : ""}`;

let next = 0;

/** A folder of its own for each test: modules are known by their paths. */
function put(files: Readonly<Record<string, string>>): string {
  const own = join(folder, String(next++));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(own, name)), { recursive: true });
    writeFileSync(join(own, name), text);
  }
  return join(own, "board.toml");
}

const load = (files: Readonly<Record<string, string>>, set: readonly string[] = []) =>
  loadProfileWithVdevs(put(files), { registry, set });

/** What a person sees, without the folder of the test. */
async function refused(files: Readonly<Record<string, string>>): Promise<string> {
  try {
    await load(files);
  } catch (error) {
    if (!(error instanceof VmrunError)) throw error;
    const text = error.diagnostics.map(render).join("\n");
    return text.replaceAll(join(folder, String(next - 1)), "DIR");
  }
  throw new Error("the profile was accepted");
}

describe("a profile's own vdevs", () => {
  test("a file in a bare folder: vmrun and valibot are at hand", async () => {
    const loaded = await load({ "board.toml": board('"./mine.ts"', "mine"), "mine.ts": vdev("mine") });
    expect(loaded.board.vdevs.at(-1)).toMatchObject({ placement: { name: "it", type: "mine" }, options: { level: 3 } });
    expect(loaded.modules.map(({ types }) => types)).toEqual([["mine"]]);
    expect(registry.get("mine")).toBeUndefined();
  });

  test("their options are checked like all others", async () => {
    const text = `${board('["./mine.ts"]', "mine")}level = "high"\nlevle = 3\n`;
    expect(await refused({ "board.toml": text, "mine.ts": vdev("mine") })).toMatchInlineSnapshot(`
      "DIR/board.toml:13:9: error[profile/type]: vdev.it.level: expected number; got "high"
         13 | level = "high"
            |         ^^^^^^
      DIR/board.toml:14:1: error[profile/unknown-key]: vdev.it has no key levle
         14 | levle = 3
            | ^^^^^
        hint: did you mean "level"?"
    `);
  });

  test("files of included profiles are relative to those, and add up", async () => {
    const { modules } = await load({
      "board.toml": `${board('["./mine.ts", "sub/theirs.ts"]', "theirs")}`.replace(
        "schema = 1",
        'schema = 1\ninclude = "sub/base.toml"',
      ),
      "mine.ts": vdev("mine"),
      "sub/base.toml": 'schema = 1\nuse = "theirs.ts"\n',
      "sub/theirs.ts": vdev("theirs"),
    });
    expect(modules.flatMap(({ types }) => types)).toEqual(["theirs", "mine"]);
  });

  test("an installed package, whose files are its own", async () => {
    const { modules } = await load({
      "board.toml": board('"some-vdev"', "packed"),
      "node_modules/some-vdev/package.json": '{ "name": "some-vdev", "type": "module", "exports": "./main.ts" }',
      "node_modules/some-vdev/main.ts": vdev("packed"),
    });
    expect(modules.map(({ shown, types }) => [shown, types])).toEqual([["some-vdev", ["packed"]]]);
  });

  test("a module is read anew every time, with what it imports", async () => {
    const path = put({
      "board.toml": board('"./mine.ts"', "mine"),
      "mine.ts": `export { device } from "./lib/device.ts";`,
      "lib/device.ts": vdev("mine"),
    });
    const level = async () => (await loadProfileWithVdevs(path, { registry })).board.vdevs.at(-1)?.options["level"];
    expect(await level()).toBe(3);
    writeFileSync(join(dirname(path), "lib/device.ts"), vdev("mine").replace("3", "4"));
    expect(await level()).toBe(4);
  });

  test("loading at once refuses them", () => {
    const path = put({ "board.toml": board('"./mine.ts"'), "mine.ts": vdev("mine") });
    expect(() => loadProfile(path, { registry })).toThrow("profile/use");
  });

  test("--set names modules, relative to where it is typed", async () => {
    const path = put({ "board.toml": BASE, "mine.ts": vdev("mine") });
    const { modules } = await loadProfileWithVdevs(path, { registry, set: [`use=${join(dirname(path), "mine.ts")}`] });
    expect(modules).toHaveLength(1);
  });
});

describe("what is wrong is told where it is", () => {
  const cases: Readonly<Record<string, { use: string; files?: Readonly<Record<string, string>> }>> = {
    "a missing file": { use: '["./mien.ts"]', files: { "mine.ts": vdev("mine") } },
    "a missing package": { use: '["left-pad"]' },
    "no text": { use: "[7]" },
    "a syntax error": { use: '"./mine.ts"', files: { "mine.ts": "export const x = 1;\nconst y = ;\n" } },
    "a syntax error in what it imports": {
      use: '"./mine.ts"',
      files: { "mine.ts": 'export { x } from "./lib/x.ts";\n', "lib/x.ts": "export const x = (;\n" },
    },
    "code that throws": {
      use: '"./mine.ts"',
      files: { "mine.ts": "const none: string[] = [];\n\nexport const x = none[3].length;\n" },
    },
    "a register map that contradicts itself": {
      use: '"./mine.ts"',
      files: {
        "mine.ts":
          'import { registerMap } from "vmrun";\nexport const map = registerMap({ A: { at: 2, width: 4 } });\n',
      },
    },
    "an import of nothing": { use: '"./mine.ts"', files: { "mine.ts": 'import { x } from "./lost.ts";\nx();\n' } },
    "an import of a package that is not there": {
      use: '"./mine.ts"',
      files: { "mine.ts": 'import pad from "left-pad";\npad();\n' },
    },
    "a name that vmrun does not export": {
      use: '"./mine.ts"',
      files: { "mine.ts": 'import { defineVdevs } from "vmrun";\ndefineVdevs();\n' },
    },
    "no descriptor": { use: '"./mine.ts"', files: { "mine.ts": "export const x = 1;\n" } },
    "another ABI": { use: '"./mine.ts"', files: { "mine.ts": vdev("mine", "abi: 99 as never,") } },
    "a type that is taken": { use: '"./mine.ts"', files: { "mine.ts": vdev("plic") } },
    "a type that two have": {
      use: '["./mine.ts", "./other.ts"]',
      files: { "mine.ts": vdev("mine"), "other.ts": vdev("mine") },
    },
    "a type that is no name": { use: '"./mine.ts"', files: { "mine.ts": vdev("My Vdev") } },
    "no options": { use: '"./mine.ts"', files: { "mine.ts": vdev("mine").replace(/options: .*$/m, "") } },
    "options that are no schema": {
      use: '"./mine.ts"',
      files: { "mine.ts": vdev("mine").replace(/options: .*$/m, "options: { level: 3 } as never,") },
    },
  };
  test.each(Object.entries(cases))("%s", async (_, { use, files = {} }) => {
    expect(await refused({ "board.toml": board(use), ...files })).toMatchSnapshot();
  });

  test("all of it at once", async () => {
    const text = await refused({ "board.toml": board('["./a.ts", "./b.ts"]'), "b.ts": "const y = ;" });
    expect(text.match(/error\[.*?\]/g)).toEqual(["error[profile/missing-file]", "error[vdev/module-syntax]"]);
  });
});

test("vmrun:NAME is a profile that vmrun ships", async () => {
  const path = put({ "board.toml": 'schema = 1\ninclude = "vmrun:virt-rv64"\n[boot]\nfirmware = "builtin"\n' });
  const { builtins } = await import("../../src/vdevs/index.ts");
  const { createRegistry } = await import("../../src/vdev/registry.ts");
  expect(loadProfile(path, { registry: createRegistry(builtins) }).board.name).toBe("virt-rv64");
});
