/** Who a channel is for, in a test: remembers what it hears. */
import type { ChannelUser } from "../../../src/host/channels/channel.ts";

export class TestUser implements ChannelUser {
  heard = "";
  readonly told: string[] = [];
  readonly endings: string[] = [];
  readies = 0;

  input(bytes: Uint8Array): void {
    this.heard += Buffer.from(bytes).toString("latin1");
  }
  ready(): void {
    this.readies++;
  }
  ended(reason: string): void {
    this.endings.push(reason);
  }
  tell(level: "info" | "warn", message: string): void {
    this.told.push(`${level} ${message}`);
  }
}

export const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

/** Waits for what comes from outside. */
export async function until(what: () => unknown): Promise<void> {
  for (const begun = Date.now(); !what(); await Bun.sleep(2)) {
    if (Date.now() - begun > 5000) throw new Error(`it never came: ${what}`);
  }
}
