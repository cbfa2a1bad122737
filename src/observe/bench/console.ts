/** One megabyte over three consoles, by the same guest: how many exits that takes, and how long. */
import { resolve } from "node:path";
import { fail } from "../../diagnostics/diagnostic.ts";
import type { Board } from "../../profile/board.ts";
import { hostFiles, type ProfileFiles } from "../../profile/files.ts";
import { loadProfile } from "../../profile/load.ts";
import type { VdevRegistry } from "../../vdev/registry.ts";
import { BenchMachine } from "./bench-machine.ts";
import type { RunnerName } from "./figures.ts";
import type { Command } from "./list.ts";
import type { BenchEngine, Rig } from "./measure.ts";
import { aligned } from "./report.ts";
import { deviation, duration, median, threeDigits } from "./statistics.ts";

const UART = 0x1000_0000;
const PL011 = 0x1001_0000;
const VIRTIO = 0x1000_2000;

/** Beside the shipped profile; nothing is at this path. Streams lead nowhere: their bytes are counted. */
const PROFILE = resolve(import.meta.dir, "../../../profiles/bench-console.toml");
const TEXT = `schema = 1
include = "virt-rv64.toml"

[[vdev]]
name = "uart0"
host = "file:uart0"

[[vdev]]
type = "pl011"
name = "uart1"
at = ${PL011}
host = "file:uart1"

[[vdev]]
type = "virtio-console"
name = "console0"
at = ${VIRTIO}
host = "file:console0"
`;

/** The text that is sent again and again. A power of two. */
const WRAP = 0x1_0000;

/** Characters that are timed together: so few that a busy host lets most of them through undisturbed. */
const PART = 4096;

interface Way {
  readonly console: string;
  readonly what: string;
  /** What the device needs first. */
  readonly prepare: readonly Command[];
  /** Sends so many characters. */
  send(text: number, count: number): Command;
}

export interface ConsoleRow {
  readonly console: string;
  readonly what: string;
  readonly runner: RunnerName;
  readonly characters: number;
  readonly exits: number;
  /** Host time for all characters, ns, by the median of their parts; and the median distance from it. */
  readonly ns: number;
  readonly deviation: number;
  readonly runs: number;
}

export interface ConsoleOptions {
  readonly engines: readonly BenchEngine[];
  /** A multiple of 4096. */
  readonly characters: number;
  /** Runs that count. */
  readonly runs: number;
  progress(what: string, at: number, of: number): void;
}

export const FULL_CONSOLE = { characters: 1 << 20, runs: 3 } as const;
export const QUICK_CONSOLE = { characters: 1 << 16, runs: 1 } as const;

const set = (address: number, width: number, value: number): Command => ({
  kind: "write",
  count: 1,
  width,
  address,
  value: BigInt(value),
});

function uartWay(console: "ns16550a" | "pl011", what: string, prepare: readonly Command[], step: number): Way {
  const [address, width] = console === "pl011" ? [PL011, 4] : [UART, 1];
  return {
    console,
    what,
    prepare,
    send: (text, count) => ({
      kind: "uart",
      width,
      address,
      count,
      step,
      wrap: WRAP,
      chain: [{ address: text, length: WRAP, writable: false }],
    }),
  };
}

function virtioWay(length: number, what: string): Way {
  return {
    console: "virtio-console",
    what,
    prepare: [],
    send: (text, count) => ({
      kind: "virtqueue",
      address: VIRTIO,
      // VIRTIO 1.3 §5.3.2: transmitq of port 0.
      queue: 1,
      size: 16,
      count: count / length,
      step: length,
      wrap: WRAP,
      chain: [{ address: text, length, writable: false }],
    }),
  };
}

/** PC16550D §8.5: FCR, FIFOs on. */
const FIFOS = [set(UART + 2, 1, 1)];
/** PrimeCell UART (PL011) Technical Reference Manual §3.3.7, §3.3.8: FIFOs on, 8 bits; enabled in both directions. */
const ENABLED = (lineControl: number) => [set(PL011 + 0x2c, 4, lineControl), set(PL011 + 0x30, 4, 0x301)];

const WAYS: readonly Way[] = [
  uartWay("ns16550a", "asks before each character", [set(UART + 2, 1, 0)], 1),
  uartWay("ns16550a", "asks before each FIFO of 16", FIFOS, 16),
  uartWay("pl011", "asks before each character", ENABLED(0x60), 1),
  uartWay("pl011", "asks before each FIFO of 16", ENABLED(0x70), 16),
  virtioWay(1, "buffers of 1"),
  virtioWay(16, "buffers of 16"),
  // Its tty layer hands on so much at a time.
  virtioWay(2048, "buffers of 2048, as Linux"),
];

/** The board with the three consoles. */
export function consoleBoard(registry: VdevRegistry): Board {
  const files: ProfileFiles = {
    ...hostFiles,
    facts: (path) => (path === PROFILE ? { kind: "file", size: TEXT.length } : hostFiles.facts(path)),
    read: (path) => (path === PROFILE ? TEXT : hostFiles.read(path)),
  };
  return loadProfile(PROFILE, { registry, files }).board;
}

export async function benchConsoles(
  registry: VdevRegistry,
  { engines, characters, runs, progress }: ConsoleOptions,
): Promise<ConsoleRow[]> {
  const board = consoleBoard(registry);
  const rows: ConsoleRow[] = [];
  const rigs: Rig[] = engines.map((engine) => ({ engine, bench: new BenchMachine(board, registry, { engine }) }));
  try {
    for (const { bench } of rigs) {
      bench.fill(
        bench.buffer(0),
        Uint8Array.from({ length: WRAP }, (_, i) => 0x20 + (i % 95)),
      );
    }
    const steps = WAYS.flatMap((way) => rigs.map((rig) => ({ way, rig })));
    for (const [i, { way, rig }] of steps.entries()) {
      progress(`${way.console}, ${way.what}: ${rig.engine}`, i + 1, steps.length);
      rows.push(await consoleRow(rig, way, characters, runs));
    }
  } finally {
    for (const { bench } of rigs) bench.close();
  }
  return rows;
}

async function consoleRow({ engine, bench }: Rig, way: Way, characters: number, runs: number): Promise<ConsoleRow> {
  const parts = characters / PART;
  const times: number[] = [];
  let exits = 0;
  await bench.run(way.prepare);
  // The first run warms up: it does not count.
  for (let run = 0; run <= runs; run++) {
    const before = bench.sent;
    const outcomes = await bench.run(Array.from({ length: parts }, () => way.send(bench.buffer(0), PART)));
    const sent = bench.sent - before;
    if (sent !== characters) fail("bench/console", `${sent} of ${characters} characters arrived (${way.console})`);
    if (run > 0) times.push(...outcomes.map(({ ns }) => ns * parts));
    exits = outcomes.reduce((sum, outcome) => sum + outcome.exits, 0);
  }
  const { console, what } = way;
  return { console, what, runner: engine, characters, exits, ns: median(times), deviation: deviation(times), runs };
}

/** A row for each console and way of driving it. */
export function consoleTable(rows: readonly ConsoleRow[]): string {
  const engines = [...new Set(rows.map(({ runner }) => runner))];
  const head = ["CONSOLE", "GUEST", "EXITS", "CHARACTERS/EXIT"];
  for (const engine of engines) head.push(engine.toUpperCase(), "+-", "MB/S");
  const first = rows.filter(({ runner }) => runner === engines[0]);
  const body = first.map(({ console, what, exits, characters }) => {
    const cells = engines.flatMap((engine) => {
      const row = rows.find((one) => one.runner === engine && one.console === console && one.what === what)!;
      return [duration(row.ns), duration(row.deviation), threeDigits((row.characters / row.ns) * 1e3)];
    });
    return [console, what, exits.toLocaleString("en-US"), threeDigits(characters / exits), ...cells];
  });
  const right = head.map((_, i) => i).filter((i) => i > 1);
  return aligned([head, ...body], right);
}
