/** Boards from a few lines of profile, with a guest of a few instructions, on a host that only remembers. */
import * as v from "valibot";
import type { EngineKind } from "../../src/engine/engine.ts";
import { Held } from "../../src/machine/boot/contents.ts";
import { BufferedStream } from "../../src/machine/buffered-stream.ts";
import { Machine, type MachineHost } from "../../src/machine/machine.ts";
import type { Observer } from "../../src/machine/observer.ts";
import type { Board } from "../../src/profile/board.ts";
import { loadProfile } from "../../src/profile/load.ts";
import { defineVdev } from "../../src/vdev/descriptor.ts";
import type { VdevHost } from "../../src/vdev/host.ts";
import { type AnyVdev, createRegistry, type VdevRegistry } from "../../src/vdev/registry.ts";
import { FakeDisk } from "../../src/vdev/testing.ts";
import { builtins } from "../../src/vdevs/index.ts";
import { assemble, type Program } from "../engine/program.ts";
import { memoryFiles } from "../profile/support.ts";
import { FakeChannel } from "./channel.ts";

export const RAM = 0x8000_0000;
export const POWER = 0x10_0000;
export const CLINT = 0x200_0000;
export const UART = 0x1000_0000;
export const TEST = 0x2000_0000;
/** One instruction takes 10 ns, and the timebase ticks every 100 ns. */
export const CLOCK = 100_000_000;

const PROFILE = `schema = 1
[cpu]
isa = "rv64gc_zicntr_sstc"
[time]
clock = "100MHz"
timebase = "10MHz"
epoch = 1000
[[memory]]
name = "dram"
at = 0x8000_0000
size = "4MiB"
[[vdev]]
type = "syscon-power"
name = "power"
at = 0x0010_0000
[[vdev]]
type = "clint"
name = "clint"
at = 0x0200_0000
[[vdev]]
type = "plic"
name = "plic"
at = 0x0c00_0000
[[vdev]]
type = "ns16550a"
name = "uart0"
at = 0x1000_0000
irq = "plic:10"
host = "stdio"
`;

/** Hooks of the test's own vdev, at {@link TEST}. */
export interface TestVdev {
  read?(offset: number, width: number): number;
  write?(offset: number, width: number, value: number): void;
  create?(host: VdevHost): void;
  reset?(): void;
}

function testVdev(hooks: TestVdev): AnyVdev {
  return defineVdev({
    type: "test",
    summary: "What a test wants",
    options: v.object({}),
    regions: [{ name: "test", size: 0x1000 }],
    interrupts: [{ name: "irq", trigger: "level" }],
    create(host) {
      hooks.create?.(host);
      return {
        regions: [{ read: (o, w) => hooks.read?.(o, w) ?? 0, write: (o, w, value) => hooks.write?.(o, w, value) }],
        reset: () => hooks.reset?.(),
        snapshot: () => null,
        restore: () => {},
      };
    },
  }) as AnyVdev;
}

export interface Rig {
  readonly machine: Machine;
  readonly program: Program;
  readonly stdio: BufferedStream;
  /** What the machine printed and logged. */
  readonly seen: { output: string; readonly log: string[] };
}

export interface RigOptions {
  /** Lines to add to the profile. */
  readonly profile?: string;
  readonly set?: readonly string[];
  readonly vdev?: TestVdev;
  readonly mode?: "machine" | "supervisor";
  readonly disk?: FakeDisk;
  readonly nanoseconds?: () => number;
  readonly engine?: EngineKind;
  readonly observe?: (board: Board, registry: VdevRegistry) => Observer;
}

export function rig(text: string, options: RigOptions = {}): Rig {
  const registry = createRegistry<AnyVdev>([...builtins, testVdev(options.vdev ?? {})]);
  const own = options.vdev ? `[[vdev]]\ntype = "test"\nat = 0x2000_0000\nirq = "plic:11"\n` : "";
  const files = memoryFiles({ "board.toml": PROFILE + own + (options.profile ?? ""), "disk.img": "" });
  const { board } = loadProfile("board.toml", { registry, files, set: options.set });
  const program = assemble(RAM, text);
  const seen = { output: "", log: [] as string[] };
  const stdio = new BufferedStream((bytes) => {
    seen.output += Buffer.from(bytes).toString("latin1");
  });
  const host: MachineHost = {
    stdio,
    openChannel: () => new FakeChannel(),
    openDisk: () => options.disk ?? new FakeDisk(new Uint8Array(0x1_0000)),
    hostRandom: (into) => into.fill(7),
    log: (level, source, message) => void seen.log.push(`${level} ${source}: ${message}`),
    nanoseconds: options.nanoseconds ?? (() => 0),
    wallClock: () => 0,
    observer: options.observe?.(board, registry),
  };
  const plan = {
    loads: [{ name: "program", at: RAM, contents: new Held(program.bytes) }],
    clears: [],
    fdtAt: RAM + 0x10_0000,
    entry: RAM,
    mode: options.mode ?? "machine",
  } as const;
  return { machine: new Machine(board, registry, plan, host, options.engine), program, stdio, seen };
}

/** Register by ABI number. */
export const x = ({ machine }: Rig, index: number, hart = 0): bigint => machine.harts[hart].x(index);
export const A0 = 10;
export const A1 = 11;
export const A2 = 12;

/** Everything a guest can tell of its machine. */
export function fingerprint({ machine, seen }: Rig): string {
  const harts = machine.harts.map((hart) => [
    hart.pc,
    hart.privilege,
    hart.retired,
    hart.trapped,
    ...Array.from({ length: 32 }, (_, i) => hart.x(i)),
    ...Array.from({ length: 32 }, (_, i) => hart.f(i)),
    ...Array.from({ length: 42 }, (_, i) => hart.csr(i)),
  ]);
  const blocks = machine.memory.blocks.map((block) => Bun.hash(machine.memory.view(block.at, block.size)!));
  const vdevs = [...machine.vdevs].map(([name, vdev]) => [name, vdev.snapshot()]);
  const all = [machine.clock.now(), machine.instructions, machine.bus.exits, harts, blocks, vdevs, seen.output];
  return Bun.hash(JSON.stringify(all, (_, value) => (typeof value === "bigint" ? value.toString(16) : value))).toString(
    16,
  );
}
