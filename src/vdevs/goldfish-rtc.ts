/** Real-time clock of the Android emulator ("Goldfish"): nanoseconds since 1970 and one alarm. */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { registerMap } from "../vdev/registers.ts";
import { fromSnapshot, nested } from "../vdev/snapshot.ts";

// Android platform/external/qemu docs/GOLDFISH-VIRTUAL-HARDWARE.TXT, "Goldfish timer"
const registers = registerMap({
  TIME_LOW: {
    at: 0x00,
    width: 4,
    about: "now, bits 31:0; reading it holds TIME_HIGH still; writing it sets the clock",
  },
  TIME_HIGH: { at: 0x04, width: 4, about: "now, bits 63:32, as TIME_LOW was last read" },
  ALARM_LOW: { at: 0x08, width: 4, about: "alarm, bits 31:0; writing it arms the alarm" },
  ALARM_HIGH: { at: 0x0c, width: 4, about: "alarm, bits 63:32; to be written first" },
  IRQ_ENABLED: { at: 0x10, width: 4, writable: 1, about: "the alarm interrupts" },
  CLEAR_ALARM: { at: 0x14, width: 4, access: "w", about: "any write disarms the alarm" },
  ALARM_STATUS: { at: 0x18, width: 4, access: "r", fields: { armed: 0 }, about: "an alarm is to come" },
  CLEAR_INTERRUPT: { at: 0x1c, width: 4, access: "w", about: "any write ends the interrupt" },
});

const LOW = 0xffff_ffffn;

export const goldfishRtc = defineVdev({
  type: "goldfish-rtc",
  summary: "Goldfish real-time clock with alarm",
  options: v.object({}),
  regions: [{ name: "rtc", size: 0x1000 }],
  registers: { rtc: registers },
  interrupts: [{ name: "irq", trigger: "level" }],
  battery: true,

  // Linux Documentation/devicetree/bindings/rtc/google,goldfish-rtc.yaml
  fdt: ({ unit, reg, interrupts }) => ({
    bus: [node(`rtc@${unit}`, { compatible: "google,goldfish-rtc", reg, ...interrupts })],
    alias: "rtc",
  }),

  create(host) {
    const bank = registerBank(registers, { log: host.log });
    const { TIME_HIGH, ALARM_LOW, ALARM_HIGH, IRQ_ENABLED, ALARM_STATUS } = bank.registers;
    const irq = host.interrupt("irq");
    const timer = host.clock.timer(ring);
    /** How far the guest has set its clock from the wall clock, in ns. */
    let adjustment = 0n;
    let pending = false;

    const now = () => BigInt.asUintN(64, host.clock.epoch + BigInt(Math.floor(host.clock.now())) + adjustment);

    const drive = () => irq.set(pending && IRQ_ENABLED.value !== 0);

    function setTime(time: bigint): void {
      adjustment += time - now();
      schedule();
    }

    function ring(): void {
      ALARM_STATUS.value = 0;
      pending = true;
      drive();
    }

    /** Brings the timer in line with alarm and clock. */
    function schedule(): void {
      timer.cancel();
      if (ALARM_STATUS.value === 0) return;
      const wait = ((BigInt(ALARM_HIGH.value) << 32n) | BigInt(ALARM_LOW.value)) - now();
      const at = Math.floor(host.clock.now()) + Number(wait);
      if (wait <= 0n) ring();
      // Later than that, no run gets there.
      else if (at <= Number.MAX_SAFE_INTEGER) timer.arm(at);
    }

    bank.behave({
      TIME_LOW: {
        read() {
          const time = now();
          TIME_HIGH.value = Number(time >> 32n);
          return Number(time & LOW);
        },
        write: (value) => setTime((now() & ~LOW) | BigInt(value)),
      },
      TIME_HIGH: { write: (value) => setTime((BigInt(value) << 32n) | (now() & LOW)) },
      ALARM_LOW: {
        write() {
          ALARM_STATUS.value = 1;
          schedule();
        },
      },
      IRQ_ENABLED: { write: drive },
      CLEAR_ALARM: {
        write() {
          ALARM_STATUS.value = 0;
          schedule();
        },
      },
      CLEAR_INTERRUPT: {
        write() {
          pending = false;
          drive();
        },
      },
    });

    return {
      regions: [bank],

      // The clock itself runs on a battery: a reset does not touch its time.
      reset() {
        bank.reset();
        pending = false;
        timer.cancel();
        drive();
      },

      status: () => ({
        time: dateOf(now()),
        alarm: ALARM_STATUS.value === 0 ? "off" : dateOf((BigInt(ALARM_HIGH.value) << 32n) | BigInt(ALARM_LOW.value)),
        interrupt: pending,
      }),

      snapshot: () => ({ registers: bank.snapshot(), adjustment: String(adjustment), pending }),

      restore(state) {
        const saved = fromSnapshot(snapshot, state);
        bank.restore(saved.registers);
        adjustment = BigInt(saved.adjustment);
        pending = saved.pending;
        schedule();
        drive();
      },
    };
  },
});

const snapshot = v.object({
  registers: nested(),
  adjustment: v.pipe(v.string(), v.regex(/^-?[0-9]{1,20}$/)),
  pending: v.boolean(),
});

/** Nanoseconds since 1970 as a date, as far as dates go. */
function dateOf(ns: bigint): string {
  const date = new Date(Number(ns / 1_000_000n));
  return Number.isNaN(date.getTime()) ? `${ns} ns` : date.toISOString();
}
