/** The vdev by which the guest of `vmrun bench` tells its host where it is. No profile can name it. */
import * as v from "valibot";
import { defineVdev } from "../../vdev/descriptor.ts";
import { HartInterrupt } from "../../vdev/host.ts";
import type { AnyVdev } from "../../vdev/registry.ts";

export const DOORBELL = "bench-doorbell";
export const DOORBELL_SIZE = 0x1000;

/** As firmware/bench/vdevs/list.h has them; the guest learns of those behind `awake` from commands. */
export const Bell = {
  start: 0x00,
  stop: 0x04,
  done: 0x08,
  awake: 0x0c,
  raiseHart: 0x10,
  lowerHart: 0x14,
  raiseLine: 0x18,
  lowerLine: 0x1c,
  mark: 0x20,
} as const;

/** What the bell looks at when it is rung. */
export interface Gauges {
  /** Host time, ns. */
  nanoseconds(): number;
  /** Accesses that the bus has carried so far. */
  exits(): number;
}

/** Of a command. */
export interface Lap {
  /** Host time from its first instruction to its last. */
  ns: number;
  /** Accesses between, the bell's own not among them. */
  exits: number;
}

/** The host's end. */
export class Doorbell {
  /** By command. */
  readonly laps: Lap[] = [];
  /** Host time from every raised interrupt to the handler's first instruction, ns. */
  readonly delays: number[] = [];
  /** The list is worked through. */
  done = false;
  /** Wakes the guest. */
  wake: () => void = () => {};
  readonly descriptor: AnyVdev;
  #begun = 0;
  #exits = 0;
  #raised = 0;

  constructor(readonly gauges: Gauges) {
    const bell = this;
    this.descriptor = defineVdev({
      type: DOORBELL,
      summary: "tells vmrun bench where its guest is",
      options: v.object({}),
      regions: [{ name: "bell", size: DOORBELL_SIZE }],
      interrupts: [{ name: "irq", trigger: "level" }],
      create(host) {
        const line = host.interrupt("irq");
        const hart = (level: boolean) => host.harts[0]!.setPending(HartInterrupt.meip, level);
        bell.wake = () => hart(true);
        return {
          regions: [{ read: () => 0, write: (offset) => bell.#rung(offset, hart, (level) => line.set(level)) }],
          reset() {},
          snapshot: () => null,
          restore() {},
        };
      },
    }) as AnyVdev;
  }

  #rung(offset: number, hart: (level: boolean) => void, line: (level: boolean) => void): void {
    switch (offset) {
      case Bell.start:
        this.#exits = this.gauges.exits();
        this.#begun = this.gauges.nanoseconds();
        break;
      case Bell.stop:
        this.laps.push({
          ns: this.gauges.nanoseconds() - this.#begun,
          // Of these two, the bell's own, one is counted.
          exits: this.gauges.exits() - this.#exits - 1,
        });
        break;
      case Bell.done:
        this.done = true;
        break;
      case Bell.awake:
      case Bell.lowerHart:
        hart(false);
        break;
      case Bell.lowerLine:
        line(false);
        break;
      case Bell.raiseHart:
        hart(true);
        this.#raised = this.gauges.nanoseconds();
        break;
      case Bell.raiseLine:
        line(true);
        this.#raised = this.gauges.nanoseconds();
        break;
      case Bell.mark:
        this.delays.push(this.gauges.nanoseconds() - this.#raised);
        break;
    }
  }

  /** Before a list is worked through. */
  clear(): void {
    this.laps.length = 0;
    this.delays.length = 0;
    this.done = false;
  }
}
