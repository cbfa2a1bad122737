/** A machine for programs and tests: its console is text in memory, and it runs when it is told to, for as long as it is told. */

import type { EngineKind } from "../engine/engine.ts";
import { runCommand } from "../host/command.ts";
import { openDisk } from "../host/disk.ts";
import { canMap, discard } from "../host/mapping.ts";
import { hostRandom } from "../host/random.ts";
import { hostHardware } from "../pass/lazy-hardware.ts";
import type { Board } from "../profile/board.ts";
import type { HostHardware } from "../vdev/host-object.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import { assemble } from "./assemble.ts";
import { BufferedStream } from "./buffered-stream.ts";
import { hostChannels } from "./channels.ts";
import type { Ending, Machine, MachineHost } from "./machine.ts";
import type { Observer } from "./observer.ts";
import type { MessageLevel } from "./tenant.ts";

/** Instructions between two looks at the console. */
const SLICE = 100_000;
const NS_PER_MS = 1e6;
/** Between two looks at hardware while the guest is idle, and for how long it may be so without a timer, ns. */
const HARDWARE_WAIT = 0.2e6;
/** Between two looks at the console while harts run by themselves; they can end it. */
const HARTS_WAIT = 5e6;
const LONGEST_WAIT = 2e9;
/** A test that waits for what never comes should fail, and not hang. */
const DEFAULT_INSTRUCTIONS = 1_000_000_000;

export interface LogEntry {
  readonly level: MessageLevel;
  /** Name of the vdev. */
  readonly source: string;
  readonly message: string;
}

/** What ends a run; whichever comes first. Guests that end or can do nothing any more end it, too. */
export interface RunUntil {
  /** Text on the console, behind what an earlier `runUntil` found. */
  readonly text?: string;
  /** Instructions of all harts together; a thousand million when neither this nor `guestTime` is given. */
  readonly instructions?: number;
  /** Seconds of guest time. */
  readonly guestTime?: number;
}

/**
 * `text`: it has appeared. `limit`: instructions or guest time are spent. `ended`: see {@link Guest.ending}.
 * `stuck`: every hart waits and no timer is armed; only input can change that.
 */
export type RunOutcome = "text" | "limit" | "ended" | "stuck";

export interface GuestOptions {
  /** Let a reboot of the guest happen (the default), or take it for the end. */
  readonly reboot?: boolean;
  /** Seconds since 1970 at power-on, for boards whose clock starts at the host's; the host's clock when omitted. */
  readonly wallClock?: number;
  /** Programs of the host may be run: by vdevs that the profile allows it, and as streams; `false` when omitted. */
  readonly hostCommands?: boolean;
  /** What the board's [[pass]] takes from; the host's own when omitted. */
  readonly hardware?: HostHardware;
  /** How guest code runs; the results are the same. */
  readonly engine?: EngineKind;
  /** Watches the machine. */
  readonly observer?: Observer;
}

export class Guest {
  readonly machine: Machine;
  /** What vdevs had to say, each message once. */
  readonly log: LogEntry[] = [];
  readonly #stdio: BufferedStream;
  readonly #decoder = new TextDecoder();
  readonly #reboots: boolean;
  readonly #hostTime: boolean;
  #console = "";
  #found = 0;
  #closed = false;
  /** For hardware, since the guest last ran. */
  #waits = 0;

  /** Throws a `VmrunError` where images or disks cannot be had. */
  constructor(board: Board, registry: VdevRegistry, options: GuestOptions = {}) {
    this.#reboots = options.reboot ?? true;
    this.#hostTime = board.time.mode === "host";
    this.#stdio = new BufferedStream((bytes) => {
      this.#console += this.#decoder.decode(bytes, { stream: true });
    });
    this.machine = assemble(board, registry, this.#host(options), options.engine);
  }

  /** Everything that the board's `stdio` printed so far. */
  get console(): string {
    return this.#console;
  }

  /** How the guest ended, if it did. */
  get ending(): Ending | undefined {
    return this.machine.ending;
  }

  /** Types at the board's `stdio`; the guest sees it when it runs. */
  type(text: string): void {
    this.#stdio.push(new TextEncoder().encode(text));
  }

  runUntil({ text, instructions, guestTime }: RunUntil = {}): RunOutcome {
    if (this.#closed) throw new Error("the guest is closed");
    const { machine } = this;
    const unlimited = instructions === undefined && guestTime === undefined;
    const goal = machine.instructions + (unlimited ? DEFAULT_INSTRUCTIONS : (instructions ?? Number.POSITIVE_INFINITY));
    const until = machine.clock.now() + (guestTime ?? Number.POSITIVE_INFINITY) * 1e9;
    for (;;) {
      if (text !== undefined && this.#find(text)) return "text";
      if (machine.instructions >= goal || machine.clock.now() >= until) return "limit";
      const before = machine.instructions;
      const progress = machine.run(Math.min(SLICE, goal - machine.instructions));
      if (machine.instructions !== before) this.#waits = 0;
      machine.streams.flush();
      if (progress === "ended") {
        if (text !== undefined && this.#find(text)) return "text";
        if (machine.ending?.kind !== "reboot" || !this.#reboots) return "ended";
        machine.reboot();
      } else if (progress === "idle") {
        if (text !== undefined && this.#find(text)) return "text";
        const next = Math.min(machine.deadline, until);
        if (machine.listening) {
          if (!this.#awaitHardware(next)) return "stuck";
          continue;
        }
        if (next === Number.POSITIVE_INFINITY) return "stuck";
        this.#passTo(next);
      }
    }
  }

  /** Flushes streams and closes disks. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.machine.terminate();
  }

  /** Ends the machine, and gives its memory back to the host at once: the collector would wait for long. */
  [Symbol.dispose](): void {
    this.close();
    const { buffer } = this.machine.memory.memory;
    if (canMap()) discard({ buffer, offset: 0, length: buffer.byteLength });
  }

  /** Idle time is skipped, unless the board's time is the host's. */
  #passTo(ns: number): void {
    if (this.#hostTime) Bun.sleepSync(Math.max(0, ns - this.machine.clock.now()) / NS_PER_MS);
    else this.machine.skipTo(ns);
  }

  /**
   * Hardware may interrupt at any time, and harts on threads of their own have something to do: idle time passes as the
   * host's does. `false`: nothing has come for too long.
   */
  #awaitHardware(next: number): boolean {
    const { machine } = this;
    if (machine.parallel?.busy) {
      machine.parallel.pause(Math.min(HARTS_WAIT, Math.max(0, next - machine.clock.now())) / NS_PER_MS);
      return true;
    }
    if (next === Number.POSITIVE_INFINITY && ++this.#waits * HARDWARE_WAIT > LONGEST_WAIT) return false;
    const begun = Bun.nanoseconds();
    Bun.sleepSync(Math.min(HARDWARE_WAIT, Math.max(0, next - machine.clock.now())) / NS_PER_MS);
    machine.skipTo(Math.min(next, machine.clock.now() + Bun.nanoseconds() - begun));
    return true;
  }

  #find(text: string): boolean {
    const at = this.#console.indexOf(text, this.#found);
    if (at < 0) return false;
    this.#found = at + text.length;
    return true;
  }

  #host({ wallClock, hostCommands = false, observer, hardware }: GuestOptions): MachineHost {
    return {
      observer,
      stdio: this.#stdio,
      openChannel: hostChannels({ commands: hostCommands }),
      command: hostCommands ? runCommand : undefined,
      openDisk,
      hostRandom,
      log: (level, source, message) => void this.log.push({ level, source, message }),
      nanoseconds: () => Bun.nanoseconds(),
      hardware: hardware ?? hostHardware(),
      wallClock: () => wallClock ?? Date.now() / 1000,
    };
  }
}
