/** A board with vdevs of a test's own, run by a guest of a few instructions. */

import type { EngineKind } from "../../src/engine/engine.ts";
import { Held } from "../../src/machine/boot/contents.ts";
import { BufferedStream } from "../../src/machine/buffered-stream.ts";
import { Machine, type MachineHost } from "../../src/machine/machine.ts";
import { loadProfile } from "../../src/profile/load.ts";
import type { VdevDescriptor } from "../../src/vdev/descriptor.ts";
import { type AnyVdev, createRegistry } from "../../src/vdev/registry.ts";
import { FakeDisk } from "../../src/vdev/testing.ts";
import { builtins } from "../../src/vdevs/index.ts";
import { assemble, type Program } from "../engine/program.ts";
import { memoryFiles } from "../profile/support.ts";
import { FakeChannel } from "./channel.ts";

export const RAM = 0x8000_0000;
export const TEST = 0x2000_0000;
/** Instructions that no test's guest needs. */
export const LIMIT = 1_000_000;

const PROFILE = `schema = 1
[cpu]
isa = "rv64gc_zicntr_sstc"
[[memory]]
name = "dram"
at = 0x8000_0000
size = "4MiB"
[[vdev]]
type = "syscon-power"
name = "power"
at = 0x0010_0000
[[vdev]]
type = "plic"
name = "plic"
at = 0x0c00_0000
`;

export interface BoardRig {
  readonly machine: Machine;
  readonly program: Program;
  readonly stdio: BufferedStream;
  /** What vdevs had to say, as `level name: message`. */
  readonly log: string[];
}

export interface BoardRigOptions {
  readonly vdevs?: readonly unknown[];
  readonly profile?: string;
  readonly set?: readonly string[];
  readonly mode?: "machine" | "supervisor";
  readonly host?: Partial<MachineHost>;
  readonly nanoseconds?: () => number;
  readonly engine?: EngineKind;
}

export function boardRig(text: string, options: BoardRigOptions = {}): BoardRig {
  const own = (options.vdevs ?? []) as readonly VdevDescriptor[] as readonly AnyVdev[];
  const registry = createRegistry<AnyVdev>([...builtins, ...own]);
  const files = memoryFiles({ "board.toml": PROFILE + (options.profile ?? "") });
  const { board } = loadProfile("board.toml", { registry, files, set: options.set });
  const program = assemble(RAM, text);
  const log: string[] = [];
  const stdio = new BufferedStream(() => {});
  const host: MachineHost = {
    stdio,
    openChannel: () => new FakeChannel(),
    openDisk: () => new FakeDisk(new Uint8Array(0x1_0000)),
    hostRandom: (into) => into.fill(7),
    log: (level, source, message) => void log.push(`${level} ${source}: ${message}`),
    nanoseconds: options.nanoseconds ?? (() => 0),
    wallClock: () => 0,
    ...options.host,
  };
  const plan = {
    loads: [{ name: "program", at: RAM, contents: new Held(program.bytes) }],
    clears: [],
    fdtAt: RAM + 0x10_0000,
    entry: RAM,
    mode: options.mode ?? "machine",
  } as const;
  return { machine: new Machine(board, registry, plan, host, options.engine), program, stdio, log };
}
