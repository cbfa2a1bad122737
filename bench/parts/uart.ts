/** The commonest exit of all: a driver that asks its UART whether it may send. */
import type { Benchmark } from "../benchmark.ts";
import { createMachine, loadBoard, regionOf } from "./board.ts";
import { race } from "./race.ts";

const LSR = 5;
const SCRATCH = 7;

export const uart: Benchmark = {
  name: "uart",
  summary: "16550 register accesses through the machine's bus",
  kind: "parts",

  async run(context) {
    const machine = createMachine();
    const { at, handler } = regionOf(machine, loadBoard(), "uart0");
    const { bus } = machine;
    let byte = 0;
    const nextByte = () => {
      byte = (byte + 1) & 255;
      return byte;
    };
    const read = await race(
      context,
      "UART LSR read over the bus, beside the vdev alone",
      () => bus.load(at + LSR, 1),
      () => handler.read(LSR, 1),
    );
    const write = await race(
      context,
      "UART scratch write over the bus, beside the vdev alone",
      () => bus.store(at + SCRATCH, 1, nextByte()),
      () => handler.write(SCRATCH, 1, nextByte()),
    );
    machine.terminate();
    return { rows: [read, write] };
  },
};
