/** The driver's side of virtio-mmio, for tests: lays out rings in guest memory and talks to the registers as Linux does. */

import type * as v from "valibot";
import type { OptionsSchema, VdevDescriptor } from "../../src/vdev/descriptor.ts";
import { type Assembled, assemble, type FakeHostOptions, FakeMemory } from "../../src/vdev/testing.ts";
import { CONFIG_BASE, mmioRegisters } from "../../src/virtio/mmio.ts";
import { Feature, Status } from "../../src/virtio/spec.ts";

export const RAM = 0x8000_0000;

export const Descriptor = { next: 1, write: 2, indirect: 4 } as const;

export interface RawDescriptor {
  readonly address: number | bigint;
  readonly length: number;
  readonly flags?: number;
  readonly next?: number;
}

/** What a driver puts into a chain: bytes to be read, or a number of bytes of room. */
export type Buffer = Uint8Array | number;

/** A split virtqueue in memory. It knows nothing of a device. */
export class Ring {
  readonly size: number;
  readonly descriptors: number;
  readonly avail: number;
  readonly used: number;
  readonly #memory: GuestArea;
  #free: number[];
  #seen = 0;

  constructor(memory: GuestArea, size: number) {
    this.#memory = memory;
    this.size = size;
    this.descriptors = memory.allocate(16 * size, 16);
    this.avail = memory.allocate(6 + 2 * size, 2);
    this.used = memory.allocate(6 + 8 * size, 4);
    this.#free = Array.from({ length: size }, (_, i) => size - 1 - i);
  }

  descriptor(index: number, { address, length, flags = 0, next = 0 }: RawDescriptor, table = this.descriptors): void {
    const { data } = this.#memory;
    const at = this.#memory.offset(table) + 16 * index;
    data.setBigUint64(at, BigInt(address), true);
    data.setUint32(at + 8, length, true);
    data.setUint16(at + 12, flags, true);
    data.setUint16(at + 14, next, true);
  }

  get availIndex(): number {
    return this.#get16(this.avail + 2);
  }
  set availIndex(value: number) {
    this.#put16(this.avail + 2, value);
  }
  get availFlags(): number {
    return this.#get16(this.avail);
  }
  set availFlags(value: number) {
    this.#put16(this.avail, value);
  }
  get usedIndex(): number {
    return this.#get16(this.used + 2);
  }
  /** The device notifies when its used index passes this one. */
  set usedEvent(value: number) {
    this.#put16(this.avail + 4 + 2 * this.size, value);
  }
  /** The driver should kick when its available index passes this one. */
  get availEvent(): number {
    return this.#get16(this.used + 4 + 8 * this.size);
  }

  /** Makes the chain that begins at `head` available. */
  publish(head: number): void {
    this.#put16(this.avail + 4 + 2 * (this.availIndex % this.size), head);
    this.availIndex = (this.availIndex + 1) & 0xffff;
  }

  /** Lays out a chain and makes it available; answers its head and where its buffers are. */
  add(buffers: readonly Buffer[], { indirect = false } = {}): { head: number; at: readonly number[] } {
    const at = buffers.map((buffer) => this.#memory.place(buffer));
    const head = this.#free.pop()!;
    const table = indirect ? this.#memory.allocate(16 * buffers.length, 16) : this.descriptors;
    const indices = buffers.map((_, i) => (indirect ? i : i === 0 ? head : this.#free.pop()!));
    for (const [i, buffer] of buffers.entries()) {
      const last = i === buffers.length - 1;
      const room = typeof buffer === "number";
      const flags = (last ? 0 : Descriptor.next) | (room ? Descriptor.write : 0);
      const length = room ? buffer : buffer.length;
      this.descriptor(indices[i], { address: at[i], length, flags, next: last ? 0 : indices[i + 1] }, table);
    }
    if (indirect) this.descriptor(head, { address: table, length: 16 * buffers.length, flags: Descriptor.indirect });
    this.publish(head);
    return { head, at };
  }

  /** Takes back a chain's direct descriptors. */
  release(head: number): void {
    const { data } = this.#memory;
    for (let index = head; ; ) {
      this.#free.push(index);
      const at = this.#memory.offset(this.descriptors) + 16 * index;
      if ((data.getUint16(at + 12, true) & Descriptor.next) === 0) return;
      index = data.getUint16(at + 14, true);
    }
  }

  /** What the device used since this was last asked. */
  reap(): { head: number; length: number }[] {
    const found: { head: number; length: number }[] = [];
    for (; this.#seen !== this.usedIndex; this.#seen = (this.#seen + 1) & 0xffff) {
      const at = this.#memory.offset(this.used) + 4 + 8 * (this.#seen % this.size);
      const head = this.#memory.data.getUint32(at, true);
      found.push({ head, length: this.#memory.data.getUint32(at + 4, true) });
      this.release(head);
    }
    return found;
  }

  #get16(at: number): number {
    return this.#memory.data.getUint16(this.#memory.offset(at), true);
  }

  #put16(at: number, value: number): void {
    this.#memory.data.setUint16(this.#memory.offset(at), value, true);
  }
}

/** Guest RAM that is given out from the bottom. */
export class GuestArea {
  readonly memory: FakeMemory;
  readonly data: DataView;
  #next = RAM;

  constructor(size = 0x10_0000) {
    this.memory = new FakeMemory(RAM, size);
    this.data = new DataView(this.memory.bytes.buffer);
  }

  offset(at: number): number {
    return at - RAM;
  }

  allocate(size: number, align = 1): number {
    const at = Math.ceil(this.#next / align) * align;
    this.#next = at + size;
    if (this.#next > RAM + this.memory.bytes.length) throw new Error("the test's guest memory is full");
    return at;
  }

  /** Gives all of it out again, cleared. */
  rewind(): void {
    this.#next = RAM;
    this.memory.bytes.fill(0);
  }

  /** Room for a buffer, filled with its bytes, or with 0xee where the device is to write. */
  place(buffer: Buffer): number {
    const at = this.allocate(typeof buffer === "number" ? buffer : buffer.length);
    if (typeof buffer === "number") this.memory.bytes.fill(0xee, this.offset(at), this.offset(at) + buffer);
    else this.memory.write(at, buffer);
    return at;
  }

  bytes(at: number, length: number): Uint8Array {
    const found = this.memory.read(at, length);
    if (found === undefined) throw new Error("the test reads outside its guest memory");
    return found;
  }
}

export type RegisterName = keyof typeof mmioRegisters;

export interface StartOptions {
  /** Features accepted of those offered; all when omitted. VERSION_1 is always among them. */
  readonly features?: readonly number[];
  /** Ring sizes by queue index; a queue left out is not enabled. */
  readonly queues?: readonly number[];
}

export class Driver {
  readonly area: GuestArea;
  readonly assembled: Assembled;
  readonly rings: Ring[] = [];

  constructor(assembled: Assembled, area: GuestArea) {
    this.assembled = assembled;
    this.area = area;
  }

  get host() {
    return this.assembled.host;
  }

  get line() {
    return this.host.line("irq");
  }

  get(name: RegisterName): number {
    return this.assembled.read(mmioRegisters[name].at, 4);
  }

  set(name: RegisterName, value: number): void {
    this.assembled.write(mmioRegisters[name].at, 4, value);
  }

  config(offset: number, width: 1 | 2 | 4 | 8): number {
    return this.assembled.read(CONFIG_BASE + offset, width);
  }

  setConfig(offset: number, width: 1 | 2 | 4, value: number): void {
    this.assembled.write(CONFIG_BASE + offset, width, value);
  }

  /** Bit numbers of what the device offers. */
  offered(): number[] {
    const bits: number[] = [];
    for (let word = 0; word < 4; word++) {
      this.set("DeviceFeaturesSel", word);
      const value = this.get("DeviceFeatures");
      for (let bit = 0; bit < 32; bit++) if ((value >>> bit) & 1) bits.push(32 * word + bit);
    }
    return bits;
  }

  accept(bits: readonly number[]): void {
    for (let word = 0; word < 4; word++) {
      let value = 0;
      for (const bit of bits) if (bit >>> 5 === word) value |= 1 << (bit & 31);
      this.set("DriverFeaturesSel", word);
      this.set("DriverFeatures", value >>> 0);
    }
  }

  layOut(index: number, size: number): Ring {
    const ring = new Ring(this.area, size);
    this.rings[index] = ring;
    this.set("QueueSel", index);
    this.set("QueueSize", size);
    for (const [low, high, at] of [
      ["QueueDescLow", "QueueDescHigh", ring.descriptors],
      ["QueueDriverLow", "QueueDriverHigh", ring.avail],
      ["QueueDeviceLow", "QueueDeviceHigh", ring.used],
    ] as const) {
      this.set(low, at % 2 ** 32);
      this.set(high, Math.floor(at / 2 ** 32));
    }
    this.set("QueueReady", 1);
    return ring;
  }

  /** VIRTIO 1.3 §3.1.1 */
  start({ features, queues = [] }: StartOptions = {}): this {
    this.set("Status", 0);
    this.set("Status", Status.acknowledge);
    this.set("Status", Status.acknowledge | Status.driver);
    this.accept([...(features ?? this.offered()), Feature.version1]);
    this.set("Status", Status.acknowledge | Status.driver | Status.featuresOk);
    if ((this.get("Status") & Status.featuresOk) === 0) throw new Error("the device refused the features");
    for (const [index, size] of queues.entries()) if (size > 0) this.layOut(index, size);
    this.set("Status", Status.acknowledge | Status.driver | Status.featuresOk | Status.driverOk);
    return this;
  }

  kick(queue: number): void {
    this.set("QueueNotify", queue);
  }

  /** Takes the interrupt as Linux does; answers its causes. */
  interrupt(): number {
    const causes = this.get("InterruptStatus");
    this.set("InterruptACK", causes);
    return causes;
  }

  /** One chain there and back: what the device wrote into each buffer of room. */
  request(queue: number, buffers: readonly Buffer[], options?: { indirect?: boolean }) {
    const ring = this.rings[queue];
    const { head, at } = ring.add(buffers, options);
    this.kick(queue);
    const used = ring.reap().find((entry) => entry.head === head);
    const answers = buffers.flatMap((b, i) => (typeof b === "number" ? [this.area.bytes(at[i], b)] : []));
    return { length: used?.length, answers };
  }
}

/** A vdev with guest memory and a driver that has not begun. */
export function drive<Schema extends OptionsSchema>(
  descriptor: VdevDescriptor<Schema>,
  options: v.InferInput<Schema>,
  hostOptions: FakeHostOptions = {},
  area = new GuestArea(),
): Driver {
  return new Driver(assemble(descriptor, options, { ...hostOptions, memory: area.memory }), area);
}
