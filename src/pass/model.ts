/**
 * A device model in a process of its own, for `host = "shm:NAME"` of a profile's [[pass]].
 *
 *     const model = serveModel({
 *       name: "counter",
 *       windows: [{ name: "regs", size: 0x1000, load: () => ++reads, store: (_, __, value) => line.set(value === 1) }],
 *       interrupts: 1,
 *     });
 *     const line = model.interrupts[0]!;
 *
 * The protocol is model-protocol.ts's; any language that has Unix sockets can speak it.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { fail } from "../diagnostics/diagnostic.ts";
import { type DeviceMapping, mapDevice } from "../host/device-access.ts";
import { close, errnoName, eventfd, isError, PollEvent, poll, read, write } from "../host/linux.ts";
import { runtimeFolder } from "../host/runtime-folder.ts";
import { createMemfd } from "../host/shared-memory.ts";
import { accept, listen, receive, send } from "../host/unix-socket.ts";
import {
  Answer,
  Call,
  type CallMessage,
  decodeGreeting,
  decodeMessage,
  encodeGreeting,
  encodeMessage,
  GREETING_MAX,
  MESSAGE_SIZE,
  type ModelGreeting,
  modelSocket,
  type OwnerGreeting,
  PROTOCOL,
} from "./model-protocol.ts";

const PAGE = 4096;
/** ms. How long the model's own timers may have to wait while the guest is quiet, and while it is not. */
const QUIET_WAIT = 5;
const BUSY_WAIT = 1;
/** A quiet guest is one that has not called for so many ms. */
const QUIET_AFTER = 50;

/** Registers that the model is asked for, access by access: the value of 8 bytes is a `bigint`. What it throws is a bus error. */
export interface CalledWindow {
  readonly name: string;
  readonly size: number;
  load(offset: number, width: number): number | bigint;
  store(offset: number, width: number, value: number | bigint): void;
}

/** Memory that the guest accesses without asking; {@link ModelDescription.doorbell} tells of its stores. */
export interface MemoryWindow {
  readonly name: string;
  readonly size: number;
  readonly kind: "memory";
}

export interface ModelDescription {
  /** As in `shm:NAME`. */
  readonly name: string;
  readonly windows: readonly (CalledWindow | MemoryWindow)[];
  /** 0 when omitted. */
  readonly interrupts?: number;
  /** The guest has stored into memory since the last call. */
  doorbell?(): void;
  /** Power-on of the guest. */
  reset?(): void;
  /** Somebody has it now, or nobody any more. */
  connected?(owners: number): void;
}

export interface ModelInterrupt {
  /** A level: while it is high, the guest is interrupted again each time it says that it is done. */
  set(level: boolean): void;
  /** An edge. */
  pulse(): void;
}

export interface ServedModel {
  readonly interrupts: readonly ModelInterrupt[];
  /** The bytes of a window of kind `memory`. */
  memory(window: string): DataView;
  /** Guest RAM, of a machine that passes it with `dma = true`: `undefined` where the address is not RAM of that. */
  ram(at: number, length: number): Uint8Array | undefined;
  /** Ends the service; owners see that it is gone. */
  close(): void;
}

interface Ram {
  readonly at: number;
  readonly size: number;
  readonly mapping: DeviceMapping;
}

/** Listens, and serves from this process's event loop until closed. Throws a `VmrunError` where it cannot listen. */
export function serveModel(description: ModelDescription): ServedModel {
  return new Model(description);
}

interface Watched {
  readonly fd: number;
  happened(): void;
}

/** The models of this process: one wait is for all of them, so that none waits for another. */
const served = new Set<Model>();
let lastCall = 0;

/** Waits for guests, and in between lets this process do what else it has to. */
async function serve(): Promise<void> {
  let yielded = performance.now();
  while (served.size > 0) {
    const watched = [...served].flatMap((model) => model.watched());
    const events = poll(
      watched.map(({ fd }) => ({ fd, events: PollEvent.in })),
      Date.now() - lastCall > QUIET_AFTER ? QUIET_WAIT : BUSY_WAIT,
    );
    const some = typeof events !== "number" && events.some((event) => event !== 0);
    if (some) for (const [i, { happened }] of watched.entries()) if (events[i] !== 0) happened();
    // A guest that is in the middle of something asks again at once.
    if (some && performance.now() - yielded < BUSY_WAIT) continue;
    await new Promise<void>((resolve) => setImmediate(resolve));
    yielded = performance.now();
  }
}

class Model implements ServedModel {
  readonly interrupts: readonly (ModelInterrupt & { again(): void; readonly fd: number })[];
  readonly #description: ModelDescription;
  readonly #greeting: ModelGreeting;
  readonly #listener: number;
  readonly #owners = new Map<number, readonly Ram[]>();
  readonly #memory: DeviceMapping | undefined;
  readonly #memfd: number = -1;
  readonly #doorbell: number = -1;
  #open = true;

  constructor(description: ModelDescription) {
    this.#description = description;
    let end = 0;
    const windows = description.windows.map((window) => {
      const { name, size } = window;
      if (!("kind" in window)) return { name, size, kind: "calls" as const };
      const at = end;
      end += Math.ceil(size / PAGE) * PAGE;
      return { name, size, kind: window.kind, at };
    });
    if (end > 0) {
      this.#memfd = createMemfd(description.name, end);
      this.#memory = mapDevice(this.#memfd, 0, end, true, description.name);
      this.#doorbell = eventfd();
    }
    this.interrupts = Array.from({ length: description.interrupts ?? 0 }, () => new Interrupt());
    this.#greeting = { model: PROTOCOL, windows, interrupts: this.interrupts.length };
    const path = modelSocket(runtimeFolder(), description.name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#listener = listen(path);
    if (isError(this.#listener)) {
      fail("model/listen", `the model ${description.name} cannot listen at ${path}: ${errnoName(this.#listener)}`);
    }
    served.add(this);
    if (served.size === 1) void serve();
  }

  memory(name: string): DataView {
    const window = this.#greeting.windows.find((each) => each.name === name && each.kind === "memory");
    if (window === undefined || this.#memory === undefined) throw new RangeError(`there is no memory "${name}"`);
    return new DataView(this.#memory.buffer, window.at, window.size);
  }

  ram(at: number, length: number): Uint8Array | undefined {
    for (const rams of this.#owners.values()) {
      for (const block of rams) {
        const offset = at - block.at;
        if (offset >= 0 && length >= 0 && offset + length <= block.size) {
          return new Uint8Array(block.mapping.buffer, offset, length);
        }
      }
    }
    return undefined;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    served.delete(this);
    for (const fd of [...this.#owners.keys()]) this.#forget(fd);
    for (const fd of [this.#listener, this.#memfd, this.#doorbell]) if (fd >= 0) close(fd);
    for (const { fd } of this.interrupts) close(fd);
    this.#memory?.unmap();
  }

  /** What may happen to it. */
  watched(): Watched[] {
    const owners = [...this.#owners.keys()].map((fd) => ({ fd, happened: () => this.#receive(fd) }));
    const rung = () => {
      if (read(this.#doorbell, new BigUint64Array(1)) > 0) this.#description.doorbell?.();
    };
    const doorbell = this.#doorbell >= 0 ? [{ fd: this.#doorbell, happened: rung }] : [];
    return [...owners, { fd: this.#listener, happened: () => this.#admit() }, ...doorbell];
  }

  #admit(): void {
    const fd = accept(this.#listener);
    if (isError(fd)) return;
    const message = receive(fd, GREETING_MAX);
    const greeting = typeof message === "number" ? undefined : decodeGreeting(message.bytes);
    const fds = typeof message === "number" ? [] : message.fds;
    if (!isOwner(greeting) || fds.length !== greeting.dma.length) {
      send(fd, encodeGreeting({ refused: `this model speaks version ${PROTOCOL} of the protocol` }));
      for (const each of [...fds, fd]) close(each);
      return;
    }
    const ram = greeting.dma.map(({ at, size }, i) => ({
      at,
      size,
      mapping: mapDevice(fds[i]!, 0, size, true, "RAM"),
    }));
    for (const each of fds) close(each);
    const memory = this.#memfd >= 0 ? [this.#memfd, this.#doorbell] : [];
    send(fd, encodeGreeting(this.#greeting), [...memory, ...this.interrupts.map((interrupt) => interrupt.fd)]);
    this.#owners.set(fd, ram);
    this.#description.connected?.(this.#owners.size);
  }

  #receive(fd: number): void {
    lastCall = Date.now();
    for (;;) {
      const message = receive(fd, MESSAGE_SIZE, false);
      if (typeof message === "number") return;
      const call = decodeMessage(message.bytes);
      // No bytes: it has ended. Anything else that is no message comes from none of us.
      if (call === undefined) return this.#forget(fd);
      const answer = this.#answer(call);
      if (answer !== undefined) send(fd, encodeMessage({ ...call, ...answer }));
    }
  }

  #answer({ what, index, offset, width, value }: CallMessage): Pick<CallMessage, "what" | "value"> | undefined {
    if (what === Call.unmask) return void this.interrupts[index]?.again();
    if (what === Call.reset) return void this.#description.reset?.();
    const window = this.#description.windows[index];
    const inside =
      window !== undefined && !("kind" in window) && [1, 2, 4, 8].includes(width) && offset + width <= window.size;
    if (!inside) return { what: Answer.busError, value: 0n };
    try {
      if (what === Call.load)
        return { what: Answer.done, value: BigInt.asUintN(8 * width, BigInt(window.load(offset, width))) };
      window.store(offset, width, width === 8 ? value : Number(value));
      return { what: Answer.done, value: 0n };
    } catch {
      return { what: Answer.busError, value: 0n };
    }
  }

  #forget(fd: number): void {
    const ram = this.#owners.get(fd);
    if (ram === undefined) return;
    this.#owners.delete(fd);
    for (const { mapping } of ram) mapping.unmap();
    close(fd);
    this.#description.connected?.(this.#owners.size);
  }
}

class Interrupt implements ModelInterrupt {
  readonly fd = eventfd();
  #level = false;

  set(level: boolean): void {
    if (level && !this.#level) this.pulse();
    this.#level = level;
  }

  pulse(): void {
    write(this.fd, BigUint64Array.of(1n));
  }

  /** The guest is done with the last one. */
  again(): void {
    if (this.#level) this.pulse();
  }
}

function isOwner(value: unknown): value is OwnerGreeting {
  const { vmrun, owner, dma } = (value ?? {}) as Partial<OwnerGreeting>;
  const isBlock = (block: unknown) => {
    const { at, size } = (block ?? {}) as { readonly at?: unknown; readonly size?: unknown };
    return Number.isSafeInteger(at) && Number.isSafeInteger(size) && Number(size) > 0;
  };
  return vmrun === PROTOCOL && typeof owner === "string" && Array.isArray(dma) && dma.every(isBlock);
}
