import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bareFolder } from "./folder.ts";
import { vmrun } from "./vmrun.ts";

const folder = bareFolder();

test("a new vdev is tested, documented, and seen by a guest", async () => {
  const made = await vmrun(["new", "vdev", "my-timer", folder]);
  expect([made.code, made.err]).toEqual([0, ""]);
  expect(made.out.replaceAll(`${folder}/`, "").replace(/ +/g, " ")).toMatchInlineSnapshot(`
    "wrote my-timer.ts, my-timer.test.ts, my-timer.toml

     vmrun test my-timer.test.ts test it
     vmrun vdevs --in my-timer.toml my-timer its documentation
     vmrun run --watch my-timer.toml run it; at the prompt: md.w 10100000 5
     then change my-timer.ts, and look again
    "
  `);

  const tested = await vmrun(["test", join(folder, "my-timer.test.ts")]);
  expect([tested.code, tested.err]).toEqual([0, expect.stringMatching(/ pass\n +0 fail/)]);

  const profile = join(folder, "my-timer.toml");
  const shown = await vmrun(["vdevs", "my-timer", "--in", profile]);
  expect(shown.out).toContain("milliseconds from one count to the next");

  const steps = ["md.w 10100000 1", "mw 10100008 2", "mw 10100004 1", "sleep 1", "md.w 1010000c 2"];
  const typed = steps.flatMap((line) => ["--expect", "> ", "--input", `${line}\\n`]);
  const ran = await vmrun(["run", profile, "--set", "boot.cmdline=nocolor", ...typed, "--expect", "1010000c  "]);
  expect(ran.code).toBe(0);
  expect(ran.out).toContain("10100000  766d7275");
});

test("nothing is written over what is there", async () => {
  const test = join(folder, "kept.test.ts");
  writeFileSync(test, "mine");
  const { code, err } = await vmrun(["new", "vdev", "kept", folder]);
  expect([code, err.replaceAll(`${folder}/`, "")]).toMatchInlineSnapshot(`
    [
      2,
      
    "error[new/exists]: kept.test.ts exists, and nothing was written
      hint: choose another name or folder
    "
    ,
    ]
  `);
  expect(readFileSync(test, "utf8")).toBe("mine");
});

test("a new profile is a valid board", async () => {
  expect((await vmrun(["new", "profile", "desk", folder])).code).toBe(0);
  const { code, out } = await vmrun(["check", join(folder, "desk.toml")]);
  expect([code, out]).toEqual([0, expect.stringContaining("desk is a valid board")]);
});

test("names that are reserved words of the language, or cannot be types", async () => {
  expect((await vmrun(["new", "vdev", "switch", folder])).code).toBe(0);
  expect((await vmrun(["test", join(folder, "switch.test.ts")])).code).toBe(0);
  for (const name of ["My", "../up", "pl011", "x".repeat(41)]) {
    const { code, err } = await vmrun(["new", "vdev", name, folder]);
    expect([code, err]).toEqual([2, expect.stringContaining("new/name")]);
  }
});

test("what it cannot write", async () => {
  const said = await Promise.all(
    [
      ["new", "vdve", "x"],
      ["new", "vdev"],
    ].map((args) => vmrun(args)),
  );
  expect(said.map(({ code }) => code)).toEqual([2, 2]);
  expect(said[0]!.err).toContain("vmrun new vdev");
});
