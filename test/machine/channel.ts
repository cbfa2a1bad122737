/** A channel of the host whose other side is the test. */
import type { Channel, ChannelUser } from "../../src/host/channels/channel.ts";

export class FakeChannel implements Channel {
  connected = true;
  open = true;
  held = false;
  closed = false;
  finished = false;
  /** What was written, as text. */
  output = "";
  /** Bytes that it takes from now on. */
  room = Number.POSITIVE_INFINITY;

  constructor(readonly user?: ChannelUser) {}

  write(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.room);
    this.room -= taken;
    this.output += Buffer.from(bytes.subarray(0, taken)).toString("latin1");
    return taken;
  }

  hold(held: boolean): void {
    this.held = held;
  }

  async finish(): Promise<void> {
    this.finished = true;
  }

  close(): void {
    this.closed = true;
  }
}
