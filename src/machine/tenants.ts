/** All vdevs of a machine: brought up together, reset together, and asked together how they are. */
import { fail } from "../diagnostics/diagnostic.ts";
import { descriptorOf } from "../pass/tables.ts";
import type { Board, BoardGroup, BoardVdev } from "../profile/board.ts";
import type { VdevInstance } from "../vdev/descriptor.ts";
import { guardHost } from "../vdev/guarded-host.ts";
import type { GuestClock, Json } from "../vdev/host.ts";
import { type Direction, registerLabel } from "../vdev/registers.ts";
import type { AnyVdev, VdevRegistry } from "../vdev/registry.ts";
import type { BusAccess, BusRegion } from "./bus.ts";
import type { MachineClock } from "./clock.ts";
import { type Facilities, type Services, servicesFor } from "./services.ts";
import { type Landlord, reasonOf, Tenant } from "./tenant.ts";

/** How one vdev is, for a person. */
export interface VdevStatus {
  readonly name: string;
  readonly type: string;
  /** That it is a part of. */
  readonly group?: string;
  /** What it says itself. */
  readonly status: Readonly<Record<string, string | number | boolean>>;
  /** Failures of its code. */
  readonly faults: number;
  /** Messages, repeats and hidden ones included. */
  readonly messages: number;
}

/** What all vdevs share. */
type MachineFacilities = Omit<Facilities, "tenant" | "clock"> & { readonly clock: MachineClock };

export class Tenants {
  readonly #all: Tenant[] = [];
  /** Instances by name, in the order of the board. */
  readonly instances = new Map<string, VdevInstance>();
  readonly #byName = new Map<string, Tenant>();
  readonly #services = new Map<Tenant, Services>();
  readonly #landlord: Landlord;
  readonly #groups: readonly BoardGroup[];
  readonly #facilities: MachineFacilities;

  /** Throws a `VmrunError` where a vdev does not start. */
  constructor(board: Board, registry: VdevRegistry, landlord: Landlord, facilities: MachineFacilities) {
    this.#landlord = landlord;
    this.#groups = board.groups;
    this.#facilities = facilities;
    for (const vdev of board.vdevs) {
      const { name, type } = vdev.placement;
      const descriptor = descriptorOf(vdev.table, type, registry);
      if (descriptor === undefined) throw new Error(`the registry lost "${type}"`);
      const tenant = new Tenant(vdev, descriptor, landlord);
      this.#all.push(tenant);
      this.#byName.set(name, tenant);
      tenant.instance = tenant.start("create", () => this.#create(tenant));
      this.instances.set(name, tenant.instance);
    }
  }

  get all(): readonly Tenant[] {
    return this.#all;
  }

  #create(tenant: Tenant): VdevInstance {
    const services = servicesFor(tenant, {
      ...this.#facilities,
      clock: clockOf(tenant, this.#facilities.clock),
      tenant: (name) => this.#byName.get(name),
    });
    this.#services.set(tenant, services);
    return tenant.descriptor.create(guardHost(services, tenant), tenant.vdev.options);
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
        tenant.start("configured", () => tenant.watch("configured", tenant.instance.configured?.()));
      }
    }
    for (const tenant of this.all) {
      if (tenant.phase === "configured") tenant.start("reset", () => tenant.watch("reset", tenant.instance.reset()));
      else tenant.call("reset", () => tenant.instance.reset());
    }
    for (const tenant of this.all) tenant.phase = "running";
  }

  terminate(): void {
    for (const tenant of this.all) retire(tenant);
  }

  /**
   * A new instance takes over the place and the state of the vdev of that name; answers its regions. Throws where it
   * cannot, and then all is as before.
   */
  replace(vdev: BoardVdev, descriptor: AnyVdev): BusRegion[] {
    const { name } = vdev.placement;
    const old = this.#byName.get(name);
    if (old === undefined) refuse(name, "the machine has no vdev of that name");
    const { isDeepStrictEqual } = require("node:util") as typeof import("node:util");
    if (!isDeepStrictEqual(old.vdev.placement, vdev.placement)) {
      refuse(
        name,
        "its regions or interrupts are not those that the guest knows",
        "start the guest again to change them",
      );
    }
    const state = savedState(old);
    const contents = this.#contents(old);
    // Its regions as declared: the new instance finds them as after a power-on.
    this.#services.get(old)?.powerOn();
    const next = new Tenant(vdev, descriptor, this.#landlord);
    try {
      this.#bringUp(next);
      for (const [region, bytes] of contents) this.#services.get(next)?.region(region).memory.write(0, bytes);
      next.instance.restore(state);
    } catch (error) {
      retire(next);
      this.#services.get(next)?.giveBackStreams();
      this.#services.get(next)?.powerOn();
      this.#services.delete(next);
      for (const [region, bytes] of contents) this.#services.get(old)?.region(region).memory.write(0, bytes);
      old.call("restore", () => old.instance.restore(state));
      refuse(name, reasonOf(error));
    }
    retire(old);
    this.#services.delete(old);
    this.#byName.set(name, next);
    this.#all[this.#all.indexOf(old)] = next;
    this.instances.set(name, next.instance);
    return busRegionsOf(next);
  }

  /** The phases of a vdev that comes to a machine which runs. */
  #bringUp(tenant: Tenant): void {
    const instance = this.#create(tenant);
    tenant.instance = instance;
    const { length } = tenant.vdev.placement.regions;
    if (instance.regions.length !== length) {
      throw new Error(`it has ${instance.regions.length} handlers for its ${length} regions`);
    }
    tenant.phase = "configured";
    tenant.watch("configured", instance.configured?.());
    instance.reset();
    tenant.phase = "running";
  }

  /** What the memory behind its regions holds. */
  #contents(tenant: Tenant): Map<string, Uint8Array> {
    const backed = tenant.vdev.placement.regions.filter(({ access }) => access !== undefined);
    return new Map(
      backed.map(({ name }) => {
        const { buffer, byteOffset, byteLength } = this.#services.get(tenant)!.region(name).data;
        return [name, new Uint8Array(buffer, byteOffset, byteLength).slice()];
      }),
    );
  }

  /** Tells the other parts of a vdev's group, the last first, that it is gone. */
  lost(vdev: string, reason: string): void {
    const group = this.#groups.find(({ members }) => members.includes(vdev));
    for (const name of [...(group?.members ?? [])].reverse()) {
      const tenant = this.#byName.get(name);
      if (name === vdev || tenant === undefined) continue;
      tenant.call("the loss of its group", () => tenant.instance.lost?.(`${vdev} of group ${group!.name}: ${reason}`));
    }
  }

  status(): VdevStatus[] {
    return this.all.map((tenant) => {
      let status: VdevStatus["status"] = {};
      tenant.call("status", () => {
        status = tenant.instance.status?.() ?? {};
      });
      status = { ...status, ...this.#services.get(tenant)?.streams() };
      const { name, descriptor, faults, log } = tenant;
      const group = this.#groups.find(({ members }) => members.includes(name))?.name;
      return {
        name,
        type: descriptor.type,
        ...(group !== undefined && { group }),
        status,
        faults,
        messages: log.count,
      };
    });
  }

  busRegions(): BusRegion[] {
    return this.all.flatMap(busRegionsOf);
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

function busRegionsOf({ vdev: { placement }, instance }: Tenant): BusRegion[] {
  return placement.regions.map(({ name, at, size }, i) => {
    const handler = instance.regions[i] ?? NOBODY;
    return { owner: placement.name, name, at, size, handler };
  });
}

function retire(tenant: Tenant): void {
  if (tenant.phase === "terminated") return;
  tenant.phase = "terminated";
  // One that failed in its `create` never was an instance.
  tenant.call("terminate", () => (tenant.instance as VdevInstance | undefined)?.terminate?.());
}

/** As a file would keep it, so that nothing is shared with the old instance. */
function savedState(tenant: Tenant): Json {
  try {
    return JSON.parse(JSON.stringify(tenant.instance.snapshot()));
  } catch (error) {
    return refuse(tenant.name, `its state cannot be saved: ${reasonOf(error)}`);
  }
}

/** Timers that a vdev leaves armed when it goes end with it. */
function clockOf(tenant: Tenant, clock: MachineClock): GuestClock {
  return {
    epoch: clock.epoch,
    now: () => clock.now(),
    timer(callback) {
      const timer = clock.timer(() => {
        if (tenant.phase === "terminated") timer.cancel();
        else callback();
      }, tenant.name);
      return timer;
    },
  };
}

function refuse(name: string, reason: string, hint?: string): never {
  return fail("machine/replace", `vdev ${name} is not replaced: ${reason}`, { hint });
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
