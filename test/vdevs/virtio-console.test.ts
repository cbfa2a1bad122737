import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { virtioConsole } from "../../src/vdevs/virtio-console.ts";
import { type Driver, drive, GuestArea } from "../virtio/driver.ts";

const text = (value: string) => new TextEncoder().encode(value);
const start = (options: v.InferInput<typeof virtioConsole.options> = { host: "stdio" }) =>
  drive(virtioConsole, options).start({ queues: [8, 8] });

/** Posts buffers for input; answers what is in them later. */
function post(driver: Driver, queue: number, size: number, count: number) {
  const ring = driver.rings[queue];
  const posted = Array.from({ length: count }, () => ring.add([size]));
  driver.kick(queue);
  return () =>
    ring.reap().map(({ head, length }) => {
      const [at] = posted.find((entry) => entry.head === head)!.at;
      return Buffer.from(driver.area.bytes(at, length)).toString();
    });
}

describe("one port", () => {
  test("output goes to the stream in order", () => {
    const driver = start();
    expect(driver.request(1, [text("hello, "), text("world\n")]).length).toBe(0);
    driver.request(1, [text("again\n")]);
    expect(driver.host.fakeStream("stdio").text).toBe("hello, world\nagain\n");
  });

  test("input waits for buffers, and buffers for input", () => {
    const driver = start();
    const stream = driver.host.fakeStream("stdio");
    stream.send("abcdef");
    expect(driver.line.level).toBe(false);
    const input = post(driver, 0, 4, 3);
    expect(input()).toEqual(["abcd", "ef"]);
    expect(driver.interrupt()).toBe(1);
    driver.rings[0].usedEvent = 2;
    stream.send("g");
    expect(input()).toEqual(["g"]);
    expect(driver.interrupt()).toBe(1);
    stream.send("held");
    expect(stream.waiting).toBe(4);
    expect(driver.line.level).toBe(false);
  });

  test("input before the driver is ready is kept", () => {
    const driver = drive(virtioConsole, { host: "stdio" });
    driver.host.fakeStream("stdio").send("early");
    driver.start({ queues: [8, 8] });
    expect(post(driver, 0, 16, 1)()).toEqual(["early"]);
  });

  test("no buffer is used before DRIVER_OK, though it is posted", () => {
    const driver = drive(virtioConsole, { host: "stdio" });
    driver.set("Status", 3);
    driver.accept([32]);
    driver.set("Status", 0x0b);
    driver.layOut(0, 8);
    const input = post(driver, 0, 16, 1);
    driver.host.fakeStream("stdio").send("hello");
    expect(input()).toEqual([]);
    driver.set("Status", 0x0f);
    expect(input()).toEqual(["hello"]);
  });

  test("a kick moves a bounded amount, the guest's next turn the rest", () => {
    const driver = drive(virtioConsole, { host: "stdio" }, {}, new GuestArea(0x100_0000)).start({ queues: [8, 8] });
    const ring = driver.rings[1];
    for (let i = 0; i < 4; i++) ring.add([new Uint8Array(600_000)]);
    driver.kick(1);
    expect(driver.host.fakeStream("stdio").output.length).toBe(1_200_000);
    expect(driver.host.clock.deadlines).toEqual([0]);
    driver.host.clock.advance(0);
    expect(driver.host.fakeStream("stdio").output.length).toBe(2_400_000);
    expect(driver.host.clock.deadlines).toEqual([]);
  });

  test("emergency write needs no driver", () => {
    const driver = drive(virtioConsole, { host: "stdio" });
    driver.setConfig(8, 4, 0x158);
    driver.setConfig(8, 1, 0x59);
    driver.setConfig(4, 4, 7);
    expect(driver.host.fakeStream("stdio").text).toBe("XY");
    expect(driver.config(4, 4)).toBe(1);
  });

  test("tells its size only when it has one", () => {
    expect(drive(virtioConsole, {}).offered()).not.toContain(0);
    const driver = drive(virtioConsole, { columns: 132, rows: 43 });
    expect(driver.offered()).toContain(0);
    expect([driver.config(0, 2), driver.config(2, 2)]).toEqual([132, 43]);
  });
});

describe("several ports", () => {
  const ports = [
    { name: "org.vmrun.agent", host: "file:agent" },
    { name: "log", host: "file:log" },
  ];
  const control = (id: number, event: number, value: number) => {
    const message = new DataView(new ArrayBuffer(8));
    message.setUint32(0, id, true);
    message.setUint16(4, event, true);
    message.setUint16(6, value, true);
    return new Uint8Array(message.buffer);
  };
  const open = () => drive(virtioConsole, { host: "stdio", ports }).start({ queues: [8, 8, 32, 8, 8, 8, 8, 8] });
  const parse = (messages: string[]) =>
    messages.map((message) => {
      const bytes = Buffer.from(message);
      return [bytes.readUInt32LE(0), bytes.readUInt16LE(4), bytes.readUInt16LE(6), bytes.subarray(8).toString()];
    });

  test("are announced, named and opened", () => {
    const driver = open();
    expect(driver.config(4, 4)).toBe(3);
    const messages = post(driver, 2, 64, 20);
    driver.request(3, [control(0, 0, 1)]);
    expect(parse(messages())).toEqual([0, 1, 2].map((id) => [id, 1, 1, ""]));
    driver.request(3, [control(0, 0, 1)]);
    expect(messages()).toEqual([]);
    for (const id of [0, 1]) driver.request(3, [control(id, 3, 1)]);
    expect(parse(messages())).toEqual([
      [0, 4, 1, ""],
      [0, 6, 1, ""],
      [1, 7, 1, "org.vmrun.agent"],
      [1, 6, 1, ""],
    ]);
    driver.request(7, [text("to the log")]);
    expect(driver.host.fakeStream("file:log").text).toBe("to the log");
  });

  test("input waits until the driver opens the port", () => {
    const driver = open();
    const input = post(driver, 4, 16, 2);
    driver.host.fakeStream("file:agent").send("hi");
    expect(input()).toEqual([]);
    driver.request(3, [control(1, 6, 1)]);
    expect(input()).toEqual(["hi"]);
    driver.request(3, [control(1, 6, 0)]);
    driver.host.fakeStream("file:agent").send("later");
    expect(input()).toEqual([]);
  });

  test("control messages nobody reads are held, but not without end", () => {
    const driver = open();
    for (let i = 0; i < 200; i++) driver.request(3, [control(0, 3, 1)]);
    driver.request(3, [control(9, 3, 1)]);
    driver.request(3, [Uint8Array.of(1, 2, 3)]);
    const messages = post(driver, 2, 8, 32);
    expect(messages().length).toBe(28);
    expect(driver.get("Status")).toBe(0x0f);
  });

  test("open ports and held messages survive a snapshot", () => {
    const driver = open();
    driver.request(3, [control(1, 6, 1)]);
    driver.request(3, [control(1, 3, 1)]);
    const state = JSON.parse(JSON.stringify(driver.assembled.vdev.snapshot()));
    const second = drive(virtioConsole, { host: "stdio", ports }, {}, driver.area);
    second.assembled.vdev.restore(state);
    expect(second.assembled.vdev.snapshot()).toEqual(state);
    second.rings.push(...driver.rings);
    expect(parse(post(second, 2, 64, 4)())).toEqual([
      [1, 7, 1, "org.vmrun.agent"],
      [1, 6, 1, ""],
    ]);
    const input = post(second, 4, 16, 1);
    second.host.fakeStream("file:agent").send("on");
    expect(input()).toEqual(["on"]);
  });

  test("a driver without multiport has the console", () => {
    const driver = drive(virtioConsole, { host: "stdio", ports }).start({ features: [], queues: [8, 8] });
    const input = post(driver, 0, 16, 1);
    driver.host.fakeStream("stdio").send("x");
    driver.host.fakeStream("file:agent").send("nobody listens");
    expect(input()).toEqual(["x"]);
  });
});

test("options: names and sizes are checked", () => {
  const accepts = (options: unknown) => v.safeParse(virtioConsole.options, options).success;
  expect(accepts({})).toBe(true);
  expect(accepts({ ports: [{ name: "has space", host: "null" }] })).toBe(false);
  expect(accepts({ ports: Array.from({ length: 31 }, (_, i) => ({ name: `p${i}`, host: "null" })) })).toBe(false);
  expect(accepts({ columns: 65536 })).toBe(false);
});
