/** What a machine gives its vdevs: the services behind each one's host handle, without the rules (guarded-host.ts has those). */
import type { Block, GuestMemory } from "../memory/guest-memory.ts";
import { VdevError } from "../vdev/errors.ts";
import { type EventQueue, runWorker } from "../vdev/events.ts";
import type { RawServices } from "../vdev/guarded-host.ts";
import type {
  CommandResult,
  DiskImage,
  GuestClock,
  GuestPlace,
  HartPort,
  HostPages,
  Outcome,
  PowerRequest,
  Timebase,
} from "../vdev/host.ts";
import type { HostObject, HostObjectRequest } from "../vdev/host-object.ts";
import { MachineRegion } from "./backing.ts";
import type { Streams } from "./streams.ts";
import type { Tenant } from "./tenant.ts";

/** The parts of a machine that its vdevs share. */
export interface Facilities {
  readonly clock: GuestClock;
  readonly timebase: Timebase;
  readonly memory: GuestMemory;
  readonly harts: readonly HartPort[];
  readonly streams: Streams;
  readonly events: EventQueue;
  tenant(name: string): Tenant | undefined;
  /** What is told when a controller's line is completed. */
  readonly completions: Completions;
  /** The memory of a region lets other accesses through than before. */
  accessChanged(): void;
  /** A vdev is of no use any more: the other parts of its group are told. */
  lost(vdev: string, reason: string): void;
  /** Lays pages of the host behind a block of memory. */
  layPages(block: Block, pages: HostPages): void;
  message(address: number, data: number): boolean;
  openDisk(path: string, options: { readonly readOnly: boolean }): DiskImage;
  random(into: Uint8Array, source: "seeded" | "host"): void;
  power(request: PowerRequest): void;
  guest(): GuestPlace | undefined;
  dump(vdev: string, reason: string): void;
  /** Absent where there is no hardware to be had. */
  readonly openHostObject?: (spec: string, request: HostObjectRequest, vdev: string) => HostObject;
  /** Absent where nobody allowed it. */
  readonly command?: (command: readonly string[]) => Promise<CommandResult>;
}

/** By controller and line: who wants to know that the guest is done. */
export type Completions = Map<string, () => void>;

export interface Services extends RawServices {
  /** Regions go back to their declared access. */
  powerOn(): void;
  /** Who had its streams before hears of their input again. */
  giveBackStreams(): void;
  /** How its streams are, by what the profile calls them. */
  streams(): Record<string, string>;
}

export function servicesFor(tenant: Tenant, machine: Facilities): Services {
  const { vdev, descriptor, log } = tenant;
  const { placement } = vdev;
  const { events } = machine;
  const regions = new Map(
    placement.regions.map((region) => [
      region.name,
      new MachineRegion(
        region,
        machine.memory,
        () => machine.accessChanged(),
        (block, pages) => machine.layPages(block, pages),
      ),
    ]),
  );
  /** Of the streams that it has opened. */
  const opens: { readonly text: string; readonly key: string; giveBack(): void }[] = [];
  function begin<T>(what: string, job: () => Promise<T>, done: (outcome: Outcome<T>) => void): void {
    const settled = tenant.await(what);
    events.run(job, (outcome) => {
      settled();
      done(outcome);
    });
  }
  return {
    name: placement.name,
    placement,
    delayed: vdev.delayed !== false,
    clock: machine.clock,
    timebase: machine.timebase,
    memory: machine.memory,
    log,
    harts: machine.harts,
    interrupt(name) {
      const { interrupts = [] } = descriptor;
      if (typeof interrupts !== "function" && !interrupts.some((spec) => spec.name === name)) {
        throw new VdevError("vdev/interrupt", `the vdev declares no interrupt "${name}"`);
      }
      const route = placement.interrupts.find((candidate) => candidate.name === name);
      if (route === undefined) return { set: () => {}, pulse: () => {}, onComplete: undefined };
      const { controller, line } = route;
      const wire = `${controller}:${line}`;
      const set = (level: boolean) => machine.tenant(controller)?.input(line, level);
      return {
        set,
        pulse() {
          set(true);
          set(false);
        },
        get onComplete() {
          return machine.completions.get(wire);
        },
        set onComplete(listener) {
          if (listener === undefined) machine.completions.delete(wire);
          else machine.completions.set(wire, listener);
        },
      };
    },
    lost: (reason) => machine.lost(placement.name, reason),
    completed: (line) => machine.completions.get(`${placement.name}:${line}`)?.(),
    message: (address, data) => machine.message(address, data),
    // Only names of its own come here.
    region: (name) => regions.get(name)!,
    stream(spec) {
      const nth = opens.filter(({ text }) => text === spec).length;
      const key = `${placement.name} ${nth} ${spec}`;
      const opened = machine.streams.open(spec, {
        key,
        patience: typeof vdev.delayed === "number" ? vdev.delayed : undefined,
        tell: (level, message) => log[level](message),
      });
      const { onInput } = opened;
      opens.push({
        text: spec,
        key,
        giveBack: () => {
          opened.onInput = onInput;
        },
      });
      return opened;
    },
    disk: (path, options) => machine.openDisk(path, options),
    hostObject(spec: string, request: HostObjectRequest) {
      if (machine.openHostObject === undefined) {
        throw new VdevError("vdev/host-object", `${spec} is not to be had: this machine has no hardware of the host`);
      }
      return machine.openHostObject(spec, request, placement.name);
    },
    random: (into, source) => machine.random(into, source),
    power: (request) => machine.power(request),
    guest: () => machine.guest(),
    dump: (reason) => machine.dump(placement.name, reason),
    events: <T>(receive: (event: T) => void) => ({
      send(event: T) {
        if (!events.post(() => receive(event)))
          log.warn("events come faster than the guest can take them; some are lost");
      },
    }),
    work: <T>(job: () => Promise<T>, done: (outcome: Outcome<T>) => void) => begin("its work", job, done),
    worker: <Input, Output>(module: URL, input: Input, done: (outcome: Outcome<Output>) => void) =>
      begin("its work on a thread", () => runWorker<Input, Output>(module, input), done),
    command(command, done) {
      const job = async () => {
        if (machine.command === undefined) {
          throw new VdevError("vdev/command", `host commands are not allowed: ${JSON.stringify(command)} was not run`);
        }
        return machine.command(command);
      };
      begin("its command", job, done);
    },
    streams() {
      const states = opens.map(({ text, key }) => [text, machine.streams.status(key)] as const);
      return Object.fromEntries(states.filter((state): state is [string, string] => state[1] !== undefined));
    },
    giveBackStreams() {
      for (const { giveBack } of opens) giveBack();
    },
    powerOn() {
      for (const region of regions.values()) region.reset();
    },
  };
}
