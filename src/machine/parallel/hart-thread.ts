/** The thread of a hart: makes it, runs it, and says so if it fails. */
import { Shared, ThreadState } from "./cell.ts";
import { type HartOrder, ParallelHart } from "./hart.ts";

declare const self: Worker;

self.onmessage = async ({ data }: MessageEvent<HartOrder>) => {
  const shared = new Shared(data.harts, data.shared);
  const cell = shared.cells[data.index];
  // The machine has ended before its harts came.
  if (!cell.turn(ThreadState.starting, ThreadState.running)) return;
  let hart: ParallelHart | undefined;
  let last: ThreadState = ThreadState.gone;
  try {
    hart = new ParallelHart(data, shared);
    await hart.run();
  } catch (error) {
    cell.putBytes(Buffer.from(error instanceof Error ? (error.stack ?? error.message) : String(error)));
    last = ThreadState.failed;
  }
  hart?.release();
  cell.state = last;
  shared.ring();
};
