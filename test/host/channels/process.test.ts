// Programs as channels: what they read and say, their complaints, and their end.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Channel } from "../../../src/host/channels/channel.ts";
import { openProcess } from "../../../src/host/channels/process.ts";
import { bytes, TestUser, until } from "./user.ts";

const shell = (script: string, user: TestUser): Channel => openProcess(["sh", "-c", script], user);

test("its standard input and output are the stream, its complaints are for a person", async () => {
  const user = new TestUser();
  const channel = shell("read word; echo got $word; echo oh >&2; echo; printf bye; exit 3", user);
  expect(channel.write(bytes("hello\n"))).toBe(6);
  await until(() => user.endings.length > 0);
  expect(user.heard).toBe("got hello\n\nbye");
  expect(user.told).toEqual(["warn oh"]);
  expect(user.endings).toEqual(["the program ended with 3"]);
  expect([channel.connected, channel.open, channel.write(bytes("x"))]).toEqual([false, false, 0]);
  channel.close();
});

test("one that does not read takes what its pipe holds, and more when it reads", async () => {
  const user = new TestUser();
  const channel = shell("read go; cat | wc -c", user);
  const piece = new Uint8Array(65_536).fill(120);
  let sent = 0;
  for (let taken = 1; taken > 0; sent += taken) taken = channel.write(piece);
  expect(sent).toBeLessThan(1 << 20);
  await Bun.sleep(10);
  expect(user.readies).toBe(0);
  channel.close();

  const other = new TestUser();
  const reading = shell("sleep 0.1; cat | wc -c", other);
  for (let taken = 1; taken > 0; ) taken = reading.write(piece);
  await until(() => other.readies > 0);
  await reading.finish?.();
  await until(() => other.heard !== "");
  expect(Number(other.heard) % 65_536).toBe(0);
  reading.close();
});

test("one that closes its input is no failure", async () => {
  const user = new TestUser();
  const channel = shell("exec <&-; echo closed; sleep 0.1; echo still here", user);
  await until(() => user.heard === "closed\n");
  await until(() => channel.write(bytes("x")) === 0);
  await until(() => user.endings.length > 0);
  expect(user.heard).toBe("closed\nstill here\n");
  channel.close();
});

test("finish lets it work its input off; close ends it with all its children", async () => {
  const user = new TestUser();
  const channel = shell("cat >/dev/null; sleep 100 & echo $! $$; wait", user);
  let ended = false;
  void channel.finish?.().then(() => {
    ended = true;
  });
  await until(() => user.heard !== "");
  const alive = () => user.heard.trim().split(" ").map(Number).filter(isAlive);
  expect([ended, alive().length]).toEqual([false, 2]);
  channel.close();
  channel.close();
  await until(() => ended && alive().length === 0);
  expect(user.endings).toEqual([]);
});

function isAlive(pid: number): boolean {
  try {
    // One that has ended and that nobody has asked after yet counts as gone.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("one that says a lot waits while it is held", async () => {
  const user = new TestUser();
  const channel = openProcess(["yes"], user);
  await until(() => user.heard.length > 10_000);
  channel.hold(true);
  // What was on its way still comes.
  let length = 0;
  for (let looks = 0; looks < 20 && length < user.heard.length; looks++) {
    length = user.heard.length;
    await Bun.sleep(20);
  }
  expect(user.heard.length).toBe(length);
  channel.hold(false);
  await until(() => user.heard.length > length);
  channel.close();
});

test("one that is not there is told", () => {
  expect(() => openProcess(["/no/such/program"], new TestUser())).toThrow(
    "cannot run /no/such/program: it does not exist",
  );
});
