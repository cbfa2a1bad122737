import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { faultCount, guardFaults } from "../../src/host/fault-guard.ts";
import { lay, lift, type MappedRange } from "../../src/host/mapping.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-guard-"));
afterAll(() => rmSync(folder, { recursive: true }));
const PAGE = 4096;

/** Four pages of a file, under guard. */
function guarded(name: string) {
  const { buffer } = new WebAssembly.Memory({ initial: 2, maximum: 2 });
  const range: MappedRange = { buffer, offset: 65536, length: 4 * PAGE };
  const path = join(folder, name);
  writeFileSync(path, new Uint8Array(range.length).fill(1));
  const fd = openSync(path, "r+");
  expect(lay(range, { fd, shared: true, writable: true })).toBe(0);
  const guard = guardFaults(range, PAGE)!;
  const bytes = new Uint8Array(buffer, range.offset, range.length);
  const end = () => {
    guard.release();
    lift(range);
    closeSync(fd);
  };
  return { fd, range, guard, bytes, end };
}

describe.if(process.platform === "linux")("a guarded file", () => {
  test("that is cut short reads as zeroes from there on, and tells its pages", () => {
    const { fd, guard, bytes, end } = guarded("short");
    const before = faultCount();
    expect([bytes[0], bytes[3 * PAGE]]).toEqual([1, 1]);
    expect(guard.lost()).toEqual([]);
    ftruncateSync(fd, PAGE);
    expect([bytes[0], bytes[3 * PAGE + 5]]).toEqual([1, 0]);
    expect(guard.lost()).toEqual([3 * PAGE]);
    bytes.fill(9);
    expect(guard.lost()!.toSorted((a, b) => a - b)).toEqual([PAGE, 2 * PAGE, 3 * PAGE]);
    expect(bytes[2 * PAGE]).toBe(9);
    expect(faultCount() - before).toBe(3);
    guard.clear();
    expect(guard.lost()).toEqual([]);
    end();
  });

  test("of which more is lost than can be told says so", () => {
    const { buffer } = new WebAssembly.Memory({ initial: 8, maximum: 8 });
    const range: MappedRange = { buffer, offset: 65536, length: 100 * PAGE };
    const fd = openSync(join(folder, "many"), "w+");
    ftruncateSync(fd, range.length);
    lay(range, { fd, shared: true, writable: true });
    const guard = guardFaults(range, PAGE)!;
    ftruncateSync(fd, 0);
    new Uint8Array(buffer, range.offset, range.length).fill(1);
    expect(guard.lost()).toBeUndefined();
    guard.release();
    lift(range);
    closeSync(fd);
  });

  test("is one of several, and places are used again", () => {
    for (let i = 0; i < 100; i++) guarded("again").end();
    const [one, other] = [guarded("one"), guarded("other")];
    ftruncateSync(other.fd, 0);
    expect([one.bytes[0], other.bytes[0]]).toEqual([1, 0]);
    expect(one.guard.lost()).toEqual([]);
    expect(other.guard.lost()).toEqual([0]);
    one.end();
    other.end();
  });

  test("leaves every other bus error as it was: the process ends", () => {
    const host = resolve(import.meta.dir, "../../src/host");
    const script = `
      const { lay } = await import(${JSON.stringify(`${host}/mapping.ts`)});
      const { guardFaults } = await import(${JSON.stringify(`${host}/fault-guard.ts`)});
      const fs = await import("node:fs");
      const { buffer } = new WebAssembly.Memory({ initial: 2, maximum: 2 });
      const fd = fs.openSync(${JSON.stringify(join(folder, "other-bus-error"))}, "w+");
      fs.ftruncateSync(fd, 8192);
      for (const offset of [0, 65536]) lay({ buffer, offset, length: 8192 }, { fd, shared: true, writable: true });
      guardFaults({ buffer, offset: 0, length: 8192 }, 4096);
      fs.ftruncateSync(fd, 0);
      console.log("guarded", new Uint8Array(buffer)[0]);
      console.log("not guarded", new Uint8Array(buffer)[65536]);`;
    const { stdout, exitCode, signalCode } = Bun.spawnSync([process.execPath, "-e", script]);
    expect(stdout.toString()).toBe("guarded 0\n");
    expect(signalCode ?? exitCode).not.toBe(0);
  });
});
