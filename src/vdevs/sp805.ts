/**
 * Arm watchdog (SP805): counts down in guest time, interrupts when it gets to zero, and bites when it gets there again
 * before anybody has answered. Arm DDI 0270B; section numbers below are its own.
 */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { frequency } from "../vdev/options.ts";
import type { RegionHandler } from "../vdev/region.ts";
import { fieldMasks, registerMap } from "../vdev/registers.ts";
import { fromSnapshot, nested, u32 } from "../vdev/snapshot.ts";
import { fixedClock, identification } from "./primecell.ts";

const registers = registerMap({
  LOAD: { at: 0x000, width: 4, reset: 0xffff_ffff, about: "where the counter starts; writing it starts over" },
  VALUE: { at: 0x004, width: 4, access: "r", reset: 0xffff_ffff, about: "the counter" },
  CONTROL: {
    at: 0x008,
    width: 4,
    writable: 3,
    fields: { interrupt: 0, reset: 1 },
    about: "interrupt: count and interrupt; reset: bite at the second expiry",
  },
  INTCLR: { at: 0x00c, width: 4, access: "w", about: "any write ends the interrupt and starts the counter over" },
  RIS: { at: 0x010, width: 4, access: "r", fields: { expired: 0 }, about: "interrupt before the enable" },
  MIS: { at: 0x014, width: 4, access: "r", fields: { expired: 0 }, about: "interrupt behind the enable" },
  LOCK: {
    at: 0xc00,
    width: 4,
    fields: { locked: 0 },
    about: "writing 0x1acce551 unlocks the other registers, anything else locks them; reads 1 when locked",
  },
  ITCR: { at: 0xf00, width: 4, writable: 1, fields: { enable: 0 }, about: "integration test: the outputs are ITOP's" },
  ITOP: {
    at: 0xf04,
    width: 4,
    access: "w",
    fields: { reset: 0, interrupt: 1 },
    about: "integration test: levels of the outputs",
  },
  ...identification(0x805, 1),
});

const CONTROL = fieldMasks(registers.CONTROL);
const ITOP = fieldMasks(registers.ITOP);

const UNLOCK = 0x1acc_e551;
const APB_CLOCK = 24_000_000;

const options = v.object({
  action: v.pipe(
    v.optional(v.picklist(["reset", "terminate", "interrupt", "dump"]), "reset"),
    v.description(
      'At the second expiry: "reset" restarts the guest, "terminate" ends the run, with an exit code of its own, "dump" writes down the state of the guest, which goes on, "interrupt" does nothing more.',
    ),
  ),
  frequency: v.pipe(v.optional(frequency(), "25MHz"), v.description("WDOGCLK: how fast it counts.")),
});

export const sp805 = defineVdev({
  type: "sp805",
  summary: "Arm watchdog (SP805)",
  options,
  regions: [{ name: "watchdog", size: 0x1000 }],
  registers: { watchdog: registers },
  interrupts: [{ name: "irq", trigger: "level" }],
  auxiliaryPhandles: ["wdogclk", "pclk"],

  // Linux Documentation/devicetree/bindings/watchdog/arm,sp805.yaml
  fdt({ options: { frequency: rate }, placement, unit, reg, interrupts, phandles }) {
    const [wdogclk, pclk] = [phandles("wdogclk"), phandles("pclk")];
    return {
      bus: [
        node(`watchdog@${unit}`, {
          compatible: ["arm,sp805", "arm,primecell"],
          reg,
          ...interrupts,
          clocks: [wdogclk, pclk],
          "clock-names": ["wdog_clk", "apb_pclk"],
        }),
      ],
      root: [fixedClock(placement.name, wdogclk, rate), fixedClock(`${placement.name}-apb`, pclk, APB_CLOCK)],
      alias: "watchdog",
    };
  },

  create(host, { action, frequency: rate }) {
    const bank = registerBank(registers, { log: host.log });
    const { LOAD, CONTROL: control, RIS, MIS, LOCK, ITCR } = bank.registers;
    const irq = host.interrupt("irq");
    const timer = host.clock.timer(expire);
    const bites = action !== "interrupt";

    /** When the counter was at LOAD, in ns; it goes round from there for as long as it runs. */
    let loadedAt = 0;
    /** When the timer fires. */
    let due = 0;
    /** What the counter shows while it stands. */
    let held: number = registers.LOAD.reset;
    let running = false;
    let testOutput = 0;

    const ns = (ticks: number) => (ticks * 1e9) / rate;
    const ticks = () => Math.floor((Math.max(0, host.clock.now() - loadedAt) * rate) / 1e9);
    /** From LOAD to zero, and one more to be loaded again. §2.2.1 */
    const round = () => LOAD.value + 1;

    function counter(): number {
      return running ? LOAD.value - (ticks() % round()) : held;
    }

    function start(): void {
      loadedAt = host.clock.now();
      held = LOAD.value;
      schedule();
    }

    /** Only an expiry that changes something is waited for: no counter, however short, keeps the machine busy. */
    function schedule(): void {
      timer.cancel();
      if (!running) return;
      const awaited = RIS.value === 0 || (bites && (control.value & CONTROL.reset) !== 0);
      if (!awaited) return;
      due = loadedAt + ns((Math.floor(ticks() / round()) + 1) * round());
      timer.arm(due);
    }

    function update(): void {
      MIS.value = control.value & CONTROL.interrupt ? RIS.value : 0;
      irq.set(ITCR.value !== 0 ? (testOutput & ITOP.interrupt) !== 0 : MIS.value !== 0);
    }

    function expire(): void {
      loadedAt = due;
      if (RIS.value === 0) {
        RIS.value = 1;
        update();
        schedule();
      } else bite();
    }

    /** The reset output is asserted, and the counter stops. §2.2.1 */
    function bite(): void {
      running = false;
      held = 0;
      host.log.warn(`expired twice without an answer: ${action}`);
      if (action === "reset") host.power({ action: "reboot" });
      else if (action === "terminate") host.power({ action: "watchdog" });
      else if (action === "dump") host.dump(`watchdog ${host.name} bites`);
    }

    bank.behave({
      LOAD: { write: start },
      VALUE: { read: counter },
      CONTROL: {
        write(value) {
          const enabled = (value & CONTROL.interrupt) !== 0;
          if (!enabled) held = counter();
          const started = enabled && !running;
          running = enabled;
          // Enabled after having been disabled, it starts over. §3.3.3
          if (started) start();
          else schedule();
          update();
        },
      },
      INTCLR: {
        write() {
          RIS.value = 0;
          start();
          update();
        },
      },
      LOCK: {
        write(key) {
          LOCK.value = key === UNLOCK ? 0 : 1;
        },
      },
      ITCR: { write: update },
      ITOP: {
        write(value) {
          testOutput = value;
          update();
        },
      },
    });

    /** A locked watchdog hears only its key. §3.3.7 */
    const lockable: RegionHandler = {
      read: (offset, width) => bank.read(offset, width),
      write(offset, width, value) {
        if (LOCK.value === 0 || offset === registers.LOCK.at) bank.write(offset, width, value);
        else host.log.guestError("wrote to a register while the watchdog was locked");
      },
    };

    return {
      regions: [lockable],

      reset() {
        bank.reset();
        running = false;
        held = LOAD.value;
        testOutput = 0;
        timer.cancel();
        update();
      },

      snapshot: () => ({ registers: bank.snapshot(), running, held, loadedAt: running ? loadedAt : 0, testOutput }),

      restore(state) {
        const saved = fromSnapshot(snapshot, state);
        bank.restore(saved.registers);
        ({ running, held, loadedAt, testOutput } = saved);
        schedule();
        update();
      },

      status: () => ({
        counting: running,
        "seconds until it expires": running ? Number((counter() / rate).toFixed(3)) : "never",
        "has expired once": RIS.value !== 0,
        locked: LOCK.value !== 0,
      }),
    };
  },
});

const snapshot = v.object({
  registers: nested(),
  running: v.boolean(),
  held: u32(),
  loadedAt: v.number(),
  testOutput: u32(),
});
