/** The MMIO transport, VIRTIO 1.3 §4.2, modern (version 2) only: its registers, its interrupt and its node. */
import * as v from "valibot";
import { fail } from "../diagnostics/diagnostic.ts";
import { node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import type { FdtContext, FdtContribution, InterruptSpec, RegionSpec, VdevInstance } from "../vdev/descriptor.ts";
import type { InterruptLine, Json, VdevLog } from "../vdev/host.ts";
import { type RegisterMap, registerMap } from "../vdev/registers.ts";
import type { QueueSlot, VirtioCore } from "./core.ts";

/** Boards space these by 0x200 or by 0x1000, so no wider alignment is asked for. */
export const mmioRegion: RegionSpec = { name: "mmio", size: 0x200, align: 0x200 };
export const mmioInterrupt: InterruptSpec = { name: "irq", trigger: "level" };

/** Where the config space begins. VIRTIO 1.3 §4.2.2 */
export const CONFIG_BASE = 0x100;

/** VIRTIO 1.3 §4.2.2 */
export const mmioRegisters = registerMap({
  MagicValue: { at: 0x000, width: 4, access: "r", reset: 0x74726976, about: '"virt"' },
  Version: { at: 0x004, width: 4, access: "r", reset: 2, about: "2: not legacy" },
  DeviceID: { at: 0x008, width: 4, access: "r", about: "the type of device" },
  VendorID: { at: 0x00c, width: 4, access: "r", reset: 0x6e72_6d76, about: '"vmrn"' },
  DeviceFeatures: {
    at: 0x010,
    width: 4,
    access: "r",
    about: "the word of offered features that DeviceFeaturesSel names",
  },
  DeviceFeaturesSel: { at: 0x014, width: 4, access: "w", about: "which word of DeviceFeatures is read" },
  DriverFeatures: {
    at: 0x020,
    width: 4,
    access: "w",
    about: "the word of accepted features that DriverFeaturesSel names",
  },
  DriverFeaturesSel: { at: 0x024, width: 4, access: "w", about: "which word of DriverFeatures is written" },
  QueueSel: { at: 0x030, width: 4, access: "w", about: "the queue that the Queue registers are about" },
  QueueSizeMax: {
    at: 0x034,
    width: 4,
    access: "r",
    about: "the most descriptors that the queue may have; 0: no such queue",
  },
  QueueSize: { at: 0x038, width: 4, access: "w", about: "descriptors of the queue" },
  QueueReady: { at: 0x044, width: 4, about: "1 starts the queue" },
  QueueNotify: { at: 0x050, width: 4, access: "w", about: "doorbell: the index of a queue" },
  InterruptStatus: { at: 0x060, width: 4, access: "r", fields: { used: 0, config: 1 } },
  InterruptACK: { at: 0x064, width: 4, access: "w", about: "writing 1 clears bits of InterruptStatus" },
  Status: { at: 0x070, width: 4, about: "device status; 0 resets" },
  QueueDescLow: { at: 0x080, width: 4, access: "w", about: "descriptor area, bits 31:0" },
  QueueDescHigh: { at: 0x084, width: 4, access: "w", about: "descriptor area, bits 63:32" },
  QueueDriverLow: { at: 0x090, width: 4, access: "w", about: "driver area, bits 31:0" },
  QueueDriverHigh: { at: 0x094, width: 4, access: "w", about: "driver area, bits 63:32" },
  QueueDeviceLow: { at: 0x0a0, width: 4, access: "w", about: "device area, bits 31:0" },
  QueueDeviceHigh: { at: 0x0a4, width: 4, access: "w", about: "device area, bits 63:32" },
  SHMSel: { at: 0x0ac, width: 4, access: "w", about: "the shared memory that the SHM registers are about" },
  // VIRTIO 1.3 §4.2.2: a length of all ones is a shared memory region that does not exist.
  SHMLenLow: { at: 0x0b0, width: 4, access: "r", reset: 0xffff_ffff, about: "its length, bits 31:0; none exists" },
  SHMLenHigh: { at: 0x0b4, width: 4, access: "r", reset: 0xffff_ffff, about: "its length, bits 63:32" },
  SHMBaseLow: { at: 0x0b8, width: 4, access: "r", reset: 0xffff_ffff, about: "its address, bits 31:0" },
  SHMBaseHigh: { at: 0x0bc, width: 4, access: "r", reset: 0xffff_ffff, about: "its address, bits 63:32" },
  QueueReset: { at: 0x0c0, width: 4, about: "1 resets the queue; 0 when that is done" },
  ConfigGeneration: { at: 0x0fc, width: 4, access: "r", about: "changes with the config space" },
});

const USED = 1;
const CONFIG = 2;

const State = v.object({ registers: v.unknown(), core: v.unknown() });

/** The transport's registers and the device's config space, as the guest sees them. */
export function mmioRegisterMap(config: RegisterMap): RegisterMap {
  const moved = Object.entries(config).map(([name, spec]) => [name, { ...spec, at: spec.at + CONFIG_BASE }]);
  return { ...mmioRegisters, ...Object.fromEntries(moved) };
}

/** Linux Documentation/devicetree/bindings/virtio/mmio.yaml */
export function mmioNode<Options>({ unit, reg, interrupts }: FdtContext<Options>): FdtContribution {
  const properties = { compatible: "virtio,mmio", reg, ...interrupts, "dma-coherent": true } as const;
  return { bus: [node(`virtio_mmio@${unit}`, properties)] };
}

/** Puts a device on the MMIO transport. */
export function mmioTransport(core: VirtioCore, line: InterruptLine, log: VdevLog): VdevInstance {
  const bank = registerBank(mmioRegisters, { log });
  const { DeviceFeaturesSel, DriverFeaturesSel, QueueSel, InterruptStatus } = bank.registers;

  function setInterrupt(bits: number): void {
    InterruptStatus.value = bits;
    line.set(bits !== 0);
  }

  core.connect({
    used: () => setInterrupt(InterruptStatus.value | USED),
    config: () => setInterrupt(InterruptStatus.value | CONFIG),
    reset() {
      bank.reset();
      line.set(false);
    },
  });

  const selected = (): QueueSlot | undefined => core.slots[QueueSel.value];

  /** VIRTIO 1.3 §4.2.2.2: a queue is laid out while it is not ready. */
  function settingUp(change: (slot: QueueSlot, value: number) => void): { write(value: number): void } {
    return {
      write(value) {
        const slot = selected();
        if (slot === undefined) log.guestError("set up a queue that does not exist");
        else if (slot.ready) log.guestError("changed the layout of a queue that is ready");
        else change(slot, value);
      },
    };
  }

  function area(half: number): { write(value: number): void } {
    return settingUp((slot, value) => {
      slot.areas[half] = value;
    });
  }

  bank.behave({
    DeviceID: { read: () => core.deviceId },
    DeviceFeatures: { read: () => core.offered.word(DeviceFeaturesSel.value) },
    DeviceFeaturesSel: {
      write(value) {
        DeviceFeaturesSel.value = value;
      },
    },
    DriverFeatures: { write: (value) => core.acceptFeatures(DriverFeaturesSel.value, value) },
    DriverFeaturesSel: {
      write(value) {
        DriverFeaturesSel.value = value;
      },
    },
    QueueSel: {
      write(value) {
        QueueSel.value = value;
      },
    },
    QueueSizeMax: { read: () => selected()?.maxSize ?? 0 },
    QueueSize: settingUp((slot, value) => {
      slot.size = value;
    }),
    QueueReady: {
      read: () => (selected()?.ready ? 1 : 0),
      write(value) {
        const slot = selected();
        if (slot !== undefined) core.setReady(slot, (value & 1) === 1);
        else log.guestError("set up a queue that does not exist");
      },
    },
    QueueNotify: { write: (value) => core.notify(value) },
    InterruptACK: { write: (value) => setInterrupt(InterruptStatus.value & ~value) },
    Status: { read: () => core.status, write: (value) => core.writeStatus(value) },
    QueueDescLow: area(0),
    QueueDescHigh: area(1),
    QueueDriverLow: area(2),
    QueueDriverHigh: area(3),
    QueueDeviceLow: area(4),
    QueueDeviceHigh: area(5),
    QueueReset: {
      // VIRTIO 1.3 §2.6.1: the reset is over before the driver can look.
      read: () => 0,
      write(value) {
        const slot = selected();
        if (slot !== undefined && value & 1) core.resetQueue(slot);
      },
    },
    ConfigGeneration: { read: () => core.generation },
  });

  /** VIRTIO 1.3 §4.2.2.2: registers are read and written whole. */
  function whole(offset: number, width: number): boolean {
    if (width === 4 && offset % 4 === 0) return true;
    log.guestError("accessed a transport register by other than an aligned 32-bit access");
    return false;
  }

  return {
    regions: [
      {
        read(offset, width) {
          if (offset >= CONFIG_BASE) return core.readConfig(offset - CONFIG_BASE, width);
          return whole(offset, width) ? bank.read(offset, width) : 0;
        },
        write(offset, width, value) {
          if (offset >= CONFIG_BASE) core.writeConfig(offset - CONFIG_BASE, width, value);
          else if (whole(offset, width)) bank.write(offset, width, value);
        },
      },
    ],
    reset: () => core.reset(),
    snapshot: () => ({ registers: bank.snapshot(), core: core.snapshot() }),
    restore(json) {
      const state = v.safeParse(State, json);
      if (!state.success) fail("virtio/snapshot", `not the state of a virtio device: ${v.summarize(state.issues)}`);
      core.restore(state.output.core as Json);
      // A device may have news of its own by now: a disk that has another size.
      const raised = InterruptStatus.value;
      bank.restore(state.output.registers as Json);
      setInterrupt(InterruptStatus.value | raised);
    },
    status: () => core.report(),
    terminate: () => core.device.terminate?.(),
  };
}
