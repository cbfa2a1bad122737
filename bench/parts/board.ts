/** The shipped virt board as a machine in this process, for paths that need one. */
import { resolve } from "node:path";
import { assemble } from "../../src/machine/assemble.ts";
import { BufferedStream } from "../../src/machine/buffered-stream.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { Board } from "../../src/profile/board.ts";
import { loadProfile } from "../../src/profile/load.ts";
import { createRegistry } from "../../src/vdev/registry.ts";
import { builtins } from "../../src/vdevs/index.ts";

const PROFILE = resolve(import.meta.dir, "../../profiles/virt-rv64.toml");

export const registry = createRegistry(builtins);

export function loadBoard(): Board {
  return loadProfile(PROFILE, { registry }).board;
}

/** At power-on. Nothing leaves it, and nothing comes in. */
export function createMachine(): Machine {
  const unavailable = (what: string) => (): never => {
    throw new Error(`the benchmark's machine has no ${what}`);
  };
  return assemble(loadBoard(), registry, {
    stdio: new BufferedStream(() => {}),
    openChannel: unavailable("streams"),
    openDisk: unavailable("disks"),
    hostRandom: unavailable("chance from the host"),
    log: () => {},
    nanoseconds: () => Bun.nanoseconds(),
    wallClock: () => 0,
  });
}

/** The only region of a vdev, and where it is. */
export function regionOf(machine: Machine, board: Board, name: string) {
  const placement = board.vdevs.find((vdev) => vdev.placement.name === name)?.placement;
  const handler = machine.vdevs.get(name)?.regions[0];
  if (placement === undefined || handler === undefined) throw new Error(`the board has no ${name}`);
  return { at: placement.regions[0].at, handler };
}
