// Sockets of both kinds and roles, with peers that come, go, come back, do not read, and are too many.
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VmrunError } from "../../../src/diagnostics/diagnostic.ts";
import { type Address, connect, listen } from "../../../src/host/channels/sockets.ts";
import { bytes, TestUser, until } from "./user.ts";

const folder = mkdtempSync(join(tmpdir(), "vmrun-sockets-"));
afterAll(() => rmSync(folder, { recursive: true }));
let names = 0;
const fresh = () => join(folder, `${names++}.sock`);

/** The port that was really taken stands in what the listener says. */
function portOf(user: TestUser): number {
  return Number(/:(\d+)$/.exec(user.told[0]!)![1]);
}

/** A pair of channels, connected. */
async function pair(address: Address) {
  const server = new TestUser();
  const listener = listen(address, server);
  const there = "unix" in address ? address : { ...address, port: portOf(server) };
  const client = new TestUser();
  const connection = connect(there, client);
  await until(() => listener.connected && connection.connected);
  return { server, listener, client, connection, there };
}

describe.each([
  ["unix", () => ({ unix: fresh() })],
  ["tcp", () => ({ hostname: "127.0.0.1", port: 0 })],
] as const)("%s", (kind, address) => {
  test("bytes go both ways, and each side hears that the other has come", async () => {
    const { server, listener, client, connection } = await pair(address());
    expect([server.readies, client.readies]).toEqual([1, 1]);
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(listener.write(all)).toBe(256);
    expect(connection.write(bytes("up"))).toBe(2);
    await until(() => client.heard.length === 256 && server.heard === "up");
    expect(bytes(client.heard)).toEqual(Buffer.from(all));
    connection.close();
    listener.close();
  });

  test("a peer that goes leaves the place to the next; the connection has ended", async () => {
    const { server, listener, client, connection, there } = await pair(address());
    const next = connect(there, new TestUser());
    connection.close();
    await until(() => !listener.connected || server.readies === 2);
    next.close();
    const third = new TestUser();
    const last = connect(there, third);
    await until(() => last.connected && listener.write(bytes("hello")) === 5 && third.heard.startsWith("hello"));
    expect([listener.open, client.endings]).toEqual([true, []]);
    listener.close();
    await until(() => third.endings.length === 1);
    expect(third.endings).toEqual(["the peer has gone"]);
    expect(last.open).toBe(false);
  });

  test("a second peer at a time is turned away", async () => {
    const { server, listener, client, connection, there } = await pair(address());
    const second = new TestUser();
    const other = connect(there, second);
    await until(() => second.endings.length > 0);
    expect(server.told.at(-1)).toBe("warn a second peer was turned away: there is one at a time");
    listener.write(bytes("still yours"));
    await until(() => client.heard === "still yours");
    for (const channel of [other, connection, listener]) channel.close();
  });

  test("a writer in a hurry is held back, and goes on when there is room", async () => {
    const { server, listener, client, connection } = await pair(address());
    connection.hold(true);
    const piece = new Uint8Array(65_536).fill(120);
    let sent = 0;
    for (let taken = piece.length; taken === piece.length; sent += taken) taken = listener.write(piece);
    const { readies } = server;
    expect(sent).toBeLessThan(64 << 20);
    expect(client.heard).toBe("");
    connection.hold(false);
    await until(() => client.heard.length === sent && server.readies > readies);
    for (const channel of [connection, listener]) channel.close();
  });

  test("who has said all may still listen, and makes room for the next", async () => {
    const { server, listener, connection, there } = await pair(address());
    connection.close();
    await Bun.sleep(5);
    let answer = "";
    const socket = {
      open: (peer: Bun.Socket) => {
        peer.write("question");
        peer.shutdown();
      },
      data: (_: Bun.Socket, data: Uint8Array) => {
        answer += Buffer.from(data).toString();
      },
    };
    await ("unix" in there
      ? Bun.connect({ unix: there.unix, socket, allowHalfOpen: true })
      : Bun.connect({ ...there, socket, allowHalfOpen: true }));
    await until(() => server.heard.endsWith("question"));
    await Bun.sleep(10);
    listener.write(bytes("answer"));
    await until(() => answer === "answer");
    const next = new TestUser();
    const channel = connect(there, next);
    await until(() => channel.connected && listener.write(bytes("!")) === 1 && next.heard !== "");
    for (const one of [channel, listener]) one.close();
  });

  test("where nobody listens, the connection ends with the reason", async () => {
    const user = new TestUser();
    const nowhere = kind === "unix" ? { unix: fresh() } : { hostname: "127.0.0.1", port: 1 };
    const channel = connect(nowhere, user);
    expect([channel.connected, channel.write(bytes("x"))]).toEqual([false, 0]);
    await until(() => user.endings.length > 0);
    expect(user.endings).toHaveLength(1);
    expect(user.endings[0]).toMatch(/^cannot connect to .*: (it does not exist|nobody listens there)$/);
  });

  test("closed before it is connected, it leaves nothing behind", async () => {
    const server = new TestUser();
    const there = address();
    const listener = listen(there, server);
    const user = new TestUser();
    connect("unix" in there ? there : { ...there, port: portOf(server) }, user).close();
    await until(() => server.readies > 0);
    await Bun.sleep(5);
    expect([user.readies, user.endings]).toEqual([0, []]);
    listener.close();
  });
});

describe("the path of a Unix socket", () => {
  const refusal = (path: string) => {
    try {
      listen({ unix: path }, new TestUser()).close();
    } catch (error) {
      if (error instanceof VmrunError) return error.message;
      throw error;
    }
    return "taken";
  };

  test("is told, and gone after the end", () => {
    const path = fresh();
    const user = new TestUser();
    const channel = listen({ unix: path }, user);
    expect(user.told).toEqual([`info listens at ${path}`]);
    expect(existsSync(path)).toBe(true);
    channel.close();
    expect(existsSync(path)).toBe(false);
  });

  test("is taken over from a process that is no more", async () => {
    const path = fresh();
    const script = `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } }); process.kill(process.pid, 9)`;
    await Bun.spawn([process.execPath, "-e", script]).exited;
    expect(existsSync(path)).toBe(true);
    expect(refusal(path)).toBe("taken");
  });

  test("is not taken from one that lives, and which does not notice", () => {
    const path = fresh();
    const user = new TestUser();
    const channel = listen({ unix: path }, user);
    expect(refusal(path)).toContain("another process does");
    expect([user.readies, existsSync(path)]).toEqual([0, true]);
    // Neither by another name of the same path.
    symlinkSync(folder, join(folder, "other"));
    expect(refusal(path.replace(folder, join(folder, "other")))).toContain("another process does");
    channel.close();
  });

  test("is not taken from a file, may not be too long, and needs its folder", () => {
    const path = fresh();
    writeFileSync(path, "mine");
    expect(refusal(path)).toContain("something else of that name");
    expect(refusal(join(folder, "x".repeat(120)))).toContain("too long");
    expect(refusal(join(folder, "none/a.sock"))).toContain("it does not exist");
  });
});

test("a TCP port that is taken is told", () => {
  const user = new TestUser();
  const channel = listen({ hostname: "127.0.0.1", port: 0 }, user);
  expect(() => listen({ hostname: "127.0.0.1", port: portOf(user) }, new TestUser())).toThrow("the address is in use");
  channel.close();
});
