/** The watchdog's own thread: looks at the heartbeat, and says once what holds the machine. */
import { writeSync } from "node:fs";
import { type Diagnostic, render } from "../diagnostics/diagnostic.ts";
import { exitNow, letSignalsEnd, peek64 } from "../host/last-resort.ts";
import { registerLabel } from "../vdev/registers.ts";
import { Beat, Heartbeat, NOBODY } from "./heartbeat.ts";
import { LOOKS, type WatchOrder } from "./watchdog.ts";

declare const self: Worker;

const STDERR = 2;

self.onmessage = ({ data }: MessageEvent<WatchOrder>) => {
  const heartbeat = new Heartbeat(data.memory);
  let last = Number.NaN;
  /** Looks, not time: a process that was stopped has not hung. */
  let unchanged = 0;
  let recovered: (() => void) | undefined;
  setInterval(
    () => {
      const count = Atomics.load(heartbeat.words, Beat.count);
      unchanged = count === last ? unchanged + 1 : 0;
      last = count;
      if (unchanged === 0) {
        recovered?.();
        recovered = undefined;
      } else if (unchanged === LOOKS) {
        recovered = report(data, heartbeat);
      }
    },
    (data.bound * 1000) / LOOKS,
  );
};

/** Says what it is, and does what the vdev's policy wants; answers what undoes that, should the call come back. */
function report(order: WatchOrder, heartbeat: Heartbeat): () => void {
  const { vdev, what, pc } = culprit(order, heartbeat);
  const known = vdev === undefined ? undefined : order.vdevs[vdev];
  const ends = known?.onFault === "end" || known?.onFault === "end-guest";
  const who = known === undefined ? order.own.join(" or ") || "the machine" : `${vdev} (${known.type})`;
  const place = pc === undefined ? "" : `, pc 0x${pc.toString(16)}`;
  const diagnostic: Diagnostic = {
    code: "vdev/hang",
    severity: "error",
    message: `${who}: ${what} has not come back for ${order.bound} s${place}${ends ? "; on_fault ends vmrun" : ""}`,
    hint: ends ? undefined : 'Ctrl-C or SIGTERM ends vmrun at once; with on_fault = "end" it ends by itself',
  };
  const undo = letSignalsEnd(order.terminal);
  // Whatever stands in the line of a terminal.
  if (order.terminal) writeSync(STDERR, "\n");
  writeSync(STDERR, `${render(diagnostic)}\n`);
  if (ends) exitNow(order.exitCode);
  return undo;
}

interface Culprit {
  readonly vdev: string | undefined;
  readonly what: string;
  /** The guest's, where it waits for an access. */
  readonly pc?: bigint;
}

function culprit({ regions, own }: WatchOrder, heartbeat: Heartbeat): Culprit {
  const { words } = heartbeat;
  const who = words[Beat.who];
  if (who < NOBODY) {
    const [vdev, what] = heartbeat.noteText(NOBODY - 1 - who);
    return { vdev, what };
  }
  const region = regions[who];
  if (region === undefined) {
    return {
      vdev: own.length === 1 ? own[0] : undefined,
      what: "a timer or promise of the host's that it left behind",
    };
  }
  const store = (words[Beat.what] & 1) !== 0;
  const offset = words[Beat.what] >>> 1;
  const label = region.registers && registerLabel(region.registers, offset, store ? "write" : "read");
  const where = `${region.name}+0x${offset.toString(16)}${label === undefined ? "" : ` (${label})`}`;
  return {
    vdev: region.owner,
    what: `${store ? "write to" : "read of"} ${where}`,
    pc: peek64(heartbeat.pcAddress),
  };
}
