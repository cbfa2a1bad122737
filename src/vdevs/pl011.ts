/**
 * Arm PrimeCell UART (PL011), revision r1p5. Arm DDI 0183G; section numbers below are its own.
 *
 * Characters are sent in no time, but only while the transmitter is enabled. Received ones wait on the host until the FIFO
 * has room: a guest that is slow to read loses nothing.
 */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import { bankInstance } from "../vdev/bank-instance.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { frequency, stream } from "../vdev/options.ts";
import { fieldMasks, registerMap } from "../vdev/registers.ts";
import { fixedClock, identification } from "./primecell.ts";

/** By IFLS: an eighth, a quarter, a half, three quarters, seven eighths; the other values are reserved. §3.3.9 */
const LEVELS = [4, 8, 16, 24, 28, 16, 16, 16];

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
  // A full FIFO keeps what it has; the character in the shift register is lost. §3.3.2
  DR: {
    at: 0x000,
    width: 4,
    access: "r",
    fields: { data: [7, 0], framing: 8, parity: 9, break: 10, overrun: 11 },
    fifo: {
      depth: 32,
      enable: "LCR_H.fifos",
      level: { by: "IFLS.receive", values: LEVELS },
      flags: {
        empty: "FR.receiverEmpty",
        full: "FR.receiverFull",
        reached: "RIS.receive",
        overrun: ["RSR.overrun", "RIS.overrun"],
      },
    },
    about: "data received",
  },
  DR_SEND: {
    at: 0x000,
    width: 4,
    access: "w",
    writable: 0xff,
    fifo: {
      depth: 32,
      enable: "LCR_H.fifos",
      flags: { empty: "FR.transmitterEmpty", full: "FR.transmitterFull" },
    },
    about: "data to send",
  },
  RSR: {
    at: 0x004,
    width: 4,
    access: "r",
    fields: { ofCharacter: [2, 0], overrun: 3 },
    about: "receive status: of the character read last, and whether any was lost",
  },
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

const { overrun: LOST } = fieldMasks(registers.DR);
const RSR_BITS = fieldMasks(registers.RSR);
const FR = fieldMasks(registers.FR);
const CR = fieldMasks(registers.CR);
const INT = fieldMasks(registers.RIS);

/** What a cable to a waiting terminal shows. */
const CONNECTED = FR.cts | FR.dsr | FR.dcd;
const MODEM = FR.cts | FR.dsr | FR.dcd | FR.ri;
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
    const { DR, DR_SEND, RSR, FR: flags, IBRD, FBRD, CR: control, IMSC, RIS } = bank.registers;
    const irq = host.interrupt("irq");
    const terminal = host.stream(spec);
    const silence = host.clock.timer(() => {
      if (!DR.fifo.isEmpty) RIS.value |= INT.receiveTimeout;
      update();
    });

    const on = (side: number) => (control.value & (CR.enable | side)) === (CR.enable | side);
    const looped = () => (control.value & CR.loopback) !== 0;
    const divisor = () => IBRD.value + FBRD.value / 64;

    function update(): void {
      irq.set((RIS.value & IMSC.value) !== 0);
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
    function updateModem(): void {
      const inputs = modemInputs();
      const changed = (flags.value ^ inputs) & MODEM;
      flags.value = (flags.value & ~MODEM) | inputs;
      for (const name of ["ri", "cts", "dcd", "dsr"] as const) if (changed & FR[name]) RIS.value |= INT[name];
    }

    function listen(): void {
      silence.after((TIMEOUT_BITS * CYCLES_PER_BIT * divisor() * 1e9) / clock);
    }

    /** In loopback the receiver is cut off from its pin. */
    function receive(): void {
      const { length } = DR.fifo;
      if (on(CR.receive) && !looped()) DR.fifo.fill(terminal);
      if (DR.fifo.length > length) listen();
      update();
    }

    function taken(character: number): void {
      RSR.value = (RSR.value & RSR_BITS.overrun) | ((character >>> 8) & RSR_BITS.ofCharacter);
      if (DR.fifo.isEmpty) {
        RIS.value &= ~INT.receiveTimeout;
        silence.cancel();
      }
      receive();
    }

    /** What is sent comes back. */
    function echo(): void {
      for (let character = DR_SEND.fifo.pop(); character >= 0; character = DR_SEND.fifo.pop()) {
        if (!on(CR.receive)) continue;
        if (DR.fifo.push(character)) listen();
        else DR.fifo.last |= LOST;
      }
    }

    /** Draining passes the level of the FIFO, whichever it is: the interrupt tells of the passing. §2.8.3 */
    function send(): void {
      if (on(CR.transmit) && !DR_SEND.fifo.isEmpty) {
        if (looped()) echo();
        else DR_SEND.fifo.drain(terminal);
        RIS.value |= INT.transmit;
      }
      update();
    }

    bank.behave({
      DR: { taken },
      DR_SEND: {
        write() {
          // A single write takes the interrupt back, unless the FIFO drains again at once. §3.3.11
          RIS.value &= ~INT.transmit;
          send();
        },
        overrun: () => host.log.guestError("wrote to a full transmit FIFO: lost"),
      },
      ECR: {
        write() {
          RSR.value = 0;
        },
      },
      LCR_H: { write: receive },
      CR: {
        write() {
          updateModem();
          send();
          receive();
        },
      },
      IMSC: { write: receive },
      MIS: { read: () => RIS.value & IMSC.value },
      FR: {
        refresh() {
          // Input may have waited since before a reset.
          if (DR.fifo.isEmpty && terminal.waiting > 0) receive();
        },
      },
      ICR: {
        write(value) {
          RIS.value &= ~value;
          update();
        },
      },
    });
    terminal.onInput = receive;

    return bankInstance(bank, {
      state: {
        schema: v.object({ silence: v.nullable(v.number()) }),
        initial: { silence: null },
        save: () => ({ silence: silence.deadline ?? null }),
        load: (saved) => (saved.silence === null ? silence.cancel() : silence.arm(saved.silence)),
      },
      refresh: update,
      status: () => ({
        enabled: on(CR.transmit) || on(CR.receive),
        "baud rate": divisor() === 0 ? 0 : Math.round(clock / (CYCLES_PER_BIT * divisor())),
        "characters waiting": DR.fifo.length,
      }),
    });
  },
});
