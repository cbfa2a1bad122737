// What a profile calls a stream, and the machine's care for all of them.
import { describe, expect, test } from "bun:test";
import { VmrunError } from "../../src/diagnostics/diagnostic.ts";
import { BufferedStream } from "../../src/machine/buffered-stream.ts";
import { Streams, type StreamUser } from "../../src/machine/streams.ts";
import type { StreamSpec } from "../../src/vdev/stream-spec.ts";
import { FakeChannel } from "./channel.ts";

function make() {
  const opened: { readonly spec: StreamSpec; readonly channel: FakeChannel }[] = [];
  const stdio = new BufferedStream(() => {});
  const streams = new Streams({
    stdio,
    openChannel(spec, user) {
      const channel = new FakeChannel(user);
      opened.push({ spec, channel });
      return channel;
    },
  });
  return { opened, stdio, streams };
}

const user = (key: string): StreamUser => ({ key, tell: () => {} });

describe("the streams of a machine", () => {
  test("are the terminal, something of the host, or nothing", () => {
    const { opened, stdio, streams } = make();
    expect(streams.open("stdio", user("a"))).toBe(stdio);
    const nothing = streams.open("null", user("b"));
    nothing.write(66);
    expect([nothing.read(), nothing.waiting]).toEqual([-1, 0]);
    const file = streams.open("file:/a:b", user("c"));
    file.write(65);
    expect(opened).toMatchObject([{ spec: { kind: "file", output: "/a:b" }, channel: { output: "" } }]);
    streams.flush();
    expect(opened[0]!.channel.output).toBe("A");
  });

  test("are nothing else", () => {
    const { streams } = make();
    for (const spec of ["", "stdout", "FILE:x", "file:"])
      expect(() => streams.open(spec, user("a"))).toThrow(VmrunError);
  });

  test("stay the same for a user that opens them again, and are others for others", () => {
    const { opened, streams } = make();
    const first = streams.open("pty", user("uart0 0 pty"));
    expect(streams.open("pty", user("uart0 0 pty"))).toBe(first);
    expect(streams.open("pty", user("uart1 0 pty"))).not.toBe(first);
    expect(opened).toHaveLength(2);
  });

  test("listen as long as one of them does", () => {
    const { opened, streams } = make();
    expect(streams.listening).toBe(false);
    streams.open("pty", user("a"));
    streams.open("tty:/dev/x", user("b"));
    opened[0]!.channel.open = false;
    expect(streams.listening).toBe(true);
    opened[1]!.channel.open = false;
    expect(streams.listening).toBe(false);
  });

  test("tell when something comes", () => {
    const { opened, streams } = make();
    let woken = 0;
    streams.onActivity = () => woken++;
    const stream = streams.open("pty", user("a"));
    opened[0]!.channel.user!.input(Uint8Array.of(7));
    expect([woken, stream.read()]).toEqual([1, 7]);
  });

  test("let programs end and peers read, and close", async () => {
    const { opened, streams } = make();
    const stream = streams.open("process:cat", user("a"));
    const { channel } = opened[0]!;
    channel.room = 0;
    stream.write(65);
    setTimeout(() => {
      channel.room = 10;
      channel.user!.ready();
    }, 5);
    await streams.finish(5000);
    expect([channel.output, channel.finished, channel.closed]).toEqual(["A", true, false]);
    streams.close();
    expect([channel.closed, streams.listening]).toEqual([true, false]);
  });

  test("do not wait for ever for one that does not read", async () => {
    const { opened, streams } = make();
    streams.open("pty", user("a")).write(65);
    opened[0]!.channel.room = 0;
    const begun = Bun.nanoseconds();
    await streams.finish(20);
    expect(Bun.nanoseconds() - begun).toBeLessThan(2e9);
  });
});
