import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { cpio } from "../../bench/engine/cpio.ts";
import { bareImage, kernels } from "../../bench/engine/kernels.ts";
import { jobs, words } from "../../bench/engine/linux.ts";
import { geometricMean, type Runs, score, scoreTable } from "../../bench/engine/scores.ts";

const ROOT = resolve(import.meta.dir, "../..");

test("every kernel that can be built is measured, with the count that its source has", async () => {
  const script = resolve(ROOT, "firmware/bench/engine/build.sh");
  const { stdout } = Bun.spawnSync([script, "names"]);
  const images = new Set(kernels.map(({ name, image = name }) => image));
  expect([...images].sort()).toEqual(stdout.toString().trim().split(" ").sort());
  for (const { name, image, usual } of kernels) {
    if (image !== undefined) continue;
    const source = await Bun.file(resolve(ROOT, `firmware/bench/engine/${name}.c`)).text();
    expect(source).toContain(`KERNEL(${name}, ${usual});`);
  }
});

test("images without a layout are shipped, but the largest", () => {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-bench-test-"));
  try {
    for (const kernel of kernels.filter(({ image }) => image !== "wide"))
      expect(bareImage(kernel, 0, folder)).toBe(resolve(ROOT, `firmware/bench/engine/${kernel.name}.elf`));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const runs = (work: number, start: number): Runs => ({
  work: [work + 1, work, work / 2].map((wall) => ({ wall, user: wall / 2, system: 0 })),
  start: [{ wall: start, user: start / 2, system: 0 }],
});

test("a score is QEMU's time over vmrun's, with and without what starting takes", () => {
  const found = score({ kernel: "k", layout: 0, engine: "translator" }, runs(1.5, 0.5), runs(3, 1), 2e9, true);
  expect(found.whole).toEqual({ wall: 2, cpu: 2 });
  expect(found.speed).toEqual({ wall: 2, cpu: 2 });
  expect(scoreTable([found, { ...found, layout: 4, same: false }])).toBe(
    [
      "| kernel         |   CPU |  wall | whole CPU | whole wall |  vmrun |   QEMU |  start |   QEMU | MIPS | QEMU | output  |",
      "| -------------- | ----: | ----: | --------: | ---------: | -----: | -----: | -----: | -----: | ---: | ---: | ------- |",
      "| k              | 2.00x | 2.00x |     2.00x |      2.00x | 1.50 s | 3.00 s | 500 ms | 1.00 s | 2000 | 1000 | same    |",
      "| k +4           | 2.00x | 2.00x |     2.00x |      2.00x | 1.50 s | 3.00 s | 500 ms | 1.00 s | 2000 | 1000 | DIFFERS |",
      "| geometric mean | 2.00x | 2.00x |     2.00x |      2.00x |        |        |        |        |      |      |         |",
    ].join("\n"),
  );
});

test("work too short to be seen has no speed, and the mean leaves it out", () => {
  const found = score({ kernel: "k", layout: 0, engine: "translator" }, runs(1.5, 1.499), runs(3, 1), 2e9, true);
  expect(found.speed.wall).toBeNaN();
  expect(geometricMean([Number.NaN, 2, 8])).toBeCloseTo(4, 12);
});

test.skipIf(Bun.which("cpio") === null)("cpio archives are as cpio reads them", () => {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-bench-test-"));
  try {
    const path = join(folder, "archive");
    const data = new TextEncoder().encode("hello");
    writeFileSync(
      path,
      cpio([
        { path: "a", mode: 0o040755 },
        { path: "a/b", mode: 0o100644, data },
      ]),
    );
    const { stdout, exitCode } = Bun.spawnSync(["cpio", "-idv", "-F", path], { cwd: folder, stderr: "ignore" });
    expect({ exitCode, stdout: stdout.toString() }).toEqual({ exitCode: 0, stdout: "" });
    expect(readFileSync(join(folder, "a/b"), "utf8")).toBe("hello");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("jobs under Linux have names of their own, and their text is the same each time", () => {
  expect(new Set(jobs.map(({ name }) => name)).size).toBe(jobs.length);
  const text = words(10_000);
  expect(text.length).toBe(10_000);
  expect(Buffer.compare(text, words(10_000))).toBe(0);
  expect(new Set(Buffer.from(text).toString().split(/\s/)).size).toBeGreaterThan(500);
});
