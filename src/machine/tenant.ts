/** A vdev on a machine: its phase, its log, and what becomes of its failures. */
import { fail, VmrunError } from "../diagnostics/diagnostic.ts";
import type { BoardVdev } from "../profile/board.ts";
import type { VdevInstance } from "../vdev/descriptor.ts";
import { VdevError } from "../vdev/errors.ts";
import { isPromise } from "../vdev/events.ts";
import type { VdevLife } from "../vdev/guarded-host.ts";
import { LOG_LEVELS, type LogLevel, type VdevLog } from "../vdev/host.ts";
import type { Phase } from "../vdev/phases.ts";
import type { AnyVdev } from "../vdev/registry.ts";
import type { Heartbeat } from "./heartbeat.ts";

/** Different messages that one vdev may have shown; a guest may cause as many as it likes. */
const MESSAGES = 256;
const NS_PER_MS = 1e6;
const MS_PER_S = 1000;

export type MessageLevel = Exclude<LogLevel, "off">;
export type LogSink = (level: MessageLevel, source: string, message: string) => void;

/** What a tenant needs of its machine. */
export interface Landlord {
  readonly log: LogSink;
  /** Shown where the profile makes no choice of its own. */
  readonly logLevel: LogLevel;
  /** Where the guest is, for messages: `, pc 0x80000000`, or nothing. */
  place(): string;
  /** For whoever watches that calls come back. */
  readonly heartbeat: Heartbeat;
  /** Host time that what a vdev begins may take to settle before it is told of, seconds. */
  readonly hangAfter: number;
  /** A vdev's failure ends the guest, or everything. */
  end(scope: "guest" | "monitor", vdev: string, message: string): void;
  nanoseconds(): number;
}

export class Tenant implements VdevLife {
  phase: Phase = "create";
  /** Set when `create` has come back. */
  instance!: VdevInstance;
  readonly log: TenantLog;
  /** Failures so far, in accesses and elsewhere. */
  faults = 0;
  readonly #landlord: Landlord;
  /** Notes of its callbacks in the heartbeat. */
  readonly #notes = new Map<string, number>();

  constructor(
    readonly vdev: BoardVdev,
    readonly descriptor: AnyVdev,
    landlord: Landlord,
  ) {
    this.#landlord = landlord;
    this.log = new TenantLog(vdev.placement.name, vdev.log ?? landlord.logLevel, landlord.log);
  }

  get name(): string {
    return this.vdev.placement.name;
  }

  /** Runs what brings the vdev up: there is no machine without it. */
  start<T>(what: string, act: () => T): T {
    try {
      return this.within(what, act);
    } catch (error) {
      // What is wrong with a file or a stream that it names says for itself where.
      if (error instanceof VmrunError && !(error instanceof VdevError)) throw error;
      const hint = error instanceof VdevError ? error.diagnostics[0]?.hint : undefined;
      const message = `vdev ${this.name} (${this.descriptor.type}) does not start: ${reasonOf(error)}`;
      return fail("machine/vdev", message, { hint });
    }
  }

  call(what: string, act: () => unknown): void {
    const begun = this.#landlord.nanoseconds();
    try {
      this.watch(what, this.within(what, act));
    } catch (error) {
      this.fail(what, error);
    }
    this.took(what, this.#landlord.nanoseconds() - begun);
  }

  /** Runs the vdev's code; a watchdog sees what. */
  within<T>(what: string, act: () => T): T {
    const { heartbeat } = this.#landlord;
    let note = this.#notes.get(what);
    if (note === undefined) {
      note = heartbeat.note(this.name, what);
      this.#notes.set(what, note);
    }
    return heartbeat.within(note, act);
  }

  /** A wire of another vdev changed. On the way of every interrupt, so without a look at the clock. */
  input(line: number, level: boolean): void {
    try {
      this.instance.input?.(line, level);
    } catch (error) {
      this.fail("input", error);
    }
  }

  /** A callback that answers a promise goes on without anybody waiting for it: what it rejects is a failure like any other. */
  watch(what: string, result: unknown): void {
    if (!isPromise(result)) return;
    const settled = this.await(what);
    result.then(settled, (error: unknown) => {
      settled();
      this.fail(what, error);
    });
  }

  /** Tells once, where something begun does not settle for a long time; the answer is called when it has. */
  await(what: string): () => void {
    const { hangAfter } = this.#landlord;
    const timer = setTimeout(() => {
      if (this.phase === "terminated") return;
      this.log.once("warn", `pending: ${what}`, `${what} has not settled for ${hangAfter} s`);
    }, hangAfter * MS_PER_S);
    timer.unref();
    return () => clearTimeout(timer);
  }

  /** Reports a callback or an access that held the machine. `ns`: host time. */
  took(what: string, ns: number): void {
    if (ns > LONGEST_CALL) {
      this.log.once("warn", `slow: ${what}`, `${what} held the machine for ${Math.round(ns / NS_PER_MS)} ms`);
    }
  }

  /** Something in the vdev's code failed. Told once for each thing that does; `what` names it. */
  fail(what: string, error: unknown): void {
    this.faults++;
    const message = `${what} failed in the vdev: ${reasonOf(error)}`;
    this.log.once("error", message, message + this.#landlord.place());
    const { onFault } = this.vdev;
    if (onFault === "end-guest") this.#landlord.end("guest", this.name, message);
    if (onFault === "end") this.#landlord.end("monitor", this.name, message);
  }
}

/** Host time that one call into a vdev may take before it is reported, ns. */
export const LONGEST_CALL = 250e6;

/** Tells each message once, and counts how often it came. */
export class TenantLog implements VdevLog {
  readonly #source: string;
  readonly #least: number;
  readonly #sink: LogSink;
  readonly #told = new Map<string, number>();
  #lost = 0;

  constructor(source: string, level: LogLevel, sink: LogSink) {
    this.#source = source;
    this.#least = LOG_LEVELS.indexOf(level);
    this.#sink = sink;
  }

  guestError(message: string): void {
    this.once("debug", `guest error: ${message}`);
  }
  error(message: string): void {
    this.once("error", message);
  }
  warn(message: string): void {
    this.once("warn", message);
  }
  info(message: string): void {
    this.once("info", message);
  }
  debug(message: string): void {
    this.once("debug", message);
  }

  /** `key`: what makes two messages the same one. */
  once(level: MessageLevel, key: string, message = key): void {
    const times = this.#told.get(key);
    if (times === undefined && this.#told.size >= MESSAGES) {
      this.#lost++;
      return;
    }
    this.#told.set(key, (times ?? 0) + 1);
    if (times === undefined && LOG_LEVELS.indexOf(level) >= this.#least) this.#sink(level, this.#source, message);
  }

  /** Messages so far, repeats and those beyond the bound included. */
  get count(): number {
    let count = this.#lost;
    for (const times of this.#told.values()) count += times;
    return count;
  }
}

export function reasonOf(error: unknown): string {
  if (error instanceof VmrunError) return error.diagnostics.map(({ message }) => message).join("; ");
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return "something that cannot be shown";
  }
}
