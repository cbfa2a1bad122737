/**
 * The stopwatch: a small para-virtualized device with one of everything. A page of memory that the guest reads without
 * exits, two registers that trap, and one interrupt.
 *
 * A command that makes no sense where it comes puts the stopwatch into the state ERROR, with the cause in STATUS. It then
 * stands still and obeys RESET alone; a timeout that is under way still comes, and can still be acknowledged.
 */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { registerMap } from "../vdev/registers.ts";
import { fromSnapshot } from "../vdev/snapshot.ts";

const registers = registerMap({
  COMMAND: { at: 0x00, width: 8, access: "w", about: "0 RESET, 1 START, 2 PAUSE, 3 UPDATE, 4 TIMEOUT, 5 TIMEOUT_ACK" },
  STATUS: {
    at: 0x08,
    width: 8,
    writable: 0,
    fields: { state: [31, 0], cause: [39, 32], armed: 62, expired: 63 },
    about:
      "state: 0 RUNNING, 1 RESET, 2 PAUSED, 3 ERROR; cause of the ERROR; a timeout is to come, or has come and is to be acknowledged. Writing it is an ERROR",
  },
});

const memory = registerMap({
  DATA_LEN: { at: 0x00, width: 8, about: "bytes of DATA with its NUL; before TIMEOUT: seconds until the interrupt" },
  DATA: { at: 0x08, width: 1, count: 128, about: "what UPDATE wrote: the time, as text" },
});

const Command = { reset: 0, start: 1, pause: 2, update: 3, timeout: 4, acknowledge: 5 } as const;

const State = { running: 0, reset: 1, paused: 2, error: 3 } as const;

/** STATUS bits 39:32. */
const Cause = {
  none: 0,
  unknownCommand: 1,
  startWhileRunning: 2,
  pauseBeforeStart: 3,
  timeoutTooLong: 4,
  nothingToAcknowledge: 5,
  statusWritten: 6,
} as const;
const CAUSES: readonly number[] = Object.values(Cause);

/** In the upper half of STATUS. */
const ARMED = 1 << 30;
const EXPIRED = 1 << 31;

const SECOND = 1e9;
const LONGEST_TIMEOUT = 10;
const PAGE = 4096;

const options = v.object({
  start_at_boot: v.pipe(
    v.optional(v.boolean(), true),
    v.description("It runs from power-on, instead of standing at 0."),
  ),
});

export const stopwatch = defineVdev({
  type: "stopwatch",
  summary: "stopwatch: an example of memory, registers and an interrupt",
  options,
  regions: [
    // On a page of its own: a hypervisor maps whole pages, and what shares one with registers would trap as they do.
    { name: "mem", size: PAGE, access: { read: "memory", write: "memory" } },
    { name: "regs", size: 0x10, align: PAGE },
  ],
  registers: { mem: memory, regs: registers },
  interrupts: [{ name: "irq", trigger: "level" }],

  fdt: ({ options: { start_at_boot }, unit, reg, interrupts }) => ({
    bus: [
      node(`stopwatch@${unit}`, {
        compatible: "stopwatch",
        reg,
        "reg-names": ["mem", "regs"],
        ...interrupts,
        "start-at-boot": start_at_boot ? true : undefined,
      }),
    ],
  }),

  create(host, { start_at_boot }) {
    const bank = registerBank(registers, { log: host.log });
    const mem = host.region("mem");
    const irq = host.interrupt("irq");
    const timer = host.clock.timer(() => {
      expired = true;
      irq.set(true);
    });

    let state: number = State.reset;
    let cause: number = Cause.none;
    /** Guest time, in ns, of all runs that have ended. */
    let total = 0;
    let startedAt = 0;
    /** The timeout has come, and waits to be acknowledged. */
    let expired = false;

    const elapsed = () => total + (state === State.running ? host.clock.now() - startedAt : 0);

    function stop(next: number): void {
      total = elapsed();
      state = next;
    }

    function start(): void {
      state = State.running;
      startedAt = host.clock.now();
    }

    function zero(): void {
      state = State.reset;
      cause = Cause.none;
      total = 0;
    }

    /** What came first is the cause. */
    function refuse(why: number): void {
      if (state === State.error) return;
      host.log.guestError(`a bad command, cause ${why}`);
      stop(State.error);
      cause = why;
    }

    function show(): void {
      const text = new TextEncoder().encode(`${Math.floor(elapsed() / SECOND).toFixed(2)} seconds\0`);
      mem.memory.write(memory.DATA.at, text);
      mem.data.setBigUint64(memory.DATA_LEN.at, BigInt(text.length), true);
    }

    function setTimeout(): void {
      if (expired || timer.deadline !== undefined) return;
      const seconds = mem.data.getBigUint64(memory.DATA_LEN.at, true);
      if (seconds > LONGEST_TIMEOUT) refuse(Cause.timeoutTooLong);
      else timer.after(Number(seconds) * SECOND);
    }

    function acknowledge(): void {
      if (expired) {
        expired = false;
        irq.set(false);
      } else refuse(Cause.nothingToAcknowledge);
    }

    function flags(): number {
      return cause | (timer.deadline === undefined ? 0 : ARMED) | (expired ? EXPIRED : 0);
    }

    function obey(command: number): void {
      if (command === Command.reset) return zero();
      if (command === Command.acknowledge) return acknowledge();
      if (state === State.error) return;
      switch (command) {
        case Command.start:
          return state === State.running ? refuse(Cause.startWhileRunning) : start();
        case Command.pause:
          if (state === State.reset) refuse(Cause.pauseBeforeStart);
          else stop(State.paused);
          return;
        case Command.update:
          return show();
        case Command.timeout:
          return setTimeout();
        default:
          return refuse(Cause.unknownCommand);
      }
    }

    bank.behave({
      COMMAND: {
        // Drivers write 4 bytes or 8: the lower half is the command, and the upper half of none has a bit set.
        write(value, _index, half) {
          if (half === 0) obey(value);
          else if (value !== 0) refuse(Cause.unknownCommand);
        },
      },
      STATUS: {
        read: (_index, half) => (half === 0 ? state : flags()),
        write: () => refuse(Cause.statusWritten),
      },
    });

    return {
      regions: [memoryHandler, bank],

      reset() {
        zero();
        expired = false;
        timer.cancel();
        irq.set(false);
        if (start_at_boot) start();
      },

      snapshot: () => ({ state, cause, elapsed: elapsed(), expired, timeout: timer.deadline ?? null }),

      restore(saved) {
        const { elapsed: before, timeout, ...rest } = fromSnapshot(snapshot, saved);
        ({ state, cause, expired } = rest);
        total = before;
        startedAt = host.clock.now();
        if (timeout === null) timer.cancel();
        else timer.arm(timeout);
        irq.set(expired);
      },

      status: () => ({
        state: Object.keys(State)[state] ?? "error",
        "seconds measured": Math.floor(elapsed() / SECOND),
        timeout: expired ? "expired" : timer.deadline === undefined ? "none" : "armed",
      }),
    };
  },
});

/** The memory answers; nothing ever traps here. */
const memoryHandler = { read: () => 0, write: () => {} };

const snapshot = v.object({
  state: v.picklist(Object.values(State)),
  cause: v.pipe(v.number(), v.picklist(CAUSES)),
  elapsed: v.pipe(v.number(), v.minValue(0)),
  expired: v.boolean(),
  timeout: v.nullable(v.number()),
});
