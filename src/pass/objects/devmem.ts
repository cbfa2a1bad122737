/** Physical addresses of the host through /dev/mem: registers that no host driver may be using. */
import { constants } from "node:fs";
import { fail } from "../../diagnostics/diagnostic.ts";
import { mapDevice } from "../../host/device-access.ts";
import { close } from "../../host/linux.ts";
import type { Opened, Opening } from "../hardware.ts";
import { openDevice } from "./open-device.ts";
import { type HostSystem, hostSystem, unbindHint } from "./sysfs.ts";
import { hex, mappedWindow } from "./window.ts";

export function openDevmem(address: number, opening: Opening, system: HostSystem = hostSystem): Opened {
  const { spec, request } = opening;
  const { size, offset = 0, write = false, interrupts = 0 } = request;
  const at = address + offset;
  if (interrupts > 0) {
    fail("pass/interrupt", `${spec} has no interrupt: /dev/mem gives addresses alone`, {
      hint: "pass it as uio, whose driver hands interrupts on",
    });
  }
  refuseUsed(spec, at, size, system);
  opening.claim({ space: "mem", from: at, to: at + size - 1 });
  // Synchronous, so that the kernel maps it without caching.
  const fd = openDevice("/dev/mem", write, spec, HINTS, constants.O_SYNC);
  try {
    const device = mapDevice(fd, at, size, write, spec);
    const opened: Opened = {
      how: `${size} bytes of /dev/mem at ${hex(at)}, each access by itself`,
      window: mappedWindow(spec, size, device, { fd, offset: at }, (reason) => opened.onLoss(reason)),
      interrupts: [],
      onLoss: () => {},
      reset() {},
      close() {
        device.unmap();
        close(fd);
      },
    };
    return opened;
  } catch (error) {
    close(fd);
    throw error;
  }
}

const HINTS = {
  ENOENT: "this kernel is built without /dev/mem; a UIO device does as well",
  EACCES: "/dev/mem is root's",
  EPERM: "the kernel allows no access there: strict devmem (boot with iomem=relaxed) or lockdown",
};

/** RAM of the host is never a guest's registers, and a register with a driver has an owner. */
function refuseUsed(spec: string, at: number, size: number, system: HostSystem): void {
  for (const user of system.addressUsers(at, size)) {
    if (user.name === "System RAM") {
      fail("pass/host-ram", `${spec}: ${hex(user.from)}-${hex(user.to)} is RAM of the host itself`, {
        hint: "memory for the guest is [[memory]], not [[pass]]",
      });
    }
    if (user.device !== undefined && user.driver !== undefined) {
      fail("pass/driver", `${spec} is in use by the host's driver ${user.driver} (${user.device})`, {
        hint: unbindHint(user.bus ?? "platform", user.device, user.driver),
      });
    }
  }
}
