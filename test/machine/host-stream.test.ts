// A stream whose channel comes late, goes away, does not read, or says too much.
import { describe, expect, test } from "bun:test";
import { fail } from "../../src/diagnostics/diagnostic.ts";
import { HostStream, type HostStreamOptions, KEPT, QUEUED } from "../../src/machine/host-stream.ts";
import { FakeChannel } from "./channel.ts";

function make(options: Partial<HostStreamOptions> = {}, prepare: (channel: FakeChannel) => void = () => {}) {
  const channels: FakeChannel[] = [];
  const told: string[] = [];
  const seen = { woken: 0 };
  const host = new HostStream({
    name: "pty",
    open(user) {
      const channel = new FakeChannel(user);
      prepare(channel);
      channels.push(channel);
      return channel;
    },
    patience: 0,
    reconnects: false,
    tell: (level, message) => void told.push(`${level} ${message}`),
    wake: () => seen.woken++,
    ...options,
  });
  return { host, channels, told, seen };
}

const write = (host: HostStream, text: string) => {
  for (const byte of Buffer.from(text, "latin1")) host.stream.write(byte);
  host.flush();
};

/** Waits for what a timer brings about. */
async function until(what: () => boolean): Promise<void> {
  for (const begun = Date.now(); !what(); await Bun.sleep(2)) if (Date.now() - begun > 5000) throw new Error("never");
}

describe("output", () => {
  test("goes as far as the channel takes it, in order, and the rest when there is room", () => {
    const { host, channels } = make({}, (channel) => {
      channel.room = 3;
    });
    const [channel] = channels as [FakeChannel];
    write(host, "abcde");
    write(host, "fg");
    expect([channel.output, host.draining]).toEqual(["abc", true]);
    channel.room = 2;
    channel.user!.ready();
    expect(channel.output).toBe("abcde");
    channel.room = 10;
    host.flush();
    expect([channel.output, host.draining, host.lost]).toEqual(["abcdefg", false, 0]);
  });

  test("waits for a peer; the latest of it, and what is lost is counted and told once", () => {
    const { host, channels, told, seen } = make({}, (channel) => {
      channel.connected = false;
    });
    const [channel] = channels as [FakeChannel];
    const line = `${"x".repeat(1023)}\n`;
    for (let i = 0; i < 100; i++) write(host, line);
    write(host, "last");
    expect(host.lost).toBe(100 * 1024 + 4 - KEPT);
    expect(new Set(told)).toEqual(new Set(["warn pty: nobody listens; all but the last 64 KiB of output is lost"]));
    expect(host.status).toBe(`waits for a peer, ${host.lost} bytes of output lost`);
    channel.connected = true;
    channel.user!.ready();
    expect(channel.output).toHaveLength(KEPT);
    expect(channel.output).toEndWith(`${line}last`);
    expect(seen.woken).toBe(1);
  });

  test("to a peer that does not read is bounded, and the guest waits only once", () => {
    const { host, channels, told } = make({}, (channel) => {
      channel.room = 0;
    });
    const [channel] = channels as [FakeChannel];
    const piece = "x".repeat(64 << 10);
    for (let i = 0; i < 5; i++) write(host, piece);
    expect(host.congested).toBe(true);
    host.leaveBehind();
    expect([host.congested, host.draining]).toEqual([false, false]);
    for (let i = 0; i < 15; i++) write(host, piece);
    expect([host.congested, host.lost]).toEqual([false, 20 * (64 << 10) - QUEUED]);
    expect(new Set(told)).toEqual(
      new Set(["warn pty: the peer does not read; all but the last 1024 KiB of output is lost"]),
    );
    // It reads again: then it is waited for again.
    channel.room = 10;
    host.flush();
    expect(host.congested).toBe(true);
  });
});

describe("input", () => {
  test("is asked to wait while the guest does not read, and to come again when it has", () => {
    const { host, channels, seen } = make();
    const [channel] = channels as [FakeChannel];
    channel.user!.input(new Uint8Array(2 ** 20));
    expect([channel.held, host.listening, seen.woken]).toEqual([true, false, 1]);
    host.stream.read();
    expect(channel.held).toBe(true);
    host.flush();
    expect([channel.held, host.listening]).toEqual([false, true]);
  });
});

describe("a channel that is not there", () => {
  const failing = (times: number, options: Partial<HostStreamOptions>) => {
    const channels: FakeChannel[] = [];
    const open: HostStreamOptions["open"] = (user) => {
      if (--times >= 0) return fail("host/test", "it is not there");
      const channel = new FakeChannel(user);
      channels.push(channel);
      return channel;
    };
    return { ...make({ open, ...options }), channels };
  };

  test("is an error at once without patience", () => {
    expect(() => failing(1, {})).toThrow("it is not there");
  });

  test("is tried again, output kept meanwhile, and the guest may hope", async () => {
    const { host, channels, told, seen } = failing(2, { patience: 10_000 });
    write(host, "early");
    expect([host.listening, host.status]).toEqual([true, "waits for a peer"]);
    await until(() => channels.length === 1);
    expect(seen.woken).toBeGreaterThan(0);
    host.flush();
    expect(channels[0]!.output).toBe("early");
    expect(told[0]).toBe("info pty: it is not there; it is tried again");
    host.close();
  });

  test("is given up when patience ends", async () => {
    const { host, told } = failing(1000, { patience: 60 });
    await until(() => !host.listening);
    expect(told.at(-1)).toBe("warn pty: it is not there; it is not tried any more");
    expect(host.status).toBe("closed");
    write(host, "x".repeat(100_000));
    expect(host.lost).toBe(100_000 - KEPT);
    host.close();
  });

  test("is tried no more once the machine has ended", async () => {
    let tries = 0;
    const { host } = failing(1000, { patience: 10_000, open: () => (tries++, fail("host/test", "no")) });
    host.close();
    await Bun.sleep(80);
    expect(tries).toBe(1);
  });
});

describe("a channel that ends", () => {
  test("is opened again where that makes sense, however long it takes", async () => {
    const { host, channels, told } = make({ reconnects: true });
    channels[0]!.user!.ended("the cable is out");
    expect([channels[0]!.closed, host.listening]).toEqual([true, true]);
    expect(told).toEqual(["info pty: the cable is out; it is tried again"]);
    await until(() => channels.length === 2);
    write(host, "back");
    expect(channels[1]!.output).toBe("back");
    // What the old one still says is not the new one's.
    channels[0]!.user!.input(Uint8Array.of(1));
    channels[0]!.user!.ended("again");
    expect([host.stream.waiting, channels.length]).toEqual([0, 2]);
    host.close();
  });

  test("is the end of the stream where it does not", () => {
    const { host, channels, told } = make();
    channels[0]!.user!.ended("the program ended with 0");
    expect([channels[0]!.closed, host.listening, host.status]).toEqual([true, false, "closed"]);
    expect(told).toEqual(["info pty: the program ended with 0"]);
    write(host, "to nobody");
  });
});

test("closing sends what is left, and then nothing comes any more", () => {
  const { host, channels } = make();
  const [channel] = channels as [FakeChannel];
  host.stream.write(65);
  host.close();
  host.close();
  channel.user!.input(Uint8Array.of(1));
  channel.user!.ready();
  expect([channel.output, channel.closed, host.stream.waiting, host.listening]).toEqual(["A", true, 0, false]);
});
