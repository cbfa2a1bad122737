/**
 * SiFive's UART. SiFive FU540-C000 Manual v1p4 §13; section numbers below are its own.
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

const registers = registerMap({
  // A full FIFO ignores writes; an interrupt is pending while it holds fewer than the watermark. §13.4, §13.8
  TXDATA: {
    at: 0x00,
    width: 4,
    access: "w",
    writable: 0xff,
    fifo: { depth: 8, level: { by: "TXCTRL.watermark" }, flags: { full: "TXFULL.full", below: "IP.transmit" } },
    about: "transmit data",
  },
  TXFULL: { at: 0x00, width: 4, access: "r", fields: { full: 31 }, about: "what reading TXDATA gives" },
  // Bit 31 says that there was nothing; an interrupt is pending while it holds more than the watermark. §13.5, §13.8
  RXDATA: {
    at: 0x04,
    width: 4,
    access: "r",
    fields: { data: [7, 0], empty: 31 },
    fifo: { depth: 8, empty: 0x8000_0000, level: { by: "RXCTRL.watermark" }, flags: { above: "IP.receive" } },
    about: "receive data",
  },
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

const { enable: ENABLE } = fieldMasks(registers.TXCTRL);

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
    const { TXDATA, RXDATA, TXCTRL, RXCTRL, IE, IP } = bank.registers;
    const line = host.interrupt("irq");
    const terminal = host.stream(spec);

    function refresh(): void {
      line.set((IP.value & IE.value) !== 0);
    }

    function send(): void {
      if (TXCTRL.value & ENABLE) TXDATA.fifo.drain(terminal);
      refresh();
    }

    function receive(): void {
      if (RXCTRL.value & ENABLE) RXDATA.fifo.fill(terminal);
      refresh();
    }

    bank.behave({
      TXDATA: { write: send },
      // Input may have waited since before a reset.
      RXDATA: { refresh: () => RXDATA.fifo.isEmpty && receive(), taken: receive },
      TXCTRL: { write: send },
      RXCTRL: { write: receive },
      IE: { write: receive },
    });
    terminal.onInput = receive;

    return bankInstance(bank, {
      refresh,
      status: () => ({
        transmitter: (TXCTRL.value & ENABLE) !== 0,
        receiver: (RXCTRL.value & ENABLE) !== 0,
        "characters to send": TXDATA.fifo.length,
        "characters waiting": RXDATA.fifo.length,
      }),
    });
  },
});
