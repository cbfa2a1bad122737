// The size that a vdev should have: a UART with FIFOs and interrupts, declared and held to the laws in under a hundred lines.
import { expect, test } from "bun:test";
import * as v from "valibot";
import { node } from "../../src/fdt/tree.ts";
import { registerBank } from "../../src/vdev/bank.ts";
import { bankInstance } from "../../src/vdev/bank-instance.ts";
import { defineVdev } from "../../src/vdev/descriptor.ts";
import { stream } from "../../src/vdev/options.ts";
import { fieldMasks, registerMap } from "../../src/vdev/registers.ts";
import { assemble, vdevLaws } from "../../src/vdev/testing.ts";

const registers = registerMap({
  RXDATA: { at: 0x00, width: 4, access: "r", fifo: { depth: 16, empty: 0xffff_ffff }, about: "takes a character" },
  TXDATA: { at: 0x00, width: 4, access: "w", fields: { character: [7, 0] }, about: "sends a character" },
  STATUS: {
    at: 0x04,
    width: 4,
    access: "r",
    fields: { received: 0, full: 1, overrun: { bits: 2, access: "w1c", about: "characters were lost" } },
    about: "state of the receiver",
  },
  ENABLE: { at: 0x08, width: 4, writable: 1, fields: { received: 0 }, about: "interrupts" },
  DMA: { at: 0x0c, width: 4, access: "unimplemented", about: "direct memory access" },
});
const { received: RECEIVED, full: FULL } = fieldMasks(registers.STATUS);

const simpleUart = defineVdev({
  type: "simple-uart",
  summary: "a UART that fits on a page",
  options: v.object({ host: v.optional(stream(), "null") }),
  regions: [{ name: "uart", size: 0x100 }],
  registers: { uart: registers },
  interrupts: [{ name: "irq", trigger: "level" }],
  fdt: ({ unit, reg, interrupts }) => ({
    bus: [node(`serial@${unit}`, { compatible: "example,simple-uart", reg, ...interrupts })],
    alias: "serial",
  }),

  create(host, options) {
    const bank = registerBank(registers, { log: host.log });
    const { RXDATA, STATUS, ENABLE } = bank.registers;
    const irq = host.interrupt("irq");
    const terminal = host.stream(options.host);

    function refresh(): void {
      const { fifo } = RXDATA;
      STATUS.value = (STATUS.value & ~(RECEIVED | FULL)) | (fifo.isEmpty ? 0 : RECEIVED) | (fifo.isFull ? FULL : 0);
      irq.set((STATUS.value & ENABLE.value & RECEIVED) !== 0);
    }

    function receive(): void {
      while (terminal.waiting > 0 && !RXDATA.fifo.isFull) RXDATA.fifo.push(terminal.read());
      refresh();
    }

    terminal.onInput = receive;
    bank.behave({
      RXDATA: { taken: receive },
      TXDATA: { write: (value) => terminal.write(value & 0xff) },
      ENABLE: { write: refresh },
    });
    return bankInstance(bank, { refresh, status: () => ({ waiting: RXDATA.fifo.length }) });
  },
});

vdevLaws(simpleUart, { test });

test("echoes, with an interrupt for what it received", () => {
  const { host, read, write, vdev } = assemble(simpleUart, { host: "stdio" });
  vdev.reset();
  write(8, 4, 1);
  host.fakeStream("stdio").send("hi");
  expect(host.line("irq").level).toBe(true);
  expect(vdev.status?.()).toEqual({ waiting: 2 });
  for (let c = read(0, 4); c !== 0xffff_ffff; c = read(0, 4)) write(0, 4, c);
  expect(host.fakeStream("stdio").text).toBe("hi");
  expect([host.line("irq").level, read(4, 4)]).toEqual([false, 0]);
});
