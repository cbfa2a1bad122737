/** Arm PrimeCell real-time clock (PL031): seconds since 1970 and one alarm. Arm DDI 0224C. */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { registerMap } from "../vdev/registers.ts";
import { fromSnapshot, nested } from "../vdev/snapshot.ts";
import { fixedClock, identification } from "./primecell.ts";

const registers = registerMap({
  DR: { at: 0x00, width: 4, access: "r", about: "now, in seconds" },
  MR: { at: 0x04, width: 4, about: "match: the second of the alarm" },
  LR: { at: 0x08, width: 4, about: "load: sets the clock" },
  // Out of reset the hardware stands still until it is enabled; here the board's firmware has done so.
  CR: { at: 0x0c, width: 4, access: "r", reset: 1, fields: { enable: 0 }, about: "control: always enabled" },
  IMSC: { at: 0x10, width: 4, writable: 1, fields: { alarm: 0 }, about: "interrupt mask: 1 lets through" },
  RIS: { at: 0x14, width: 4, access: "r", fields: { alarm: 0 }, about: "interrupt before the mask" },
  MIS: { at: 0x18, width: 4, access: "r", fields: { alarm: 0 }, about: "interrupt behind the mask" },
  ICR: { at: 0x1c, width: 4, access: "w", fields: { alarm: 0 }, about: "writing 1 clears the interrupt" },
  ...identification(0x031, 0),
});

const SECOND = 1_000_000_000;
const APB_CLOCK = 24_000_000;

export const pl031 = defineVdev({
  type: "pl031",
  summary: "Arm PrimeCell real-time clock (PL031)",
  options: v.object({}),
  regions: [{ name: "rtc", size: 0x1000 }],
  registers: { rtc: registers },
  interrupts: [{ name: "irq", trigger: "level" }],
  auxiliaryPhandles: ["clock"],
  battery: true,

  // Linux Documentation/devicetree/bindings/rtc/arm,pl031.yaml
  fdt({ placement, unit, reg, interrupts, phandles }) {
    const phandle = phandles("clock");
    return {
      bus: [
        node(`rtc@${unit}`, {
          compatible: ["arm,pl031", "arm,primecell"],
          reg,
          ...interrupts,
          clocks: phandle,
          "clock-names": "apb_pclk",
        }),
      ],
      root: [fixedClock(placement.name, phandle, APB_CLOCK)],
      alias: "rtc",
    };
  },

  create(host) {
    const bank = registerBank(registers, { log: host.log });
    const { MR, IMSC, RIS, MIS } = bank.registers;
    const irq = host.interrupt("irq");
    const timer = host.clock.timer(ring);
    const started = Number(host.clock.epoch / BigInt(SECOND));
    /** How far the guest has set its clock from the wall clock, in seconds. */
    let adjustment = 0;

    const now = () => (started + Math.floor(host.clock.now() / SECOND) + adjustment) >>> 0;

    function update(): void {
      MIS.value = RIS.value & IMSC.value;
      irq.set(MIS.value !== 0);
    }

    function ring(): void {
      RIS.value = 1;
      update();
    }

    /** The alarm rings when counter and match are equal, so one that is past waits for the counter to wrap. §2.2.3 */
    function schedule(): void {
      timer.cancel();
      const wait = (MR.value - now()) >>> 0;
      if (wait === 0) return ring();
      const at = (Math.floor(host.clock.now() / SECOND) + wait) * SECOND;
      // Later than that, no run gets there.
      if (at <= Number.MAX_SAFE_INTEGER) timer.arm(at);
    }

    bank.behave({
      DR: { read: now },
      MR: { write: schedule },
      LR: {
        write(seconds) {
          adjustment = (adjustment + seconds - now()) | 0;
          schedule();
        },
      },
      IMSC: { write: update },
      ICR: {
        write(value) {
          RIS.value &= ~value;
          update();
        },
      },
    });

    return {
      regions: [bank],

      // The clock itself runs on a battery: a reset does not touch its time.
      reset() {
        bank.reset();
        timer.cancel();
        update();
      },

      snapshot: () => ({ registers: bank.snapshot(), adjustment, alarm: timer.deadline ?? null }),

      restore(state) {
        const saved = fromSnapshot(snapshot, state);
        bank.restore(saved.registers);
        adjustment = saved.adjustment;
        if (saved.alarm === null) timer.cancel();
        else timer.arm(saved.alarm);
        update();
      },

      status: () => ({ time: new Date(now() * 1000).toISOString(), "alarm set": timer.deadline !== undefined }),
    };
  },
});

const snapshot = v.object({
  registers: nested(),
  adjustment: v.pipe(v.number(), v.integer()),
  alarm: v.nullable(v.number()),
});
