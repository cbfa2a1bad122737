/**
 * SiFive's UART. SiFive FU540-C000 Manual v1p4 §13; section numbers below are its own.
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

const registers = registerMap({
  TXDATA: { at: 0x00, width: 4, fields: { data: [7, 0], full: 31 }, about: "transmit data" },
  RXDATA: { at: 0x04, width: 4, access: "r", fields: { data: [7, 0], empty: 31 }, about: "receive data" },
  TXCTRL: {
    at: 0x08,
    width: 4,
    writable: 0x0007_0003,
    fields: { enable: 0, stopBits: 1, watermark: [18, 16] },
    about: "transmit control",
  },
  RXCTRL: {
    at: 0x0c,
    width: 4,
    writable: 0x0007_0001,
    fields: { enable: 0, watermark: [18, 16] },
    about: "receive control",
  },
  IE: { at: 0x10, width: 4, writable: 3, fields: { transmit: 0, receive: 1 }, about: "interrupt enable" },
  IP: { at: 0x14, width: 4, access: "r", fields: { transmit: 0, receive: 1 }, about: "interrupt pending" },
  DIV: { at: 0x18, width: 4, writable: 0xffff, reset: 0x363, about: "baud-rate divisor" },
});

const { full: FULL } = fieldMasks(registers.TXDATA);
const { empty: EMPTY } = fieldMasks(registers.RXDATA);
const { enable: ENABLE } = fieldMasks(registers.TXCTRL);
const { transmit: TRANSMIT, receive: RECEIVE } = fieldMasks(registers.IP);

const FIFO_DEPTH = 8;

const options = v.object({
  host: v.optional(stream(), "null"),
  clock: v.pipe(v.optional(frequency(), "500MHz"), v.description("Bus clock that the baud rate is divided from.")),
});

export const sifiveUart = defineVdev({
  type: "sifive-uart",
  summary: "SiFive UART",
  options,
  regions: [{ name: "uart", size: 0x1000 }],
  registers: { uart: registers },
  interrupts: [{ name: "irq", trigger: "level" }],
  auxiliaryPhandles: ["clock"],

  // Linux Documentation/devicetree/bindings/serial/sifive-serial.yaml, clock/fixed-clock.yaml
  fdt({ options: { clock }, placement, unit, reg, interrupts, phandles }) {
    const phandle = phandles("clock");
    return {
      bus: [
        node(`serial@${unit}`, {
          compatible: ["sifive,fu540-c000-uart", "sifive,uart0"],
          reg,
          ...interrupts,
          clocks: phandle,
        }),
      ],
      root: [
        node(`clock-${placement.name}`, {
          compatible: "fixed-clock",
          "#clock-cells": 0,
          "clock-frequency": clock,
          phandle,
        }),
      ],
      alias: "serial",
      console: true,
    };
  },

  create(host, { host: spec }) {
    const bank = registerBank(registers, { log: host.log });
    const { TXDATA, TXCTRL, RXCTRL, IE, IP } = bank.registers;
    const line = host.interrupt("irq");
    const terminal = host.stream(spec);
    /** What waits for the transmitter to be enabled. */
    let sending: number[] = [];
    let received: number[] = [];

    /** A watermark interrupt is pending while the transmit FIFO holds fewer, the receive FIFO more. §13.8 */
    function update(): void {
      const transmit = sending.length < TXCTRL.value >>> 16 ? TRANSMIT : 0;
      const receive = received.length > RXCTRL.value >>> 16 ? RECEIVE : 0;
      IP.value = transmit | receive;
      line.set((IP.value & IE.value) !== 0);
    }

    function send(): void {
      if (TXCTRL.value & ENABLE) {
        for (const character of sending) terminal.write(character);
        sending = [];
      }
      update();
    }

    function fill(): void {
      while (RXCTRL.value & ENABLE && received.length < FIFO_DEPTH) {
        const character = terminal.read();
        if (character < 0) break;
        received.push(character);
      }
      update();
    }

    bank.behave({
      TXDATA: {
        read: () => (sending.length === FIFO_DEPTH ? FULL : 0),
        write(value) {
          TXDATA.value = 0;
          // A full FIFO ignores the write. §13.4
          if (sending.length < FIFO_DEPTH) sending.push(value & 0xff);
          send();
        },
      },
      RXDATA: {
        read() {
          if (received.length === 0) fill();
          const character = received.shift();
          fill();
          return character ?? EMPTY;
        },
      },
      TXCTRL: { write: send },
      RXCTRL: { write: fill },
      IE: { write: fill },
    });
    terminal.onInput = fill;

    return {
      regions: [bank],

      reset() {
        bank.reset();
        sending = [];
        received = [];
        update();
      },

      snapshot: () => ({ registers: bank.snapshot(), sending: [...sending], received: [...received] }),

      restore(state) {
        const saved = fromSnapshot(snapshot, state);
        bank.restore(saved.registers);
        ({ sending, received } = saved);
        update();
      },
    };
  },
});

const fifo = v.pipe(v.array(byte()), v.maxLength(FIFO_DEPTH));
const snapshot = v.object({ registers: nested(), sending: fifo, received: fifo });
