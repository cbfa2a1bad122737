/**
 * A PCI function through VFIO: its BARs, its interrupts, and its DMA kept within the guest's RAM by the host's IOMMU. Its
 * configuration space stays vmrun's. Linux Documentation/driver-api/vfio.rst
 */
import { fail } from "../../diagnostics/diagnostic.ts";
import { mapDevice } from "../../host/device-access.ts";
import { BusError } from "../../vdev/errors.ts";
import type { HostWindow } from "../../vdev/host-object.ts";
import type { Opened, Opening } from "../hardware.ts";
import { eventCount, type InterruptFd, interruptFd } from "./interrupt.ts";
import { type HostSystem, hostSystem, unbindHint } from "./sysfs.ts";
import { must, type VfioFunction, vfioFunction } from "./vfio-group.ts";
import {
  hostVfio,
  IRQ_INDICES,
  IrqFlag,
  irqInfo,
  RegionFlag,
  type RegionInfo,
  regionInfo,
  triggerIrqs,
  unmaskIrq,
  type VfioSystem,
} from "./vfio-kernel.ts";
import { hex, mappedWindow } from "./window.ts";

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
  readonly #function: VfioFunction;
  readonly #events: number[] = [];
  #unmap = () => {};
  #lost = false;

  constructor(address: string, group: number, opening: Opening, system: HostSystem, vfio: VfioSystem) {
    this.#opening = opening;
    this.#vfio = vfio;
    const { window = 0, offset = 0, size, interrupts = 0, dma = false, write = false } = opening.request;
    this.#function = vfioFunction(address, group, opening, system, vfio, this);
    try {
      this.#function.enable(dma);
      const bar = this.#bar(window, offset + size);
      opening.claim({ space: `vfio ${address} BAR ${bar}`, from: offset, to: offset + size - 1 });
      const region = regionInfo(vfio, this.#device, bar)!;
      const mapped = (region.flags & RegionFlag.mmap) !== 0;
      this.window = mapped ? this.#mappedBar(region, offset, size, write) : this.#readBar(region, offset, size);
      this.how = `${size} bytes of PCI function ${address} BAR ${bar}, ${mapped ? "mapped" : "by the kernel's calls"}${dma ? ", DMA into the guest's RAM alone" : ""}`;
      // They are the function's: one span of it has them.
      if (interrupts > 0) opening.claim({ space: `vfio ${address} interrupts` });
      this.interrupts = interrupts === 0 ? [] : this.#connect(interrupts);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  get #device(): number {
    return this.#function.fd;
  }

  reset(): void {
    if (!this.#lost) this.#function.reset(this);
  }

  close(): void {
    for (const each of this.interrupts) each.remove();
    this.#release();
  }

  #release(): void {
    this.#unmap();
    for (const fd of this.#events.splice(0)) this.#vfio.close(fd);
    this.#function.leave(this);
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
      this.#events.push(...fds);
      must(this.#opening, "its interrupts", triggerIrqs(this.#vfio, this.#device, index, fds));
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
