import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadProfile } from "../../src/profile/load.ts";
import { documentVdev } from "../../src/vdev/document.ts";
import { createRegistry } from "../../src/vdev/registry.ts";
import { builtins } from "../../src/vdevs/index.ts";
import { bareFolder } from "./folder.ts";
import { vmrun } from "./vmrun.ts";

const folder = bareFolder();

test("the list has every type, with where it comes from", async () => {
  const { code, out, err } = await vmrun(["vdevs"]);
  expect([code, err]).toEqual([0, ""]);
  const types = out
    .split("\n")
    .slice(1, -1)
    .map((line) => line.split(" ")[0]);
  expect(types).toEqual(builtins.map(({ type }) => type).sort());
  expect(out).toMatch(/^pl031 +built in +Arm PrimeCell real-time clock/m);
});

test("one vdev, in text", async () => {
  const { out } = await vmrun(["vdevs", "pl031"]);
  expect(out).toMatchSnapshot();
});

test("one vdev, in JSON", async () => {
  const { out } = await vmrun(["vdevs", "ns16550a", "--json"]);
  const document = JSON.parse(out);
  expect(document).toMatchObject({ type: "ns16550a", source: "built in", interrupts: [{ name: "irq" }] });
  expect(document.registers.uart[0].fields).toBeArray();
});

test("a type that there is not", async () => {
  const { code, err } = await vmrun(["vdevs", "pl13"]);
  expect([code, err]).toMatchInlineSnapshot(`
    [
      2,
      
    "error[cli/unknown-vdev]: there is no vdev of type "pl13"
      hint: vmrun vdevs lists them; --in PROFILE adds those of a profile
    "
    ,
    ]
  `);
});

test("--in adds a profile's own, to the list and to the JSON Schema", async () => {
  expect((await vmrun(["new", "vdev", "mine", folder])).code).toBe(0);
  const profile = join(folder, "mine.toml");
  const list = JSON.parse((await vmrun(["vdevs", "--json", "--in", profile])).out);
  expect(list).toContainEqual({
    type: "mine",
    summary: "mine: a counter with an interrupt",
    source: join(folder, "mine.ts"),
  });
  expect((await vmrun(["schema", "--in", profile])).out).toContain('"const": "mine"');
  expect((await vmrun(["schema"])).out).not.toContain('"const": "mine"');
});

describe("the example of each loads", () => {
  const registry = createRegistry(builtins);
  writeFileSync(join(folder, "disk.img"), new Uint8Array(4096));
  test.each(builtins.map(({ type }) => type))("%s", (type) => {
    const { example } = documentVdev(registry.get(type)!);
    const path = join(folder, `${type}.toml`);
    writeFileSync(path, example);
    expect(loadProfile(path, { registry }).board.vdevs.at(-1)?.placement.type).toBe(type);
  });
});
