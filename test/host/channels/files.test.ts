// Files as channels: written, read, full, and what is no file.
import { afterAll, expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFiles } from "../../../src/host/channels/files.ts";
import { bytes, TestUser, until } from "./user.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

test("output goes to the file at once, from its beginning", () => {
  writeFileSync(path("out"), "what was there before");
  const channel = openFiles(path("out"), undefined, new TestUser());
  expect(readFileSync(path("out"), "utf8")).toBe("");
  channel.write(bytes("new"));
  expect(readFileSync(path("out"), "utf8")).toBe("new");
  channel.write(bytes("er"));
  expect([channel.open, channel.connected, channel.pull?.()]).toEqual([false, true, undefined]);
  channel.close();
  channel.close();
  expect(channel.write(bytes("late"))).toBe(4);
  expect(readFileSync(path("out"), "utf8")).toBe("newer");
});

test("input comes when it is asked for, to its end", () => {
  writeFileSync(path("in"), new Uint8Array(100_000).fill(120));
  const channel = openFiles(undefined, path("in"), new TestUser());
  expect([channel.pull?.()?.length, channel.pull?.()?.length, channel.pull?.(), channel.pull?.()]).toEqual([
    65_536,
    34_464,
    undefined,
    undefined,
  ]);
  expect(channel.write(bytes("to nobody"))).toBe(9);
  channel.close();
});

test("a full disk loses what it does not take, with a message", () => {
  const user = new TestUser();
  const channel = openFiles("/dev/full", undefined, user);
  expect(channel.write(bytes("x"))).toBe(1);
  expect(user.told).toEqual(["warn cannot write /dev/full: the disk is full; what the guest sends there is lost"]);
  channel.close();
});

test("a named pipe is no wait for a reader, and none while it is full", async () => {
  Bun.spawnSync(["mkfifo", path("pipe")]);
  const user = new TestUser();
  expect(() => openFiles(path("pipe"), undefined, user)).toThrow("nobody reads it");
  expect(() => openFiles(undefined, path("pipe"), user)).toThrow("it is no file");
  const reader = openSync(path("pipe"), constants.O_RDONLY | constants.O_NONBLOCK);
  const channel = openFiles(path("pipe"), undefined, user);
  const piece = new Uint8Array(10_000);
  let sent = 0;
  for (let taken = piece.length; taken === piece.length; sent += taken) taken = channel.write(piece);
  expect(sent).toBeLessThan(1 << 20);
  readSync(reader, new Uint8Array(20_000));
  await until(() => user.readies > 0);
  expect(channel.write(piece)).toBeGreaterThan(0);
  channel.close();
  closeSync(reader);
  expect(user.told).toEqual([]);
});

test("what cannot be opened is told, and nothing is made", () => {
  const user = new TestUser();
  expect(() => openFiles(folder, undefined, user)).toThrow("it is a directory");
  expect(() => openFiles(path("none/out"), undefined, user)).toThrow("it does not exist");
  expect(() => openFiles(undefined, path("none"), user)).toThrow("cannot read");
  expect(() => openFiles(undefined, folder, user)).toThrow("it is no file");
});
