/** The byte streams of a machine: opened by what a profile calls them, and looked after together. */
import { fail } from "../diagnostics/diagnostic.ts";
import type { ByteStream } from "../vdev/host.ts";
import { parseStream, STREAM_FORMS_IN_SHORT, type StreamSpec } from "../vdev/stream-spec.ts";
import type { BufferedStream } from "./buffered-stream.ts";
import type { ChannelSpec, OpenChannel } from "./channels.ts";
import { HostStream } from "./host-stream.ts";

/** Of a stream's text, in messages. */
const NAME_MAX = 60;
/** How often it is looked whether the last output has gone, ms. */
const POLL = 2;

/** What opens the streams that a profile names. */
export interface StreamHost {
  /** The stream that is the terminal or the pipes of this process. */
  readonly stdio: BufferedStream;
  readonly openChannel: OpenChannel;
}

/** Who a stream is for. */
export interface StreamUser {
  /** A stream that its user opens again, having been replaced by new code, is the same one. */
  readonly key: string;
  /** How long it is tried to open what is not there, s; `undefined` is what suits the kind of stream. */
  readonly patience?: number;
  tell(level: "info" | "warn", message: string): void;
}

export class Streams {
  /** Something came from outside, or more output can go there. */
  onActivity: () => void = () => {};
  readonly #stdio: BufferedStream;
  readonly #openChannel: OpenChannel;
  readonly #open = new Map<string, HostStream>();

  constructor(host: StreamHost) {
    this.#stdio = host.stdio;
    this.#openChannel = host.openChannel;
  }

  /** Opens a stream by what a profile calls it. Throws a `VmrunError` where it cannot be had. */
  open(text: string, user: StreamUser): ByteStream {
    const spec = parseStream(text);
    if ("fault" in spec) return fail("machine/stream", spec.fault, { hint: `use ${STREAM_FORMS_IN_SHORT}` });
    if (spec.kind === "stdio") return this.#stdio;
    if (spec.kind === "null") return new Nothing();
    return (this.#open.get(user.key) ?? this.#create(text, spec, user)).stream;
  }

  /** How one is, for a person; `undefined` for what is always the same. */
  status(key: string): string | undefined {
    return this.#open.get(key)?.status;
  }

  /** Hands on output and makes room for input. */
  flush(): void {
    this.#stdio.flush();
    for (const stream of this.#open.values()) stream.flush();
  }

  /** Whether something outside may still wake a guest that waits. */
  get listening(): boolean {
    return this.#all().some((stream) => stream.listening);
  }

  /** Whether a peer should get time to read before the guest goes on. */
  get congested(): boolean {
    return this.#all().some((stream) => stream.congested);
  }

  /** Those that are congested had their time. */
  leaveBehind(): void {
    for (const stream of this.#all()) stream.leaveBehind();
  }

  /** Lets peers take the last output and programs end, for at most so many ms. */
  async finish(most: number): Promise<void> {
    if (this.#open.size === 0) return;
    const until = Date.now() + most;
    this.flush();
    while (Date.now() < until && this.#all().some(({ draining }) => draining)) await Bun.sleep(POLL);
    await Promise.race([Promise.all(this.#all().map((stream) => stream.finish())), Bun.sleep(until - Date.now())]);
  }

  close(): void {
    this.#stdio.flush();
    for (const stream of this.#all()) stream.close();
    this.#open.clear();
  }

  #create(name: string, spec: ChannelSpec, { key, patience, tell }: StreamUser): HostStream {
    const reconnects = isReconnecting(spec);
    const stream = new HostStream({
      name: name.length > NAME_MAX ? `${name.slice(0, NAME_MAX)}...` : name,
      open: (user) => this.#openChannel(spec, user),
      patience: patience === undefined ? (waitsForPeer(spec) ? Number.POSITIVE_INFINITY : 0) : patience * 1000,
      reconnects,
      tell,
      wake: () => this.onActivity(),
    });
    this.#open.set(key, stream);
    return stream;
  }

  #all(): HostStream[] {
    return [...this.#open.values()];
  }
}

/** That nobody is there yet is no failure. */
function waitsForPeer(spec: StreamSpec): boolean {
  return "role" in spec && spec.role === "connect";
}

/** Cables are pulled, and plugged in again. */
function isReconnecting(spec: StreamSpec): boolean {
  return waitsForPeer(spec) || spec.kind === "tty";
}

class Nothing implements ByteStream {
  onInput = () => {};
  readonly waiting = 0;
  write(): void {}
  read(): number {
    return -1;
  }
}
