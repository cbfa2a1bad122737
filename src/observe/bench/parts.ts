/** What no guest does: the device tree, a machine's start, and taking and giving back the state of vdevs. Timed by mitata. */
import { do_not_optimize, measure } from "mitata";
import type { EngineKind } from "../../engine/engine.ts";
import { writeDtb } from "../../fdt/writer.ts";
import type { Board } from "../../profile/board.ts";
import { boardTree } from "../../profile/devicetree.ts";
import type { VdevRegistry } from "../../vdev/registry.ts";
import { BenchMachine } from "./bench-machine.ts";
import { DOORBELL } from "./doorbell.ts";
import { type Figure, figure } from "./figures.ts";
import type { Effort } from "./measure.ts";

/** Short work is timed many calls at a time, ns. */
const BATCH_BELOW = 2000;
const BATCH = 256;

/** CPU time for one figure, ns. */
const timeFor = ({ samples, sampleTime }: Effort) => samples * sampleTime * 4;

async function timed(subject: string, what: string, effort: Effort, work: () => unknown): Promise<Figure> {
  const { samples } = await measure(() => do_not_optimize(work()), {
    min_cpu_time: timeFor(effort),
    min_samples: effort.samples,
    batch_threshold: BATCH_BELOW,
    batch_samples: BATCH,
  });
  return figure({ subject, what, runner: "host" }, samples);
}

export function measureTree(board: Board, registry: VdevRegistry, effort: Effort): Promise<Figure> {
  return timed("board", "device tree", effort, () => writeDtb(boardTree(board, registry)));
}

/** From the board to the guest's first command, memory and all, and giving it back. */
export async function measureStart(
  board: Board,
  registry: VdevRegistry,
  engine: EngineKind,
  effort: Effort,
): Promise<Figure> {
  const values: number[] = [];
  // One by one, and not as often: every machine maps gigabytes of address space, which the collector gives back.
  for (let i = 0; i <= Math.min(effort.samples, 15); i++) {
    const begun = Bun.nanoseconds();
    const bench = new BenchMachine(board, registry, { engine });
    await bench.run([]);
    // The first finds cold code.
    if (i > 0) values.push(Bun.nanoseconds() - begun);
    bench.close();
    Bun.gc(true);
  }
  return figure({ subject: "board", what: "machine start", runner: "host" }, values);
}

/** Of every vdev, as JSON text would keep it. */
export async function measureSnapshots(bench: BenchMachine, wanted: (vdev: string) => boolean, effort: Effort) {
  const figures: Figure[] = [];
  for (const [name, vdev] of bench.machine.vdevs) {
    if (name === DOORBELL || !wanted(name)) continue;
    const state = JSON.parse(JSON.stringify(vdev.snapshot()));
    figures.push(await timed(name, "snapshot", effort, () => vdev.snapshot()));
    figures.push(await timed(name, "restore", effort, () => vdev.restore(state)));
  }
  return figures;
}
