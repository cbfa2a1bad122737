// Pseudo terminals as channels, with other programs at their other end; and as if they were serial ports.
import { afterAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPty, openTty } from "../../../src/host/channels/devices.ts";
import { openPseudoTerminal } from "../../../src/host/termios.ts";
import { bytes, TestUser, until } from "./user.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-devices-"));
afterAll(() => rmSync(folder, { recursive: true }));

const nameOf = (user: TestUser) => /\/dev\/pts\/\d+/.exec(user.told[0]!)![0];
const open = (name: string) => openSync(name, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
const stty = (name: string) => Bun.spawnSync(["stty", "-F", name, "-a"]).stdout.toString();

function read(fd: number): string {
  const into = new Uint8Array(1 << 16);
  try {
    return Buffer.from(into.subarray(0, readSync(fd, into))).toString("latin1");
  } catch {
    return "";
  }
}

describe.skipIf(process.platform !== "linux")("a new pseudo terminal", () => {
  test("carries bytes both ways, to one program after another", async () => {
    const user = new TestUser();
    const channel = openPty(undefined, user);
    for (const word of ["one", "two"]) {
      const fd = open(nameOf(user));
      writeSync(fd, `${word}\r\n\x03`);
      await until(() => user.heard.endsWith(`${word}\r\n\x03`));
      expect(channel.write(bytes(`\n${word}\x04`))).toBe(5);
      expect(read(fd)).toBe(`\n${word}\x04`);
      closeSync(fd);
    }
    expect([channel.open, user.endings]).toEqual([true, []]);
    channel.close();
    await Bun.sleep(5);
    expect([channel.open, user.endings]).toEqual([false, []]);
  });

  test("takes what there is room for without a reader, and more when it has been read", async () => {
    const user = new TestUser();
    const channel = openPty(undefined, user);
    const piece = new Uint8Array(4096).fill(120);
    let sent = 0;
    for (let taken = piece.length; taken === piece.length; sent += taken) taken = channel.write(piece);
    expect(sent).toBeLessThan(1 << 20);
    const fd = open(nameOf(user));
    let got = 0;
    await until(() => {
      got += read(fd).length;
      return got === sent;
    });
    await until(() => user.readies > 0);
    expect(channel.write(bytes("more"))).toBe(4);
    expect(read(fd)).toBe("more");
    closeSync(fd);
    channel.close();
  });

  test("makes a writer wait while it is held", async () => {
    const user = new TestUser();
    const channel = openPty(undefined, user);
    const writer = Bun.spawn(["sh", "-c", `yes > ${nameOf(user)}`], { stderr: "ignore" });
    await until(() => user.heard.length > 10_000);
    channel.hold(true);
    await Bun.sleep(30);
    const { length } = user.heard;
    await Bun.sleep(30);
    expect(user.heard.length).toBe(length);
    channel.hold(false);
    await until(() => user.heard.length > length);
    writer.kill();
    channel.close();
  });

  test("has a link, which goes with it, replaces one left behind, and nothing else", async () => {
    const link = join(folder, "console");
    symlinkSync("/dev/pts/4711", link);
    const user = new TestUser();
    const channel = openPty(link, user);
    expect(readlinkSync(link)).toBe(nameOf(user));
    expect(user.told).toEqual([`info the pseudo terminal is ${nameOf(user)}, by ${link}`]);
    channel.close();
    expect(existsSync(link)).toBe(false);
    writeFileSync(link, "mine");
    expect(() => openPty(link, user)).toThrow("there is something else of that name");
    expect(() => openPty(join(folder, "none/link"), user)).toThrow("it does not exist");
  });
});

describe.skipIf(process.platform !== "linux")("a terminal that is there", () => {
  test("is raw and at its speed while it is open, and as before afterwards", async () => {
    const { master, slave, name } = openPseudoTerminal();
    Bun.spawnSync(["stty", "-F", name, "sane", "9600"]);
    const before = stty(name);
    const user = new TestUser();
    const channel = openTty(name, 115_200, user);
    expect(stty(name)).toContain("speed 115200 baud");
    writeSync(master, "in\n\x03");
    await until(() => user.heard === "in\n\x03");
    channel.write(bytes("out\n"));
    expect(read(master)).toBe("out\n");
    expect(() => openTty(name, undefined, new TestUser())).toThrow("another process has it");
    channel.close();
    expect(stty(name)).toBe(before);
    closeSync(slave);
    await Bun.sleep(5);
    closeSync(master);
  });

  test("that is pulled out is told", async () => {
    const { master, slave, name } = openPseudoTerminal();
    const user = new TestUser();
    const channel = openTty(name, undefined, user);
    closeSync(slave);
    closeSync(master);
    await until(() => user.endings.length > 0);
    expect(user.endings).toHaveLength(1);
    channel.close();
  });

  test("is no file, and not missing", () => {
    const path = join(folder, "file");
    writeFileSync(path, "");
    expect(() => openTty(path, undefined, new TestUser())).toThrow("it is no terminal");
    expect(() => openTty(join(folder, "none"), undefined, new TestUser())).toThrow("it does not exist");
  });
});
