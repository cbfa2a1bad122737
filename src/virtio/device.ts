/** What the author of a virtio device declares, and the vdev that comes of it. */
import type * as v from "valibot";
import { type BenchOffer, defineVdev, type OptionsSchema, type VdevDescriptor } from "../vdev/descriptor.ts";
import type { RegisterMap } from "../vdev/registers.ts";
import type { QueueSpec, VirtioDevice, VirtioPort } from "./core.ts";
import { mmioInterrupt, mmioNode, mmioRegion, mmioRegisterMap, mmioTransport } from "./mmio.ts";

export interface VirtioDeclaration<Schema extends OptionsSchema> {
  /** The profile's `type`, e.g. `virtio-entropy`. */
  readonly type: string;
  /** One line for listings. */
  readonly summary: string;
  /** VIRTIO 1.3 §5 */
  readonly deviceId: number;
  readonly options: Schema;
  /** Feature bits of the device type that this device offers; transport and ring features are added. */
  readonly features?: (options: v.InferOutput<Schema>) => readonly number[];
  readonly queues: (options: v.InferOutput<Schema>) => readonly QueueSpec[];
  /** Layout of the config space. */
  readonly config?: RegisterMap;
  /** What a driver does most, for `vmrun bench`. */
  readonly bench?: readonly BenchOffer[];
  readonly create: (port: VirtioPort, options: v.InferOutput<Schema>) => VirtioDevice;
}

/** A vdev that sits on virtio-mmio, the only transport so far. */
export function defineVirtio<const Schema extends OptionsSchema>(
  declaration: VirtioDeclaration<Schema>,
): VdevDescriptor<Schema> {
  const { type, summary, deviceId, options, features, queues, config = {}, bench, create } = declaration;
  const configSize = Object.values(config).reduce((end, r) => Math.max(end, endOf(r)), 0);
  return defineVdev({
    type,
    summary,
    options,
    regions: [mmioRegion],
    interrupts: [mmioInterrupt],
    registers: { [mmioRegion.name]: mmioRegisterMap(config) },
    bench,
    fdt: (context) => mmioNode(context),
    create(host, chosen) {
      const shape = { deviceId, features: features?.(chosen) ?? [], queues: queues(chosen), configSize };
      // A device tree does without.
      const { VirtioCore } = require("./core.ts") as typeof import("./core.ts");
      const core = new VirtioCore(host, shape);
      core.attach(create(core, chosen));
      return mmioTransport(core, host.interrupt(mmioInterrupt.name), host.log);
    },
  });
}

function endOf({ at, width, count = 1, stride = width }: RegisterMap[string]): number {
  return at + (count - 1) * stride + width;
}
