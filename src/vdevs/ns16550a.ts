/**
 * 16550A UART, the serial port of PCs and of QEMU `virt`.
 * National Semiconductor PC16550D datasheet (June 1995); section numbers below are its own.
 *
 * Characters are sent in no time, so the transmitter is always empty. Received ones wait on the host until the FIFO has
 * room: a guest that is slow to read loses nothing.
 */
import * as v from "valibot";
import { node } from "../fdt/tree.ts";
import { defineVdev } from "../vdev/descriptor.ts";
import { frequency, integer, stream } from "../vdev/options.ts";
import type { RegionHandler } from "../vdev/region.ts";
import { registerBank } from "../vdev/register-bank.ts";
import { fieldMasks, registerMap } from "../vdev/registers.ts";
import { byte, fromSnapshot, nested } from "../vdev/snapshot.ts";

const registers = registerMap({
  RBR: { at: 0, width: 1, access: "r", about: "receiver buffer" },
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
    reset: 0x01,
    fields: { none: 0, cause: [3, 1], fifos: [7, 6] },
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
      overrun: 1,
      parityError: 2,
      framingError: 3,
      breakInterrupt: 4,
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
    fields: { changed: [3, 0], ringEnded: 2, cts: 4, dsr: 5, ri: 6, dcd: 7 },
    about: "modem status",
  },
  SCR: { at: 7, width: 1, about: "scratch" },
});

const IER_BITS = fieldMasks(registers.IER);
const FCR_BITS = fieldMasks(registers.FCR);
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

const FIFO_DEPTH = 16;
const TRIGGER_LEVELS = [1, 4, 8, 14];
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
    const { IER, IIR, MCR, LSR, MSR } = bank.registers;
    const line = host.interrupt("irq");
    const terminal = host.stream(spec);

    const received = new Uint8Array(FIFO_DEPTH);
    let head = 0;
    let held = 0;
    let fifos = false;
    let trigger = 1;
    /** The transmitter became empty, or its interrupt was enabled while it was, and nobody has seen that yet. */
    let transmitterReport = false;
    /** Whether IER asked for that report before the write that is under way. */
    let transmitterWatched = false;

    const looped = () => (MCR.value & MCR_BITS.loop) !== 0;

    function cause(): number {
      const enabled = IER.value;
      const errors = LSR_BITS.overrun | LSR_BITS.parityError | LSR_BITS.framingError | LSR_BITS.breakInterrupt;
      if (enabled & IER_BITS.lineStatus && LSR.value & errors) return Cause.lineStatus;
      // Below the trigger level a timeout tells of what waits; it comes at once, as no character time passes here. §8.11
      if (enabled & IER_BITS.received && held > 0) return !fifos || held >= trigger ? Cause.received : Cause.timeout;
      if (enabled & IER_BITS.transmitterEmpty && transmitterReport) return Cause.transmitterEmpty;
      if (enabled & IER_BITS.modemStatus && MSR.value & MSR_BITS.changed) return Cause.modemStatus;
      return Cause.none;
    }

    function update(): void {
      const dataReady = held > 0 ? LSR_BITS.dataReady : 0;
      LSR.value = (LSR.value & ~LSR_BITS.dataReady) | dataReady;
      const now = cause();
      IIR.value = now | (fifos ? 0xc0 : 0);
      line.set(now !== Cause.none);
    }

    /** Takes from the host what there is room for. In loopback the receiver is cut off from its pin. §8.8 */
    function fill(): void {
      const room = fifos ? FIFO_DEPTH : 1;
      while (!looped() && held < room) {
        const character = terminal.read();
        if (character < 0) break;
        received[(head + held++) % FIFO_DEPTH] = character;
      }
      update();
    }

    function receive(): number {
      let character = 0;
      if (held > 0) {
        character = received[head]!;
        head = (head + 1) % FIFO_DEPTH;
        held--;
      }
      fill();
      return character;
    }

    function transmit(character: number): void {
      if (!looped()) terminal.write(character);
      else if (held < (fifos ? FIFO_DEPTH : 1)) received[(head + held++) % FIFO_DEPTH] = character;
      else {
        LSR.value |= LSR_BITS.overrun;
        // A full FIFO keeps what it has; the lone buffer is overwritten. §8.4
        if (!fifos) received[head] = character;
      }
      transmitterReport = true;
      update();
    }

    function clearReceiver(): void {
      head = 0;
      held = 0;
    }

    function controlFifos(value: number): void {
      const enable = (value & FCR_BITS.enable) !== 0;
      // Changing the mode empties the FIFOs. §8.5
      if (enable !== fifos || (enable && value & FCR_BITS.clearReceiver)) clearReceiver();
      fifos = enable;
      // The other bits are taken only together with the enable bit.
      if (enable) trigger = TRIGGER_LEVELS[value >>> 6]!;
      fill();
    }

    /** Modem inputs: the connected terminal's, or in loopback the four modem outputs. §8.8 */
    function updateModem(): void {
      const control = MCR.value;
      let lines = CONNECTED;
      if (looped()) {
        lines =
          (control & MCR_BITS.rts ? MSR_BITS.cts : 0) |
          (control & MCR_BITS.dtr ? MSR_BITS.dsr : 0) |
          (control & MCR_BITS.out1 ? MSR_BITS.ri : 0) |
          (control & MCR_BITS.out2 ? MSR_BITS.dcd : 0);
      }
      const before = MSR.value;
      const changed = (before ^ lines) & 0xf0;
      // Of the ring indicator only the end counts. §8.9
      const ringGoesOn = changed & lines & MSR_BITS.ri;
      MSR.value = lines | (before & MSR_BITS.changed) | ((changed & ~ringGoesOn) >>> 4);
    }

    bank.behave({
      RBR: { read: receive },
      THR: { write: transmit },
      IER: {
        write(value) {
          const enabled = (value & IER_BITS.transmitterEmpty) !== 0;
          // Enabling it while the transmitter is empty reports that at once; drivers test for it. §8.7
          if (!enabled) transmitterReport = false;
          else if (!transmitterWatched) transmitterReport = true;
          transmitterWatched = enabled;
          fill();
        },
      },
      IIR: {
        read() {
          const value = IIR.value;
          if ((value & 0xf) === Cause.transmitterEmpty) {
            transmitterReport = false;
            update();
          }
          return value;
        },
      },
      FCR: { write: controlFifos },
      LCR: { write: (value) => bank.show(value & LCR_BITS.divisorAccess ? "divisor" : undefined) },
      MCR: {
        write() {
          updateModem();
          fill();
        },
      },
      LSR: {
        read() {
          // Input may have waited since before a reset.
          if (held === 0) fill();
          const value = LSR.value;
          // Reading clears the errors; polling, which is most of it, finds none.
          const kept = value & (LSR_BITS.dataReady | LSR_BITS.holdingEmpty | LSR_BITS.transmitterEmpty);
          if (kept !== value) {
            LSR.value = kept;
            update();
          }
          return value;
        },
      },
      MSR: {
        read() {
          const value = MSR.value;
          MSR.value = value & ~MSR_BITS.changed;
          update();
          return value;
        },
      },
    });
    terminal.onInput = fill;

    return {
      regions: [reg_shift === 0 ? bank : spread(bank, reg_shift)],

      reset() {
        bank.reset();
        clearReceiver();
        fifos = false;
        trigger = 1;
        transmitterReport = false;
        transmitterWatched = false;
        update();
      },

      snapshot: () => ({
        registers: bank.snapshot(),
        received: Array.from({ length: held }, (_, i) => received[(head + i) % FIFO_DEPTH]!),
        fifos,
        trigger,
        transmitterReport,
      }),

      restore(state) {
        const saved = fromSnapshot(snapshot, state);
        bank.restore(saved.registers);
        received.set(saved.received);
        head = 0;
        held = saved.received.length;
        ({ fifos, trigger, transmitterReport } = saved);
        transmitterWatched = (IER.value & IER_BITS.transmitterEmpty) !== 0;
        update();
      },
    };
  },
});

const snapshot = v.object({
  registers: nested(),
  received: v.pipe(v.array(byte()), v.maxLength(FIFO_DEPTH)),
  fifos: v.boolean(),
  trigger: v.picklist(TRIGGER_LEVELS),
  transmitterReport: v.boolean(),
});

/** The same registers 2^shift bytes apart, each in the lowest byte of its slot. */
function spread(bank: RegionHandler, shift: number): RegionHandler {
  const between = (1 << shift) - 1;
  return {
    read: (offset) => ((offset & between) === 0 ? bank.read(offset >>> shift, 1) : 0),
    write(offset, _width, value) {
      if ((offset & between) === 0) bank.write(offset >>> shift, 1, value & 0xff);
    },
  };
}
