// Generated code from one process to the next: what is kept, and that nothing unsound is ever taken for it.
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeStore, storeIn } from "../../src/host/code-store.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-code-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const CODE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

describe("a store", () => {
  test("gives back what was saved, to stores of the same sources alone", () => {
    storeIn(folder, () => 1n).save("code", CODE);
    expect(storeIn(folder, () => 1n).load("code")).toEqual(CODE);
    expect(storeIn(folder, () => 2n).load("code")).toBeUndefined();
    expect(storeIn(folder, () => 1n).load("other")).toBeUndefined();
    expect(readdirSync(folder)).toEqual(["code-1"]);
  });

  test.each([
    ["a bit changed", (bytes: Buffer) => bytes.with(12, bytes[12]! ^ 1)],
    ["a byte short", (bytes: Buffer) => bytes.subarray(0, -1)],
    ["less than a header", (bytes: Buffer) => bytes.subarray(0, 7)],
    ["nothing", () => Buffer.alloc(0)],
  ])("takes no file with %s, and replaces it", (_, damage) => {
    const store = storeIn(folder, () => 1n);
    store.save("damaged", CODE);
    writeFileSync(join(folder, "damaged-1"), damage(readFileSync(join(folder, "damaged-1"))));
    expect(store.load("damaged")).toBeUndefined();
    store.save("damaged", CODE);
    expect(store.load("damaged")).toEqual(CODE);
  });

  test("takes no file that others may write to, and no link", () => {
    const store = storeIn(folder, () => 1n);
    store.save("open", CODE);
    chmodSync(join(folder, "open-1"), 0o666);
    expect(store.load("open")).toBeUndefined();
    symlinkSync(join(folder, "code-1"), join(folder, "link-1"));
    expect(store.load("link")).toBeUndefined();
  });

  test("does without a folder that cannot be made", () => {
    writeFileSync(join(folder, "file"), "");
    const store = storeIn(join(folder, "file", "below"), () => 1n);
    store.save("code", CODE);
    expect(store.load("code")).toBeUndefined();
  });

  test("holds so many files and no more", () => {
    const own = join(folder, "many");
    const store = storeIn(own, () => 1n);
    for (let i = 0; i < 100; i++) store.save(`code-${i}`, CODE);
    expect(readdirSync(own).length).toBeLessThanOrEqual(64);
    expect(store.load("code-99")).toEqual(CODE);
  });
});

describe("the user's store", () => {
  test("is where the environment says", () => {
    codeStore({ XDG_CACHE_HOME: join(folder, "xdg"), HOME: "/nowhere" })!.save("code", CODE);
    expect(readdirSync(join(folder, "xdg", "vmrun"))).toEqual([expect.stringMatching(/^code-[0-9a-f]+$/)]);
    codeStore({ HOME: join(folder, "home") })!.save("code", CODE);
    expect(readdirSync(join(folder, "home", ".cache", "vmrun"))).toHaveLength(1);
    expect(codeStore({ HOME: join(folder, "home") })!.load("code")).toEqual(CODE);
  });

  test("is not there without a folder, or where it is not wanted", () => {
    expect(codeStore({})).toBeUndefined();
    expect(codeStore({ XDG_CACHE_HOME: "cache" })).toBeUndefined();
    expect(codeStore({ HOME: folder, VMRUN_NO_CACHE: "1" })).toBeUndefined();
  });
});
