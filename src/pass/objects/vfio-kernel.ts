/**
 * VFIO's calls, typed. Numbers and structures are those of Linux include/uapi/linux/vfio.h; all structures begin with their
 * size, so that old and new kernels understand each other.
 */

import { constants } from "node:fs";
import { close, eventfd, ioctl, isError, open } from "../../host/linux.ts";
import { addressOf } from "../../host/mapping.ts";
import { syscall } from "../../host/syscall.ts";

/** What the kernel is asked; tests bring one of their own. */
export interface VfioSystem {
  /** Answer `-errno` where they fail. */
  open(path: string): number;
  ioctl(fd: number, request: number, argument: number | Uint8Array): number;
  pread(fd: number, into: Uint8Array, offset: number): number;
  pwrite(fd: number, from: Uint8Array, offset: number): number;
  eventfd(): number;
  close(fd: number): void;
  /** The address of memory, as the kernel is told it. */
  address(bytes: Uint8Array): number;
}

/** _IO(';', 100 + n). */
const request = (n: number) => (0x3b << 8) | (100 + n);

export const Vfio = {
  getApiVersion: request(0),
  checkExtension: request(1),
  setIommu: request(2),
  groupGetStatus: request(3),
  groupSetContainer: request(4),
  groupGetDeviceFd: request(6),
  deviceGetInfo: request(7),
  deviceGetRegionInfo: request(8),
  deviceGetIrqInfo: request(9),
  deviceSetIrqs: request(10),
  deviceReset: request(11),
  mapDma: request(13),
  unmapDma: request(14),
} as const;

export const API_VERSION = 0;
export const TYPE1V2_IOMMU = 3;
const GROUP_VIABLE = 1;
export const DeviceFlag = { reset: 1, pci: 2 } as const;
export const RegionFlag = { read: 1, write: 2, mmap: 4 } as const;
export const IrqFlag = { eventfd: 1, maskable: 2, autoMasked: 4 } as const;
/** Of a PCI function: BARs are 0 to 5. */
export const CONFIG_REGION = 7;
export const IRQ_INDICES = { intx: 0, msi: 1, msix: 2 } as const;
const SetIrq = { none: 1, eventfd: 4, unmask: 16, trigger: 32 } as const;
const DMA_READ_WRITE = 3;

export interface RegionInfo {
  readonly flags: number;
  readonly size: number;
  /** Where it begins in the device's file. */
  readonly offset: number;
}

/** A structure of 32-bit words whose first is its size, then `words`. */
function structure(words: readonly number[], size = 4 * (1 + words.length)): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, size, true);
  for (const [i, word] of words.entries()) view.setUint32(4 + 4 * i, word, true);
  return { bytes, view };
}

/** Whether every function of the group is in good hands. */
export function isViable(system: VfioSystem, group: number): boolean {
  const { bytes, view } = structure([0]);
  return !isError(system.ioctl(group, Vfio.groupGetStatus, bytes)) && (view.getUint32(4, true) & GROUP_VIABLE) !== 0;
}

export function setContainer(system: VfioSystem, group: number, container: number): number {
  return system.ioctl(group, Vfio.groupSetContainer, new Uint8Array(Int32Array.of(container).buffer));
}

/** The device's file, or `-errno`. */
export function deviceFd(system: VfioSystem, group: number, name: string): number {
  return system.ioctl(group, Vfio.groupGetDeviceFd, Buffer.from(`${name}\0`));
}

/** struct vfio_device_info: flags, regions, interrupts. */
export function deviceInfo(system: VfioSystem, device: number): { readonly flags: number } | undefined {
  const { bytes, view } = structure([0, 0, 0, 0]);
  if (isError(system.ioctl(device, Vfio.deviceGetInfo, bytes))) return undefined;
  return { flags: view.getUint32(4, true) };
}

/** struct vfio_region_info: flags, index, capabilities, then size and offset of 64 bits. */
export function regionInfo(system: VfioSystem, device: number, index: number): RegionInfo | undefined {
  const { bytes, view } = structure([0, index, 0], 32);
  if (isError(system.ioctl(device, Vfio.deviceGetRegionInfo, bytes))) return undefined;
  const [size, offset] = [16, 24].map((at) => Number(view.getBigUint64(at, true)));
  return { flags: view.getUint32(4, true), size: size!, offset: offset! };
}

/** struct vfio_irq_info: flags, index, count. */
export function irqInfo(
  system: VfioSystem,
  device: number,
  index: number,
): { readonly flags: number; readonly count: number } | undefined {
  const { bytes, view } = structure([0, index, 0]);
  if (isError(system.ioctl(device, Vfio.deviceGetIrqInfo, bytes))) return undefined;
  return { flags: view.getUint32(4, true), count: view.getUint32(12, true) };
}

/** Has interrupts of one kind signal these eventfds; none ends them. struct vfio_irq_set: flags, index, start, count, data. */
export function triggerIrqs(system: VfioSystem, device: number, index: number, fds: readonly number[]): number {
  const flags = (fds.length > 0 ? SetIrq.eventfd : SetIrq.none) | SetIrq.trigger;
  return system.ioctl(device, Vfio.deviceSetIrqs, structure([flags, index, 0, fds.length, ...fds]).bytes);
}

export function unmaskIrq(system: VfioSystem, device: number, index: number): number {
  return system.ioctl(device, Vfio.deviceSetIrqs, structure([SetIrq.none | SetIrq.unmask, index, 0, 1]).bytes);
}

/** struct vfio_iommu_type1_dma_map: flags, then address, device address and size of 64 bits. */
export function mapDma(system: VfioSystem, container: number, at: number, bytes: Uint8Array): number {
  const map = structure([DMA_READ_WRITE], 32);
  const words = [system.address(bytes), at, bytes.length];
  for (const [i, word] of words.entries()) map.view.setBigUint64(8 + 8 * i, BigInt(word), true);
  return system.ioctl(container, Vfio.mapDma, map.bytes);
}

/** struct vfio_iommu_type1_dma_unmap: flags, then device address and size of 64 bits. */
export function unmapDma(system: VfioSystem, container: number, at: number, size: number): number {
  const unmap = structure([0], 24);
  unmap.view.setBigUint64(8, BigInt(at), true);
  unmap.view.setBigUint64(16, BigInt(size), true);
  return system.ioctl(container, Vfio.unmapDma, unmap.bytes);
}

export const hostVfio: VfioSystem = {
  open: (path) => open(path, constants.O_RDWR),
  ioctl: (fd, what, argument) => ioctl(fd, what, argument),
  pread: (fd, into, offset) => syscall("pread64", fd, into, into.length, offset),
  pwrite: (fd, from, offset) => syscall("pwrite64", fd, from, from.length, offset),
  eventfd: () => eventfd(),
  close: (fd) => void close(fd),
  address: ({ buffer, byteOffset }) => addressOf(buffer) + byteOffset,
};
