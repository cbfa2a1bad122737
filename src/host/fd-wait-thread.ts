/** The thread of fd-watch.ts: waits for file descriptors, where waiting holds up nobody. */
import type { WaitOrder } from "./fd-watch.ts";
import { PollEvent, poll, read } from "./linux.ts";

declare const self: Worker;

/** ms; longer than any wait that somebody looks at, short enough for a thread that was forgotten to end. */
const LONGEST = 60_000;

self.onmessage = ({ data: { fds } }: MessageEvent<WaitOrder>) => {
  const events = poll(
    fds.map((fd) => ({ fd, events: PollEvent.in })),
    LONGEST,
  );
  // The last one only ends the wait.
  if (typeof events !== "number" && events.at(-1) !== 0) read(fds.at(-1)!, new BigUint64Array(1));
  self.postMessage(null);
};
