/**
 * File descriptors that something may happen on: asked between two slices of a guest without waiting, and waited for on a
 * thread of their own while it is idle. What is not asked for stays in the kernel: so a storm of events is held back.
 */
import { close, EventfdFlag, eventfd, PollEvent, poll, write } from "./linux.ts";

/** What a thread waits for; its answer is any message. */
export interface WaitOrder {
  readonly fds: readonly number[];
}

export interface Watched {
  /** While `false`, what happens on it waits. */
  enabled: boolean;
  remove(): void;
}

interface Entry extends Watched {
  readonly fd: number;
  /** `gone`: the other side is closed, or the device is. */
  readonly ready: (gone: boolean) => void;
}

const GONE = PollEvent.error | PollEvent.hangUp | PollEvent.invalid;

export class FdWatch {
  readonly #entries = new Set<Entry>();
  #thread: Worker | undefined;
  /** Ends a wait of the thread. */
  #interrupt = -1;
  #waiting = false;
  #wake: () => void = () => {};

  /** `ready` is called by {@link poll} while there is something to read. */
  add(fd: number, ready: (gone: boolean) => void): Watched {
    const entry: Entry = { fd, ready, enabled: true, remove: () => void this.#entries.delete(entry) };
    this.#entries.add(entry);
    return entry;
  }

  /** Whether anything can still happen. */
  get listening(): boolean {
    return this.#entries.size > 0;
  }

  /** Tells who is ready now. */
  poll(): void {
    if (this.#entries.size === 0) return;
    const enabled = [...this.#entries].filter((entry) => entry.enabled);
    const events = poll(enabled.map(({ fd }) => ({ fd, events: PollEvent.in })));
    if (typeof events === "number") return;
    for (const [i, entry] of enabled.entries()) {
      // One that was told before may have ended this one.
      if (events[i] !== 0 && this.#entries.has(entry))
        entry.ready((events[i]! & PollEvent.in) === 0 && (events[i]! & GONE) !== 0);
    }
  }

  /** `wake` is called once something is ready, from the event loop. Asked again, the last `wake` counts. */
  await(wake: () => void): void {
    this.#wake = wake;
    if (this.#waiting || this.#entries.size === 0) return;
    const fds = [...this.#entries].filter(({ enabled }) => enabled).map(({ fd }) => fd);
    this.#waiting = true;
    this.#open().postMessage({ fds: [...fds, this.#interrupt] } satisfies WaitOrder);
  }

  /** What was enabled or disabled since {@link await} counts from the next one on: this ends it. */
  interrupt(): void {
    if (this.#waiting) write(this.#interrupt, BigUint64Array.of(1n));
  }

  close(): void {
    this.#entries.clear();
    this.#wake = () => {};
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#thread = undefined;
    this.interrupt();
    thread.terminate();
    if (!this.#waiting) close(this.#interrupt);
  }

  #open(): Worker {
    if (this.#thread !== undefined) return this.#thread;
    this.#interrupt = eventfd(0, EventfdFlag.nonBlocking);
    const thread = new Worker(new URL("./fd-wait-thread.ts", import.meta.url), { ref: false });
    thread.onmessage = () => {
      this.#waiting = false;
      this.#wake();
    };
    this.#thread = thread;
    return thread;
  }
}
