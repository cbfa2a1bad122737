/** Terminal devices as channels: pseudo terminals made anew, and serial ports that are there. */
import { closeSync, constants, lstatSync, openSync, readlinkSync, rmSync, symlinkSync, writeSync } from "node:fs";
import { fail } from "../../diagnostics/diagnostic.ts";
import { libc, once } from "../libc.ts";
import { openPseudoTerminal, rawTerminal, restoreTerminal, terminalSettings } from "../termios.ts";
import { type Channel, type ChannelUser, reason } from "./channel.ts";
import { Pump, type Source } from "./pump.ts";
import { Retry } from "./retry.ts";

/** flock(2) */
const LOCK_EX_NB = 2 | 4;

/** A file descriptor that does not block, read as input comes and written as far as it takes. */
class DeviceChannel implements Channel {
  connected = true;
  readonly #fd: number;
  readonly #user: ChannelUser;
  readonly #release: () => void;
  readonly #reader: Source & { cancel(): Promise<void> };
  readonly #pump = new Pump();
  #closed = false;
  /** No descriptor tells of room in a terminal's queue. */
  readonly #retry: Retry;

  /** @param release Undoes what was set up; the descriptor is closed afterwards. */
  constructor(fd: number, user: ChannelUser, release: () => void) {
    this.#fd = fd;
    this.#user = user;
    this.#release = release;
    this.#retry = new Retry(() => user.ready());
    this.#reader = Bun.file(fd).stream().getReader();
    this.#pump
      .run(this.#reader, (bytes) => user.input(bytes))
      .then(
        () => this.#gone("the device hung up"),
        (error: unknown) => this.#gone(reason(error)),
      );
  }

  get open(): boolean {
    return !this.#closed;
  }

  write(bytes: Uint8Array): number {
    if (this.#closed || !this.connected) return 0;
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(this.#fd, bytes, done);
      this.#retry.helped();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") this.#retry.later();
      else queueMicrotask(() => this.#gone(reason(error)));
    }
    return done;
  }

  hold(held: boolean): void {
    this.#pump.hold(held);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#retry.cancel();
    this.#pump.stop();
    this.#release();
    // The number may be another file's as soon as it is closed, so the reader has to be done with it.
    const close = () => closeSync(this.#fd);
    this.#reader.cancel().then(close, close);
  }

  #gone(why: string): void {
    if (this.#closed || !this.connected) return;
    this.connected = false;
    this.#user.ended(why);
  }
}

/** A new pseudo terminal, whose name is told. @param link A symbolic link to it, made anew. */
export function openPty(link: string | undefined, user: ChannelUser): Channel {
  let terminal: ReturnType<typeof openPseudoTerminal>;
  try {
    terminal = openPseudoTerminal();
  } catch (error) {
    return fail("host/pty", `there is no pseudo terminal to be had: ${reason(error)}`);
  }
  const { master, slave, name } = terminal;
  try {
    if (link !== undefined) makeLink(link, name);
  } catch (error) {
    closeSync(slave);
    closeSync(master);
    throw error;
  }
  user.tell(
    "info",
    link === undefined ? `the pseudo terminal is ${name}` : `the pseudo terminal is ${name}, by ${link}`,
  );
  return new DeviceChannel(master, user, () => {
    if (link !== undefined && target(link) === name) rmSync(link, { force: true });
    closeSync(slave);
  });
}

function makeLink(link: string, name: string): void {
  try {
    // One that a run left behind that was killed.
    if (target(link)?.startsWith("/dev/pts/")) rmSync(link);
    symlinkSync(name, link);
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === "EEXIST";
    fail("host/pty", `cannot make the link ${link}: ${taken ? "there is something else of that name" : reason(error)}`);
  }
}

/** Where a symbolic link points; `undefined` where there is none. */
function target(link: string): string | undefined {
  return lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(link) : undefined;
}

const system = once(() => libc({ flock: { args: ["i32", "i32"], returns: "i32" } }));

/** A terminal device of the host, raw until it is closed. @param baud bit/s; as it is set up when omitted. */
export function openTty(path: string, baud: number | undefined, user: ChannelUser): Channel {
  const { O_RDWR, O_NOCTTY, O_NONBLOCK } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
  } catch (error) {
    return fail("host/tty", `cannot open the terminal ${path}: ${reason(error)}`);
  }
  const refuse = (why: string, hint?: string) => {
    closeSync(fd);
    return fail("host/tty", `cannot use ${path}: ${why}`, { hint });
  };
  const before = terminalSettings(fd);
  if (before === undefined) return refuse("it is no terminal", 'a file is "file:PATH", a socket "unix-connect:PATH"');
  if (system() !== undefined && system()?.flock(fd, LOCK_EX_NB) !== 0) return refuse("another process has it");
  if (!rawTerminal(fd, baud))
    return refuse(baud === undefined ? "it takes no settings" : `it does not have ${baud} bit/s`);
  return new DeviceChannel(fd, user, () => {
    restoreTerminal(fd, before);
  });
}
