import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, fstatSync, ftruncateSync, readFileSync, readSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { runtimeFolder } from "../../src/host/runtime-folder.ts";
import { type SharedMemory, shareMemory } from "../../src/host/shared-memory.ts";

const NAME = `test-${process.pid}`;
const SIZE = 8192;
const file = () => join(runtimeFolder(), `${NAME}.share`);
const open: { close(): void }[] = [];
afterEach(() => {
  for (const memory of open.splice(0)) memory.close();
});

function join_(size = SIZE): SharedMemory {
  const memory = shareMemory(NAME, size);
  open.push(memory);
  return memory;
}

function leave(memory: SharedMemory): void {
  open.splice(open.indexOf(memory), 1);
  memory.close();
}

function byteOf({ fd }: SharedMemory): number {
  const byte = new Uint8Array(1);
  readSync(fd, byte, 0, 1, 0);
  return byte[0]!;
}

/** Another process that has the memory, writes 5 into it, and stays until it is killed. */
async function other() {
  const module = resolve(import.meta.dir, "../../src/host/shared-memory.ts");
  const script = `
    const { shareMemory } = await import(${JSON.stringify(module)});
    const { fd, joined } = shareMemory(${JSON.stringify(NAME)}, ${SIZE});
    require("node:fs").writeSync(fd, Uint8Array.of(5), 0, 1, 0);
    console.log(joined ? "joined" : "made");
    setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  const kill = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return { said: Buffer.from(value!).toString().trim(), kill };
}

describe.if(process.platform === "linux")("memory shared by name", () => {
  test("is made by the first, found by the next, and gone with the last", () => {
    const one = join_();
    expect(one.joined).toBe(false);
    expect(fstatSync(one.fd).mode & 0o777).toBe(0o600);
    writeSync(one.fd, Uint8Array.of(7), 0, 1, 0);
    const two = join_();
    expect([two.joined, byteOf(two)]).toEqual([true, 7]);
    leave(one);
    const three = join_();
    expect([three.joined, byteOf(three)]).toEqual([true, 7]);
    leave(two);
    leave(three);
    expect(existsSync(file())).toBe(false);
    const anew = join_();
    expect([anew.joined, byteOf(anew)]).toEqual([false, 0]);
  });

  test("has one size, which nobody changes", () => {
    const { fd } = join_();
    expect(() => join_(2 * SIZE)).toThrow(VmrunError);
    expect(() => join_(2 * SIZE)).toThrow(`has ${SIZE} bytes where it is in use`);
    expect(() => ftruncateSync(fd, 0)).toThrow("EPERM");
    expect(readFileSync(file(), "utf8").trim().split("\n")).toHaveLength(1);
  });

  test("outlives whoever made it, killed or not, for those who have it", async () => {
    const first = await other();
    expect(first.said).toBe("made");
    const own = join_();
    expect([own.joined, byteOf(own)]).toEqual([true, 5]);
    await first.kill();
    writeSync(own.fd, Uint8Array.of(6), 0, 1, 0);
    const again = await other();
    expect([again.said, byteOf(own)]).toEqual(["joined", 5]);
    await again.kill();
  });

  test("that only the killed had is new again, and their traces go", async () => {
    const first = await other();
    await first.kill();
    expect(existsSync(file())).toBe(true);
    const own = join_();
    expect([own.joined, byteOf(own)]).toEqual([false, 0]);
    expect(readFileSync(file(), "utf8")).toStartWith(`${process.pid} `);
    leave(own);
    expect(existsSync(file())).toBe(false);
  });
});
