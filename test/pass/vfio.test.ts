// VFIO against a kernel of a test's own: the calls, in order, with their structures as the uapi header has them.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { FdWatch } from "../../src/host/fd-watch.ts";
import { close, eventfd, ftruncate, memfdCreate, write } from "../../src/host/linux.ts";
import type { Opening } from "../../src/pass/hardware.ts";
import { systemAt } from "../../src/pass/objects/sysfs.ts";
import { openVfio } from "../../src/pass/objects/vfio.ts";
import type { VfioSystem } from "../../src/pass/objects/vfio-kernel.ts";
import type { HostObjectRequest } from "../../src/vdev/host-object.ts";

const DEVICE = "0000:01:00.0";
const root = mkdtempSync(join(tmpdir(), "vmrun-vfio-"));
afterAll(() => rmSync(root, { recursive: true }));
function link(path: string, target: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
}
link(`sys/bus/pci/devices/${DEVICE}/driver`, "../../drivers/vfio-pci");
link(`sys/bus/pci/devices/${DEVICE}/iommu_group`, "../../../../kernel/iommu_groups/7");
link("sys/bus/pci/devices/0000:01:00.1/driver", "../../drivers/snd_hda_intel");
link("sys/bus/pci/devices/0000:02:00.0/driver", "../../drivers/vfio-pci");
mkdirSync(join(root, "sys/bus/pci/devices/0000:03:00.0"), { recursive: true });
for (const member of [DEVICE, "0000:01:00.1"]) {
  mkdirSync(join(root, "sys/kernel/iommu_groups/7/devices", member), { recursive: true });
}
const system = systemAt(root);

interface KernelOptions {
  readonly viable?: boolean;
  readonly mappable?: boolean;
  /** Counts by index: INTx, MSI, MSI-X. */
  readonly interrupts?: readonly number[];
}

/** Numbers of requests as in linux/vfio.h, written out: a mistake in the code's arithmetic shows. */
const NAMES: Readonly<Record<number, string>> = {
  [0x3b64]: "GET_API_VERSION",
  [0x3b66]: "SET_IOMMU",
  [0x3b67]: "GROUP_GET_STATUS",
  [0x3b68]: "GROUP_SET_CONTAINER",
  [0x3b6a]: "GROUP_GET_DEVICE_FD",
  [0x3b6b]: "DEVICE_GET_INFO",
  [0x3b6c]: "DEVICE_GET_REGION_INFO",
  [0x3b6d]: "DEVICE_GET_IRQ_INFO",
  [0x3b6e]: "DEVICE_SET_IRQS",
  [0x3b6f]: "DEVICE_RESET",
  [0x3b71]: "IOMMU_MAP_DMA",
  [0x3b72]: "IOMMU_UNMAP_DMA",
};
const BAR_OFFSET = 0;
const CONFIG_OFFSET = 7 * 4096;

function kernel({ viable = true, mappable = true, interrupts = [1, 0, 4] }: KernelOptions = {}) {
  const calls: string[] = [];
  const file = memfdCreate("vfio");
  ftruncate(file, 8 * 4096);
  const config = new Uint8Array(256);
  const bar = new DataView(new ArrayBuffer(4096));
  const events: number[] = [];
  const ofConfig = (offset: number) => offset >= CONFIG_OFFSET;
  const vfio: VfioSystem = {
    open: (path) => (path === "/dev/vfio/vfio" ? 1001 : path === "/dev/vfio/7" ? 1002 : -2),
    ioctl(fd, request, argument) {
      const name = NAMES[request] ?? `0x${request.toString(16)}`;
      const view =
        typeof argument === "number" ? undefined : new DataView(argument.buffer, argument.byteOffset, argument.length);
      const words =
        view && name !== "GROUP_GET_DEVICE_FD"
          ? Array.from({ length: view.byteLength / 4 }, (_, i) => view.getUint32(4 * i, true))
          : [];
      switch (name) {
        case "GET_API_VERSION":
          return 0;
        case "GROUP_GET_STATUS":
          view!.setUint32(4, viable ? 1 : 0, true);
          return 0;
        case "GROUP_GET_DEVICE_FD":
          calls.push(`${name} ${Buffer.from(argument as Uint8Array).toString()}`);
          return file;
        case "DEVICE_GET_INFO":
          view!.setUint32(4, 3, true);
          return 0;
        case "DEVICE_GET_REGION_INFO": {
          const isBar = words[2] === 2;
          const isConfig = words[2] === 7;
          view!.setUint32(4, 3 | (isBar && mappable ? 4 : 0), true);
          view!.setBigUint64(16, BigInt(isBar ? 4096 : isConfig ? 256 : 0), true);
          view!.setBigUint64(24, BigInt(isBar ? BAR_OFFSET : CONFIG_OFFSET), true);
          return 0;
        }
        case "DEVICE_GET_IRQ_INFO":
          view!.setUint32(4, 1 | (words[2] === 0 ? 6 : 8), true);
          view!.setUint32(12, interrupts[words[2]!]!, true);
          return 0;
        case "IOMMU_MAP_DMA":
          words[2] = 0xadd;
          words[3] = 0;
          break;
      }
      calls.push(`${fd === file ? "device" : fd} ${name} ${typeof argument === "number" ? argument : words.join(",")}`);
      return 0;
    },
    pread(_fd, into, offset) {
      for (let i = 0; i < into.length; i++) {
        into[i] = ofConfig(offset) ? config[offset - CONFIG_OFFSET + i]! : bar.getUint8(offset - BAR_OFFSET + i);
      }
      if (!ofConfig(offset)) calls.push(`read ${offset} ${into.length}`);
      return into.length;
    },
    pwrite(_fd, from, offset) {
      for (let i = 0; i < from.length; i++) {
        if (ofConfig(offset)) config[offset - CONFIG_OFFSET + i] = from[i]!;
        else bar.setUint8(offset - BAR_OFFSET + i, from[i]!);
      }
      if (!ofConfig(offset)) calls.push(`write ${offset} ${from.length}`);
      return from.length;
    },
    eventfd() {
      events.push(eventfd());
      return events.at(-1)!;
    },
    close(fd) {
      calls.push(`close ${fd === file ? "device" : events.includes(fd) ? "event" : fd}`);
      if (fd === file || events.includes(fd)) close(fd);
    },
    address: () => 0xadd,
  };
  return { vfio, calls, config, bar, events };
}

function open(
  host: ReturnType<typeof kernel>,
  request: Partial<HostObjectRequest> = {},
  address = DEVICE,
  shared = new Map<string, unknown>(),
) {
  const watch = new FdWatch();
  const claimed: string[] = [];
  const none = { exclusively: <T>(act: () => T) => act(), release: () => {} };
  const opening: Opening = {
    spec: "it",
    request: { window: 2, size: 64, write: true, ...request },
    owner: { name: "board/it", ram: () => [{ at: 0x8000_0000, size: 4096, bytes: new Uint8Array(4096) }] },
    watch,
    shared,
    hold(...resources) {
      claimed.push(...resources.map(({ space }) => space));
      return none;
    },
    claim: (...resources) => opening.hold(...resources),
  };
  return { object: openVfio(address, opening, { system, vfio: host.vfio }), watch, claimed };
}

test("a function with DMA: its group, the IOMMU, RAM at the guest's addresses, and the device", () => {
  const host = kernel();
  const { object, claimed } = open(host, { dma: true });
  expect(claimed).toEqual(["vfio group 7", `vfio ${DEVICE} BAR 2`]);
  expect(host.calls).toEqual([
    "1002 GROUP_SET_CONTAINER 1001",
    "1001 SET_IOMMU 3",
    `1001 IOMMU_MAP_DMA 32,3,${0xadd},0,${0x8000_0000},0,4096,0`,
    `GROUP_GET_DEVICE_FD ${DEVICE}\0`,
  ]);
  expect(host.config[4]).toBe(6);
  object.window.store(4, 4, 0x1234_5678);
  expect([object.window.load(4, 2), object.window.load64(0)]).toEqual([0x5678, 0x1234_5678_0000_0000n]);
  host.calls.length = 0;
  object.reset();
  expect(host.calls).toEqual([
    "device DEVICE_RESET 0",
    `1001 IOMMU_UNMAP_DMA 24,0,${0x8000_0000},0,4096,0`,
    `1001 IOMMU_MAP_DMA 32,3,${0xadd},0,${0x8000_0000},0,4096,0`,
  ]);
  host.calls.length = 0;
  object.close();
  expect([host.config[4], host.calls]).toEqual([0, ["close device", "close 1001", "close 1002"]]);
});

test("two spans of a function share it: opened with the first, reset once, closed with the last", () => {
  const host = kernel();
  const shared = new Map<string, unknown>();
  const one = open(host, {}, DEVICE, shared);
  const before = host.calls.length;
  const two = open(host, { offset: 64, dma: true }, DEVICE, shared);
  expect(host.calls.slice(before)).toEqual([`1001 IOMMU_MAP_DMA 32,3,${0xadd},0,${0x8000_0000},0,4096,0`]);
  expect([two.claimed, host.config[4]]).toEqual([[`vfio ${DEVICE} BAR 2`], 6]);
  host.calls.length = 0;
  two.object.reset();
  one.object.reset();
  expect(host.calls.filter((call) => call.includes("RESET"))).toHaveLength(1);
  host.calls.length = 0;
  one.object.close();
  expect(host.calls).toEqual([]);
  two.object.close();
  expect([host.calls, shared.size]).toEqual([["close device", "close 1001", "close 1002"], 0]);
});

test("a function without DMA is no bus master", () => {
  const host = kernel();
  host.config[4] = 0x47;
  const { object } = open(host);
  expect([host.config[4], host.calls.some((call) => call.includes("DMA"))]).toEqual([0x43, false]);
  object.close();
});

test("a BAR that cannot be mapped is read and written by the kernel, in the guest's widths", () => {
  const host = kernel({ mappable: false });
  const { object } = open(host, { offset: 0x10 });
  host.calls.length = 0;
  object.window.store(0, 1, 0xff);
  object.window.store64(8, 1n);
  expect([object.window.load(0, 4), object.window.load(8, 2), object.window.load64(8)]).toEqual([0xff, 1, 1n]);
  expect(host.calls).toEqual(["write 16 1", "write 24 8", "read 16 4", "read 24 2", "read 24 8"]);
  expect(object.window.mapping).toBeUndefined();
  object.close();
});

describe("interrupts", () => {
  test("are messages where there are enough of them: each an eventfd, that keeps what comes while it is masked", () => {
    const host = kernel();
    const { object, watch } = open(host, { interrupts: 2 });
    expect(host.calls.at(-1)).toBe(`device DEVICE_SET_IRQS 28,36,2,0,2,${host.events.join(",")}`);
    const raised: number[] = [];
    object.interrupts[1]!.connect((count) => raised.push(count));
    for (let i = 0; i < 3; i++) write(host.events[1]!, BigUint64Array.of(1n));
    watch.poll();
    write(host.events[1]!, BigUint64Array.of(1n));
    watch.poll();
    expect(raised).toEqual([3]);
    object.interrupts[1]!.unmask();
    watch.poll();
    expect(raised).toEqual([3, 1]);
    object.close();
  });

  test("of the wire are unmasked in the kernel", () => {
    const host = kernel({ interrupts: [1, 0, 0] });
    const { object } = open(host, { interrupts: 1 });
    expect(host.calls.at(-1)).toBe(`device DEVICE_SET_IRQS 24,36,0,0,1,${host.events[0]}`);
    object.interrupts[0]!.unmask();
    expect(host.calls.at(-1)).toBe("device DEVICE_SET_IRQS 20,17,0,0,1");
    object.close();
  });
});

describe("is refused, and nothing stays open", () => {
  const refusal = (host: ReturnType<typeof kernel>, request: Partial<HostObjectRequest> = {}, address = DEVICE) => {
    try {
      open(host, request, address).object.close();
      return "none";
    } catch (error) {
      if (!(error instanceof VmrunError)) throw error;
      const [{ code, message, hint }] = error.diagnostics as [VmrunError["diagnostics"][number]];
      return `${code}: ${message}; ${hint}`;
    }
  };

  test("where a driver of the host has it, with how to take it away", () => {
    expect(refusal(kernel(), {}, "0000:01:00.1")).toBe(
      "pass/driver: it is in use by the host's driver snd_hda_intel; modprobe vfio-pci; " +
        "echo 0000:01:00.1 > /sys/bus/pci/drivers/snd_hda_intel/unbind; " +
        "echo vfio-pci > /sys/bus/pci/devices/0000:01:00.1/driver_override; echo 0000:01:00.1 > /sys/bus/pci/drivers_probe",
    );
    expect(refusal(kernel(), {}, "0000:03:00.0")).toStartWith("pass/driver: it is bound to no driver; modprobe");
  });
  test("where there is no such function, or no IOMMU", () => {
    expect(refusal(kernel(), {}, "0000:09:00.0")).toStartWith("pass/no-device");
    expect(refusal(kernel(), {}, "0000:02:00.0")).toStartWith("pass/no-iommu");
  });
  test("where others of its group are the host's", () => {
    const host = kernel({ viable: false });
    expect(refusal(host)).toBe(
      "pass/driver: it: others of its IOMMU group 7 belong to the host: 0000:01:00.1 (snd_hda_intel); " +
        "echo 0000:01:00.1 > /sys/bus/pci/drivers/snd_hda_intel/unbind",
    );
    expect(host.calls).toEqual(["close 1001", "close 1002"]);
  });
  test("where RAM lies on addresses that the IOMMU keeps", () => {
    const regions = join(root, "sys/kernel/iommu_groups/7/reserved_regions");
    writeFileSync(
      regions,
      "0x0000000080000000 0x00000000800000ff direct-relaxable\n0x0000000080000800 0x00000000800fffff msi\n",
    );
    const host = kernel();
    expect(refusal(host, { dma: true })).toStartWith(
      "pass/dma: it: RAM at 0x80000000-0x80000fff meets 0x80000800-0x800fffff; ",
    );
    expect(host.calls.slice(-2)).toEqual(["close 1001", "close 1002"]);
    expect(refusal(kernel())).toBe("none");
    rmSync(regions);
    expect(refusal(kernel(), { dma: true })).toBe("none");
  });
  test.each([
    [{ window: 0 }, "it has no BAR 0; it has: 2 (0x1000 bytes)"],
    [{ window: "bar2", size: 8192 }, "BAR 2 has 0x1000 bytes; the profile wants 0x2000"],
    [{ interrupts: 5 }, "has no 5 interrupts of one kind"],
  ])("%p", (request, message) => {
    const host = kernel();
    expect(refusal(host, request)).toContain(message);
    expect(host.calls.slice(-3)).toEqual(["close device", "close 1001", "close 1002"]);
  });
});
