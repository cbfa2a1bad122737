/** What another thread can still do for a process whose main thread is held by a call that does not return. */

import { read } from "bun:ffi";
import { constants } from "node:os";
import { libc, once } from "./libc.ts";
import { restoreTerminal, terminalSettings } from "./termios.ts";

/** More than any `struct sigaction` has; all zeroes is the default action. */
const SIGACTION = 256;
const SIGNALS = [constants.signals.SIGINT, constants.signals.SIGTERM, constants.signals.SIGHUP];
const STDIN = 0;

const system = once(() =>
  libc({
    _exit: { args: ["i32"], returns: "void" },
    sigaction: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  }),
);

/** Ends the process at once, whatever its threads are at. Comes back only where the host cannot. */
export function exitNow(code: number): void {
  system()?._exit(code);
}

/**
 * Signals and Ctrl-C end the process, as they do where nobody listens: those who do are held. Answers what undoes it.
 * @param settings The terminal's, to be had back, as {@link terminalSettings} told them.
 */
export function letSignalsEnd(settings: Uint8Array | undefined): () => void {
  const raw = settings && terminalSettings(STDIN);
  if (settings) restoreTerminal(STDIN, settings);
  const calls = system();
  const before = SIGNALS.map((signal) => {
    const old = new Uint8Array(SIGACTION);
    calls?.sigaction(signal, new Uint8Array(SIGACTION), old);
    return [signal, old] as const;
  });
  return () => {
    for (const [signal, old] of before) calls?.sigaction(signal, old, null);
    if (raw) restoreTerminal(STDIN, raw);
  };
}

/** 64 bits at an address of this process; `undefined` for address 0. */
export function peek64(address: number): bigint | undefined {
  return address === 0 ? undefined : read.u64(address as Parameters<typeof read.u64>[0]);
}
