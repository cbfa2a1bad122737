/** A machine with the bench's guest in it: takes lists of commands, answers what they came to. */
import { fail } from "../../diagnostics/diagnostic.ts";
import type { EngineKind } from "../../engine/engine.ts";
import type { Channel } from "../../host/channels/channel.ts";
import { openDisk } from "../../host/disk.ts";
import { hostRandom } from "../../host/random.ts";
import { assemble } from "../../machine/assemble.ts";
import { BufferedStream } from "../../machine/buffered-stream.ts";
import type { Machine, MachineHost } from "../../machine/machine.ts";
import type { Observer } from "../../machine/observer.ts";
import { type RunEnd, Runner } from "../../machine/runner.ts";
import type { Board } from "../../profile/board.ts";
import type { VdevRegistry } from "../../vdev/registry.ts";
import { type BenchBoard, benchBoard } from "./bench-board.ts";
import { Bell, Doorbell, type Lap } from "./doorbell.ts";
import {
  type Answer,
  BUFFERS_OFFSET,
  type Command,
  decodeAnswers,
  encodeList,
  LIST_OFFSET,
  listSize,
  SAMPLES_OFFSET,
} from "./list.ts";

/** A list that takes longer, ns of host time, has lost its guest. */
const PATIENCE = 120e9;

export interface BenchMachineOptions {
  readonly engine?: EngineKind;
  readonly observer?: Observer;
  /** A counter of the board's that the guest tells time by: `mtime`. */
  readonly clock?: number;
}

/** What a command came to. */
export interface Outcome extends Answer, Lap {}

export class BenchMachine {
  readonly machine: Machine;
  /** The board that was made for it. */
  readonly layout: BenchBoard;
  /** Bytes that vdevs sent to streams of the profile: counted, and sent nowhere. */
  sent = 0;
  readonly #bell: Doorbell;
  readonly #runner: Runner;
  /** Where the guest's first instruction is. */
  readonly #base: number;
  readonly #clock: number | undefined;

  /** Throws a `VmrunError` where the board cannot be measured or its disks cannot be opened. */
  constructor(board: Board, registry: VdevRegistry, { engine, observer, clock }: BenchMachineOptions = {}) {
    this.layout = benchBoard(board, registry);
    let machine: Machine | undefined;
    this.#bell = new Doorbell({ nanoseconds: () => Bun.nanoseconds(), exits: () => machine!.bus.exits });
    this.#clock = clock;
    machine = assemble(this.layout.board, registry.with([this.#bell.descriptor]), this.#host(observer), engine);
    this.machine = machine;
    this.#base = Number(machine.harts[0]!.pc);
    const options = { hostLimit: PATIENCE, listening: () => false, between: () => this.#bell.done };
    this.#runner = new Runner(machine, options);
  }

  /** Where a register of the doorbell is. */
  bell(register: keyof typeof Bell): number {
    return this.layout.doorbell + Bell[register];
  }

  /** Where buffers may lie: so many bytes into their space. */
  buffer(offset: number): number {
    return this.#base + BUFFERS_OFFSET + offset;
  }

  /** Host time from every interrupt that the last list raised through the doorbell to its handler, ns. */
  get delays(): readonly number[] {
    return this.#bell.delays;
  }

  /** Puts bytes where a buffer is. */
  fill(address: number, bytes: Uint8Array): void {
    if (!this.machine.memory.write(address, bytes)) throw new RangeError("a buffer lies outside of RAM");
  }

  /** Works through a list. Throws a `VmrunError` where the guest does not come to its end. */
  async run(commands: readonly Command[]): Promise<Outcome[]> {
    const { memory } = this.machine;
    const at = this.#base + LIST_OFFSET;
    const list = encodeList(commands, {
      doorbell: this.layout.doorbell,
      clock: this.#clock,
      samples: this.#base + SAMPLES_OFFSET,
    });
    this.#bell.clear();
    if (!memory.write(at, list)) fail("bench/ram", "the board's RAM ends before the list of vmrun bench's guest");
    this.#bell.wake();
    // A list may end before the runner lets the host have its turn, in which translated code becomes ready.
    await new Promise((resolve) => setImmediate(resolve));
    const end = await this.#runner.run();
    if (!this.#bell.done) fail("bench/guest", `the guest that measures came to no end: ${shownEnd(end)}`);
    const answers = decodeAnswers(memory.read(at, listSize(commands.length))!, commands.length);
    for (const [i, { done, faults }] of answers.entries()) {
      const { kind, count, address = 0 } = commands[i]!;
      const what = `the guest did ${done} of ${count} (${kind} at 0x${address.toString(16)})`;
      if (done !== count) fail("bench/guest", what);
      if (faults > 0) fail("bench/guest", `${what}, and ${faults} accesses faulted`);
    }
    return answers.map((answer, i) => ({ ...answer, ...this.#bell.laps[i]! }));
  }

  /** What the last `timer` command left: by how many ticks each was late. */
  lateness(count: number): number[] {
    const bytes = this.machine.memory.read(this.#base + SAMPLES_OFFSET, 8 * count)!;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: count }, (_, i) => Number(view.getBigUint64(8 * i, true)));
  }

  close(): void {
    this.machine.terminate();
  }

  /** Streams lead nowhere, disks are read at most, hardware and commands of the host are not to be had. */
  #host(observer: Observer | undefined): MachineHost {
    const count = (bytes: Uint8Array): number => {
      this.sent += bytes.length;
      return bytes.length;
    };
    const channel: Channel = { connected: true, open: false, write: count, hold() {}, close() {} };
    return {
      observer,
      stdio: new BufferedStream(count),
      openChannel: () => channel,
      openDisk: (path) => openDisk(path, { readOnly: true }),
      hostRandom,
      log: () => {},
      nanoseconds: () => Bun.nanoseconds(),
      wallClock: () => Date.now() / 1000,
    };
  }
}

function shownEnd(end: RunEnd): string {
  switch (end.kind) {
    case "stuck":
      return "it waits for ever";
    case "aborted":
      return end.message;
    case "vdev-failed":
      return `vdev ${end.vdev} failed: ${end.message}`;
    default:
      return `the run ended (${end.kind})`;
  }
}
