/**
 * The host handle as a vdev gets it: every service checks its phase, every callback is contained, and what could go on
 * without end is bounded. Machines and test fakes wrap their raw services in it, so both treat a vdev alike.
 */
import { VmrunError } from "../diagnostics/diagnostic.ts";
import type { DmaMemory } from "../memory/guest-memory.ts";
import { BusError, VdevError } from "./errors.ts";
import type { ByteStream, DiskImage, HostPages, HostRegion, InterruptLine, Outcome, VdevHost } from "./host.ts";
import type { HostObject } from "./host-object.ts";
import { type Phase, requirePhase, type Service } from "./phases.ts";
import type { RegionAccess } from "./placement.ts";
import { BoundedClock } from "./timers.ts";

/** The life of one vdev, as its host handle has to know it. */
export interface VdevLife {
  readonly phase: Phase;
  /** Calls into the vdev from outside an access; keeps what it throws or rejects. `what` names it in a message. */
  call(what: string, act: () => unknown): void;
}

/** What a machine or a test provides: the services themselves, without rules. */
export type RawServices = Omit<VdevHost, "phase" | "busError">;

export function guardHost(raw: RawServices, life: VdevLife): VdevHost {
  const { log } = raw;
  const check = (service: Service) => {
    if (life.phase !== "running") requirePhase(service, life.phase);
  };
  /** Outcomes come when it suits the host; by then the vdev may be gone. */
  const contained =
    <T>(what: string, done: (value: T) => void) =>
    (value: T): void => {
      if (life.phase !== "terminated") life.call(what, () => done(value));
    };
  const clock = new BoundedClock(raw.clock, {
    check: () => check("timer"),
    call: (callback) => {
      if (life.phase !== "terminated") life.call("a timer", callback);
    },
    warn: (message) => log.warn(message),
  });
  return {
    name: raw.name,
    placement: raw.placement,
    get phase() {
      return life.phase;
    },
    delayed: raw.delayed,
    clock,
    timebase: raw.timebase,
    memory: new GuardedMemory(raw.memory, check, (message) => log.guestError(message)),
    log,
    harts: raw.harts.map((hart) => ({
      setPending(bit, level) {
        check("hart");
        hart.setPending(bit, level);
      },
    })),
    interrupt(name) {
      return new GuardedLine(raw.interrupt(name), life, check);
    },
    completed: (line) => raw.completed(line),
    lost: (reason) => raw.lost(reason),
    message(address, data) {
      check("message");
      if (!Number.isSafeInteger(address) || address < 0 || address % 4 !== 0 || data !== data >>> 0) {
        throw new VdevError("vdev/message", `${data} at ${address} is no message: 32 bits at an aligned address`);
      }
      const taken = raw.message(address, data);
      if (!taken) log.guestError(`an interrupt message to 0x${address.toString(16)}, where nobody takes it`);
      return taken;
    },
    region(name) {
      const placed = raw.placement.regions.find((region) => region.name === name);
      if (placed === undefined) throw new VdevError("vdev/region", `the vdev has no region "${name}"`);
      return new GuardedRegion(raw.region(name), name, placed.access !== undefined, check);
    },
    busError: (message) => new BusError(message),
    stream(spec) {
      check("open");
      const stream = new GuardedStream(
        opener(raw, life, spec, () => raw.stream(spec)),
        life,
      );
      if (!raw.delayed) stream.open();
      return stream;
    },
    disk(path, options) {
      check("open");
      return new GuardedDisk(
        opener(raw, life, path, () => raw.disk(path, options)),
        options.readOnly,
      );
    },
    hostObject(spec, request) {
      check("open");
      return guardObject(raw.hostObject(spec, request), life);
    },
    random(into, source) {
      check("random");
      raw.random(into, source);
    },
    power(request) {
      check("power");
      raw.power(request);
    },
    guest: raw.guest,
    dump: raw.dump,
    events(receive) {
      const { send } = raw.events(contained("an event", receive));
      return { send };
    },
    work<T>(job: () => Promise<T>, done: (outcome: Outcome<T>) => void) {
      check("work");
      raw.work(job, contained("the end of its work", done));
    },
    worker<Input, Output>(module: URL, input: Input, done: (outcome: Outcome<Output>) => void) {
      check("worker");
      raw.worker(module, input, contained("the end of its work", done));
    },
    command(command, done) {
      check("command");
      raw.command(command, contained("the end of its command", done));
    },
  };
}

/** Opens at once, or when first asked for. Answers `undefined` after a failure that could not be thrown. */
function opener<T>(raw: RawServices, life: VdevLife, what: string, open: () => T): () => T | undefined {
  let opened: T | undefined;
  let failed = false;
  const attempt = () => {
    if (opened !== undefined || failed || life.phase === "terminated") return opened;
    try {
      opened = open();
    } catch (error) {
      failed = true;
      raw.log.error(openingFailed(what, error));
    }
    return opened;
  };
  if (raw.delayed) return attempt;
  if (life.phase === "create") opened = open();
  else attempt();
  return attempt;
}

class GuardedLine implements InterruptLine {
  readonly #line: InterruptLine;
  readonly #life: VdevLife;
  readonly #check: (service: Service) => void;
  #onComplete: (() => void) | undefined;

  constructor(line: InterruptLine, life: VdevLife, check: (service: Service) => void) {
    this.#line = line;
    this.#life = life;
    this.#check = check;
  }

  set(level: boolean): void {
    this.#check("line");
    this.#line.set(level);
  }
  pulse(): void {
    this.#check("line");
    this.#line.pulse();
  }
  get onComplete(): (() => void) | undefined {
    return this.#onComplete;
  }
  set onComplete(listener: (() => void) | undefined) {
    this.#onComplete = listener;
    this.#line.onComplete =
      listener &&
      (() => {
        if (this.#life.phase !== "terminated") this.#life.call("the completion of an interrupt", listener);
      });
  }
}

/** The same object, whose callbacks are contained. */
function guardObject(object: HostObject, life: VdevLife): HostObject {
  const alive = (what: string, act: () => void) => {
    if (life.phase !== "terminated") life.call(what, act);
  };
  return {
    spec: object.spec,
    how: object.how,
    window: object.window,
    interrupts: object.interrupts.map((interrupt) => ({
      name: interrupt.name,
      connect: (raised) => interrupt.connect((count) => alive("a host interrupt", () => raised(count))),
      unmask: () => interrupt.unmask(),
    })),
    exclusively: (act) => object.exclusively(act),
    get onLoss() {
      return object.onLoss;
    },
    set onLoss(listener) {
      object.onLoss = (reason) => alive("the loss of a host object", () => listener(reason));
    },
    reset: () => object.reset(),
    close: () => object.close(),
  };
}

/** What the machine says of it names the thing by itself. */
function openingFailed(what: string, error: unknown): string {
  if (error instanceof VmrunError) return error.diagnostics.map(({ message }) => message).join("; ");
  return `cannot open ${what}: ${error instanceof Error ? error.message : String(error)}`;
}

class GuardedMemory implements DmaMemory {
  readonly #memory: DmaMemory;
  readonly #check: (service: Service) => void;
  readonly #guestError: (message: string) => void;
  #told = false;

  constructor(memory: DmaMemory, check: (service: Service) => void, guestError: (message: string) => void) {
    this.#memory = memory;
    this.#check = check;
    this.#guestError = guestError;
  }

  get shared(): boolean {
    return this.#memory.shared ?? false;
  }

  read(at: number, length: number): Uint8Array | undefined {
    return this.view(at, length)?.slice();
  }

  write(at: number, bytes: Uint8Array): boolean {
    const target = this.mutable(at, bytes.length);
    target?.set(bytes);
    return target !== undefined;
  }

  view(at: number, length: number): Uint8Array | undefined {
    this.#check("dma");
    const window = isRange(at, length) ? this.#memory.view(at, length) : undefined;
    if (window === undefined) this.#outside("read", at, length);
    return window;
  }

  mutable(at: number, length: number): Uint8Array | undefined {
    this.#check("dma");
    const window = isRange(at, length) ? this.#memory.mutable(at, length) : undefined;
    if (window === undefined) this.#outside("write", at, length);
    return window;
  }

  /** Addresses come from the guest: one message says it all. */
  #outside(what: string, at: number, length: number): void {
    if (this.#told) return;
    this.#told = true;
    const address = Number.isSafeInteger(at) && at >= 0 ? `0x${at.toString(16)}` : String(at);
    this.#guestError(`DMA outside of RAM: a ${what} of ${length} bytes at ${address}`);
  }
}

function isRange(at: number, length: number): boolean {
  return Number.isSafeInteger(at) && at >= 0 && Number.isSafeInteger(length) && length >= 0;
}

class GuardedRegion implements HostRegion {
  readonly #region: HostRegion;
  readonly #name: string;
  readonly #backed: boolean;
  readonly #check: (service: Service) => void;

  constructor(region: HostRegion, name: string, backed: boolean, check: (service: Service) => void) {
    this.#region = region;
    this.#name = name;
    this.#backed = backed;
    this.#check = check;
  }

  get size(): number {
    return this.#region.size;
  }
  get access(): RegionAccess {
    return this.#region.access;
  }
  setAccess(change: Partial<RegionAccess>): void {
    if (Object.values(change).includes("memory")) this.#requireMemory();
    this.#check("region");
    this.#region.setAccess(change);
  }
  get memory(): DmaMemory {
    this.#requireMemory();
    this.#check("region");
    return this.#region.memory;
  }
  get data(): DataView {
    this.#requireMemory();
    this.#check("region");
    return this.#region.data;
  }

  lay(pages: HostPages): void {
    this.#requireMemory();
    this.#check("region");
    this.#region.lay(pages);
  }

  #requireMemory(): void {
    if (this.#backed) return;
    throw new VdevError("vdev/region", `region "${this.#name}" has no memory behind it`, {
      hint: 'declare it with memory, e.g. access: { read: "memory" }',
    });
  }
}

/** As `"null"` where the real one cannot be opened. */
class GuardedStream implements ByteStream {
  readonly #open: () => ByteStream | undefined;
  readonly #life: VdevLife;
  #stream: ByteStream | undefined;
  #onInput: () => void = () => {};

  constructor(open: () => ByteStream | undefined, life: VdevLife) {
    this.#open = open;
    this.#life = life;
  }

  write(byte: number): void {
    (this.#stream ?? this.#opened())?.write(byte);
  }
  read(): number {
    return (this.#stream ?? this.#opened())?.read() ?? -1;
  }
  get waiting(): number {
    return (this.#stream ?? this.#opened())?.waiting ?? 0;
  }
  get onInput(): () => void {
    return this.#onInput;
  }
  set onInput(listener: () => void) {
    this.#onInput = listener;
  }

  /** A device that looks for input while it is set up makes no use of the stream yet. */
  #opened(): ByteStream | undefined {
    return this.#life.phase === "running" ? this.open() : undefined;
  }

  /** @internal */
  open(): ByteStream | undefined {
    const stream = this.#open();
    if (stream === undefined || stream === this.#stream) return stream;
    this.#stream = stream;
    stream.onInput = () => {
      if (this.#life.phase !== "terminated") this.#life.call("input", this.#onInput);
    };
    return stream;
  }
}

/** Answers `false` where the real one cannot be opened. */
class GuardedDisk implements DiskImage {
  readonly readOnly: boolean;
  readonly #open: () => DiskImage | undefined;

  constructor(open: () => DiskImage | undefined, readOnly: boolean) {
    this.#open = open;
    this.readOnly = readOnly;
  }

  get size(): number {
    return this.#open()?.size ?? 0;
  }
  read(offset: number, into: Uint8Array): boolean {
    return this.#open()?.read(offset, into) ?? false;
  }
  write(offset: number, from: Uint8Array): boolean {
    return this.#open()?.write(offset, from) ?? false;
  }
  flush(): boolean {
    return this.#open()?.flush() ?? false;
  }
  discard(offset: number, length: number): boolean {
    return this.#open()?.discard(offset, length) ?? false;
  }
  close(): void {
    this.#open()?.close();
  }
}
