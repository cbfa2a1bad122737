/** A program whose standard input and output are a channel. Whether it may run is not decided here. */
import type { Subprocess } from "bun";
import { fail } from "../../diagnostics/diagnostic.ts";
import { type Channel, type ChannelUser, reason } from "./channel.ts";
import { Pump } from "./pump.ts";

/** Bytes that may be under way to the program. */
const CHUNK = 65_536;
/** Of a line that it prints on standard error. */
const LINE_MAX = 200;

export function openProcess(command: readonly string[], user: ChannelUser): Channel {
  return new ProcessChannel(command, user);
}

class ProcessChannel implements Channel {
  readonly #user: ChannelUser;
  readonly #child: Subprocess<"pipe", "pipe", "pipe">;
  /** What was written last has not gone into the pipe yet. */
  #full = false;
  /** Nobody reads the pipe any more, or nobody listens here. */
  #over = false;
  #closed = false;
  #speaks = true;
  readonly #pump = new Pump();

  constructor(command: readonly string[], user: ChannelUser) {
    this.#user = user;
    try {
      // A group of its own: a Ctrl-C that ends vmrun is not for it, and it ends with all its children.
      this.#child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "pipe", detached: true });
    } catch (error) {
      fail("host/process", `cannot run ${command[0]}: ${reason(error)}`);
    }
    this.#child.unref();
    void this.#complaints();
    const silent = () => {
      this.#speaks = false;
    };
    const said = this.#pump.run(this.#child.stdout.getReader(), (bytes) => user.input(bytes)).then(silent, silent);
    // What it has printed is heard first.
    void Promise.all([this.#child.exited, said]).then(() => this.#exited());
  }

  get connected(): boolean {
    return !this.#over;
  }

  get open(): boolean {
    return this.#speaks && !this.#closed;
  }

  write(bytes: Uint8Array): number {
    if (this.#over || this.#full) return 0;
    const { stdin } = this.#child;
    const taken = bytes.subarray(0, CHUNK);
    try {
      stdin.write(taken.slice());
      const flushed: unknown = stdin.flush();
      if (flushed instanceof Promise) {
        this.#full = true;
        flushed.then(
          () => {
            this.#full = false;
            if (!this.#over) this.#user.ready();
          },
          () => this.#deaf(),
        );
      }
    } catch {
      this.#deaf();
    }
    return taken.length;
  }

  hold(held: boolean): void {
    this.#pump.hold(held);
  }

  async finish(): Promise<void> {
    this.#endInput();
    await this.#child.exited;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pump.stop();
    this.#endInput();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    try {
      process.kill(-this.#child.pid, "SIGTERM");
    } catch {
      // It has just gone by itself.
    }
  }

  #endInput(): void {
    this.#over = true;
    try {
      const ended: unknown = this.#child.stdin.end();
      if (ended instanceof Promise) ended.catch(() => {});
    } catch {
      // It has closed its end already.
    }
  }

  /** The program has closed its standard input; what it says is still heard. */
  #deaf(): void {
    this.#over = true;
  }

  /** What it prints on standard error is for the person who runs vmrun. */
  async #complaints(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of this.#child.stderr) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop()!.slice(-LINE_MAX);
        for (const line of lines)
          if (line.trim() !== "" && !this.#closed) this.#user.tell("warn", line.slice(0, LINE_MAX));
      }
    } catch {
      // As its end.
    }
    if (rest.trim() !== "" && !this.#closed) this.#user.tell("warn", rest);
  }

  #exited(): void {
    this.#over = true;
    if (this.#closed) return;
    const { exitCode, signalCode } = this.#child;
    this.#user.ended(
      exitCode === null ? `the program was ended by ${signalCode}` : `the program ended with ${exitCode}`,
    );
  }
}
