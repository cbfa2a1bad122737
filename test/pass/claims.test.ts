// One owner at a time, in this process as between processes, and none left behind however an owner ends.
import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { runtimeFolder } from "../../src/host/runtime-folder.ts";
import { type ClaimRequest, claim } from "../../src/pass/claims.ts";

/** A space of this run's own, so that tests of other processes do not meet. */
const SPACE = `test-${process.pid}`;
const request = (from: number, to: number, more: Partial<ClaimRequest> = {}): ClaimRequest => ({
  resources: [{ space: SPACE, from, to }],
  owner: "board/it",
  dma: false,
  override: false,
  ...more,
});

function refusal(of: ClaimRequest): string {
  try {
    claim("devmem:0x1000", of).release();
    return "none";
  } catch (error) {
    if (!(error instanceof VmrunError)) throw error;
    const [{ code, message, hint }] = error.diagnostics as [VmrunError["diagnostics"][number]];
    return `${code}: ${message}; ${hint}`;
  }
}

test("a second claim is refused with the owner's name, until the first is released", () => {
  const first = claim("it", request(0x1000, 0x1fff));
  expect(refusal(request(0x1fff, 0x2fff, { owner: "other/x" }))).toBe(
    `pass/owned: devmem:0x1000 belongs to board/it (process ${process.pid}); ` +
      "end that one first, or set override = true if the two may really share it",
  );
  expect(refusal(request(0x2000, 0x2fff))).toBe("none");
  first.release();
  first.release();
  expect(refusal(request(0x1000, 0x1fff))).toBe("none");
});

test("all of a space meets every part of it, and no other space", () => {
  const all = claim("it", request(0, 0, { resources: [{ space: SPACE }] }));
  expect(refusal(request(5, 6))).toStartWith("pass/owned");
  expect(refusal(request(5, 6, { resources: [{ space: `${SPACE}-other` }] }))).toBe("none");
  all.release();
});

describe("override", () => {
  test("lets a device without DMA have two owners", () => {
    const first = claim("it", request(0, 7));
    expect(refusal(request(0, 7, { override: true }))).toBe("none");
    first.release();
  });

  test.each([
    ["the first", true, false],
    ["the second", false, true],
  ])("never where %s does DMA", (_who, one, other) => {
    const first = claim("it", request(0, 7, { dma: one }));
    expect(refusal(request(0, 7, { override: true, dma: other }))).toEndWith(
      "a device that does DMA has one owner: end that one first",
    );
    first.release();
  });
});

test("SIGKILL of an owner frees what it had, and takes its file away", async () => {
  const path = resolve(import.meta.dir, "models/claimer.ts");
  const child = Bun.spawn([process.execPath, path, SPACE], { stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.getReader();
  await reader.read();
  expect(refusal(request(0, 0))).toBe(
    `pass/owned: devmem:0x1000 belongs to child/emmc (process ${child.pid}); a device that does DMA has one owner: end that one first`,
  );
  child.kill("SIGKILL");
  await child.exited;
  expect(refusal(request(0, 0))).toBe("none");
  expect(readdirSync(runtimeFolder()).filter((name) => name.startsWith(`${child.pid}-`))).toEqual([]);
});

test("rubbish in the folder claims nothing", () => {
  const path = join(runtimeFolder(), `rubbish-${process.pid}.claim`);
  writeFileSync(path, "{");
  expect(refusal(request(0, 0))).toBe("none");
  expect(readdirSync(runtimeFolder()).includes(`rubbish-${process.pid}.claim`)).toBe(false);
});

test("registers are read, modified and written by one at a time", () => {
  const [one, two] = [claim("it", request(0, 7)), claim("it", request(8, 15))];
  expect(one.exclusively(() => "done")).toBe("done");
  expect(() =>
    two.exclusively(() => {
      throw new Error("inside");
    }),
  ).toThrow("inside");
  expect(one.exclusively(() => "again")).toBe("again");
  one.release();
  two.release();
});
