// What answers on a model's socket may be anything: a refusal that says so, and never a fault of vmrun.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { close, ftruncate, memfdCreate } from "../../src/host/linux.ts";
import { runtimeFolder } from "../../src/host/runtime-folder.ts";
import { connect, listen } from "../../src/host/unix-socket.ts";
import { createHardware } from "../../src/pass/hardware.ts";
import { modelSocket } from "../../src/pass/model-protocol.ts";
import type { HostObject, HostObjectRequest } from "../../src/vdev/host-object.ts";
import { startModel } from "./support.ts";

const models: { kill(): Promise<void> }[] = [];
afterAll(async () => {
  for (const model of models) await model.kill();
});

/** A process that answers every greeting with its second argument, and passes so many bytes of memory. */
async function impostor(greeting: unknown, memory: number) {
  const model = await startModel("impostor.ts", [
    typeof greeting === "string" ? greeting : JSON.stringify(greeting),
    `${memory}`,
  ]);
  models.push(model);
  const hardware = createHardware();
  const open = (request: Partial<HostObjectRequest> = {}): HostObject =>
    hardware.open(`shm:${model.name}`, { size: 4096, write: true, ...request }, { name: "test", ram: () => [] });
  return { hardware, open };
}

const window = { name: "ram", size: 1 << 20, kind: "memory", at: 0 };

describe("a greeting", () => {
  test.each([
    ["{", 0],
    ["null", 0],
    [{ model: 2, windows: [], interrupts: 0 }, 0],
    [{ model: 1, windows: [null], interrupts: 0 }, 0],
    [{ model: 1, windows: [{ ...window, at: -4096 }], interrupts: 0 }, 1],
    [{ model: 1, windows: [window], interrupts: 1e9 }, 1],
    [{ model: 1, windows: [], interrupts: 0, refused: "not today" }, 0],
    [{ model: 1, windows: [{ ...window, at: 8 }], interrupts: 0 }, 1],
  ])("%j is no reason to fail otherwise", async (greeting, memory) => {
    const { open, hardware } = await impostor(greeting, memory);
    expect(() => open()).toThrow("pass/");
    hardware.close();
  });
});

test("memory that is less than it was said to be is a bus error", async () => {
  const { open, hardware } = await impostor({ model: 1, windows: [window], interrupts: 0 }, 4096);
  const object = open({ size: 1 << 20 });
  const lost: string[] = [];
  object.onLoss = (reason) => lost.push(reason);
  expect(object.window.load(0, 4)).toBe(0);
  expect(() => object.window.load(2 ** 30, 4)).toThrow("not inside a window");
  expect(() => object.window.store64(2 ** 20 - 4, 0n)).toThrow("not inside a window");
  expect(() => object.window.load(8192, 4)).toThrow("took its pages away");
  expect(() => object.window.load64(0)).toThrow("took its pages away");
  expect(lost).toEqual(["the host took its pages away"]);
  hardware.close();
});

test("an end in the middle of the greeting is told", () => {
  const name = `silent-${process.pid}`;
  const path = modelSocket(runtimeFolder(), name);
  mkdirSync(dirname(path), { recursive: true });
  const listener = listen(path);
  // Fills the queue of a listener that accepts nobody; what comes behind it is refused or ended.
  const probe = connect(path);
  expect(probe).toBeGreaterThan(0);
  close(listener);
  const hardware = createHardware();
  expect(() => hardware.open(`shm:${name}`, { size: 8 }, { name: "test", ram: () => [] })).toThrow("pass/no-model");
  hardware.close();
  close(probe);
});

test("descriptors of a refused model are closed", async () => {
  const { open, hardware } = await impostor({ model: 1, windows: [window], interrupts: 0 }, 4096);
  const next = () => {
    const fd = memfdCreate("probe");
    ftruncate(fd, 1);
    close(fd);
    return fd;
  };
  expect(() => open({ interrupts: 1 })).toThrow("has 0 interrupts");
  const before = next();
  for (let i = 0; i < 20; i++) expect(() => open({ interrupts: 1 })).toThrow("has 0 interrupts");
  expect(next()).toBe(before);
  hardware.close();
});
