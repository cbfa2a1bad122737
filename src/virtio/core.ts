/**
 * A virtio device without its transport: feature negotiation, status, queues, config space, reset and snapshot.
 * A transport drives it through {@link VirtioCore}; a device's author sees only {@link VirtioPort}.
 */
import * as v from "valibot";
import { fail } from "../diagnostics/diagnostic.ts";
import type { GuestTimer, Json, VdevHost } from "../vdev/host.ts";
import { SPLIT_QUEUE_MAX, SplitQueue } from "./queue.ts";
import { Feature, FeatureSet, Status } from "./spec.ts";
import type { QueueOwner, Virtqueue } from "./virtqueue.ts";

/** What a device's author gets. */
export interface VirtioPort {
  readonly host: VdevHost;
  /** The device's config space: what the guest reads. The device keeps it up to date. */
  readonly config: DataView;
  queue(index: number): Virtqueue;
  /** Whether the driver accepted a feature. `false` until negotiation is over. */
  negotiated(bit: number): boolean;
  /** Tells the driver of chains pushed outside {@link VirtioDevice.notify}. */
  signal(): void;
  /** Calls {@link VirtioDevice.notify} for a queue once more, when the guest has had its turn: for work too long for one go. */
  later(queue: number): void;
  /** {@link config} has changed. */
  configChanged(): void;
  /** The driver sent what the device cannot answer: it has to reset the device. */
  broken(queue: number, message: string): void;
}

/** What a device's author writes. All parts run while the guest stands still. */
export interface VirtioDevice {
  /** Buffers may have come available in a queue. Not called before the driver is ready (DRIVER_OK). */
  notify(queue: number): void;
  /** Features are agreed, and no queue is enabled yet. Not called on restore. */
  negotiated?(): void;
  /** The driver wrote to the config space; without this such writes go nowhere. `offset + width` is inside it. */
  writeConfig?(offset: number, width: number, value: number): void;
  /** Back to power-on, with queues stopped. The config space has its first contents again. */
  reset?(): void;
  /** State beyond what the core keeps: features, queues and the config space. */
  snapshot?(): Json;
  restore?(state: Json): void;
  /** What a person should know of the device, beyond what the core tells of driver and queues. */
  status?(): Readonly<Record<string, string | number | boolean>>;
  terminate?(): void;
}

export interface QueueSpec {
  readonly name: string;
  /** Largest size that the driver may choose: a power of two. */
  readonly size: number;
}

export interface VirtioShape {
  /** VIRTIO 1.3 §5 */
  readonly deviceId: number;
  /** Feature bits of the device type; the core adds those that every device has. */
  readonly features: readonly number[];
  readonly queues: readonly QueueSpec[];
  /** Bytes of config space. */
  readonly configSize: number;
}

/** How a transport tells the driver something. */
export interface VirtioSignals {
  used(queue: number): void;
  config(): void;
  /** The device was reset: whatever was signalled is void. */
  reset(): void;
}

/** A queue as the driver sets it up; addresses in halves, because that is how they are written. */
export class QueueSlot {
  readonly maxSize: number;
  readonly queue: SplitQueue;
  size: number;
  /** Low and high half of descriptor, driver and device area. */
  readonly areas = new Uint32Array(6);
  /** What the driver sees as ready. A broken queue stays so. */
  ready = false;

  constructor(maxSize: number, queue: SplitQueue) {
    this.maxSize = this.size = maxSize;
    this.queue = queue;
  }

  clear(): void {
    this.size = this.maxSize;
    this.areas.fill(0);
    this.ready = false;
    this.queue.stop();
  }

  start(): void {
    this.ready = true;
    this.queue.start({
      size: this.size,
      descriptorArea: this.#area(0),
      driverArea: this.#area(2),
      deviceArea: this.#area(4),
    });
  }

  #area(low: number): number {
    return this.areas[low + 1] * 2 ** 32 + this.areas[low];
  }
}

const ALWAYS_OFFERED = [Feature.indirectDescriptors, Feature.eventIndex, Feature.version1, Feature.ringReset];
/** Status bits that a driver sets. */
const DRIVER_STATUS = Status.acknowledge | Status.driver | Status.driverOk | Status.featuresOk | Status.failed;

/** How many broken queues are reported with particulars. */
const REPORTS_MAX = 16;

const U16 = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff));
const U32 = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const BYTE = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xff));
const State = v.object({
  status: BYTE,
  driverFeatures: v.pipe(v.array(U32), v.length(FeatureSet.words)),
  generation: U32,
  config: v.array(BYTE),
  later: v.array(U16),
  queues: v.array(
    v.object({
      size: U32,
      areas: v.pipe(v.array(U32), v.length(6)),
      ready: v.boolean(),
      broken: v.boolean(),
      nextAvail: U16,
      nextUsed: U16,
      signalled: U16,
      inFlight: v.pipe(v.array(U16), v.maxLength(SPLIT_QUEUE_MAX)),
    }),
  ),
  device: v.unknown(),
});

export class VirtioCore implements VirtioPort, QueueOwner {
  readonly host: VdevHost;
  readonly deviceId: number;
  readonly offered: FeatureSet;
  readonly config: DataView;
  readonly slots: readonly QueueSlot[];
  /** Changes whenever the device changes its config space. */
  generation = 0;
  #status = 0;
  readonly #queueNames: readonly string[];
  #reports = 0;
  readonly #accepted = new FeatureSet();
  readonly #configBytes: Uint8Array;
  #firstConfig: Uint8Array;
  #device: VirtioDevice | undefined;
  #signals: VirtioSignals = { used() {}, config() {}, reset() {} };
  readonly #later = new Set<number>();
  readonly #timer: GuestTimer;

  constructor(host: VdevHost, shape: VirtioShape) {
    this.host = host;
    this.deviceId = shape.deviceId;
    this.offered = new FeatureSet([...shape.features, ...ALWAYS_OFFERED]);
    this.#configBytes = new Uint8Array(shape.configSize);
    this.#firstConfig = this.#configBytes;
    this.config = new DataView(this.#configBytes.buffer);
    this.#queueNames = shape.queues.map(({ name }) => name);
    this.slots = shape.queues.map(({ size }, index) => new QueueSlot(size, new SplitQueue(index, this)));
    this.#timer = host.clock.timer(() => this.#catchUp());
  }

  /** Completes the device: done once, by whoever made it. What the config space holds now comes back at reset. */
  attach(device: VirtioDevice): void {
    this.#device = device;
    this.#firstConfig = this.#configBytes.slice();
  }

  connect(signals: VirtioSignals): void {
    this.#signals = signals;
  }

  get device(): VirtioDevice {
    return this.#device ?? fail("virtio/unattached", "a virtio device was used before it was made");
  }

  // For the device.

  get memory() {
    return this.host.memory;
  }

  get running(): boolean {
    return (this.#status & (Status.driverOk | Status.needsReset)) === Status.driverOk;
  }

  queue(index: number): Virtqueue {
    return this.slots[index].queue;
  }

  negotiated(bit: number): boolean {
    return (this.#status & Status.featuresOk) !== 0 && this.#accepted.has(bit);
  }

  signal(): void {
    for (const { queue } of this.slots) {
      if (queue.notifyNeeded()) this.#signals.used(queue.index);
      queue.settle();
    }
  }

  later(queue: number): void {
    this.#later.add(queue);
    this.#timer.arm(this.host.clock.now());
  }

  configChanged(): void {
    // VIRTIO 1.3 §2.5
    this.generation = (this.generation + 1) >>> 0;
    // VIRTIO 1.3 §2.1.2 and §3.1.1: a driver hears nothing before it says DRIVER_OK.
    if (this.#status & Status.driverOk) this.#signals.config();
  }

  broken(queue: number, message: string): void {
    // A guest can do this for ever, each time with other numbers.
    const told = this.#reports++ < REPORTS_MAX ? message : "broken again";
    this.host.log.guestError(`queue ${queue}: ${told}`);
    this.#status |= Status.needsReset;
    // VIRTIO 1.3 §2.1.2
    if (this.#status & Status.driverOk) this.#signals.config();
  }

  // For the transport.

  get status(): number {
    return this.#status;
  }

  writeStatus(value: number): void {
    // VIRTIO 1.3 §2.4.1: writing 0 resets.
    if (value === 0) {
      this.reset();
      return;
    }
    // VIRTIO 1.3 §2.1.1: a driver does not clear bits.
    if (this.#status & DRIVER_STATUS & ~value) this.host.log.guestError("device status: bits cleared without a reset");
    const added = value & DRIVER_STATUS & ~this.#status;
    this.#status |= added & ~(Status.featuresOk | Status.driverOk);
    if (added & Status.featuresOk) this.#agree();
    if (added & Status.driverOk) this.#begin();
  }

  /** The driver's choice of features, 32 at a time. */
  acceptFeatures(word: number, value: number): void {
    // VIRTIO 1.3 §3.1.1 step 5: no change after FEATURES_OK.
    if (this.#status & Status.featuresOk) this.host.log.guestError("features written after FEATURES_OK");
    else if (!this.#accepted.setWord(word, value) && value !== 0) {
      this.host.log.guestError("features accepted beyond bit 127");
    }
  }

  setReady(slot: QueueSlot, ready: boolean): void {
    if (ready === slot.ready) return;
    if (ready && (this.#status & Status.featuresOk) === 0) {
      // VIRTIO 1.3 §3.1.1: queues are set up after the features are agreed.
      this.host.log.guestError("queue enabled before FEATURES_OK");
    } else if (ready && slot.size > slot.maxSize) {
      slot.ready = true;
      this.broken(slot.queue.index, `size ${slot.size} is more than ${slot.maxSize}`);
    } else if (ready) {
      slot.start();
      // Enabled late, with buffers already in it: its kick may be past.
      if (this.running) this.notify(slot.queue.index);
    } else {
      slot.ready = false;
      slot.queue.stop();
    }
  }

  /** VIRTIO 1.3 §2.6.1. Done when it returns. */
  resetQueue(slot: QueueSlot): void {
    if (!this.negotiated(Feature.ringReset)) this.host.log.guestError("queue reset was not negotiated");
    else slot.clear();
  }

  notify(queue: number): void {
    if (queue >= this.slots.length) {
      this.host.log.guestError("notified a queue that does not exist");
      return;
    }
    // VIRTIO 1.3 §2.1.2: nothing is consumed before DRIVER_OK; a kick that comes early is made good then.
    if (!this.running || !this.slots[queue].queue.ready) return;
    this.device.notify(queue);
    this.signal();
  }

  /** Little-endian; bytes beyond the config space read 0. */
  readConfig(offset: number, width: number): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + (this.#configBytes[offset + i] ?? 0);
    return value;
  }

  writeConfig(offset: number, width: number, value: number): void {
    const { writeConfig } = this.device;
    if (writeConfig === undefined || offset + width > this.#configBytes.length) {
      this.host.log.guestError("wrote to config space that cannot be written");
    } else {
      this.device.writeConfig?.(offset, width, value);
      this.signal();
    }
  }

  // Lifecycle.

  reset(): void {
    this.#status = 0;
    this.#accepted.clear();
    this.#later.clear();
    this.#timer.cancel();
    for (const slot of this.slots) slot.clear();
    this.#configBytes.set(this.#firstConfig);
    this.generation = 0;
    this.#signals.reset();
    this.device.reset?.();
  }

  /** What a person should know of driver and queues. */
  report(): Record<string, string | number | boolean> {
    const ready = this.slots.flatMap(({ ready, queue }, index) =>
      ready ? [`${this.#queueNames[index]}${queue.ready ? "" : " (broken)"}`] : [],
    );
    return { driver: this.#driverState(), "queues in use": ready.join(" ") || "none", ...this.device.status?.() };
  }

  #driverState(): string {
    if (this.#status & Status.failed) return "gave up";
    if (this.#status & Status.needsReset) return "has to reset the device";
    if (this.#status & Status.driverOk) return "ready";
    return this.#status === 0 ? "none" : "setting up";
  }

  snapshot(): Json {
    return {
      status: this.#status,
      driverFeatures: this.#accepted.toJSON(),
      generation: this.generation,
      config: [...this.#configBytes],
      later: [...this.#later],
      queues: this.slots.map(({ size, areas, ready, queue }) => {
        const { nextAvail, nextUsed, signalled, inFlight } = queue.state();
        const broken = ready && !queue.ready;
        return { size, areas: [...areas], ready, broken, nextAvail, nextUsed, signalled, inFlight: [...inFlight] };
      }),
      device: this.device.snapshot?.() ?? null,
    };
  }

  restore(json: Json): void {
    const parsed = v.safeParse(State, json);
    const expected = this.slots.length;
    if (!parsed.success) this.#unfit(v.summarize(parsed.issues));
    const state = parsed.output;
    if (state.queues.length !== expected) this.#unfit(`it has ${state.queues.length} queues, not ${expected}`);
    if (state.config.length !== this.#configBytes.length) this.#unfit("its config space has another size");
    this.reset();
    this.#configBytes.set(state.config);
    state.driverFeatures.forEach((word, index) => {
      this.#accepted.setWord(index, word);
    });
    // DRIVER_OK last: nothing is signalled on the way.
    this.#status = state.status & ~Status.driverOk;
    state.queues.forEach(({ size, areas, ready, broken, ...progress }, index) => {
      const slot = this.slots[index];
      slot.size = size;
      slot.areas.set(areas);
      slot.ready = ready;
      if (!ready || broken) return;
      slot.start();
      slot.queue.resume(progress);
    });
    this.#status |= state.status;
    this.generation = state.generation;
    this.device.restore?.(state.device as Json);
    for (const queue of state.later) if (queue < expected) this.later(queue);
  }

  #unfit(why: string): never {
    fail("virtio/snapshot", `the state does not fit ${this.host.name}: ${why}`);
  }

  /** VIRTIO 1.3 §2.2.2: FEATURES_OK stays clear where the driver's choice cannot be met. */
  #agree(): void {
    if (!this.#accepted.within(this.offered)) {
      this.host.log.guestError("driver accepted features that were not offered");
    } else if (!this.#accepted.has(Feature.version1)) {
      // VIRTIO 1.3 §6.2
      this.host.log.guestError("driver did not accept VIRTIO_F_VERSION_1: legacy drivers are not supported");
    } else {
      this.#status |= Status.featuresOk;
      this.device.negotiated?.();
    }
  }

  #begin(): void {
    if ((this.#status & Status.featuresOk) === 0) {
      this.host.log.guestError("DRIVER_OK before FEATURES_OK");
      return;
    }
    this.#status |= Status.driverOk;
    // VIRTIO 1.3 §2.1.2: a driver that broke a queue before is told as soon as it listens.
    if (this.#status & Status.needsReset) this.#signals.config();
    for (const { queue } of this.slots) this.notify(queue.index);
  }

  #catchUp(): void {
    const queues = [...this.#later];
    this.#later.clear();
    for (const queue of queues) this.notify(queue);
  }
}
