/**
 * 16550A UART, the serial port of PCs and of QEMU `virt`.
 * National Semiconductor PC16550D datasheet (June 1995); section numbers below are its own.
 *
 * Characters are sent in no time, so the transmitter is always empty. Received ones wait on the host until the FIFO has
 * room: a guest that is slow to read loses nothing.
 */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { registerBank } from "../vdev/bank.ts";
import { bankInstance } from "../vdev/bank-instance.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { frequency, integer, stream } from "../vdev/options.ts";
import type { RegionHandler } from "../vdev/region.ts";
import { fieldMasks, registerMap } from "../vdev/registers.ts";

const registers = registerMap({
  // Switching the mode empties the FIFO; in either direction. §8.5
  RBR: {
    at: 0,
    width: 1,
    access: "r",
    fifo: {
      depth: 16,
      enable: "FCR.enable",
      switching: "empties",
      clear: "FCR.clearReceiver",
      level: { by: "FCR.trigger", values: [1, 4, 8, 14] },
      flags: { ready: "LSR.dataReady", overrun: "LSR.overrun" },
    },
    about: "receiver buffer",
  },
  THR: { at: 0, width: 1, access: "w", about: "transmitter holding" },
  DLL: { at: 0, width: 1, window: "divisor", reset: 12, about: "divisor latch, low" },
  IER: {
    at: 1,
    width: 1,
    writable: 0x0f,
    fields: { received: 0, transmitterEmpty: 1, lineStatus: 2, modemStatus: 3 },
    about: "interrupt enable",
  },
  DLM: { at: 1, width: 1, window: "divisor", about: "divisor latch, high" },
  IIR: {
    at: 2,
    width: 1,
    access: "r",
    fields: { cause: [3, 0], fifos: [7, 6] },
    about: "interrupt identification",
  },
  FCR: {
    at: 2,
    width: 1,
    access: "w",
    fields: { enable: 0, clearReceiver: 1, clearTransmitter: 2, dma: 3, trigger: [7, 6] },
    about: "FIFO control",
  },
  LCR: {
    at: 3,
    width: 1,
    fields: { wordLength: [1, 0], stopBits: 2, parity: [5, 3], setBreak: 6, divisorAccess: 7 },
    about: "line control",
  },
  MCR: {
    at: 4,
    width: 1,
    writable: 0x1f,
    fields: { dtr: 0, rts: 1, out1: 2, out2: 3, loop: 4 },
    about: "modem control",
  },
  LSR: {
    at: 5,
    width: 1,
    access: "r",
    reset: 0x60,
    fields: {
      dataReady: 0,
      overrun: { bits: 1, access: "rc" },
      parityError: { bits: 2, access: "rc" },
      framingError: { bits: 3, access: "rc" },
      breakInterrupt: { bits: 4, access: "rc" },
      holdingEmpty: 5,
      transmitterEmpty: 6,
      fifoError: 7,
    },
    about: "line status",
  },
  MSR: {
    at: 6,
    width: 1,
    access: "r",
    reset: 0xb0,
    fields: { changed: { bits: [3, 0], access: "rc" }, cts: 4, dsr: 5, ri: 6, dcd: 7 },
    about: "modem status",
  },
  SCR: { at: 7, width: 1, about: "scratch" },
});

const IER_BITS = fieldMasks(registers.IER);
const LCR_BITS = fieldMasks(registers.LCR);
const MCR_BITS = fieldMasks(registers.MCR);
const LSR_BITS = fieldMasks(registers.LSR);
const MSR_BITS = fieldMasks(registers.MSR);

/** Values of IIR bits 3:0, most urgent first. §8.6 */
const Cause = {
  lineStatus: 0x6,
  received: 0x4,
  timeout: 0xc,
  transmitterEmpty: 0x2,
  modemStatus: 0x0,
  none: 0x1,
} as const;

const FIFOS_ON = fieldMasks(registers.IIR).fifos;
const ERRORS = LSR_BITS.overrun | LSR_BITS.parityError | LSR_BITS.framingError | LSR_BITS.breakInterrupt;
/** What a cable to a waiting terminal shows: clear to send, data set ready, carrier. */
const CONNECTED = MSR_BITS.cts | MSR_BITS.dsr | MSR_BITS.dcd;

const options = v.object({
  host: v.optional(stream(), "null"),
  clock: v.pipe(v.optional(frequency(), "3.6864MHz"), v.description("Input clock of the baud-rate generator.")),
  reg_shift: v.pipe(v.optional(integer("reg_shift", 0, 4), 0), v.description("Registers lie 2^reg_shift bytes apart.")),
});

export const ns16550a = defineVdev({
  type: "ns16550a",
  summary: "16550A UART",
  options,
  regions: [{ name: "uart", size: 0x100 }],
  registers: { uart: registers },
  bench: [
    { what: "look for room", read: "LSR" },
    { what: "send a character", write: "THR", value: 0x2e },
  ],
  interrupts: [{ name: "irq", trigger: "level" }],

  // Linux Documentation/devicetree/bindings/serial/8250.yaml
  fdt: ({ options: { clock, reg_shift }, unit, reg, interrupts }) => ({
    bus: [
      node(`serial@${unit}`, {
        compatible: "ns16550a",
        reg,
        ...interrupts,
        "clock-frequency": clock,
        "reg-shift": reg_shift === 0 ? undefined : reg_shift,
      }),
    ],
    alias: "serial",
    console: true,
  }),

  create(host, { host: spec, reg_shift }) {
    const bank = registerBank(registers, { log: host.log });
    const { RBR, IER, LCR, MCR, LSR, MSR } = bank.registers;
    const received = RBR.fifo;
    const line = host.interrupt("irq");
    const terminal = host.stream(spec);
    /** The transmitter became empty, or its interrupt was enabled while it was, and nobody has seen that yet. */
    let transmitterReport = false;

    const looped = () => (MCR.value & MCR_BITS.loop) !== 0;

    function cause(): number {
      const enabled = IER.value;
      if (enabled & IER_BITS.lineStatus && LSR.value & ERRORS) return Cause.lineStatus;
      // Below the trigger level a timeout tells of what waits; it comes at once, as no character time passes here. §8.11
      if (enabled & IER_BITS.received && !received.isEmpty)
        return received.length >= received.level ? Cause.received : Cause.timeout;
      if (enabled & IER_BITS.transmitterEmpty && transmitterReport) return Cause.transmitterEmpty;
      if (enabled & IER_BITS.modemStatus && MSR.value & MSR_BITS.changed) return Cause.modemStatus;
      return Cause.none;
    }

    function update(): void {
      line.set(cause() !== Cause.none);
    }

    /** In loopback the receiver is cut off from its pin. §8.8 */
    function receive(): void {
      if (!looped()) received.fill(terminal);
      update();
    }

    function transmit(character: number): void {
      if (!looped()) terminal.write(character);
      // A full FIFO keeps what it has; the lone buffer is overwritten. §8.4
      else if (!received.push(character) && !received.on) received.last = character;
      transmitterReport = true;
      update();
    }

    /** Modem inputs: the connected terminal's, or in loopback the four modem outputs. §8.8 */
    function modemInputs(): number {
      if (!looped()) return CONNECTED;
      const outputs = MCR.value;
      return (
        (outputs & MCR_BITS.rts ? MSR_BITS.cts : 0) |
        (outputs & MCR_BITS.dtr ? MSR_BITS.dsr : 0) |
        (outputs & MCR_BITS.out1 ? MSR_BITS.ri : 0) |
        (outputs & MCR_BITS.out2 ? MSR_BITS.dcd : 0)
      );
    }

    function updateModem(): void {
      const inputs = modemInputs();
      const changed = (MSR.value ^ inputs) & ~MSR_BITS.changed;
      // Of the ring indicator only the end counts. §8.9
      const ringGoesOn = changed & inputs & MSR_BITS.ri;
      MSR.value = inputs | (MSR.value & MSR_BITS.changed) | ((changed & ~ringGoesOn) >>> 4);
    }

    bank.behave({
      RBR: { taken: receive },
      THR: { write: transmit },
      IER: {
        write(value, _index, _half, before) {
          // Enabling it while the transmitter is empty reports that at once; drivers test for it. §8.7
          if (!(value & IER_BITS.transmitterEmpty)) transmitterReport = false;
          else if (!(before & IER_BITS.transmitterEmpty)) transmitterReport = true;
          receive();
        },
      },
      IIR: {
        read() {
          const now = cause();
          if (now === Cause.transmitterEmpty) {
            transmitterReport = false;
            update();
          }
          return now | (received.on ? FIFOS_ON : 0);
        },
      },
      FCR: { write: receive },
      LCR: { write: (value) => bank.show(value & LCR_BITS.divisorAccess ? "divisor" : undefined) },
      MCR: {
        write() {
          updateModem();
          receive();
        },
      },
      LSR: {
        refresh() {
          // Input may have waited since before a reset.
          if (received.isEmpty && terminal.waiting > 0) receive();
        },
        taken(value) {
          // Polling, which is most of it, finds no errors and clears none.
          if (value & ERRORS) update();
        },
      },
      MSR: { taken: update },
    });
    terminal.onInput = receive;

    const instance = bankInstance(bank, {
      state: {
        schema: v.object({ transmitterReport: v.boolean() }),
        initial: { transmitterReport: false },
        save: () => ({ transmitterReport }),
        load: (saved) => ({ transmitterReport } = saved),
      },
      refresh: update,
      status: () => ({
        "line control": `0x${LCR.value.toString(16)}`,
        "interrupts enabled": `0x${IER.value.toString(16)}`,
        FIFOs: received.on,
        loopback: looped(),
        "characters waiting": received.length,
      }),
    });
    return { ...instance, regions: [reg_shift === 0 ? bank : spread(bank, reg_shift)] };
  },
});

/** The same registers 2^shift bytes apart, each in the lowest byte of its slot. */
function spread(bank: RegionHandler, shift: number): RegionHandler {
  const between = (1 << shift) - 1;
  const { names } = bank;
  return {
    names: names && {
      ...names,
      label: (offset, direction, window) =>
        (offset & between) === 0 ? names.label(offset >>> shift, direction, window) : undefined,
    },
    read: (offset) => ((offset & between) === 0 ? bank.read(offset >>> shift, 1) : 0),
    write(offset, _width, value) {
      if ((offset & between) === 0) bank.write(offset >>> shift, 1, value & 0xff);
    },
  };
}
