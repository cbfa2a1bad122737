/**
 * An IOMMU group of the host and the functions in it that one machine has: opened with the first of them, closed with the
 * last. What the IOMMU lets them reach is the guest's RAM, at the guest's addresses.
 */
import { fail } from "../../diagnostics/diagnostic.ts";
import { errnoName, isError } from "../../host/linux.ts";
import type { DmaBlock } from "../../vdev/host-object.ts";
import type { Claim } from "../claims.ts";
import type { Opening } from "../hardware.ts";
import { type HostSystem, unbindHint } from "./sysfs.ts";
import {
  API_VERSION,
  CONFIG_REGION,
  DeviceFlag,
  deviceFd,
  deviceInfo,
  isViable,
  mapDma,
  regionInfo,
  setContainer,
  TYPE1V2_IOMMU,
  unmapDma,
  Vfio,
  type VfioSystem,
} from "./vfio-kernel.ts";
import { hex } from "./window.ts";

/** PCI 3.0 §6.2.2: the command register, its bits for memory and for the function's own accesses. */
const COMMAND = 4;
const COMMAND_MEMORY = 2;
const COMMAND_MASTER = 4;

export interface VfioFunction {
  readonly fd: number;
  /** Memory accesses are on, and with DMA the function's own, to the guest's RAM. */
  enable(dma: boolean): void;
  /** Power-on. Of several who ask for the same one, the first counts. */
  reset(asking: object): void;
  /** The function is closed with its last user, and the group with its last function. */
  leave(asking: object): void;
}

interface Device {
  readonly fd: number;
  readonly canReset: boolean;
  readonly users: Set<object>;
  dma: boolean;
}

export function vfioFunction(
  address: string,
  group: number,
  opening: Opening,
  system: HostSystem,
  vfio: VfioSystem,
  user: object,
): VfioFunction {
  const key = `vfio group ${group}`;
  const known = opening.shared.get(key);
  const owner = known instanceof GroupOwner ? known : new GroupOwner(address, group, opening, system, vfio);
  opening.shared.set(key, owner);
  return owner.join(address, opening, user, () => opening.shared.delete(key));
}

class GroupOwner {
  readonly #vfio: VfioSystem;
  readonly #claim: Claim;
  readonly #container: number;
  readonly #group: number;
  readonly #reserved: ReturnType<HostSystem["reservedRegions"]>;
  readonly #fds: number[] = [];
  readonly #devices = new Map<string, Device>();
  #ram: readonly DmaBlock[] = [];

  constructor(address: string, group: number, opening: Opening, system: HostSystem, vfio: VfioSystem) {
    this.#vfio = vfio;
    this.#reserved = system.reservedRegions(group);
    // A group is the least that an IOMMU can keep apart: who has one function of it has all.
    this.#claim = opening.hold({ space: `vfio group ${group}` });
    try {
      this.#container = this.#open("/dev/vfio/vfio", opening);
      if (vfio.ioctl(this.#container, Vfio.getApiVersion, 0) !== API_VERSION) {
        fail("pass/vfio", `${opening.spec}: this kernel's VFIO is of another version`);
      }
      this.#group = this.#open(`/dev/vfio/${group}`, opening);
      if (!isViable(vfio, this.#group)) refuseOthers(address, group, opening, system);
      must(opening, "joining its IOMMU group", setContainer(vfio, this.#group, this.#container));
      must(opening, "the IOMMU", vfio.ioctl(this.#container, Vfio.setIommu, TYPE1V2_IOMMU));
    } catch (error) {
      this.#close();
      throw error;
    }
  }

  join(address: string, opening: Opening, user: object, ended: () => void): VfioFunction {
    try {
      if (opening.request.dma && this.#ram.length === 0) this.#mapRam(opening);
      const device = this.#devices.get(address) ?? this.#openDevice(address, opening);
      device.users.add(user);
      return {
        fd: device.fd,
        enable: (dma) => {
          device.dma ||= dma;
          this.#command(device.fd, COMMAND_MEMORY | (device.dma ? COMMAND_MASTER : 0));
        },
        reset: (asking) => {
          const [first] = device.users;
          if (asking === first) this.#reset(device, opening);
        },
        leave: (asking) => {
          device.users.delete(asking);
          if (device.users.size > 0) return;
          // A device that goes on with DMA would write to whoever has the memory next.
          this.#command(device.fd, 0);
          this.#vfio.close(device.fd);
          this.#devices.delete(address);
          this.#endIfUnused(ended);
        },
      };
    } catch (error) {
      this.#endIfUnused(ended);
      throw error;
    }
  }

  #endIfUnused(ended: () => void): void {
    if (this.#devices.size > 0) return;
    ended();
    this.#close();
  }

  #close(): void {
    for (const fd of this.#fds.splice(0)) this.#vfio.close(fd);
    this.#claim.release();
  }

  #openDevice(address: string, opening: Opening): Device {
    const fd = must(opening, "the device", deviceFd(this.#vfio, this.#group, address));
    const info = deviceInfo(this.#vfio, fd);
    const canReset = info !== undefined && (info.flags & DeviceFlag.reset) !== 0;
    const device: Device = { fd, canReset, users: new Set(), dma: false };
    this.#devices.set(address, device);
    return device;
  }

  #reset({ fd, canReset, dma }: Device, opening: Opening): void {
    if (canReset) {
      this.#vfio.ioctl(fd, Vfio.deviceReset, 0);
      this.#command(fd, COMMAND_MEMORY | (dma ? COMMAND_MASTER : 0));
    }
    // Memory that was cleared may lie in other pages of the host than those that the device knows.
    for (const { at, size, bytes } of dma ? this.#ram : []) {
      unmapDma(this.#vfio, this.#container, at, size);
      must(opening, "DMA into the guest's RAM", mapDma(this.#vfio, this.#container, at, bytes));
    }
  }

  #mapRam(opening: Opening): void {
    const ram = opening.owner.ram();
    for (const { at, bytes } of ram) {
      const last = at + bytes.length - 1;
      const taken = this.#reserved.find(({ from, to }) => from <= last && to >= at);
      if (taken !== undefined) {
        fail("pass/dma", `${opening.spec}: RAM at ${hex(at)}-${hex(last)} meets ${hex(taken.from)}-${hex(taken.to)}`, {
          hint: "DMA never gets there, the host's IOMMU keeps it for itself: end that RAM before, and put more of it behind",
        });
      }
      must(opening, "DMA into the guest's RAM", mapDma(this.#vfio, this.#container, at, bytes));
    }
    this.#ram = ram;
  }

  /** Sets the enabling bits of the command register; the others stay. */
  #command(device: number, bits: number): void {
    const config = regionInfo(this.#vfio, device, CONFIG_REGION);
    if (config === undefined) return;
    const word = new Uint8Array(2);
    this.#vfio.pread(device, word, config.offset + COMMAND);
    word[0] = (word[0]! & ~(COMMAND_MEMORY | COMMAND_MASTER)) | bits;
    this.#vfio.pwrite(device, word, config.offset + COMMAND);
  }

  #open(path: string, { spec }: Opening): number {
    const fd = this.#vfio.open(path);
    if (isError(fd)) {
      fail("pass/open", `${spec}: ${path} cannot be opened: ${errnoName(fd)}`, {
        hint:
          errnoName(fd) === "EBUSY"
            ? "another program has the device's IOMMU group"
            : "run vmrun as a user who may open it",
      });
    }
    this.#fds.push(fd);
    return fd;
  }
}

/** The answer of a call that has to succeed. */
export function must({ spec }: Opening, what: string, result: number): number {
  if (!isError(result)) return result;
  return fail("pass/vfio", `${spec}: ${what} is not to be had: ${errnoName(result)}`, {
    hint: errnoName(result) === "ENOMEM" ? "it needs locked memory: ulimit -l unlimited" : undefined,
  });
}

function refuseOthers(address: string, group: number, { spec }: Opening, system: HostSystem): never {
  const others = system.groupMembers(group).flatMap((member) => {
    const driver = system.driverOf("pci", member);
    return member === address || typeof driver !== "string" || driver === "vfio-pci" ? [] : [{ member, driver }];
  });
  const list = others.map(({ member, driver }) => `${member} (${driver})`).join(", ");
  return fail("pass/driver", `${spec}: others of its IOMMU group ${group} belong to the host: ${list}`, {
    hint: others.map(({ member, driver }) => unbindHint("pci", member, driver)).join("; "),
  });
}
