/** One interrupt through the PLIC: the line rises, the hart claims it, the line falls, the hart completes it. */
import type { Benchmark } from "../benchmark.ts";
import { createMachine, loadBoard, regionOf } from "./board.ts";
import { race } from "./race.ts";

const LINE = 10;
/** PLIC 1.0.0, "Memory Map": of context 1, S-mode of the first hart. */
const ENABLE = 0x2080;
const THRESHOLD = 0x20_1000;
const CLAIM = 0x20_1004;
const PRIORITY = 4 * LINE;

export const plicCycle: Benchmark = {
  name: "plic",
  summary: "an interrupt raised, claimed and completed",
  kind: "parts",

  async run(context) {
    const machine = createMachine();
    const { at } = regionOf(machine, loadBoard(), "plic");
    const { bus } = machine;
    const plic = machine.vdevs.get("plic")!;
    bus.store(at + PRIORITY, 4, 1);
    bus.store(at + ENABLE, 4, 1 << LINE);
    bus.store(at + THRESHOLD, 4, 0);
    const cycle = () => {
      plic.input!(LINE, true);
      const source = bus.load(at + CLAIM, 4);
      plic.input!(LINE, false);
      bus.store(at + CLAIM, 4, source);
      return source;
    };
    if (cycle() !== LINE) throw new Error("the PLIC did not deliver the benchmark's interrupt");
    const row = await race(context, "PLIC: raise, claim, complete, beside two plain accesses", cycle, () => {
      const value = bus.load(at + PRIORITY, 4);
      bus.store(at + THRESHOLD, 4, 0);
      return value;
    });
    machine.terminate();
    return { rows: [row] };
  },
};
