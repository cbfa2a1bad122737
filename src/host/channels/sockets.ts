/** Unix and TCP sockets as channels: one peer at a time, which may go away and come back. */
import { lstatSync, readFileSync, rmSync } from "node:fs";
import type { Socket, TCPSocketListener, UnixSocketListener } from "bun";
import { fail } from "../../diagnostics/diagnostic.ts";
import { libc, once } from "../libc.ts";
import { type Channel, type ChannelUser, reason } from "./channel.ts";

export type Address = { readonly unix: string } | { readonly hostname: string; readonly port: number };

/** Bytes of `sun_path`, its terminating zero among them. unix(7) */
const UNIX_PATH = 108;
/** An idle connection is probed after so many ms: a peer that vanished must not keep others out. */
const PROBE_AFTER = 30_000;

export function shownAddress(address: Address): string {
  if ("unix" in address) return address.unix;
  const { hostname, port } = address;
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Waits for a peer. When one goes, the next may come; a second one at a time is turned away. */
export function listen(address: Address, user: ChannelUser): Channel {
  if ("unix" in address) prepareUnixPath(address.unix);
  return new Listener(address, user);
}

class Listener implements Channel {
  readonly open = true;
  readonly #user: ChannelUser;
  readonly #server: UnixSocketListener<undefined> | TCPSocketListener<undefined>;
  #peer: Socket | undefined;
  /** The peer said that it sends no more. It may still read, but has no claim on the place any more. */
  #silent = false;
  #held = false;

  constructor(address: Address, user: ChannelUser) {
    this.#user = user;
    const socket = {
      open: (peer: Socket) => this.#arrived(peer),
      data: (peer: Socket, bytes: Uint8Array) => {
        if (peer === this.#peer) user.input(bytes);
      },
      drain: (peer: Socket) => {
        if (peer === this.#peer) user.ready();
      },
      end: (peer: Socket) => {
        if (peer === this.#peer) this.#silent = true;
      },
      close: (peer: Socket) => {
        if (peer === this.#peer) this.#peer = undefined;
      },
      // `close` follows.
      error: () => {},
    };
    try {
      const options = { allowHalfOpen: true, socket };
      this.#server =
        "unix" in address ? Bun.listen({ unix: address.unix, ...options }) : Bun.listen({ ...address, ...options });
    } catch (error) {
      fail("host/listen", `cannot listen at ${shownAddress(address)}: ${reason(error)}`);
    }
    this.#server.unref();
    const at = "port" in this.#server && "port" in address ? { ...address, port: this.#server.port } : address;
    user.tell("info", `listens at ${shownAddress(at)}`);
  }

  get connected(): boolean {
    return this.#peer !== undefined;
  }

  write(bytes: Uint8Array): number {
    return Math.max(0, this.#peer?.write(bytes) ?? 0);
  }

  hold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    holdSocket(this.#peer, held);
  }

  close(): void {
    const peer = this.#peer;
    this.#peer = undefined;
    peer?.end();
    this.#server.stop();
  }

  #arrived(peer: Socket): void {
    peer.unref();
    if (this.#peer !== undefined && !this.#silent) {
      this.#user.tell("warn", "a second peer was turned away: there is one at a time");
      peer.end();
      return;
    }
    this.#peer?.terminate();
    this.#peer = peer;
    this.#silent = false;
    settle(peer);
    if (this.#held) holdSocket(peer, true);
    this.#user.ready();
  }
}

/** Connects to who listens there. The channel has ended when that fails, or when the connection does. */
export function connect(address: Address, user: ChannelUser): Channel {
  return new Connection(address, user);
}

class Connection implements Channel {
  readonly #user: ChannelUser;
  #peer: Socket | undefined;
  #over = false;
  #held = false;

  constructor(address: Address, user: ChannelUser) {
    this.#user = user;
    const socket = {
      open: (peer: Socket) => this.#opened(peer),
      data: (_: Socket, bytes: Uint8Array) => {
        if (!this.#over) user.input(bytes);
      },
      drain: () => {
        if (!this.#over) user.ready();
      },
      close: () => this.#ended("the peer has gone"),
      error: () => {},
    };
    const failed = (error: unknown) => this.#ended(`cannot connect to ${shownAddress(address)}: ${reason(error)}`);
    const connected =
      "unix" in address ? Bun.connect({ unix: address.unix, socket }) : Bun.connect({ ...address, socket });
    connected.catch(failed);
  }

  get open(): boolean {
    return !this.#over;
  }

  get connected(): boolean {
    return this.#peer !== undefined;
  }

  write(bytes: Uint8Array): number {
    return Math.max(0, this.#peer?.write(bytes) ?? 0);
  }

  hold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    holdSocket(this.#peer, held);
  }

  close(): void {
    this.#over = true;
    this.#peer?.end();
    this.#peer = undefined;
  }

  #opened(peer: Socket): void {
    peer.unref();
    if (this.#over) {
      peer.end();
      return;
    }
    this.#peer = peer;
    settle(peer);
    if (this.#held) holdSocket(peer, true);
    this.#user.ready();
  }

  #ended(why: string): void {
    this.#peer = undefined;
    if (this.#over) return;
    this.#over = true;
    this.#user.ended(why);
  }
}

/** Unix sockets have neither delay nor probes, and say so by `false`. */
function settle(peer: Socket): void {
  peer.setNoDelay(true);
  peer.setKeepAlive(true, PROBE_AFTER);
}

function holdSocket(peer: Socket | undefined, held: boolean): void {
  if (held) peer?.pause();
  else peer?.resume();
}

/** Takes a socket away that a process left behind which is no more, and nothing else. */
function prepareUnixPath(path: string): void {
  if (Buffer.byteLength(path) >= UNIX_PATH) {
    fail("host/listen", `the path of the socket is too long: ${path}`, {
      hint: `the system takes ${UNIX_PATH - 1} bytes; a shorter one may lie in /tmp or in $XDG_RUNTIME_DIR`,
    });
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    fail("host/listen", `cannot listen at ${path}: there is something else of that name`, {
      hint: "name another path",
    });
  }
  if (isListening(path)) {
    fail("host/listen", `cannot listen at ${path}: another process does`, {
      hint: 'give each machine a socket of its own; to talk to that process, "unix-connect:PATH"',
    });
  }
  rmSync(path, { force: true });
}

const AF_UNIX = 1;
const SOCK_STREAM_NONBLOCK = 1 | 0o4000;

const system = once(() =>
  libc({
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
  }),
);

/**
 * Whether a process takes connections there. A look at the kernel's list disturbs nobody, but a path may stand in it
 * otherwise. Where the host cannot be asked, the socket is left alone.
 */
function isListening(path: string): boolean {
  const calls = system();
  if (calls === undefined || listeners().includes(path)) return true;
  const address = new Uint8Array(2 + UNIX_PATH);
  new Uint16Array(address.buffer, 0, 1)[0] = AF_UNIX;
  address.set(Buffer.from(path), 2);
  const fd = calls.socket(AF_UNIX, SOCK_STREAM_NONBLOCK, 0);
  if (fd < 0) return true;
  const taken = calls.connect(fd, address, address.length) === 0;
  calls.close(fd);
  return taken;
}

/** Paths of the sockets that accept connections, by proc(5): `Num RefCount Protocol Flags Type St Inode Path`. */
function listeners(): string[] {
  try {
    const lines = readFileSync("/proc/net/unix", "utf8").split("\n");
    return lines.flatMap((line) => /^\S+ \S+ \S+ 00010000 \S+ \S+ +\d+ (.+)$/.exec(line)?.[1] ?? []);
  } catch {
    return [];
  }
}
