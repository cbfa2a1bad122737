/** The process's own terminal and pipes: raw mode that is always undone, output that is never lost, input as it comes. */
import { fstatSync, readFileSync, readSync, writeSync } from "node:fs";
import { rawOutput, restoreTerminal, terminalSettings } from "./termios.ts";

const STDIN = 0;
const STDOUT = 1;
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
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(STDOUT, bytes, at);
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") return false;
      Bun.sleepSync(1);
    }
  }
  return true;
}

/** Opens standard input. A terminal goes into raw mode until `close`, or until the process ends in any way it can notice. */
export async function openStdin(): Promise<HostInput> {
  if (process.stdin.isTTY) return listen("terminal");
  const known = readWhole();
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

/** Files and devices like /dev/null can be read to their end at once; so can a closed standard input. */
function readWhole(): Uint8Array | undefined {
  try {
    const facts = fstatSync(STDIN);
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
  const settings = kind === "terminal" ? terminalSettings(STDIN) : undefined;
  const restore = () => {
    if (!stdin.isTTY || !stdin.isRaw) return;
    stdin.setRawMode(false);
    if (settings !== undefined) restoreTerminal(STDIN, settings);
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
    rawOutput(STDIN);
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

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
