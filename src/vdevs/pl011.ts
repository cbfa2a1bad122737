/**
 * Arm PrimeCell UART (PL011), revision r1p5. Arm DDI 0183G; section numbers below are its own.
 *
 * Characters are sent in no time, but only while the transmitter is enabled. Received ones wait on the host until the FIFO
 * has room: a guest that is slow to read loses nothing.
 */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { frequency, stream } from "../vdev/options.ts";
import { registerBank } from "../vdev/register-bank.ts";
import { fieldMasks, registerMap } from "../vdev/registers.ts";
import { byte, fromSnapshot, nested } from "../vdev/snapshot.ts";
import { fixedClock, identification } from "./primecell.ts";

/** The same bits in IMSC, RIS, MIS and ICR. */
const interrupts = {
  ri: 0,
  cts: 1,
  dcd: 2,
  dsr: 3,
  receive: 4,
  transmit: 5,
  receiveTimeout: 6,
  framing: 7,
  parity: 8,
  break: 9,
  overrun: 10,
} as const;

const registers = registerMap({
  DR: {
    at: 0x000,
    width: 4,
    fields: { data: [7, 0], framing: 8, parity: 9, break: 10, overrun: 11 },
    about: "data: reading receives, writing sends",
  },
  RSR: { at: 0x004, width: 4, access: "r", fields: { overrun: 3 }, about: "receive status" },
  ECR: { at: 0x004, width: 4, access: "w", about: "any write clears the receive status" },
  FR: {
    at: 0x018,
    width: 4,
    access: "r",
    reset: 0x97,
    fields: {
      cts: 0,
      dsr: 1,
      dcd: 2,
      busy: 3,
      receiverEmpty: 4,
      transmitterFull: 5,
      receiverFull: 6,
      transmitterEmpty: 7,
      ri: 8,
    },
    about: "flags",
  },
  ILPR: { at: 0x020, width: 4, writable: 0xff, about: "IrDA low-power divisor" },
  IBRD: { at: 0x024, width: 4, writable: 0xffff, about: "baud-rate divisor, whole part" },
  FBRD: { at: 0x028, width: 4, writable: 0x3f, about: "baud-rate divisor, 64ths" },
  LCR_H: {
    at: 0x02c,
    width: 4,
    writable: 0xff,
    fields: { sendBreak: 0, parity: 1, evenParity: 2, twoStopBits: 3, fifos: 4, wordLength: [6, 5], stickParity: 7 },
    about: "line control",
  },
  CR: {
    at: 0x030,
    width: 4,
    writable: 0xff87,
    reset: 0x0300,
    fields: {
      enable: 0,
      irda: 1,
      irdaLowPower: 2,
      loopback: 7,
      transmit: 8,
      receive: 9,
      dtr: 10,
      rts: 11,
      out1: 12,
      out2: 13,
      rtsFlow: 14,
      ctsFlow: 15,
    },
    about: "control",
  },
  IFLS: {
    at: 0x034,
    width: 4,
    writable: 0x3f,
    reset: 0x12,
    fields: { transmit: [2, 0], receive: [5, 3] },
    about: "FIFO levels at which interrupts are raised",
  },
  IMSC: { at: 0x038, width: 4, writable: 0x7ff, fields: interrupts, about: "interrupt mask: 1 lets through" },
  RIS: { at: 0x03c, width: 4, access: "r", fields: interrupts, about: "interrupts before the mask" },
  MIS: { at: 0x040, width: 4, access: "r", fields: interrupts, about: "interrupts behind the mask" },
  ICR: { at: 0x044, width: 4, access: "w", fields: interrupts, about: "writing 1 clears an interrupt" },
  DMACR: {
    at: 0x048,
    width: 4,
    writable: 0x7,
    fields: { receive: 0, transmit: 1, onError: 2 },
    about: "DMA control: kept, and of no effect, as no DMA controller is connected",
  },
  ...identification(0x011, 3),
});

const DR = fieldMasks(registers.DR);
const FR = fieldMasks(registers.FR);
const LCR = fieldMasks(registers.LCR_H);
const CR = fieldMasks(registers.CR);
const INT = fieldMasks(registers.RIS);

const FIFO_DEPTH = 32;
/** By IFLS: an eighth, a quarter, a half, three quarters, seven eighths. The other values are reserved. §3.3.9 */
const LEVELS = [4, 8, 16, 24, 28];
/** What a cable to a waiting terminal shows. */
const CONNECTED = FR.cts | FR.dsr | FR.dcd;
const OVERRUN_STATUS = 1 << 3;
/** Bit periods of silence until what waits below the level is reported. §2.4.5 */
const TIMEOUT_BITS = 32;
/** The baud-rate generator divides the clock by 16 and by 64ths. §2.4.2 */
const CYCLES_PER_BIT = 16;

const options = v.object({
  host: v.optional(stream(), "null"),
  clock: v.pipe(v.optional(frequency(), "24MHz"), v.description("UARTCLK, which the baud rate is divided from.")),
});

export const pl011 = defineVdev({
  type: "pl011",
  summary: "Arm PrimeCell UART (PL011)",
  options,
  regions: [{ name: "uart", size: 0x1000 }],
  registers: { uart: registers },
  interrupts: [{ name: "irq", trigger: "level" }],
  auxiliaryPhandles: ["clock"],

  // Linux Documentation/devicetree/bindings/serial/pl011.yaml
  fdt({ options: { clock }, placement, unit, reg, interrupts: wires, phandles }) {
    const phandle = phandles("clock");
    return {
      bus: [
        node(`serial@${unit}`, {
          compatible: ["arm,pl011", "arm,primecell"],
          reg,
          ...wires,
          clocks: [phandle, phandle],
          "clock-names": ["uartclk", "apb_pclk"],
        }),
      ],
      root: [fixedClock(placement.name, phandle, clock)],
      alias: "serial",
      console: true,
    };
  },

  create(host, { host: spec, clock }) {
    const bank = registerBank(registers, { log: host.log });
    const { RSR, FR: flags, IBRD, FBRD, LCR_H, CR: control, IFLS, IMSC, RIS, MIS } = bank.registers;
    const irq = host.interrupt("irq");
    const terminal = host.stream(spec);
    const silence = host.clock.timer(() => {
      if (received.length > 0) raise(INT.receiveTimeout);
      update();
    });

    /** Characters with their error bits, oldest first. */
    let received: number[] = [];
    /** Characters written while the transmitter was disabled. */
    let unsent: number[] = [];

    const depth = () => (LCR_H.value & LCR.fifos ? FIFO_DEPTH : 1);
    const on = (side: number) => (control.value & (CR.enable | side)) === (CR.enable | side);
    const looped = () => (control.value & CR.loopback) !== 0;

    function receiveLevel(): number {
      if (depth() === 1) return 1;
      return LEVELS[(IFLS.value >>> 3) & 7] ?? LEVELS[2];
    }

    function raise(interrupt: number): void {
      RIS.value |= interrupt;
    }

    function clear(interrupt: number): void {
      RIS.value &= ~interrupt;
    }

    /** Brings flags, masked interrupts and the wire in line with everything else. */
    function update(): void {
      flags.value =
        modemInputs() |
        (received.length === 0 ? FR.receiverEmpty : 0) |
        (received.length >= depth() ? FR.receiverFull : 0) |
        (unsent.length === 0 ? FR.transmitterEmpty : 0) |
        (unsent.length >= depth() ? FR.transmitterFull : 0);
      MIS.value = RIS.value & IMSC.value;
      irq.set(MIS.value !== 0);
    }

    /** The connected terminal's, or in loopback the four modem outputs. §3.3.8 */
    function modemInputs(): number {
      if (!looped()) return CONNECTED;
      const outputs = control.value;
      return (
        (outputs & CR.rts ? FR.cts : 0) |
        (outputs & CR.dtr ? FR.dsr : 0) |
        (outputs & CR.out1 ? FR.dcd : 0) |
        (outputs & CR.out2 ? FR.ri : 0)
      );
    }

    /** A modem input that changes raises its interrupt. §2.8 */
    function watchModem(before: number): void {
      const changed = before ^ modemInputs();
      for (const name of ["ri", "cts", "dcd", "dsr"] as const) if (changed & FR[name]) raise(INT[name]);
    }

    function accept(character: number): void {
      if (received.length >= depth()) {
        // The FIFO keeps what it has; the character in the shift register is lost. §3.3.2
        received[received.length - 1] |= DR.overrun;
        RSR.value |= OVERRUN_STATUS;
        raise(INT.overrun);
        return;
      }
      received.push(character);
      if (received.length >= receiveLevel()) raise(INT.receive);
      const divisor = IBRD.value + FBRD.value / 64;
      silence.after((TIMEOUT_BITS * CYCLES_PER_BIT * divisor * 1e9) / clock);
    }

    /** Takes from the host what there is room for. In loopback the receiver is cut off from its pin. */
    function fill(): void {
      while (on(CR.receive) && !looped() && received.length < depth()) {
        const character = terminal.read();
        if (character < 0) break;
        accept(character);
      }
      update();
    }

    function receive(): number {
      const character = received.shift() ?? 0;
      if (received.length < receiveLevel()) clear(INT.receive);
      if (received.length === 0) {
        clear(INT.receiveTimeout);
        silence.cancel();
      }
      RSR.value = (RSR.value & OVERRUN_STATUS) | ((character >>> 8) & 0x7);
      fill();
      return character;
    }

    function send(character: number): void {
      if (unsent.length < depth()) unsent.push(character & 0xff);
      else host.log.guestError("wrote to a full transmit FIFO: lost");
      // A single write takes the interrupt back, unless the FIFO drains again at once. §3.3.11
      clear(INT.transmit);
      drain();
    }

    /** Draining passes the level of the FIFO, whichever it is: the interrupt tells of the passing. §2.8.3 */
    function drain(): void {
      if (on(CR.transmit) && unsent.length > 0) {
        for (const character of unsent) {
          if (!looped()) terminal.write(character);
          else if (on(CR.receive)) accept(character);
        }
        unsent = [];
        raise(INT.transmit);
      }
      update();
    }

    bank.behave({
      DR: { read: receive, write: send },
      ECR: {
        write() {
          RSR.value = 0;
        },
      },
      LCR_H: {
        write() {
          // Turning the FIFOs off leaves the single holding registers. §3.3.7
          received = received.slice(0, depth());
          unsent = unsent.slice(0, depth());
          fill();
        },
      },
      CR: {
        write() {
          watchModem(flags.value);
          drain();
          fill();
        },
      },
      IFLS: { write: update },
      IMSC: { write: fill },
      FR: {
        read() {
          // Input may have waited since before a reset.
          if (received.length === 0) fill();
          return flags.value;
        },
      },
      ICR: {
        write(value) {
          clear(value);
          update();
        },
      },
    });
    terminal.onInput = fill;

    return {
      regions: [bank],

      reset() {
        bank.reset();
        received = [];
        unsent = [];
        silence.cancel();
        update();
      },

      snapshot: () => ({ registers: bank.snapshot(), received, unsent, silence: silence.deadline ?? null }),

      restore(state) {
        const saved = fromSnapshot(snapshot, state);
        bank.restore(saved.registers);
        received = saved.received;
        unsent = saved.unsent;
        if (saved.silence === null) silence.cancel();
        else silence.arm(saved.silence);
        update();
      },

      status: () => ({
        enabled: on(CR.transmit) || on(CR.receive),
        "baud rate": IBRD.value === 0 ? 0 : Math.round(clock / (CYCLES_PER_BIT * (IBRD.value + FBRD.value / 64))),
        "characters waiting": received.length,
      }),
    };
  },
});

const snapshot = v.object({
  registers: nested(),
  received: v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xfff))), v.maxLength(FIFO_DEPTH)),
  unsent: v.pipe(v.array(byte()), v.maxLength(FIFO_DEPTH)),
  silence: v.nullable(v.number()),
});
