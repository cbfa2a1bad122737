import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { cells, strings } from "../../src/fdt/tree.ts";
import { registerMap } from "../../src/vdev/registers.ts";
import { contributedNodes, contribution } from "../../src/vdev/testing.ts";
import type { VirtioDevice, VirtioPort } from "../../src/virtio/core.ts";
import { defineVirtio } from "../../src/virtio/device.ts";
import { Feature, Status } from "../../src/virtio/spec.ts";
import { type Driver, drive } from "./driver.ts";

const layout = registerMap({ answer: { at: 0, width: 4, access: "r" }, knob: { at: 4, width: 2 } });

/** A device that gives every chain back at once, unless it is told to hold on to them. */
function echo() {
  const made: { port?: VirtioPort; holding: boolean; notified: number[] } = { holding: false, notified: [] };
  const descriptor = defineVirtio({
    type: "virtio-echo",
    summary: "for tests",
    deviceId: 42,
    options: v.object({}),
    features: () => [3, 64],
    queues: () => [
      { name: "a", size: 16 },
      { name: "b", size: 8 },
    ],
    config: layout,
    create(port): VirtioDevice {
      made.port = port;
      port.config.setUint32(0, 0x1234_5678, true);
      return {
        notify(index) {
          made.notified.push(index);
          const queue = port.queue(index);
          for (let chain = queue.pop(); chain; chain = queue.pop()) {
            if (made.holding) continue;
            chain.write(chain.read(chain.readable.length));
            queue.push(chain);
          }
        },
        writeConfig: (offset, _width, value) => port.config.setUint16(offset, value, true),
      };
    },
  });
  return { descriptor, made };
}

function ready({ queues = [16, 8], features }: { queues?: readonly number[]; features?: readonly number[] } = {}) {
  const { descriptor, made } = echo();
  const driver = drive(descriptor, {});
  driver.start({ queues, features });
  made.notified.length = 0;
  return { driver, made, descriptor };
}

const guestErrors = ({ host }: Driver) => host.logged.filter(({ level }) => level === "guest-error");

describe("registers", () => {
  test("say what is there", () => {
    const driver = drive(echo().descriptor, {});
    expect(driver.get("MagicValue")).toBe(0x74726976);
    expect(driver.get("Version")).toBe(2);
    expect(driver.get("DeviceID")).toBe(42);
    expect(driver.offered()).toEqual([3, 28, 29, 32, 40, 64]);
    driver.set("DeviceFeaturesSel", 0xffff_ffff);
    expect(driver.get("DeviceFeatures")).toBe(0);
    const sizes = [0, 1, 2, 0xffff_ffff].map((queue) => {
      driver.set("QueueSel", queue);
      return driver.get("QueueSizeMax");
    });
    expect(sizes).toEqual([16, 8, 0, 0]);
    expect(driver.get("SHMLenLow")).toBe(0xffff_ffff);
    expect(driver.get("SHMLenHigh")).toBe(0xffff_ffff);
    expect(guestErrors(driver)).toEqual([]);
  });

  test("are 32 bits wide; anything else reads 0 and writes nothing", () => {
    const { driver } = ready();
    const { read, write } = driver.assembled;
    expect(read(0x00, 2)).toBe(0);
    expect(read(0x01, 1)).toBe(0);
    expect(read(0x02, 4)).toBe(0);
    write(0x70, 1, 0);
    write(0x71, 4, 0);
    expect(driver.get("Status")).toBe(0x0f);
    expect(guestErrors(driver).length).toBeGreaterThan(0);
  });

  test("write-only ones read 0, holes too", () => {
    const { driver } = ready();
    for (const offset of [0x14, 0x20, 0x24, 0x30, 0x38, 0x50, 0x64, 0x80, 0xac, 0xf0, 0x40]) {
      expect(driver.assembled.read(offset, 4)).toBe(0);
    }
  });
});

describe("config space", () => {
  test("is read and written in any width, and ends", () => {
    const { driver } = ready();
    expect(driver.config(0, 4)).toBe(0x1234_5678);
    expect(driver.config(1, 1)).toBe(0x56);
    expect(driver.config(2, 2)).toBe(0x1234);
    driver.setConfig(4, 2, 0xbeef);
    expect(driver.config(0, 8)).toBe(0xbeef_1234_5678);
    driver.setConfig(4, 4, 0xffff_ffff);
    expect(driver.config(4, 4)).toBe(0xbeef);
    expect(driver.assembled.read(0x1ff, 1)).toBe(0);
    expect(driver.assembled.read(0x1fe, 4)).toBe(0);
  });

  test("changes with a new generation and an interrupt, and comes back at reset", () => {
    const { driver, made } = ready();
    const before = driver.get("ConfigGeneration");
    made.port!.config.setUint32(0, 7, true);
    made.port!.configChanged();
    expect(driver.get("ConfigGeneration")).not.toBe(before);
    expect(driver.line.level).toBe(true);
    expect(driver.interrupt()).toBe(2);
    expect(driver.line.level).toBe(false);
    driver.set("Status", 0);
    expect(driver.config(0, 4)).toBe(0x1234_5678);
    // VIRTIO 1.3 §3.1.1: no notification before DRIVER_OK.
    made.port!.configChanged();
    expect(driver.line.level).toBe(false);
  });
});

describe("negotiation", () => {
  const upTo = (bits: readonly number[]) => {
    const driver = drive(echo().descriptor, {});
    driver.set("Status", Status.acknowledge | Status.driver);
    driver.accept(bits);
    driver.set("Status", Status.acknowledge | Status.driver | Status.featuresOk);
    return driver;
  };

  test("ends with FEATURES_OK", () => {
    expect(upTo([3, 32, 64]).get("Status")).toBe(0x0b);
  });

  test.each([
    ["a legacy driver", [3]],
    ["a feature that was not offered", [4, 32]],
    ["a feature of a reserved word", [32, 127]],
  ])("refuses %s", (_, bits) => {
    const driver = upTo(bits);
    expect(driver.get("Status")).toBe(0x03);
    driver.set("Status", 0x07);
    expect(driver.get("Status")).toBe(0x03);
    expect(guestErrors(driver).length).toBe(2);
  });

  test("is final", () => {
    const driver = upTo([32]);
    driver.accept([3, 32]);
    expect(guestErrors(driver).length).toBe(4);
    driver.set("Status", 0x0f);
    expect(driver.get("Status")).toBe(0x0f);
  });

  test("keeps status bits until reset", () => {
    const { driver } = ready();
    driver.set("Status", 0x80);
    expect(driver.get("Status")).toBe(0x8f);
    driver.set("Status", 0x40 | 0x8f);
    expect(driver.get("Status")).toBe(0x8f);
    driver.set("Status", 0);
    expect(driver.get("Status")).toBe(0);
  });
});

describe("queues", () => {
  test("work, direct and indirect, and raise the interrupt", () => {
    const { driver } = ready();
    for (const indirect of [false, true]) {
      driver.rings[0].usedEvent = driver.rings[0].usedIndex;
      const { length, answers } = driver.request(0, [Uint8Array.of(1, 2, 3), 8], { indirect });
      expect(length).toBe(3);
      expect([...answers[0].subarray(0, 4)]).toEqual([1, 2, 3, 0xee]);
      expect(driver.line.level).toBe(true);
      expect(driver.interrupt()).toBe(1);
      expect(driver.line.level).toBe(false);
    }
    expect(guestErrors(driver)).toEqual([]);
  });

  test("and config changes are acknowledged apart", () => {
    const { driver, made } = ready();
    driver.request(0, [4]);
    made.port!.configChanged();
    expect(driver.get("InterruptStatus")).toBe(3);
    driver.set("InterruptACK", 1);
    expect(driver.get("InterruptStatus")).toBe(2);
    expect(driver.line.level).toBe(true);
    driver.set("InterruptACK", 2);
    expect(driver.line.level).toBe(false);
  });

  test("wait for DRIVER_OK, which makes good an early kick", () => {
    const { descriptor, made } = echo();
    const driver = drive(descriptor, {});
    driver.set("Status", 3);
    driver.accept([Feature.version1]);
    driver.set("Status", 0x0b);
    driver.layOut(0, 4).add([4]);
    driver.kick(0);
    expect(made.notified).toEqual([]);
    expect(driver.rings[0].usedIndex).toBe(0);
    driver.set("Status", 0x0f);
    expect(made.notified).toEqual([0]);
    expect(driver.rings[0].usedIndex).toBe(1);
  });

  test("are not set up before FEATURES_OK, nor changed while ready", () => {
    const driver = drive(echo().descriptor, {});
    driver.layOut(0, 4);
    expect(driver.get("QueueReady")).toBe(0);
    driver.start({ queues: [4] });
    expect(driver.get("QueueReady")).toBe(1);
    driver.set("QueueDescLow", 0);
    driver.set("QueueSize", 16);
    expect(driver.request(0, [4]).length).toBe(0);
  });

  test("that do not exist are ignored", () => {
    const { driver, made } = ready();
    driver.kick(2);
    driver.kick(0xffff_ffff);
    driver.set("QueueSel", 9);
    driver.set("QueueSize", 4);
    driver.set("QueueReady", 1);
    driver.set("QueueReset", 1);
    expect(driver.get("QueueReady")).toBe(0);
    expect(made.notified).toEqual([]);
    expect(driver.get("Status")).toBe(0x0f);
  });

  test("are reset one by one, and their chains forgotten", () => {
    const { driver, made } = ready();
    made.holding = true;
    driver.rings[0].add([4]);
    driver.kick(0);
    driver.set("QueueSel", 0);
    driver.set("QueueReset", 1);
    expect(driver.get("QueueReset")).toBe(0);
    expect(driver.get("QueueReady")).toBe(0);
    made.holding = false;
    driver.layOut(0, 8);
    expect(driver.request(0, [4]).length).toBe(0);
    expect(driver.request(1, [4]).length).toBe(0);
  });

  test("are reset only where that was negotiated", () => {
    const { driver } = ready({ features: [] });
    driver.set("QueueSel", 0);
    driver.set("QueueReset", 1);
    expect(driver.get("QueueReady")).toBe(1);
  });

  test("stop when QueueReady is cleared", () => {
    const { driver } = ready();
    driver.set("QueueSel", 0);
    driver.set("QueueReady", 0);
    expect(driver.get("QueueReady")).toBe(0);
    expect(driver.request(0, [4]).length).toBeUndefined();
    expect(driver.line.level).toBe(false);
  });
});

describe("a broken queue", () => {
  test("needs a reset, says so, and does nothing else", () => {
    const { driver } = ready();
    driver.rings[0].descriptor(0, { address: 0x1000, length: 4 });
    driver.rings[0].publish(0);
    driver.kick(0);
    expect(driver.get("Status")).toBe(0x4f);
    expect(driver.interrupt()).toBe(2);
    expect(driver.rings[0].usedIndex).toBe(0);
    // The other queue stands still too.
    expect(driver.request(1, [4]).length).toBeUndefined();
    expect(driver.line.level).toBe(false);
    driver.start({ queues: [16] });
    expect(driver.get("Status")).toBe(0x0f);
    expect(driver.request(0, [4]).length).toBe(0);
  });

  test.each([
    ["larger than the device allows", 32],
    ["no power of two", 12],
    ["zero", 0],
  ])("comes of a size that is %s", (_, size) => {
    const { driver } = ready({ queues: [] });
    driver.layOut(0, 16);
    driver.set("QueueReady", 0);
    driver.set("QueueSize", size);
    driver.set("QueueReady", 1);
    expect(driver.get("Status")).toBe(0x4f);
    expect(driver.interrupt()).toBe(2);
  });

  test("before DRIVER_OK is told at DRIVER_OK", () => {
    const driver = drive(echo().descriptor, {});
    driver.set("Status", 3);
    driver.accept([Feature.version1]);
    driver.set("Status", 0x0b);
    driver.set("QueueReady", 1);
    expect(driver.get("Status")).toBe(0x4b);
    expect(driver.line.level).toBe(false);
    driver.set("Status", 0x0f);
    expect(driver.interrupt()).toBe(2);
  });

  test("does not fill the log", () => {
    const { descriptor } = echo();
    const driver = drive(descriptor, {});
    for (let i = 0; i < 100; i++) {
      driver.start({ features: [] });
      driver.set("QueueSize", 3 + 4 * i);
      driver.set("QueueReady", 1);
    }
    expect(new Set(guestErrors(driver).map(({ message }) => message)).size).toBeLessThan(20);
  });
});

describe("reset and snapshot", () => {
  test("reset is idempotent and complete", () => {
    const { driver, descriptor } = ready();
    driver.request(0, [4]);
    driver.assembled.vdev.reset();
    const once = driver.assembled.vdev.snapshot();
    driver.assembled.vdev.reset();
    expect(driver.assembled.vdev.snapshot()).toEqual(once);
    expect(once).toEqual(drive(descriptor, {}).assembled.vdev.snapshot());
    expect(driver.line.level).toBe(false);
  });

  test("a snapshot in mid-flight goes on elsewhere", () => {
    const { driver, made } = ready();
    driver.request(0, [Uint8Array.of(9), 4]);
    made.holding = true;
    const held = driver.rings[0].add([Uint8Array.of(1, 2), 4]);
    driver.kick(0);
    const waiting = driver.rings[0].add([Uint8Array.of(3), 4]);
    made.port!.later(0);
    expect(driver.line.level).toBe(true);
    const state = JSON.parse(JSON.stringify(driver.assembled.vdev.snapshot()));

    const second = drive(echo().descriptor, {}, {}, driver.area);
    second.assembled.vdev.restore(state);
    expect(second.assembled.vdev.snapshot()).toEqual(state);
    expect(second.line.level).toBe(true);
    second.rings.push(...driver.rings);
    second.host.clock.advance(0);
    expect(second.rings[0].reap().map(({ head, length }) => [head, length])).toEqual([
      [held.head, 2],
      [waiting.head, 1],
    ]);
    expect([...second.area.bytes(held.at[1], 2)]).toEqual([1, 2]);
    expect(second.request(1, [Uint8Array.of(5), 1]).length).toBe(1);
  });

  test("a broken device stays broken", () => {
    const { driver } = ready();
    driver.rings[0].publish(999);
    driver.kick(0);
    const state = driver.assembled.vdev.snapshot();
    const second = drive(echo().descriptor, {}, {}, driver.area);
    second.assembled.vdev.restore(state);
    expect(second.get("Status")).toBe(0x4f);
    expect(second.assembled.vdev.snapshot()).toEqual(state);
  });

  test.each([[null], [{}], [{ registers: { window: null, values: {} }, core: { status: 999 } }]])(
    "what is no snapshot is refused: %j",
    (state) => {
      const { driver } = ready();
      expect(() => driver.assembled.vdev.restore(state)).toThrow("virtio/snapshot");
    },
  );
});

test("its node follows Linux's virtio/mmio.yaml", () => {
  const [found] = contributedNodes(contribution(echo().descriptor, {}));
  expect(found.name).toBe("virtio_mmio@10000000");
  expect(strings(found, "compatible")).toEqual(["virtio,mmio"]);
  expect(cells(found, "reg")).toEqual([0, 0x1000_0000, 0, 0x200]);
  expect(cells(found, "interrupts")).toEqual([1]);
  expect(found.properties.has("dma-coherent")).toBe(true);
});

test("its registers are named, config space included", () => {
  const { registers } = echo().descriptor;
  expect(registers?.mmio.answer.at).toBe(0x100);
  expect(registers?.mmio.QueueNotify.at).toBe(0x50);
  expect(() => registerMap(registers!.mmio)).not.toThrow();
});
