/** A device model in another process: registers that it answers for, or memory that both have. The protocol is model-protocol.ts's. */
import { fail } from "../../diagnostics/diagnostic.ts";
import { type DeviceMapping, mapDevice } from "../../host/device-access.ts";
import type { Watched } from "../../host/fd-watch.ts";
import { close, errnoName, isError, PollEvent, poll, write as writeFd } from "../../host/linux.ts";
import { runtimeFolder } from "../../host/runtime-folder.ts";
import { connect, receive, send } from "../../host/unix-socket.ts";
import { BusError } from "../../vdev/errors.ts";
import type { HostWindow } from "../../vdev/host-object.ts";
import type { Opened, Opening } from "../hardware.ts";
import {
  Answer,
  Call,
  decodeGreeting,
  decodeMessage,
  encodeGreeting,
  encodeMessage,
  GREETING_MAX,
  MESSAGE_SIZE,
  type ModelGreeting,
  type ModelWindow,
  modelSocket,
  PROTOCOL,
} from "../model-protocol.ts";
import { eventCount, type InterruptFd, interruptFd } from "./interrupt.ts";
import { hex, mappedWindow } from "./window.ts";

/** How long a model may take for one access, ms. */
const PATIENCE = 2000;
const PAGE = 4096;

export function openShm(name: string, opening: Opening): Opened {
  return new Connection(name, opening);
}

class Connection implements Opened {
  readonly how: string;
  readonly window: HostWindow;
  readonly interrupts: readonly InterruptFd[];
  onLoss: (reason: string) => void = () => {};
  readonly #opening: Opening;
  readonly #socket: number;
  readonly #index: number;
  readonly #fds: readonly number[];
  readonly #life: Watched;
  #mapping: DeviceMapping | undefined;
  #lost: string | undefined;

  constructor(name: string, opening: Opening) {
    this.#opening = opening;
    const { spec, request } = opening;
    const { window = 0, offset = 0, size, interrupts = 0 } = request;
    const path = modelSocket(runtimeFolder(), name);
    this.#socket = connect(path);
    if (isError(this.#socket)) {
      fail("pass/no-model", `${spec}: no device model of that name is running (${errnoName(this.#socket)})`, {
        hint: `start it first: it listens at ${path}`,
      });
    }
    const fds: number[] = [];
    try {
      const greeting = this.#greet(fds);
      this.#fds = fds;
      this.#index = windowIndex(greeting.windows, window, spec);
      const chosen = greeting.windows[this.#index]!;
      if (offset + size > chosen.size) {
        const message = `${spec}: window ${chosen.name} has ${hex(chosen.size)} bytes; the profile wants ${hex(size)} from ${hex(offset)} on`;
        fail("pass/size", message);
      }
      if (interrupts > greeting.interrupts) {
        fail("pass/interrupt", `${spec} has ${greeting.interrupts} interrupts, not ${interrupts}`);
      }
      const space = `shm ${name}`;
      opening.claim(
        { space: `${space} ${this.#index}`, from: offset, to: offset + size - 1 },
        ...(interrupts > 0 ? [{ space: `${space} interrupts` }] : []),
      );
      const isMemory = chosen.kind === "memory";
      if (request.cached && !isMemory) {
        fail("pass/window", `${spec}: window ${chosen.name} is asked access by access, and cannot be cached memory`);
      }
      this.window = isMemory ? this.#memoryWindow(chosen, fds[0]!, fds[1]!) : this.#calledWindow(chosen);
      this.how = `${size} bytes of model ${name}'s ${chosen.name}, ${isMemory ? "in shared memory" : "asked access by access"}`;
      const events = fds.slice(fds.length - greeting.interrupts);
      this.interrupts = events.slice(0, interrupts).map((fd, i) => this.#interrupt(fd, i));
      // Nothing is sent but answers: what can be read without a question is the end.
      this.#life = opening.watch.add(this.#socket, () => this.#lose("its process has ended"));
    } catch (error) {
      for (const fd of [...fds, this.#socket]) close(fd);
      throw error;
    }
  }

  reset(): void {
    this.#tell(Call.reset, 0);
  }

  close(): void {
    this.#silence();
    this.#mapping?.unmap();
    for (const fd of [...this.#fds, this.#socket]) close(fd);
  }

  #greet(fds: number[]): ModelGreeting {
    const { spec, request, owner } = this.#opening;
    const ram = request.dma ? owner.ram() : [];
    if (ram.some(({ fd }) => fd === undefined)) {
      fail("pass/dma", `${spec}: its DMA needs RAM that another process can map`, {
        hint: 'give every block of RAM kind = "memfd"',
      });
    }
    send(
      this.#socket,
      encodeGreeting({
        vmrun: PROTOCOL,
        owner: owner.name,
        window: request.window ?? 0,
        dma: ram.map(({ at, size }) => ({ at, size })),
      }),
      ram.map(({ fd }) => fd!),
    );
    const message = this.#wait() ? receive(this.#socket, GREETING_MAX) : undefined;
    if (message === undefined || typeof message === "number") {
      return fail("pass/model", `${spec}: the model does not answer`);
    }
    fds.push(...message.fds);
    const greeting = decodeGreeting(message.bytes);
    const { refused } = (greeting ?? {}) as { readonly refused?: unknown };
    if (typeof refused === "string") fail("pass/model", `${spec} refuses: ${refused}`);
    if (!isModel(greeting) || message.fds.length !== greeting.interrupts + (hasMemory(greeting) ? 2 : 0)) {
      fail("pass/model", `${spec}: what answers is no device model of version ${PROTOCOL}`);
    }
    return greeting;
  }

  #memoryWindow({ at = 0 }: ModelWindow, memory: number, doorbell: number): HostWindow {
    const { spec, request } = this.#opening;
    const { offset = 0, size, write = false } = request;
    this.#mapping = mapDevice(memory, at + offset, size, write, spec);
    const mapping = { fd: memory, offset: at + offset };
    const own = mappedWindow(spec, size, this.#mapping, mapping, (reason) => this.#lose(reason));
    const one = BigUint64Array.of(1n);
    return {
      ...own,
      store(where, width, value) {
        own.store(where, width, value);
        writeFd(doorbell, one);
      },
      store64(where, value) {
        own.store64(where, value);
        writeFd(doorbell, one);
      },
    };
  }

  #calledWindow({ name }: ModelWindow): HostWindow {
    const { offset: base = 0, size } = this.#opening.request;
    return {
      name,
      size,
      load: (offset, width) => Number(this.#call(Call.load, base + offset, width, 0n)),
      store: (offset, width, value) => void this.#call(Call.store, base + offset, width, BigInt(value)),
      load64: (offset) => this.#call(Call.load, base + offset, 8, 0n),
      store64: (offset, value) => void this.#call(Call.store, base + offset, 8, value),
    };
  }

  /** One access, answered before the guest goes on. */
  #call(what: number, offset: number, width: number, value: bigint): bigint {
    if (this.#lost !== undefined) throw new BusError(this.#lost);
    const sent = send(this.#socket, encodeMessage({ what, index: this.#index, offset, width, value }));
    if (isError(sent)) this.#fail("its process has ended");
    if (!this.#wait()) this.#fail(`it has not answered for ${PATIENCE / 1000} s`);
    const message = receive(this.#socket, MESSAGE_SIZE, false);
    const answer = typeof message === "number" ? undefined : decodeMessage(message.bytes);
    if (answer === undefined) this.#fail("its process has ended");
    if (answer.what === Answer.busError) throw new BusError("the model answers with a bus error");
    return BigInt.asUintN(8 * width, answer.value);
  }

  #tell(what: number, index: number): void {
    if (this.#lost === undefined)
      send(this.#socket, encodeMessage({ what, index, offset: 0, width: 0, value: 0n }), [], false);
  }

  #wait(): boolean {
    const events = poll([{ fd: this.#socket, events: PollEvent.in }], PATIENCE);
    return typeof events !== "number" && events[0] !== 0;
  }

  #fail(reason: string): never {
    this.#lose(reason);
    throw new BusError(reason);
  }

  #lose(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.#silence();
    this.onLoss(reason);
  }

  #silence(): void {
    for (const each of [...this.interrupts, this.#life]) each.remove();
  }

  #interrupt(fd: number, index: number): InterruptFd {
    const unmask = () => this.#tell(Call.unmask, index);
    return interruptFd(this.#opening.watch, { name: `irq${index}`, fd, count: eventCount(fd), unmask });
  }
}

function windowIndex(windows: readonly ModelWindow[], wanted: number | string, spec: string): number {
  const index = typeof wanted === "number" ? wanted : windows.findIndex(({ name }) => name === wanted);
  if (windows[index] !== undefined) return index;
  const known = windows.map(({ name, size }, i) => `${i} (${name}, ${hex(size)} bytes)`).join(", ");
  return fail("pass/window", `${spec} has no window ${JSON.stringify(wanted)}`, { hint: known && `it has: ${known}` });
}

function hasMemory({ windows }: ModelGreeting): boolean {
  return windows.some(({ kind }) => kind === "memory");
}

/** What comes over a socket is anybody's. */
function isModel(value: unknown): value is ModelGreeting {
  const { model, windows, interrupts } = (value ?? {}) as Partial<ModelGreeting>;
  const isCount = (count: unknown) => Number.isSafeInteger(count) && Number(count) >= 0;
  return (
    model === PROTOCOL &&
    isCount(interrupts) &&
    Array.isArray(windows) &&
    windows.every((each: Partial<ModelWindow> | null) => {
      const kind = each?.kind === "calls" || (each?.kind === "memory" && isCount(each.at) && each.at! % PAGE === 0);
      return kind && typeof each?.name === "string" && isCount(each.size);
    })
  );
}
