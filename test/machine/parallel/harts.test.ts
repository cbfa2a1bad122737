// What becomes of a thread that fails: the machine hears of it, with the reason, and still ends.
import { expect, test } from "bun:test";
import { canMap } from "../../../src/host/mapping.ts";
import { ENGINE_RESERVED } from "../../../src/isa/riscv/hart.ts";
import { MachineTimebase } from "../../../src/machine/clock.ts";
import { mappable, ParallelHarts } from "../../../src/machine/parallel/harts.ts";
import { GuestMemory } from "../../../src/memory/guest-memory.ts";
import { loadProfile } from "../../../src/profile/load.ts";
import { createRegistry } from "../../../src/vdev/registry.ts";
import { memoryFiles } from "../../profile/support.ts";

const PROFILE = `schema = 1
[cpu]
harts = 2
parallel = true
[time]
mode = "host"
[[memory]]
name = "dram"
at = 0x8000_0000
size = "1MiB"
`;
const NO_FD = 99_999;

test.skipIf(!canMap())(
  "a hart that cannot be is told of, and the others end",
  async () => {
    const { board } = loadProfile("b.toml", {
      registry: createRegistry([]),
      files: memoryFiles({ "b.toml": PROFILE }),
    });
    expect(mappable(board.memory).map(({ backing }) => backing)).toEqual([{ kind: "memfd" }]);
    const pool = 1 << 20;
    const memory = new GuestMemory(board.memory, { reserved: ENGINE_RESERVED, pool, shared: true });
    const config = { extensions: new Set(["i"]), mmu: "none", pmp: 0 } as const;
    const start = { mode: "machine", entry: 0x8000_0000, fdtAt: 0 } as const;
    const timebase = new MachineTimebase({ now: () => 0 }, 1);
    const harts = new ParallelHarts(
      { board, memory, timebase, start, config, pool, threshold: 0, stores: false, observed: false },
      {
        port: { load: () => -1, store: () => false, time: () => 0, setTimer() {} },
        console: { write() {}, read: () => -1 },
        power() {},
        hooked: () => false,
        serving() {},
        nanoseconds: () => Bun.nanoseconds(),
      },
    );
    expect(() => harts.begin(new Map())).toThrow("memory dram cannot be shared between threads");
    harts.begin(new Map([[0x8000_0000, NO_FD]]));
    harts.powerOn();
    let told: unknown;
    for (let i = 0; told === undefined && i < 2000; i++) {
      await Bun.sleep(5);
      try {
        harts.serve();
      } catch (error) {
        told = error;
      }
    }
    expect(String(told)).toMatch(/hart [01]: Error: the host does not map memory dram for a hart: EBADF/);
    harts.close();
  },
  30_000,
);
