/** Notices a vdev whose code does not come back: a thread of its own watches the machine's heartbeat. */
import { addressOf } from "../host/mapping.ts";
import { terminalSettings } from "../host/termios.ts";
import type { Board } from "../profile/board.ts";
import type { FaultPolicy } from "../vdev/placement.ts";
import type { RegisterMap } from "../vdev/registers.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Machine } from "./machine.ts";

/** What the watching thread has to know. */
export interface WatchOrder {
  readonly memory: SharedArrayBuffer;
  /** How long a call may take, seconds. */
  readonly bound: number;
  /** In the order of the bus. */
  readonly regions: readonly { readonly owner: string; readonly name: string; readonly registers?: RegisterMap }[];
  readonly vdevs: Readonly<Record<string, { readonly type: string; readonly onFault: FaultPolicy }>>;
  /** The vdevs whose code is no part of vmrun. */
  readonly own: readonly string[];
  /** How the terminal is to be left. */
  readonly terminal: Uint8Array | undefined;
  /** Exit code where a policy ends vmrun. */
  readonly exitCode: number;
}

/** How often it looks within the bound. */
export const LOOKS = 8;

export interface Watchdog {
  /** Tells where the guest's pc can be seen. */
  follow(machine: Machine): void;
  stop(): void;
}

/**
 * Begins to watch, before there is a machine: vdevs are created with it.
 * @param ownTypes Types whose code is no part of vmrun.
 * @param exitCode Of vmrun, where the vdev's `on_fault` asks for an end.
 */
export function startWatchdog(
  board: Board,
  registry: VdevRegistry,
  ownTypes: readonly string[],
  heartbeat: Heartbeat,
  exitCode: number,
): Watchdog {
  const order: WatchOrder = {
    memory: heartbeat.memory,
    bound: board.hangAfter,
    regions: board.vdevs
      .flatMap(({ placement: { name: owner, type, regions } }) =>
        regions.map(({ name, at }) => ({ owner, name, at, registers: registry.get(type)?.registers?.[name] })),
      )
      .sort((a, b) => a.at - b.at),
    vdevs: Object.fromEntries(
      board.vdevs.map(({ placement: { name, type }, onFault }) => [name, { type, onFault }] as const),
    ),
    own: board.vdevs.flatMap(({ placement: { name, type } }) => (ownTypes.includes(type) ? [name] : [])),
    terminal: process.stdin.isTTY ? terminalSettings(0) : undefined,
    exitCode,
  };
  const worker = new Worker(new URL("./watchdog-thread.ts", import.meta.url), { ref: false });
  worker.postMessage(order);
  // A thread that sleeps goes on, too.
  const timer = setInterval(() => heartbeat.beat(), (board.hangAfter * 1000) / LOOKS);
  timer.unref();
  return {
    follow(machine) {
      heartbeat.pcAddress = addressOf(machine.memory.memory.buffer, machine.pcOffset);
    },
    stop() {
      clearInterval(timer);
      worker.terminate();
    },
  };
}
