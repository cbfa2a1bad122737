/**
 * A stream with a channel of the host behind it, which may come late, go away and come back. The guest notices nothing:
 * input comes between two of its slices, and output waits for a peer as far as there is room.
 */
import type { Channel, ChannelUser } from "../host/channels/channel.ts";
import { BufferedStream } from "./buffered-stream.ts";
import { reasonOf } from "./tenant.ts";

/** Output that is kept for a peer who is not there, bytes: the latest, so that who comes sees how things are. */
export const KEPT = 64 << 10;
/** Output that waits for a peer who is slow to read, bytes; older output is lost. */
export const QUEUED = 1 << 20;
/** From here on, a peer should get time to read before the guest goes on. */
const CONGESTED = 256 << 10;
/** A channel that is not there is tried again after so many ms: from the first to the last time. */
const FIRST_RETRY = 50;
const LAST_RETRY = 1000;

export interface HostStreamOptions {
  /** As the profile has it, for messages. */
  readonly name: string;
  readonly open: (user: ChannelUser) => Channel;
  /** How long it is tried to open it, ms. Zero: a failure of the first try is thrown. */
  readonly patience: number;
  /** A channel that has ended is opened again. */
  readonly reconnects: boolean;
  readonly tell: (level: "info" | "warn", message: string) => void;
  /** Something has happened that a waiting guest or machine may want to look at. */
  readonly wake: () => void;
}

export class HostStream {
  readonly stream = new BufferedStream((bytes) => this.#queue(bytes));
  readonly #options: HostStreamOptions;
  #channel: Channel | undefined;
  #output: Uint8Array[] = [];
  #queued = 0;
  /** Bytes of output that nobody will see. */
  lost = 0;
  /** A peer that does not read is not waited for any more. */
  #leftBehind = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #wait = FIRST_RETRY;
  /** When it is given up, ms of the host's time. */
  readonly #until: number;
  #wasConnected = false;
  #closed = false;

  /** Throws where the channel cannot be had and nobody wants to wait for it. */
  constructor(options: HostStreamOptions) {
    this.#options = options;
    this.#until = Date.now() + options.patience;
    this.#open(options.patience === 0);
  }

  /** Whether input may come that nobody has asked for yet. */
  get listening(): boolean {
    return !this.#closed && !this.stream.full && (this.#retry !== undefined || (this.#channel?.open ?? false));
  }

  /** Whether so much output waits for a peer that reads that the guest had better wait, too. */
  get congested(): boolean {
    return this.#queued > CONGESTED && !this.#leftBehind && (this.#channel?.connected ?? false);
  }

  /** The peer had its time. */
  leaveBehind(): void {
    if (this.congested) this.#leftBehind = true;
  }

  /** Whether output waits that a peer may still take. */
  get draining(): boolean {
    return this.#queued > 0 && !this.#leftBehind && (this.#channel?.connected ?? false);
  }

  get status(): string {
    const state = this.#channel?.connected ? "connected" : this.listening ? "waits for a peer" : "closed";
    return this.lost === 0 ? state : `${state}, ${this.lost} bytes of output lost`;
  }

  /** Hands on what can be handed on, and takes input again where there is room. */
  flush(): void {
    this.stream.flush();
    this.#send();
    this.#channel?.hold(this.stream.full);
  }

  /** Lets the other side end in its own time. */
  async finish(): Promise<void> {
    await this.#channel?.finish?.();
  }

  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#channel?.close();
    this.#channel = undefined;
    this.#output = [];
    this.#queued = 0;
  }

  #open(isLast: boolean): void {
    const { open, name, tell, wake } = this.#options;
    // A channel that was given up may still have something to say.
    let channel: Channel | undefined;
    const isCurrent = () => !this.#closed && channel !== undefined && channel === this.#channel;
    try {
      channel = open({
        input: (bytes) => {
          if (!isCurrent()) return;
          this.stream.push(bytes);
          channel?.hold(this.stream.full);
          wake();
        },
        ready: () => {
          if (!isCurrent()) return;
          this.#arrived();
          this.#send();
          wake();
        },
        ended: (reason) => {
          if (!isCurrent()) return;
          this.#ended(reason);
          wake();
        },
        tell: (level, message) => {
          if (!this.#closed) tell(level, `${name}: ${message}`);
        },
      });
    } catch (error) {
      if (isLast) throw error;
      this.#tryAgain(reasonOf(error));
      return;
    }
    this.#channel = channel;
    if (channel.connected) this.#arrived();
    if (channel.pull !== undefined) this.stream.feed(() => channel.pull?.());
  }

  /** From now on it is waited for as long as the machine runs. */
  #arrived(): void {
    this.#wasConnected = true;
    this.#wait = FIRST_RETRY;
  }

  #ended(reason: string): void {
    this.#channel?.close();
    this.#channel = undefined;
    if (this.#options.reconnects) this.#tryAgain(reason);
    else this.#options.tell("info", `${this.#options.name}: ${reason}`);
  }

  #tryAgain(reason: string): void {
    const { name, tell } = this.#options;
    if (!this.#wasConnected && Date.now() >= this.#until) {
      tell("warn", `${name}: ${reason}; it is not tried any more`);
      return;
    }
    tell("info", `${name}: ${reason}; it is tried again`);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#open(false);
      this.#options.wake();
    }, this.#wait);
    this.#wait = Math.min(2 * this.#wait, LAST_RETRY);
  }

  #queue(bytes: Uint8Array): void {
    this.#output.push(bytes);
    this.#queued += bytes.length;
    this.#send();
    this.#bound(this.#channel?.connected ? QUEUED : KEPT);
  }

  #send(): void {
    for (let bytes = this.#output[0]; bytes !== undefined; bytes = this.#output[0]) {
      const taken = this.#channel?.connected ? this.#channel.write(bytes) : 0;
      this.#queued -= taken;
      if (taken > 0) this.#leftBehind = false;
      if (taken < bytes.length) {
        this.#output[0] = bytes.subarray(taken);
        return;
      }
      this.#output.shift();
    }
  }

  /** The oldest output goes. */
  #bound(most: number): void {
    if (this.#queued <= most) return;
    const { name, tell } = this.#options;
    const who = this.#channel?.connected ? "the peer does not read" : "nobody listens";
    tell("warn", `${name}: ${who}; all but the last ${most >> 10} KiB of output is lost`);
    while (this.#queued > most) {
      const bytes = this.#output[0]!;
      const gone = Math.min(bytes.length, this.#queued - most);
      this.#queued -= gone;
      this.lost += gone;
      if (gone === bytes.length) this.#output.shift();
      else this.#output[0] = bytes.subarray(gone);
    }
  }
}
