/** Runs a machine in the host's world: slices, idle time, limits, and a turn for the host's events in between. */
import type { Ending, Machine } from "./machine.ts";

/** Instructions between two looks at the host. */
const SLICE = 1_000_000;
/** Host time between two turns of the event loop while the guest is busy, ns. */
const SERVICE_INTERVAL = 4e6;
const NS_PER_MS = 1e6;
/** How long a peer that is slow to take output may hold up the guest, ns of the host's time. */
const PEER_PATIENCE = 1e9;
/** A timer of the host is not started for less. */
const SHORTEST_SLEEP = 1e6;

export interface RunnerOptions {
  /** Guest time after which the run is given up, ns. */
  readonly guestLimit?: number;
  /** Host time after which the run is given up, ns. */
  readonly hostLimit?: number;
  /** Whether a reboot ends the run. */
  readonly endOnReboot?: boolean;
  /** Whether something outside can still wake an idle guest. Then idle time passes at the host's pace, else it is skipped. */
  readonly listening: () => boolean;
  /** Called between slices, after output was flushed. Answers whether to end. */
  readonly between: () => boolean;
}

export type RunEnd =
  | Ending
  | { readonly kind: "guest-limit" }
  | { readonly kind: "host-limit" }
  /** Every hart waits, no timer is armed, and nothing outside will come. */
  | { readonly kind: "stuck" }
  /** `between` asked for it. */
  | { readonly kind: "ended" };

export class Runner {
  #wake: () => void = () => {};
  /** When the host's events last had their turn, ns. */
  #served = 0;

  constructor(
    readonly machine: Machine,
    readonly options: RunnerOptions,
  ) {}

  /** Something came from outside: an idle guest need not wait any longer. */
  wake(): void {
    this.#wake();
  }

  async run(): Promise<RunEnd> {
    const { machine, options } = this;
    const { guestLimit = Number.POSITIVE_INFINITY, hostLimit = Number.POSITIVE_INFINITY } = options;
    const start = Bun.nanoseconds();
    this.#served = start;
    machine.events.onEvent = () => this.wake();
    machine.streams.onActivity = () => this.wake();
    for (;;) {
      const progress = machine.run(SLICE);
      machine.streams.flush();
      if (options.between()) return { kind: "ended" };
      if (progress === "ended") {
        const ending = machine.ending!;
        if (ending.kind !== "reboot" || options.endOnReboot) return ending;
        // What follows has its turn all the same: a guest that does nothing but reboot can be stopped, too.
        machine.reboot();
      }
      const now = Bun.nanoseconds();
      if (now - start >= hostLimit) return { kind: "host-limit" };
      if (machine.clock.now() >= guestLimit) return { kind: "guest-limit" };
      if (machine.streams.congested) {
        await this.#relieve(hostLimit - (now - start));
        continue;
      }
      // Output just flushed may have brought the answer of a script: then nobody waits any more.
      if (progress === "idle" && machine.run(0) === "idle") {
        const end = await this.#idle(guestLimit, hostLimit - (now - start));
        if (end !== undefined) return end;
      }
      if (now - this.#served >= SERVICE_INTERVAL) await this.#serve();
    }
  }

  /** Every hart waits: for the next timer, or for something from outside. */
  async #idle(guestLimit: number, hostLeft: number): Promise<RunEnd | undefined> {
    const { machine, options } = this;
    const deadline = Math.min(machine.deadline, guestLimit);
    // What the host still works on for a vdev may wake the guest as input does.
    const heard = options.listening() || machine.streams.listening || machine.listening;
    if (!heard && machine.events.pending === 0) {
      if (machine.deadline === Number.POSITIVE_INFINITY) return { kind: "stuck" };
      if (!machine.followsHost) {
        machine.skipTo(deadline);
        return undefined;
      }
    }
    const begun = Bun.nanoseconds();
    const from = machine.clock.now();
    const wait = Math.min(deadline - from, hostLeft);
    if (wait >= SHORTEST_SLEEP) await this.#sleep(wait);
    else await this.#serve();
    const passed = wait < SHORTEST_SLEEP ? wait : Bun.nanoseconds() - begun;
    machine.skipTo(Math.min(deadline, from + Math.max(0, passed)));
    return undefined;
  }

  /** More output waits for a peer than it has read: it gets time to, and the guest none. */
  async #relieve(hostLeft: number): Promise<void> {
    const { streams } = this.machine;
    const until = Bun.nanoseconds() + Math.min(PEER_PATIENCE, hostLeft);
    while (streams.congested && !this.options.between()) {
      const left = until - Bun.nanoseconds();
      if (left <= 0) return streams.leaveBehind();
      await this.#sleep(Math.max(left, SHORTEST_SLEEP));
      streams.flush();
    }
  }

  async #serve(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#served = Bun.nanoseconds();
  }

  async #sleep(ns: number): Promise<void> {
    await new Promise<void>((resolve) => {
      // Host timers take at most 2^31 ms.
      const timer = setTimeout(done, Math.min(ns / NS_PER_MS, 2 ** 31 - 1));
      function done() {
        clearTimeout(timer);
        resolve();
      }
      this.#wake = done;
      this.machine.awaitHardware(done);
    });
    this.#served = Bun.nanoseconds();
  }
}
