/**
 * The split virtqueue, VIRTIO 1.3 §2.7. The driver is not trusted: whatever it lays out, walking it ends after at most
 * one queue size of descriptors, touches RAM only, and a rule broken stops the queue until the driver resets the device.
 */
import { Chain } from "./chain.ts";
import { Feature } from "./spec.ts";
import type { QueueLayout, QueueOwner, QueueState, Virtqueue } from "./virtqueue.ts";

/** VIRTIO 1.3 §2.7: the size is a power of two, at most 2^15. */
export const SPLIT_QUEUE_MAX = 32768;

const DESCRIPTOR_SIZE = 16;
/** Descriptor flags. VIRTIO 1.3 §2.7.5 */
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
/** Flag of the available ring: the driver wants no notification. VIRTIO 1.3 §2.7.6 */
const NO_INTERRUPT = 1;
/** A chain's bytes must be countable in the u32 `len` of the used ring. VIRTIO 1.3 §2.7.5.2 */
const CHAIN_BYTES_MAX = 2 ** 32;
/** High half of the first address that a number cannot hold exactly. */
const UNSAFE_HIGH = 2 ** 21;

/** Windows on the three areas. Valid while the guest does not run, so for one batch of work. */
interface Rings {
  readonly descriptors: Uint8Array;
  readonly avail: Uint8Array;
  readonly used: Uint8Array;
}

export class SplitQueue implements Virtqueue {
  readonly index: number;
  readonly #owner: QueueOwner;
  #layout: QueueLayout | undefined;
  #broken = false;
  #eventIndex = false;
  #indirect = false;
  #rings: Rings | undefined;
  /** The memory that the rings are in, for what has to be read and written whole. */
  #halves: Uint16Array = new Uint16Array(0);
  /** Free-running 16-bit counters, as in the rings. */
  #nextAvail = 0;
  #nextUsed = 0;
  /** The used index when the driver was last told, or found not to need telling. */
  #signalled = 0;
  readonly #held: Chain[] = [];
  readonly #spare: Chain[] = [];
  /** Chains that a restored device has to be given again, last one first. */
  #again: number[] = [];

  constructor(index: number, owner: QueueOwner) {
    this.index = index;
    this.#owner = owner;
  }

  get ready(): boolean {
    return this.#layout !== undefined && !this.#broken;
  }

  /** Begins at index 0 with the driver's layout; a layout that cannot be one breaks the queue. */
  start(layout: QueueLayout): void {
    this.stop();
    this.#layout = layout;
    this.#eventIndex = this.#owner.negotiated(Feature.eventIndex);
    this.#indirect = this.#owner.negotiated(Feature.indirectDescriptors);
    const fault = layoutFault(layout);
    if (fault !== undefined) this.#break(fault);
    else this.#resolve(layout);
    this.settle();
  }

  /** Forgets layout and progress, and takes every chain back from the device. */
  stop(): void {
    for (const chain of this.#held) chain.held = false;
    this.#held.length = 0;
    this.#again.length = 0;
    this.#layout = undefined;
    this.#rings = undefined;
    this.#broken = false;
    this.#nextAvail = this.#nextUsed = this.#signalled = 0;
  }

  /** Ends a batch: windows on guest memory are not kept while the guest runs. */
  settle(): void {
    this.#rings = undefined;
  }

  pop(): Chain | undefined {
    const layout = this.#layout;
    if (layout === undefined || this.#broken || !this.#owner.running) return undefined;
    const rings = this.#rings ?? this.#resolve(layout);
    if (rings === undefined) return undefined;
    const head = this.#again.pop() ?? this.#nextHead(layout, rings);
    if (head === undefined) return undefined;
    const chain = this.#spare.pop() ?? new Chain(this.#owner.memory);
    chain.clear();
    chain.head = head;
    const fault = this.#walk(layout, rings, head, chain);
    if (fault !== undefined) {
      this.#spare.push(chain);
      return this.#break(fault);
    }
    chain.held = true;
    this.#held.push(chain);
    return chain;
  }

  push(chain: Chain, written = chain.written): void {
    // A queue reset in between took the chain away: there is no ring to put it on.
    if (!chain.held) return;
    chain.held = false;
    const place = this.#held.indexOf(chain);
    this.#held[place] = this.#held[this.#held.length - 1];
    this.#held.pop();
    this.#spare.push(chain);
    const layout = this.#layout;
    if (layout === undefined || this.#broken) return;
    const rings = this.#rings ?? this.#resolve(layout);
    if (rings === undefined) return;
    const { used } = rings;
    const element = 4 + 8 * (this.#nextUsed & (layout.size - 1));
    putU32(used, element, chain.head);
    putU32(used, element + 4, Math.min(written, CHAIN_BYTES_MAX - 1));
    this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
    // VIRTIO 1.3 §2.7.8.2: `len` and the element before `idx`.
    this.#put(used, 2, this.#nextUsed);
  }

  notifyNeeded(): boolean {
    const layout = this.#layout;
    const pushed = (this.#nextUsed - this.#signalled) & 0xffff;
    if (pushed === 0 || layout === undefined || this.#broken) return false;
    const rings = this.#rings ?? this.#resolve(layout);
    if (rings === undefined) return false;
    this.#signalled = this.#nextUsed;
    // VIRTIO 1.3 §2.7.7.2: the flag, or whether `used_event` is among the indices passed since the driver was last told.
    if (!this.#eventIndex) return (this.#get(rings.avail, 0) & NO_INTERRUPT) === 0;
    const usedEvent = this.#get(rings.avail, 4 + 2 * layout.size);
    return ((this.#nextUsed - usedEvent - 1) & 0xffff) < pushed;
  }

  state(): QueueState {
    // A broken queue has nowhere to go on from.
    if (!this.ready) return { nextAvail: 0, nextUsed: 0, signalled: 0, inFlight: [] };
    return {
      nextAvail: this.#nextAvail,
      nextUsed: this.#nextUsed,
      signalled: this.#signalled,
      inFlight: [...this.#held.map((chain) => chain.head), ...this.#again.toReversed()],
    };
  }

  /** Goes on where {@link state} was taken, after {@link start}. */
  resume(state: QueueState): void {
    this.#nextAvail = state.nextAvail;
    this.#nextUsed = state.nextUsed;
    this.#signalled = state.signalled;
    this.#again = [...state.inFlight].reverse();
  }

  #nextHead({ size }: QueueLayout, { descriptors, avail, used }: Rings): number | undefined {
    let available = this.#get(avail, 2);
    if (available === this.#nextAvail) {
      if (!this.#eventIndex) return undefined;
      // VIRTIO 1.3 §2.7.10: the queue ran dry, so the next chain is worth a kick; one that came just now brings none.
      this.#put(used, 4 + 8 * size, this.#nextAvail);
      available = this.#get(avail, 2);
      if (available === this.#nextAvail) return undefined;
    }
    const pending = (available - this.#nextAvail) & 0xffff;
    // Descriptors of chains not yet used are still taken, so that no more than the rest can be available.
    const taken = this.#held.length + this.#again.length;
    if (pending > size - taken) {
      return this.#break(`available index ${available} is ${pending} ahead, with ${size - taken} descriptors free`);
    }
    const head = u16(avail, 4 + 2 * (this.#nextAvail & (size - 1)));
    if (head * DESCRIPTOR_SIZE >= descriptors.length) {
      return this.#break(`available ring names descriptor ${head} of ${size}`);
    }
    this.#nextAvail = (this.#nextAvail + 1) & 0xffff;
    return head;
  }

  /** Collects a chain's buffers; answers what is wrong with it, if anything. */
  #walk({ size }: QueueLayout, rings: Rings, head: number, chain: Chain): string | undefined {
    const { memory } = this.#owner;
    let table = rings.descriptors;
    let index = head;
    let inTable = false;
    // VIRTIO 1.3 §2.7.5.3.1: no chain is longer than the queue, so a longer one is a loop or a lie.
    for (let length = 0; length < size; ) {
      const at = index * DESCRIPTOR_SIZE;
      const low = u32(table, at);
      const high = u32(table, at + 4);
      const bytes = u32(table, at + 8);
      const flags = u16(table, at + 12);
      const next = u16(table, at + 14);
      if (high >= UNSAFE_HIGH) return `descriptor ${index} has an address beyond 2^53`;
      const address = high * 2 ** 32 + low;

      if (flags & INDIRECT) {
        // VIRTIO 1.3 §2.7.5.3.1; the WRITE flag of such a descriptor is to be ignored (§2.7.5.3.2).
        if (!this.#indirect) return `descriptor ${index} is indirect, which was not negotiated`;
        if (inTable) return `indirect table has an indirect descriptor at ${index}`;
        if (flags & NEXT) return `descriptor ${index} is indirect and has a successor`;
        if (bytes === 0 || bytes % DESCRIPTOR_SIZE !== 0) return `indirect table of ${bytes} bytes`;
        const window = memory.view(address, bytes);
        if (window === undefined) return `indirect table at 0x${address.toString(16)} is not in RAM`;
        table = window;
        index = 0;
        inTable = true;
        continue;
      }

      if (bytes === 0) return `descriptor ${index} has no bytes`;
      if (flags & WRITE) {
        if (memory.mutable(address, bytes) === undefined) return notRam(address, bytes);
        chain.writable.add(address, bytes);
      } else {
        // VIRTIO 1.3 §2.7.4.2
        if (chain.writable.count > 0) return `descriptor ${index} is readable and comes after a writable one`;
        if (memory.view(address, bytes) === undefined) return notRam(address, bytes);
        chain.readable.add(address, bytes);
      }
      if (chain.readable.length + chain.writable.length > CHAIN_BYTES_MAX) return "chain of more than 2^32 bytes";
      length++;
      if ((flags & NEXT) === 0) return undefined;
      if (next * DESCRIPTOR_SIZE >= table.length) {
        return `descriptor ${index} is followed by ${next} of ${table.length / DESCRIPTOR_SIZE}`;
      }
      index = next;
    }
    return `chain of more than ${size} descriptors`;
  }

  /**
   * An index or flag of a ring. Where the driver may be on another thread, each is read and written whole, and in the order
   * of the program with what else there is in the rings. VIRTIO 1.3 §2.7.7.2, §2.7.10, §2.7.13.3
   */
  #get(ring: Uint8Array, at: number): number {
    if (!this.#owner.memory.shared) return u16(ring, at);
    return Atomics.load(this.#halvesOf(ring), (ring.byteOffset + at) >>> 1);
  }

  #put(ring: Uint8Array, at: number, value: number): void {
    if (!this.#owner.memory.shared) putU16(ring, at, value);
    else Atomics.store(this.#halvesOf(ring), (ring.byteOffset + at) >>> 1, value);
  }

  #halvesOf({ buffer }: Uint8Array): Uint16Array {
    if (this.#halves.buffer !== buffer) this.#halves = new Uint16Array(buffer, 0, buffer.byteLength >>> 1);
    return this.#halves;
  }

  /** Checks that the areas are RAM, and takes windows on them for this batch. */
  #resolve({ size, descriptorArea, driverArea, deviceArea }: QueueLayout): Rings | undefined {
    const { memory } = this.#owner;
    const descriptors = memory.view(descriptorArea, DESCRIPTOR_SIZE * size);
    const avail = memory.view(driverArea, 6 + 2 * size);
    const used = memory.mutable(deviceArea, 6 + 8 * size);
    if (descriptors === undefined || avail === undefined || used === undefined) {
      return this.#break("queue areas are not in RAM");
    }
    this.#rings = { descriptors, avail, used };
    return this.#rings;
  }

  #break(message: string): undefined {
    this.#broken = true;
    this.#rings = undefined;
    this.#owner.broken(this.index, message);
  }
}

/** VIRTIO 1.3 §2.7: sizes and alignments. */
function layoutFault({ size, descriptorArea, driverArea, deviceArea }: QueueLayout): string | undefined {
  if (size < 1 || size > SPLIT_QUEUE_MAX || (size & (size - 1)) !== 0) return `queue size ${size}`;
  for (const [name, address, align] of [
    ["descriptor area", descriptorArea, 16],
    ["driver area", driverArea, 2],
    ["device area", deviceArea, 4],
  ] as const) {
    if (!Number.isSafeInteger(address)) return `${name} is beyond 2^53`;
    if (address % align !== 0) return `${name} at 0x${address.toString(16)} is not aligned to ${align}`;
  }
  return undefined;
}

function notRam(address: number, bytes: number): string {
  return `buffer of ${bytes} bytes at 0x${address.toString(16)} is not in RAM`;
}

function u16(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  putU16(bytes, at, value);
  putU16(bytes, at + 2, value >>> 16);
}
