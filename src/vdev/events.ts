/** What reaches vdevs from outside the guest: queued when it happens, delivered while the guest stands still between slices. */
import type { Outcome } from "./host.ts";

/** Undelivered events; a flood from the host must not fill memory. */
const QUEUE_LIMIT = 65_536;

export class EventQueue {
  /** Told when something waits: a machine that sleeps has to wake. */
  onEvent: () => void = () => {};
  #waiting: (() => void)[] = [];
  #pending = 0;

  /** Jobs whose outcome is still to come. */
  get pending(): number {
    return this.#pending;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** `false`: too much waits already, and this event is lost. */
  post(deliver: () => void): boolean {
    if (this.#waiting.length >= QUEUE_LIMIT) return false;
    this.#waiting.push(deliver);
    this.onEvent();
    return true;
  }

  /** Delivers what waits now; what comes of that has its turn the next time. */
  deliver(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const deliver of waiting) deliver();
  }

  /** Starts a job; its outcome is an event. */
  run<T>(job: () => Promise<T>, done: (outcome: Outcome<T>) => void): void {
    this.#pending++;
    const finish = (outcome: Outcome<T>) => {
      this.#pending--;
      // Outcomes are as many as jobs, and are never lost.
      this.#waiting.push(() => done(outcome));
      this.onEvent();
    };
    // `async`: what the job throws before its first `await` is an outcome as well.
    (async () => await job())().then(
      (value) => finish({ ok: true, value }),
      (error: unknown) => finish({ ok: false, error: error instanceof Error ? error : new Error(String(error)) }),
    );
  }
}

/** Calls `run(input)` of a module on a Worker, which ends with it. */
export function runWorker<Input, Output>(module: URL, input: Input): Promise<Output> {
  return new Promise<Output>((resolve, reject) => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { ref: true });
    worker.onmessage = ({ data }: MessageEvent<Outcome<Output>>) => {
      worker.terminate();
      if (data.ok) resolve(data.value);
      else reject(data.error);
    };
    worker.onerror = (event) => {
      worker.terminate();
      reject(new Error(event.message));
    };
    worker.postMessage({ module: module.href, input });
  });
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
