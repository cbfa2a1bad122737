/**
 * A PCI function through VFIO: its BARs, its interrupts, and its DMA kept within the guest's RAM by the host's IOMMU. Its
 * configuration space stays vmrun's. Linux Documentation/driver-api/vfio.rst
 */
import { fail } from "../../diagnostics/diagnostic.ts";
import { mapDevice } from "../../host/device-access.ts";
import { errnoName, isError } from "../../host/linux.ts";
import { BusError } from "../../vdev/errors.ts";
import type { DmaBlock, HostWindow } from "../../vdev/host-object.ts";
import type { Opened, Opening } from "../hardware.ts";
import { eventCount, type InterruptFd, interruptFd } from "./interrupt.ts";
import { type HostSystem, hostSystem, unbindHint } from "./sysfs.ts";
import {
  API_VERSION,
  CONFIG_REGION,
  DeviceFlag,
  deviceFd,
  deviceInfo,
  hostVfio,
  IRQ_INDICES,
  IrqFlag,
  irqInfo,
  isViable,
  mapDma,
  RegionFlag,
  type RegionInfo,
  regionInfo,
  setContainer,
  TYPE1V2_IOMMU,
  triggerIrqs,
  unmapDma,
  unmaskIrq,
  Vfio,
  type VfioSystem,
} from "./vfio-kernel.ts";
import { hex, mappedWindow } from "./window.ts";

/** PCI 3.0 §6.2.2: the command register, its bits for memory and for the function's own accesses. */
const COMMAND = 4;
const COMMAND_MEMORY = 2;
const COMMAND_MASTER = 4;
const BARS = 6;

export interface VfioHost {
  readonly system: HostSystem;
  readonly vfio: VfioSystem;
}

export function openVfio(
  address: string,
  opening: Opening,
  { system, vfio }: VfioHost = { system: hostSystem, vfio: hostVfio },
): Opened {
  const group = requireBound(address, opening.spec, system);
  return new PassedFunction(address, group, opening, system, vfio);
}

/** The IOMMU group of a function that is bound to vfio-pci. */
function requireBound(address: string, spec: string, system: HostSystem): number {
  const driver = system.driverOf("pci", address);
  if (driver === null)
    fail("pass/no-device", `${spec}: the host has no PCI function ${address}`, { hint: "lspci -D lists them" });
  if (driver !== "vfio-pci") {
    const take = driver === undefined ? "" : `${unbindHint("pci", address, driver)}; `;
    const who = driver === undefined ? "bound to no driver" : `in use by the host's driver ${driver}`;
    fail("pass/driver", `${spec} is ${who}`, {
      hint: `modprobe vfio-pci; ${take}echo vfio-pci > /sys/bus/pci/devices/${address}/driver_override; echo ${address} > /sys/bus/pci/drivers_probe`,
    });
  }
  const group = system.iommuGroup(address);
  if (group !== undefined) return group;
  return fail("pass/no-iommu", `${spec}: the host has no IOMMU for it`, {
    hint: "switch it on in the firmware, and boot with intel_iommu=on or the like",
  });
}

class PassedFunction implements Opened {
  readonly how: string;
  readonly window: HostWindow;
  readonly interrupts: readonly InterruptFd[];
  onLoss: (reason: string) => void = () => {};
  readonly #opening: Opening;
  readonly #vfio: VfioSystem;
  readonly #container: number;
  readonly #device: number;
  readonly #canReset: boolean;
  /** Ours to close, in this order. */
  readonly #fds: number[] = [];
  #ram: readonly DmaBlock[] = [];
  #unmap = () => {};
  #lost = false;

  constructor(address: string, group: number, opening: Opening, system: HostSystem, vfio: VfioSystem) {
    this.#opening = opening;
    this.#vfio = vfio;
    const { spec, request } = opening;
    const { window = 0, offset = 0, size, interrupts = 0, dma = false, write = false } = request;
    // A group is the least that an IOMMU can keep apart: who has one function of it has all.
    opening.claim({ space: `vfio group ${group}` });
    try {
      this.#container = this.#open("/dev/vfio/vfio");
      if (vfio.ioctl(this.#container, Vfio.getApiVersion, 0) !== API_VERSION) {
        fail("pass/vfio", `${spec}: this kernel's VFIO is of another version`);
      }
      const groupFd = this.#open(`/dev/vfio/${group}`);
      if (!isViable(vfio, groupFd)) this.#notViable(address, group, system);
      this.#must("joining its IOMMU group", setContainer(vfio, groupFd, this.#container));
      this.#must("the IOMMU", vfio.ioctl(this.#container, Vfio.setIommu, TYPE1V2_IOMMU));
      if (dma) this.#mapRam(opening.owner.ram());
      this.#device = this.#must("the device", deviceFd(vfio, groupFd, address));
      this.#fds.unshift(this.#device);
      const info = deviceInfo(vfio, this.#device);
      this.#canReset = info !== undefined && (info.flags & DeviceFlag.reset) !== 0;
      this.#command(COMMAND_MEMORY | (dma ? COMMAND_MASTER : 0));
      const bar = this.#bar(window, offset + size);
      const region = regionInfo(vfio, this.#device, bar)!;
      const mapped = (region.flags & RegionFlag.mmap) !== 0;
      this.window = mapped ? this.#mappedBar(region, offset, size, write) : this.#readBar(region, offset, size);
      this.how = `${size} bytes of PCI function ${address} BAR ${bar}, ${mapped ? "mapped" : "by the kernel's calls"}${dma ? ", DMA into the guest's RAM alone" : ""}`;
      this.interrupts = interrupts === 0 ? [] : this.#connect(interrupts);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  reset(): void {
    if (this.#lost) return;
    if (this.#canReset) {
      this.#vfio.ioctl(this.#device, Vfio.deviceReset, 0);
      this.#command(COMMAND_MEMORY | (this.#ram.length > 0 ? COMMAND_MASTER : 0));
    }
    // Memory that was cleared may lie in other pages of the host than those that the device knows.
    for (const { at, size, bytes } of this.#ram) {
      unmapDma(this.#vfio, this.#container, at, size);
      this.#must("DMA into the guest's RAM", mapDma(this.#vfio, this.#container, at, bytes));
    }
  }

  close(): void {
    for (const each of this.interrupts) each.remove();
    // A device that goes on with DMA would write to whoever has the memory next; closing it ends that as well.
    this.#command(0);
    this.#release();
  }

  #release(): void {
    this.#unmap();
    for (const fd of this.#fds.splice(0)) this.#vfio.close(fd);
  }

  #open(path: string): number {
    const fd = this.#vfio.open(path);
    if (isError(fd)) {
      fail("pass/open", `${this.#opening.spec}: ${path} cannot be opened: ${errnoName(fd)}`, {
        hint:
          errnoName(fd) === "EBUSY"
            ? "another program has the device's IOMMU group"
            : "run vmrun as a user who may open it",
      });
    }
    this.#fds.push(fd);
    return fd;
  }

  #must(what: string, result: number): number {
    if (!isError(result)) return result;
    return fail("pass/vfio", `${this.#opening.spec}: ${what} is not to be had: ${errnoName(result)}`, {
      hint: errnoName(result) === "ENOMEM" ? "it needs locked memory: ulimit -l unlimited" : undefined,
    });
  }

  #notViable(address: string, group: number, system: HostSystem): never {
    const others = system.groupMembers(group).flatMap((member) => {
      const driver = system.driverOf("pci", member);
      return member === address || typeof driver !== "string" || driver === "vfio-pci" ? [] : [{ member, driver }];
    });
    const list = others.map(({ member, driver }) => `${member} (${driver})`).join(", ");
    fail("pass/driver", `${this.#opening.spec}: others of its IOMMU group ${group} belong to the host: ${list}`, {
      hint: others.map(({ member, driver }) => unbindHint("pci", member, driver)).join("; "),
    });
  }

  #mapRam(ram: readonly DmaBlock[]): void {
    for (const { at, bytes } of ram) {
      this.#must("DMA into the guest's RAM", mapDma(this.#vfio, this.#container, at, bytes));
    }
    this.#ram = ram;
  }

  /** Sets the enabling bits of the command register; the others stay. */
  #command(bits: number): void {
    const config = regionInfo(this.#vfio, this.#device, CONFIG_REGION);
    if (config === undefined) return;
    const word = new Uint8Array(2);
    this.#vfio.pread(this.#device, word, config.offset + COMMAND);
    word[0] = (word[0]! & ~(COMMAND_MEMORY | COMMAND_MASTER)) | bits;
    this.#vfio.pwrite(this.#device, word, config.offset + COMMAND);
  }

  #bar(window: number | string, bytes: number): number {
    const { spec } = this.#opening;
    const sizes = Array.from({ length: BARS }, (_, bar) => regionInfo(this.#vfio, this.#device, bar)?.size ?? 0);
    const bar = typeof window === "number" ? window : Number(/^bar([0-5])$/i.exec(window)?.[1] ?? -1);
    const known = sizes.flatMap((size, i) => (size === 0 ? [] : `${i} (${hex(size)} bytes)`)).join(", ");
    const size = sizes[bar] ?? 0;
    if (size === 0)
      fail("pass/window", `${spec} has no BAR ${JSON.stringify(window)}`, { hint: known && `it has: ${known}` });
    if (bytes > size) fail("pass/size", `${spec}: BAR ${bar} has ${hex(size)} bytes; the profile wants ${hex(bytes)}`);
    return bar;
  }

  #mappedBar(region: RegionInfo, offset: number, size: number, write: boolean): HostWindow {
    const { spec } = this.#opening;
    const device = mapDevice(this.#device, region.offset + offset, size, write, spec);
    this.#unmap = () => device.unmap();
    const mapping = { fd: this.#device, offset: region.offset + offset };
    return mappedWindow(spec, size, device, mapping, (reason) => this.#lose(reason));
  }

  /** A BAR that the kernel does not let map, such as one with the MSI-X table: by read and write, of the access's width. */
  #readBar(region: RegionInfo, base: number, size: number): HostWindow {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    const fetch = (offset: number, width: number) => {
      const got = this.#vfio.pread(this.#device, bytes.subarray(0, width), region.offset + base + offset);
      if (got !== width) throw new BusError("the kernel does not read there");
    };
    const put = (offset: number, width: number) => {
      const done = this.#vfio.pwrite(this.#device, bytes.subarray(0, width), region.offset + base + offset);
      if (done !== width) throw new BusError("the kernel does not write there");
    };
    return {
      name: this.#opening.spec,
      size,
      load(offset, width) {
        fetch(offset, width);
        return width === 4 ? view.getUint32(0, true) : width === 2 ? view.getUint16(0, true) : view.getUint8(0);
      },
      store(offset, width, value) {
        view.setUint32(0, value, true);
        put(offset, width);
      },
      load64(offset) {
        fetch(offset, 8);
        return view.getBigUint64(0, true);
      },
      store64(offset, value) {
        view.setBigUint64(0, value, true);
        put(offset, 8);
      },
    };
  }

  /** The best kind that has as many: MSI-X, MSI, or the one wire. */
  #connect(count: number): InterruptFd[] {
    for (const kind of ["msix", "msi", "intx"] as const) {
      const index = IRQ_INDICES[kind];
      const info = irqInfo(this.#vfio, this.#device, index);
      if (info === undefined || info.count < count || (info.flags & IrqFlag.eventfd) === 0) continue;
      const fds = Array.from({ length: count }, () => this.#vfio.eventfd());
      this.#fds.unshift(...fds);
      this.#must("its interrupts", triggerIrqs(this.#vfio, this.#device, index, fds));
      // Masked by the kernel at each interrupt; those by message stay in their eventfd meanwhile.
      const masked = (info.flags & IrqFlag.autoMasked) !== 0;
      return fds.map((fd, i) => this.#interrupt(`${kind}${i}`, fd, masked ? index : undefined));
    }
    return fail("pass/interrupt", `${this.#opening.spec} has no ${count} interrupts of one kind`);
  }

  #interrupt(name: string, fd: number, autoMasked: number | undefined): InterruptFd {
    const unmask = () => {
      if (autoMasked !== undefined) unmaskIrq(this.#vfio, this.#device, autoMasked);
    };
    return interruptFd(this.#opening.watch, { name, fd, count: eventCount(fd), unmask });
  }

  #lose(reason: string): void {
    this.#lost = true;
    this.onLoss(reason);
  }
}
