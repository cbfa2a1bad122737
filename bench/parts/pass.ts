/** Registers of the host that are passed through: what an access costs beside one to a vdev's own register. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bus, type BusPolicy } from "../../src/machine/bus.ts";
import { createHardware } from "../../src/pass/hardware.ts";
import { pass } from "../../src/pass/pass.ts";
import type { RegionHandler } from "../../src/vdev/region.ts";
import { assemble } from "../../src/vdev/testing.ts";
import type { Benchmark } from "../benchmark.ts";
import { race, type Work } from "./race.ts";

const BASE = 0x1000_0000;
const PAGE = 4096;

const policy: BusPolicy = {
  unclaimed: () => -1,
  failed: () => -1,
  promised: () => {},
  took: () => {},
  nanoseconds: () => 0,
};

export const passedRegisters: Benchmark = {
  name: "pass",
  summary: "accesses to registers of the host, beside a vdev's own",
  kind: "parts",

  async run(context) {
    const path = join(context.folder, "registers");
    writeFileSync(path, new Uint8Array(PAGE));
    const hardware = createHardware();
    try {
      const open = (size: number) => {
        const { vdev } = assemble(
          pass,
          { host: `file:${path}`, size, override: true },
          // A file has no interrupt.
          {
            placement: { interrupts: [] },
            hostObject: (spec, request) => hardware.open(spec, request, { name: "bench", ram: () => [] }),
          },
        );
        return vdev.regions[0]!;
      };
      const register = { read: (offset: number) => offset, write: () => {} };
      const page = open(PAGE);
      return {
        rows: [
          await race(context, "load of a passed page, beside a vdev's register", loads(page), loads(register)),
          await race(context, "store to a passed page, beside a vdev's register", stores(page), stores(register)),
          await race(context, "load of 64 passed bytes, beside a vdev's register", loads(open(64)), loads(register)),
        ],
      };
    } finally {
      hardware.close();
    }
  },
};

function busOf(handler: RegionHandler): Bus {
  return new Bus([{ owner: "it", name: "registers", at: BASE, size: PAGE, handler }], policy);
}

function loads(handler: RegionHandler): Work {
  const bus = busOf(handler);
  return () => bus.load(BASE + 8, 4);
}

function stores(handler: RegionHandler): Work {
  const bus = busOf(handler);
  let value = 0;
  return () => bus.store(BASE + 8, 4, value++ & 0xffff);
}
