import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ROOT, VIRT, vmrun } from "./vmrun.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-fdt-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("the tree goes to a pipe as DTB, and as the very same bytes to a file", async () => {
  const piped = await vmrun(["fdt", VIRT]);
  expect([piped.code, piped.err]).toEqual([0, ""]);
  const header = new DataView(piped.bytes.buffer, piped.bytes.byteOffset);
  expect(header.getUint32(0)).toBe(0xd00d_feed);
  expect(header.getUint32(4)).toBe(piped.bytes.length);
  for (const form of [
    ["-o", join(folder, "a.dtb")],
    ["--output", join(folder, "b.dtb")],
    [`--output=${join(folder, "c.dtb")}`],
  ]) {
    expect(await vmrun(["fdt", VIRT, ...form])).toMatchObject({ code: 0, out: "", err: "" });
    expect(readFileSync(form.at(-1)!.replace("--output=", "")).equals(piped.bytes)).toBe(true);
  }
});

test("--dts is text, and --set counts", async () => {
  const { code, out } = await vmrun(["fdt", "--dts", VIRT, "--set", "cpu.harts=2"]);
  expect(code).toBe(0);
  expect(out).toStartWith("/dts-v1/;");
  expect(out).toContain("cpu@1");
});

test("a file that cannot be written is an error of the user", async () => {
  const { code, err } = await vmrun(["fdt", VIRT, "-o", join(folder, "no", "such", "folder")]);
  expect(code).toBe(2);
  expect(err).toContain("error[cli/output]: cannot write");
});

test("a terminal is not sent binary", async () => {
  let shown = "";
  const child = Bun.spawn([process.execPath, resolve(ROOT, "src/cli.ts"), "fdt", VIRT], {
    cwd: ROOT,
    terminal: {
      cols: 120,
      rows: 24,
      data(_, bytes) {
        shown += Buffer.from(bytes).toString("latin1");
      },
    },
  });
  expect(await child.exited).toBe(2);
  await Bun.sleep(20);
  expect(shown).toContain("error[cli/binary-to-terminal]");
  expect(shown).not.toContain("\xd0\x0d\xfe\xed");
});
