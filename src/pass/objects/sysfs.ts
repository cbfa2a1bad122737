/** What the host's kernel says about its devices, in /proc and /sys. A tree of another place serves in tests. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";

/** Who the kernel says has some addresses. */
export interface AddressUser {
  readonly from: number;
  /** Last address. */
  readonly to: number;
  /** As in /proc/iomem. */
  readonly name: string;
  /** The device of that name and its bus and driver, where there is one. */
  readonly device?: string;
  readonly bus?: string;
  readonly driver?: string;
}

export interface UioMap {
  readonly name: string;
  readonly address: number;
  readonly size: number;
  /** Where in its first page it begins. */
  readonly offset: number;
}

export interface UioDevice {
  readonly number: number;
  readonly name: string;
  readonly maps: readonly UioMap[];
  /** The driver that hands it out, e.g. `uio_pdrv_genirq`. */
  readonly driver: string | undefined;
  /** Its configuration space, of a PCI function. */
  readonly config: string | undefined;
}

export interface HostSystem {
  addressUsers(at: number, size: number): AddressUser[];
  uioDevices(): UioDevice[];
  /** The driver of a device; `undefined` where none has it. `null`: there is no such device. */
  driverOf(bus: string, device: string): string | undefined | null;
  /** Devices of a bus whose names contain `text`, with their drivers. */
  devicesLike(bus: string, text: string): { readonly device: string; readonly driver: string | undefined }[];
  /** Of a PCI function. */
  iommuGroup(device: string): number | undefined;
  /** PCI functions of a group. */
  groupMembers(group: number): string[];
  /** Addresses, first and last, that an IOMMU does not translate for a group's DMA: on PCs, where interrupts are sent to. */
  reservedRegions(group: number): { readonly from: number; readonly to: number }[];
}

/** @param root Where /proc and /sys are. */
export function systemAt(root: string): HostSystem {
  const list = (path: string): string[] => {
    try {
      return readdirSync(join(root, path)).sort();
    } catch {
      return [];
    }
  };
  const text = (path: string): string | undefined => {
    try {
      return readFileSync(join(root, path), "utf8").trim();
    } catch {
      return undefined;
    }
  };
  const link = (path: string): string | undefined => {
    try {
      return basename(readlinkSync(join(root, path)));
    } catch {
      return undefined;
    }
  };
  const driverOf = (bus: string, device: string) =>
    list(`sys/bus/${bus}/devices`).includes(device) ? link(`sys/bus/${bus}/devices/${device}/driver`) : null;

  return {
    driverOf,
    addressUsers(at, size) {
      return iomem(text("proc/iomem") ?? "")
        .filter(({ from, to }) => from < at + size && to >= at)
        .map((user) => {
          // A driver's line begins with its device: "4020000.mmc mmc@4020000", "0000:01:00.0".
          const device = user.name.split(" ")[0]!;
          for (const bus of ["platform", "pci"]) {
            const driver = driverOf(bus, device);
            if (driver !== null) return { ...user, device, bus, driver };
          }
          return user;
        });
    },
    uioDevices: () =>
      list("sys/class/uio").flatMap((entry) => {
        const number = /^uio(\d+)$/.exec(entry)?.[1];
        if (number === undefined) return [];
        const own = `sys/class/uio/${entry}`;
        const maps = list(`${own}/maps`)
          .filter((map) => /^map\d+$/.test(map))
          .sort((a, b) => Number(a.slice(3)) - Number(b.slice(3)))
          .map((map) => ({
            name: text(`${own}/maps/${map}/name`) ?? map,
            address: Number(text(`${own}/maps/${map}/addr`) ?? 0),
            size: Number(text(`${own}/maps/${map}/size`) ?? 0),
            offset: Number(text(`${own}/maps/${map}/offset`) ?? 0),
          }));
        const config = list(`${own}/device`).includes("config") ? join(root, own, "device/config") : undefined;
        const name = text(`${own}/name`) ?? entry;
        return [{ number: Number(number), name, maps, driver: link(`${own}/device/driver`), config }];
      }),
    devicesLike: (bus, part) =>
      list(`sys/bus/${bus}/devices`)
        .filter((device) => device.includes(part))
        .map((device) => ({ device, driver: link(`sys/bus/${bus}/devices/${device}/driver`) })),
    iommuGroup(device) {
      const group = link(`sys/bus/pci/devices/${device}/iommu_group`);
      return group === undefined ? undefined : Number(group);
    },
    groupMembers: (group) => list(`sys/kernel/iommu_groups/${group}/devices`),
    reservedRegions: (group) =>
      (text(`sys/kernel/iommu_groups/${group}/reserved_regions`) ?? "").split("\n").flatMap((line) => {
        // Linux Documentation/ABI/testing/sysfs-kernel-iommu_groups. VFIO gives away what is `direct-relaxable`.
        const [from, to, kind] = line.split(" ");
        return to === undefined || kind === "direct-relaxable" ? [] : [{ from: Number(from), to: Number(to) }];
      }),
  };
}

export const hostSystem = systemAt("/");

/** What a person types to take a device from its driver. */
export function unbindHint(bus: string, device: string, driver: string): string {
  return `echo ${device} > /sys/bus/${bus}/drivers/${driver}/unbind`;
}

/** Lines `from-to : name`, deeper ones indented; without privileges every address reads as 0. */
function iomem(text: string): AddressUser[] {
  return text.split("\n").flatMap((line) => {
    const [, from, to, name] = /^\s*([0-9a-f]+)-([0-9a-f]+) : (.*)$/.exec(line) ?? [];
    const last = Number.parseInt(to ?? "0", 16);
    return name === undefined || last === 0 ? [] : [{ from: Number.parseInt(from!, 16), to: last, name }];
  });
}
