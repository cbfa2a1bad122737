/**
 * Events in the Trace Event Format, which Perfetto (ui.perfetto.dev) and Chrome's tracing page open: one process in host
 * time and one in guest time, with a track for each hart and one for timers.
 */
import type { Symbolizer } from "./exits.ts";
import { EventKind, type TraceEvent } from "./tracer.ts";

const HOST = 1;
const GUEST = 2;
/** The track of timers; harts have 1, 2, ... */
const TIMERS = 0;
/** Texts are handed on in pieces of about this many characters. */
const PIECE = 1 << 16;

const CATEGORY: Readonly<Record<EventKind, string>> = {
  [EventKind.exit]: "exit",
  [EventKind.call]: "sbi",
  [EventKind.interrupt]: "interrupt",
  [EventKind.timer]: "timer",
  [EventKind.turn]: "guest",
  [EventKind.wait]: "idle",
};

/** Gives the file to `write`, piece by piece. `board` is its title. */
export function writeChromeTrace(
  events: Iterable<TraceEvent>,
  { board, harts, dropped }: { readonly board: string; readonly harts: number; readonly dropped: number },
  symbols: Symbolizer,
  write: (text: string) => void,
): void {
  const about = { board, "events that are not in this file": dropped };
  let piece = `{"displayTimeUnit":"ns","otherData":${JSON.stringify(about)},"traceEvents":[\n${header(board, harts)}`;
  for (const event of events) {
    const args = argumentsOf(event, symbols);
    piece += line(event, HOST, event.host, event.hostLength, args);
    piece += line(event, GUEST, event.guest, event.guestLength, args);
    if (piece.length < PIECE) continue;
    write(piece);
    piece = "";
  }
  write(`${piece}\n]}\n`);
}

function header(board: string, harts: number): string {
  const named = (pid: number, tid: number, what: "process_name" | "thread_name", name: string) =>
    JSON.stringify({ ph: "M", pid, tid, name: what, args: { name } });
  const tracks = [HOST, GUEST].flatMap((pid) => [
    named(pid, 0, "process_name", `${board}, ${pid === HOST ? "host" : "guest"} time`),
    named(pid, TIMERS, "thread_name", "timers"),
    ...Array.from({ length: harts }, (_, hart) => named(pid, hart + 1, "thread_name", `hart ${hart}`)),
  ]);
  return tracks.join(",\n");
}

/** Times are in microseconds. What takes no time is an instant. */
function line({ kind, name, hart }: TraceEvent, pid: number, at: number, length: number, args: string): string {
  const instant = kind === EventKind.interrupt || kind === EventKind.timer;
  const tid = kind === EventKind.timer ? TIMERS : hart + 1;
  const phase = instant ? `"i","s":"t"` : `"X","dur":${(length / 1000).toFixed(3)}`;
  const when = `"ts":${(at / 1000).toFixed(3)}`;
  return `,\n{"ph":${phase},"pid":${pid},"tid":${tid},${when},"cat":"${CATEGORY[kind]}","name":${JSON.stringify(name)}${args}}`;
}

function argumentsOf({ pc, value }: TraceEvent, symbols: Symbolizer): string {
  if (pc === undefined) return "";
  const place = symbols.resolve(pc);
  const from = place && `${place.symbol}${place.line ? ` (${place.line})` : ""}`;
  const shown = value === undefined ? undefined : value < 0 ? "fault" : `0x${value.toString(16)}`;
  return `,"args":${JSON.stringify({ pc: `0x${pc.toString(16)}`, from, value: shown })}`;
}
