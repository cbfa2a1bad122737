/** Guest time, its timers, and the timebase counter that harts read. */
import { type GuestClock, type GuestTimer, SHORTEST_PERIOD, type Timebase } from "../vdev/host.ts";
import { nextTick } from "../vdev/timers.ts";

const NANOSECONDS = 1e9;

/** Where the time comes from: the machine tells it, in nanoseconds since power-on. */
export interface TimeSource {
  now(): number;
}

export class MachineClock implements GuestClock {
  /** Told when a timer is armed for `deadline` ns: a run under way may have to end sooner. */
  onArm: (deadline: number) => void = () => {};
  /** Told whose timer fires. */
  onFire: (owner: string) => void = () => {};
  readonly #armed: Timer[] = [];
  #order = 0;

  constructor(
    readonly source: TimeSource,
    readonly epoch: bigint,
  ) {}

  now(): number {
    return Math.floor(this.source.now());
  }

  /** `owner` names it to whoever watches the machine. */
  timer(callback: () => void, owner = ""): GuestTimer {
    return new Timer(this, callback, owner);
  }

  /** When the next timer fires; `Infinity` when none is armed. */
  get deadline(): number {
    return this.#armed.length === 0 ? Number.POSITIVE_INFINITY : this.#armed[0].time;
  }

  /** Fires what is due, in order of deadline, then of arming. Bounded: what is armed anew for the past waits its turn. */
  fireDue(): void {
    const now = this.source.now();
    for (let due = this.#armed.length; due > 0 && this.deadline <= now; due--) {
      const timer = this.#armed.shift()!;
      timer.fire();
    }
  }

  schedule(timer: Timer): void {
    timer.order = this.#order++;
    let at = this.#armed.length;
    while (at > 0 && this.#armed[at - 1].time > timer.time) at--;
    this.#armed.splice(at, 0, timer);
    this.onArm(timer.time);
  }

  unschedule(timer: Timer): void {
    this.#armed.splice(this.#armed.indexOf(timer), 1);
  }
}

class Timer implements GuestTimer {
  time = 0;
  order = 0;
  armed = false;
  /** Of a repeating timer: 0 where it fires once. */
  period = 0;
  first = 0;

  constructor(
    readonly clock: MachineClock,
    readonly callback: () => void,
    readonly owner: string,
  ) {}

  arm(ns: number): void {
    // It would stop the machine: no run ends at NaN.
    if (Number.isNaN(ns)) throw new RangeError("a timer cannot be armed for NaN");
    this.cancel();
    this.#schedule(Math.max(0, ns));
  }

  after(ns: number): void {
    this.arm(this.clock.now() + ns);
  }

  every(period: number, first = this.clock.now() + period): void {
    this.arm(first);
    this.period = Math.max(period, SHORTEST_PERIOD);
    this.first = this.time;
  }

  /** Taken off the list before, and on it again before the callback, which may cancel it. */
  fire(): void {
    this.armed = false;
    if (this.period > 0) this.#schedule(nextTick(this.first, this.period, this.clock.now()));
    this.clock.onFire(this.owner);
    this.callback();
  }

  #schedule(time: number): void {
    this.time = time;
    this.armed = true;
    this.clock.schedule(this);
  }

  cancel(): void {
    if (this.armed) this.clock.unschedule(this);
    this.armed = false;
    this.period = 0;
  }

  get deadline(): number | undefined {
    return this.armed ? this.time : undefined;
  }
}

/** The counter behind `time` and `mtime`. It runs with the clock; a guest that writes `mtime` shifts it. */
export class MachineTimebase implements Timebase {
  #shift = 0n;
  /** Told when a guest has shifted the counter. */
  onShift: (ticks: bigint) => void = () => {};

  constructor(
    readonly clock: TimeSource,
    readonly frequency: number,
  ) {}

  /** Ticks as a number; exact, since a run is shorter than 2^53 ticks, but for a guest's own shift. */
  count(): number {
    const ticks = Math.floor((this.clock.now() * this.frequency) / NANOSECONDS);
    return this.#shift === 0n ? ticks : Number(BigInt.asUintN(64, BigInt(ticks) + this.#shift));
  }

  ticks(): bigint {
    return BigInt.asUintN(64, BigInt(Math.floor((this.clock.now() * this.frequency) / NANOSECONDS)) + this.#shift);
  }

  set(ticks: bigint): void {
    this.#shift = 0n;
    this.#shift = ticks - this.ticks();
    this.onShift(this.#shift);
  }

  /** Another timebase of the same guest was shifted so far. */
  set shift(ticks: bigint) {
    this.#shift = ticks;
  }

  when(ticks: bigint): number {
    return this.whenCount(Number(BigInt.asUintN(64, ticks)));
  }

  /** Guest time at which the counter reaches `ticks`. */
  whenCount(ticks: number): number {
    const unshifted = ticks - Number(this.#shift);
    const ns = Math.ceil((unshifted * NANOSECONDS) / this.frequency);
    return ns > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : ns;
  }
}
