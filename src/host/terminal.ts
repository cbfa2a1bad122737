/** The process's own terminal and pipes: raw mode that is always undone, output that is never lost, input as it comes. */
import { fstatSync, readFileSync, readSync, type Stats, writeSync } from "node:fs";

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
/** How long a pipe may take to end before its input counts as open-ended. */
const PREFETCH_MS = 25;

/** What standard input is: the whole of it known at start, or a source that goes on. */
export type InputKind = "terminal" | "complete" | "open";

export interface HostInput {
  readonly kind: InputKind;
  /** Everything, where `kind` is `complete`; what has come so far, where it is `open`. */
  readonly initial: Uint8Array;
  /** Whether more may come as things are: nothing does while it is held back. */
  readonly isOpen: () => boolean;
  /** Leaves what comes in the pipe for now, so that a writer in a hurry has to wait. */
  readonly hold: (held: boolean) => void;
  /** Bytes as they come; set once. */
  onBytes: (bytes: Uint8Array) => void;
  onEnd: () => void;
  /** Stops listening and gives the terminal back. */
  close(): void;
}

/** Writes all bytes to standard output before it returns; `false` when the reader has gone. */
export function writeStdout(bytes: Uint8Array): boolean {
  return writeAll(STDOUT, bytes);
}

/** As {@link writeStdout}, to standard error. What `process.stderr` needs takes longer to load than to write a line. */
export function writeStderr(text: string): boolean {
  return writeAll(STDERR, Buffer.from(text));
}

function writeAll(fd: number, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") return false;
      Bun.sleepSync(1);
    }
  }
  return true;
}

/** Opens standard input. A terminal goes into raw mode until `close`, or until the process ends in any way it can notice. */
export async function openStdin(): Promise<HostInput> {
  const facts = factsOf(STDIN);
  if (mayBeTerminal(facts) && process.stdin.isTTY) return listen("terminal");
  const known = readWhole(facts);
  if (known !== undefined) return complete(known);
  // A pipe whose writer has finished is as good as a file: then the run is the same every time.
  const early: Uint8Array[] = [];
  const input = listen("open");
  const ended = new Promise<boolean>((resolve) => {
    input.onEnd = () => resolve(true);
    setTimeout(() => resolve(false), PREFETCH_MS);
  });
  input.onBytes = (bytes) => early.push(bytes);
  const isComplete = await ended;
  const initial = Buffer.concat(early);
  if (isComplete) return complete(initial);
  return Object.assign(input, { initial });
}

function complete(initial: Uint8Array): HostInput {
  return {
    kind: "complete",
    initial,
    isOpen: () => false,
    hold: () => {},
    onBytes: () => {},
    onEnd: () => {},
    close: () => {},
  };
}

function factsOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd);
  } catch {
    return undefined;
  }
}

/**
 * Asking the runtime whether it is one loads all that terminals and pipes need. Files are none, nor are /dev/null and its
 * like. Linux, Documentation/admin-guide/devices.txt
 */
function mayBeTerminal(facts: Stats | undefined): boolean {
  if (!facts?.isCharacterDevice()) return false;
  return process.platform !== "linux" || facts.rdev >> 8 !== 1;
}

export function stdoutIsTerminal(): boolean {
  return mayBeTerminal(factsOf(STDOUT)) && process.stdout.isTTY;
}

/** Files and devices like /dev/null can be read to their end at once; so can a closed standard input. */
function readWhole(facts: Stats | undefined): Uint8Array | undefined {
  if (facts === undefined) return new Uint8Array();
  try {
    if (facts.isFile()) return readFileSync(STDIN);
    if (facts.isCharacterDevice()) return readSync(STDIN, new Uint8Array(1)) === 0 ? new Uint8Array() : undefined;
    return undefined;
  } catch {
    return new Uint8Array();
  }
}

function listen(kind: InputKind): HostInput {
  const { stdin } = process;
  let open = true;
  let held = false;
  const settings = kind === "terminal" ? termios().terminalSettings(STDIN) : undefined;
  const restore = () => {
    if (!stdin.isTTY || !stdin.isRaw) return;
    stdin.setRawMode(false);
    if (settings !== undefined) termios().restoreTerminal(STDIN, settings);
  };
  const input: HostInput = {
    kind,
    initial: new Uint8Array(),
    isOpen: () => open && !held,
    hold: (now) => {
      if (now === held || !open) return;
      held = now;
      if (held) stdin.pause();
      else stdin.resume();
    },
    onBytes: () => {},
    onEnd: () => {},
    close: () => {
      open = false;
      restore();
      stdin.pause();
      stdin.unref();
    },
  };
  if (kind === "terminal") {
    stdin.setRawMode(true);
    // Raw mode leaves output alone, and the guest's own carriage returns would come out twice.
    termios().rawOutput(STDIN);
    process.once("exit", restore);
  }
  stdin.on("data", (chunk: Buffer) => input.onBytes(chunk));
  const end = () => {
    open = false;
    input.onEnd();
  };
  stdin.on("end", end);
  stdin.on("error", end);
  stdin.resume();
  return input;
}

const termios = () => require("./termios.ts") as typeof import("./termios.ts");

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
