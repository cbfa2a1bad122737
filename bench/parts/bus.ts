/** Dispatch of accesses to vdevs: the same for a board with ten as for one with a thousand? */
import { Bus, type BusPolicy, type BusRegion } from "../../src/machine/bus.ts";
import type { Benchmark } from "../benchmark.ts";
import { race, type Work } from "./race.ts";

const BASE = 0x1000_0000;
const PAGE = 4096;
const SMALL = 256;
/** Accesses go round the regions in steps of this, so that no two in a row meet the same one. */
const STEP = 7;

const policy: BusPolicy = {
  unclaimed: () => -1,
  failed: () => -1,
  promised: () => {},
  took: () => {},
  nanoseconds: () => 0,
};

export const bus: Benchmark = {
  name: "bus",
  summary: "bus dispatch with 10, 100 and 1000 regions",
  kind: "parts",

  async run(context) {
    const ten = loads(10, PAGE);
    return {
      rows: [
        await race(context, "bus load among 100 regions, beside 10", loads(100, PAGE), ten),
        await race(context, "bus load among 1000 regions, beside 10", loads(1000, PAGE), ten),
        await race(context, "the same, 16 regions to a page, beside 10", loads(1000, SMALL), ten),
      ],
    };
  },
};

/** Loads from each of `count` regions in turn, one region every `stride` bytes. */
function loads(count: number, stride: number): Work {
  const handler = { read: (offset: number) => offset, write: () => {} };
  const regions = Array.from({ length: count }, (_, i): BusRegion => {
    return { owner: `vdev${i}`, name: "registers", at: BASE + i * stride, size: stride, handler };
  });
  const bus = new Bus(regions, policy);
  let next = 0;
  return () => {
    next += STEP;
    if (next >= count) next -= count;
    return bus.load(BASE + next * stride + 4, 4);
  };
}
