// What vdevs say of themselves on Ctrl-A s and SIGUSR1.
import { expect, test } from "bun:test";
import { assemble } from "../../src/vdev/testing.ts";
import { clint } from "../../src/vdevs/aclint.ts";
import { goldfishRtc } from "../../src/vdevs/goldfish-rtc.ts";
import { ns16550a } from "../../src/vdevs/ns16550a.ts";
import { plic } from "../../src/vdevs/plic.ts";
import { syscon } from "../../src/vdevs/syscon.ts";
import { virtioEntropy } from "../../src/vdevs/virtio-entropy.ts";

test("plic: what is pending, in service, and whom it interrupts", () => {
  const { vdev, read, write } = assemble(plic, { sources: 40 });
  vdev.reset();
  const status = () => vdev.status!();
  expect(status()).toEqual({ pending: "none", "in service": "none", "wires high": "none", "contexts interrupted": 0 });
  for (const source of [10, 33]) write(4 * source, 4, 1);
  write(0x2000, 4, 1 << 10);
  vdev.input!(10, true);
  vdev.input!(33, true);
  expect(status()).toMatchObject({ pending: "10 33", "wires high": "10 33", "contexts interrupted": 1 });
  expect(read(0x20_0004, 4)).toBe(10);
  expect(status()).toMatchObject({ pending: "33", "in service": "10", "contexts interrupted": 0 });
});

test("clint: whom it interrupts, and when the timers are due", () => {
  const { vdev, write } = assemble(clint, {}, { harts: 2 });
  vdev.reset();
  write(4, 4, 1);
  write(0x4000, 4, 1000);
  write(0x4004, 4, 0);
  const status = vdev.status!();
  expect(status["harts interrupted"]).toBe("1");
  expect(status["mtimecmp"]).toBe("1000 off");
});

test("goldfish-rtc: its time and alarm as dates", () => {
  const { vdev, write } = assemble(goldfishRtc, {});
  vdev.reset();
  const at = BigInt(Date.UTC(2031, 4, 6)) * 1_000_000n;
  expect(vdev.status!()).toMatchObject({ alarm: "off", interrupt: false });
  write(0x0c, 4, Number(at >> 32n));
  write(0x08, 4, Number(at & 0xffff_ffffn));
  expect(String(vdev.status!()["alarm"])).toStartWith("2031-05-06T00:00:00");
});

test("ns16550a: how it is set up, and what waits", () => {
  const { vdev, host, write } = assemble(ns16550a, { host: "stdio" });
  vdev.reset();
  write(2, 1, 1);
  write(3, 1, 3);
  host.fakeStream("stdio").send("abc");
  expect(vdev.status!()).toEqual({
    "line control": "0x3",
    "interrupts enabled": "0x0",
    FIFOs: true,
    loopback: false,
    "characters waiting": 3,
  });
});

test("syscon-power: the last command", () => {
  const { vdev, write } = assemble(syscon, {});
  vdev.reset();
  write(0, 4, 0x1234);
  expect(vdev.status!()).toEqual({ "last command": "0x1234" });
});

test("virtio: how far the driver is, and its queues", () => {
  const { vdev, write } = assemble(virtioEntropy, {});
  vdev.reset();
  expect(vdev.status!()).toEqual({ driver: "none", "queues in use": "none" });
  for (const status of [1, 3]) write(0x070, 4, status);
  expect(vdev.status!()).toMatchObject({ driver: "setting up" });
});
