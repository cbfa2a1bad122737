/** All vdevs of a machine: brought up together, reset together, and asked together how they are. */
import type { Board } from "../profile/board.ts";
import type { VdevInstance } from "../vdev/descriptor.ts";
import { guardHost } from "../vdev/guarded-host.ts";
import { type Direction, registerLabel } from "../vdev/registers.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import type { BusAccess, BusRegion } from "./bus.ts";
import { type Facilities, type Services, servicesFor } from "./services.ts";
import { type Landlord, Tenant } from "./tenant.ts";

/** How one vdev is, for a person. */
export interface VdevStatus {
  readonly name: string;
  readonly type: string;
  /** What it says itself. */
  readonly status: Readonly<Record<string, string | number | boolean>>;
  /** Failures of its code. */
  readonly faults: number;
  /** Messages, repeats and hidden ones included. */
  readonly messages: number;
}

export class Tenants {
  readonly all: readonly Tenant[];
  /** Instances by name, in the order of the board. */
  readonly instances: ReadonlyMap<string, VdevInstance>;
  readonly #byName: ReadonlyMap<string, Tenant>;
  readonly #services = new Map<Tenant, Services>();

  /** Throws a `VmrunError` where a vdev does not start. */
  constructor(board: Board, registry: VdevRegistry, landlord: Landlord, facilities: Omit<Facilities, "tenant">) {
    const byName = new Map<string, Tenant>();
    this.#byName = byName;
    this.all = board.vdevs.map((vdev) => {
      const { name, type } = vdev.placement;
      const descriptor = registry.get(type);
      if (descriptor === undefined) throw new Error(`the registry lost "${type}"`);
      const tenant = new Tenant(vdev, descriptor, landlord);
      byName.set(name, tenant);
      const services = servicesFor(tenant, { ...facilities, tenant: (other) => byName.get(other) });
      this.#services.set(tenant, services);
      tenant.instance = tenant.start(() => descriptor.create(guardHost(services, tenant), vdev.options));
      return tenant;
    });
    this.instances = new Map(this.all.map((tenant) => [tenant.name, tenant.instance]));
  }

  get(name: string): Tenant | undefined {
    return this.#byName.get(name);
  }

  /** Memory holds the boot images. The first time, a vdev that fails keeps the machine from being; later it does not. */
  powerOn(): void {
    for (const services of this.#services.values()) services.powerOn();
    for (const tenant of this.all) {
      if (tenant.phase === "create") {
        tenant.phase = "configured";
        tenant.start(() => tenant.watch("configured", tenant.instance.configured?.()));
      }
    }
    for (const tenant of this.all) {
      if (tenant.phase === "configured") tenant.start(() => tenant.watch("reset", tenant.instance.reset()));
      else tenant.call("reset", () => tenant.instance.reset());
    }
    for (const tenant of this.all) tenant.phase = "running";
  }

  terminate(): void {
    for (const tenant of this.all) {
      if (tenant.phase === "terminated") continue;
      tenant.phase = "terminated";
      tenant.call("terminate", () => tenant.instance.terminate?.());
    }
  }

  status(): VdevStatus[] {
    return this.all.map((tenant) => {
      let status: VdevStatus["status"] = {};
      tenant.call("status", () => {
        status = tenant.instance.status?.() ?? {};
      });
      const { name, descriptor, faults, log } = tenant;
      return { name, type: descriptor.type, status, faults, messages: log.count };
    });
  }

  busRegions(): BusRegion[] {
    return this.all.flatMap(({ vdev: { placement }, instance }) =>
      placement.regions.map(({ name, at, size }, i) => {
        const handler = instance.regions[i] ?? NOBODY;
        return { owner: placement.name, name, at, size, handler };
      }),
    );
  }

  /** Names an access in a message: `write to uart+0x3 (LCR)`. */
  describe({ region, offset, store }: BusAccess): string {
    const direction: Direction = store ? "write" : "read";
    const map = this.#byName.get(region.owner)?.descriptor.registers?.[region.name];
    const label = map && registerLabel(map, offset, direction);
    const where = `${region.name}+0x${offset.toString(16)}`;
    return `${store ? "write to" : "read of"} ${where}${label === undefined ? "" : ` (${label})`}`;
  }
}

/** Stands in where an instance has fewer handlers than its descriptor has regions. */
const NOBODY = {
  read(): number {
    throw new Error("the vdev has no handler for this region");
  },
  write(): void {
    throw new Error("the vdev has no handler for this region");
  },
};
