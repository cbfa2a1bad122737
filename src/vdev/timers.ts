/** Guest timers of one vdev, kept within bounds: how many are armed, what they are armed for, how often they fire. */
import { VdevError } from "./errors.ts";
import { type GuestClock, type GuestTimer, MAX_ARMED_TIMERS, SHORTEST_PERIOD } from "./host.ts";

/** Callbacks within {@link BURST_WINDOW} of guest time before timers are slowed down, and to what. ns */
const BURST = 1000;
const BURST_WINDOW = 1000;
const BURST_DELAY = 1_000_000;

/** The first of the points `first + n * period` that lies behind `now`. */
export function nextTick(first: number, period: number, now: number): number {
  return now < first ? first : first + (Math.floor((now - first) / period) + 1) * period;
}

export interface TimerRules {
  /** Called before every arming; throws where arming is not allowed now. */
  check(): void;
  /** Calls back; keeps what the vdev throws. */
  call(callback: () => void): void;
  warn(message: string): void;
}

/** The clock as one vdev sees it. */
export class BoundedClock implements GuestClock {
  readonly epoch: bigint;
  readonly #clock: GuestClock;
  readonly #rules: TimerRules;
  readonly #armed = new Set<BoundedTimer>();
  #windowStart = 0;
  #fired = 0;

  constructor(clock: GuestClock, rules: TimerRules) {
    this.#clock = clock;
    this.#rules = rules;
    this.epoch = clock.epoch;
  }

  now(): number {
    return this.#clock.now();
  }

  timer(callback: () => void): GuestTimer {
    const timer: BoundedTimer = new BoundedTimer(
      this,
      this.#clock.timer(() => {
        if (!timer.repeats) this.#armed.delete(timer);
        this.#count();
        this.#rules.call(callback);
      }),
    );
    return timer;
  }

  /** @internal Answers when the timer is to fire: later than asked for in a burst. */
  admit(timer: BoundedTimer, ns: number): number {
    this.#rules.check();
    if (typeof ns !== "number" || Number.isNaN(ns)) {
      throw new VdevError("vdev/timer", `a timer cannot be armed for ${String(ns)}`);
    }
    if (!this.#armed.has(timer) && this.#armed.size >= MAX_ARMED_TIMERS) {
      throw new VdevError("vdev/timers", `a vdev may have ${MAX_ARMED_TIMERS} timers armed, and all of them are`);
    }
    this.#armed.add(timer);
    return this.#fired > BURST ? Math.max(ns, this.#clock.now() + BURST_DELAY) : ns;
  }

  /** @internal */
  forget(timer: BoundedTimer): void {
    this.#armed.delete(timer);
  }

  /** A vdev that arms a timer for the present in that timer's callback would leave the guest no time. */
  #count(): void {
    const now = this.#clock.now();
    if (now - this.#windowStart >= BURST_WINDOW) {
      this.#windowStart = now;
      this.#fired = 0;
    }
    this.#fired++;
    if (this.#fired > BURST) this.#rules.warn("timers fire without letting guest time pass; they are slowed down");
  }
}

class BoundedTimer implements GuestTimer {
  repeats = false;
  readonly #owner: BoundedClock;
  readonly #timer: GuestTimer;

  constructor(owner: BoundedClock, timer: GuestTimer) {
    this.#owner = owner;
    this.#timer = timer;
  }

  arm(ns: number): void {
    const at = this.#owner.admit(this, ns);
    this.repeats = false;
    this.#timer.arm(at);
  }

  after(ns: number): void {
    this.arm(this.#owner.now() + ns);
  }

  every(period: number, first = this.#owner.now() + period): void {
    if (!(period > 0)) throw new VdevError("vdev/timer", `a timer cannot repeat every ${String(period)} ns`);
    const at = this.#owner.admit(this, first);
    this.repeats = true;
    this.#timer.every(Math.max(period, SHORTEST_PERIOD), at);
  }

  cancel(): void {
    this.#owner.forget(this);
    this.#timer.cancel();
  }

  get deadline(): number | undefined {
    return this.#timer.deadline;
  }
}
