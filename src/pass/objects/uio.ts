/**
 * Userspace I/O: a device whose host driver only hands out its registers and its interrupt.
 * Linux Documentation/driver-api/uio-howto.rst
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { fail } from "../../diagnostics/diagnostic.ts";
import { mapDevice } from "../../host/device-access.ts";
import { close, isError, read, write as writeFd } from "../../host/linux.ts";
import { nearestName } from "../../vdev/registry.ts";
import type { Opened, Opening } from "../hardware.ts";
import { type InterruptFd, interruptFd } from "./interrupt.ts";
import { openDevice } from "./open-device.ts";
import { type HostSystem, hostSystem, type UioDevice, type UioMap, unbindHint } from "./sysfs.ts";
import { hex, mappedWindow } from "./window.ts";

const PAGE = 4096;

export function openUio(name: string, opening: Opening, system: HostSystem = hostSystem): Opened {
  const { spec, request } = opening;
  const { size, offset = 0, write = false, interrupts = 0 } = request;
  const device = find(name, spec, system);
  const index = mapIndex(device, request.window, spec);
  const map = device.maps[index]!;
  if (offset + size > map.size) {
    fail(
      "pass/size",
      `${spec}: map ${index} has ${hex(map.size)} bytes; the profile wants ${hex(size)} from ${hex(offset)} on`,
    );
  }
  if (interrupts > 1) fail("pass/interrupt", `${spec} has one interrupt, not ${interrupts}`);
  const from = map.address + map.offset + offset;
  const addresses = map.address === 0 ? [] : [{ space: "mem", from, to: from + size - 1 }];
  // The interrupt has no address: who has it has the device.
  opening.claim(...addresses, ...(interrupts > 0 || map.address === 0 ? [{ space: `uio${device.number}` }] : []));
  const path = `/dev/uio${device.number}`;
  // An interrupt is unmasked by writing.
  const fd = openDevice(path, write || interrupts > 0, spec);
  try {
    // Which map is said by the offset in pages. uio-howto.rst, "mmap() device memory"
    const registers = mapDevice(fd, index * PAGE + map.offset + offset, size, write, spec);
    const wires = Array.from({ length: interrupts }, () =>
      interruptOf(fd, device, opening, (reason) => opened.onLoss(reason)),
    );
    const opened: Opened = {
      how: `${size} bytes of ${path} map ${index}, at ${hex(from)}`,
      window: mappedWindow(spec, size, registers, { fd, offset: index * PAGE + map.offset + offset }, (reason) =>
        opened.onLoss(reason),
      ),
      interrupts: wires,
      onLoss: () => {},
      reset() {},
      close() {
        for (const each of wires) each.remove();
        registers.unmap();
        close(fd);
      },
    };
    return opened;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function find(name: string, spec: string, system: HostSystem): UioDevice {
  const all = system.uioDevices();
  const found = all.find((device) => String(device.number) === name || device.name === name);
  if (found !== undefined) return found;
  const bound = system.devicesLike("platform", name).find(({ driver }) => driver !== undefined);
  const near = nearestName(
    name,
    all.map((device) => device.name),
  );
  const known = all.map((device) => `${device.name} (${device.number})`).join(", ");
  return fail("pass/no-device", `${spec}: the host has no UIO device of that name or number`, {
    hint: bound
      ? `${bound.device} belongs to the driver ${bound.driver}: ${unbindHint("platform", bound.device, bound.driver!)}; ` +
        `echo uio_pdrv_genirq > /sys/bus/platform/devices/${bound.device}/driver_override; ` +
        `echo ${bound.device} > /sys/bus/platform/drivers_probe`
      : near
        ? `did you mean "uio:${near}"?`
        : known === ""
          ? "it has none at all: modprobe uio_pdrv_genirq, and bind the device to it"
          : `there are: ${known}`,
  });
}

function mapIndex(device: UioDevice, wanted: number | string = 0, spec: string): number {
  const index = typeof wanted === "number" ? wanted : device.maps.findIndex((map: UioMap) => map.name === wanted);
  if (device.maps[index] !== undefined) return index;
  const known = device.maps.map((map, i) => `${i} (${map.name}, ${hex(map.size)} bytes)`).join(", ");
  return fail("pass/window", `${spec} has no map ${JSON.stringify(wanted)}`, { hint: known && `it has: ${known}` });
}

function interruptOf(fd: number, device: UioDevice, { watch }: Opening, lost: (reason: string) => void): InterruptFd {
  const total = new Uint32Array(1);
  let last: number | undefined;
  const unmask = () => {
    if (isError(writeFd(fd, Uint32Array.of(1))) && device.config !== undefined) enableIntx(device.config);
  };
  const interrupt = interruptFd(watch, {
    name: "irq",
    fd,
    unmask,
    count(gone) {
      if (gone || isError(read(fd, total))) {
        interrupt.remove();
        lost("its interrupt cannot be read any more: the device was unplugged");
        return 0;
      }
      // Reading answers how many there were since the driver was loaded. uio-howto.rst, "Interrupt handling"
      const count = last === undefined ? 1 : (total[0]! - last) >>> 0;
      last = total[0]!;
      return Math.max(1, count);
    },
  });
  return {
    ...interrupt,
    connect(raised) {
      interrupt.connect(raised);
      unmask();
    },
  };
}

/** uio_pci_generic masks by the command register, and leaves unmasking to us. PCI 3.0 §6.2.2: bit 10 disables INTx. */
function enableIntx(config: string): void {
  const fd = openSync(config, "r+");
  try {
    const command = new Uint8Array(2);
    readSync(fd, command, 0, 2, 4);
    command[1]! &= ~0x04;
    writeSync(fd, command, 0, 2, 4);
  } finally {
    closeSync(fd);
  }
}
