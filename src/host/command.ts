/** Runs a program of the host for a vdev. Whether that is allowed is not decided here. */
export interface Ran {
  readonly status: number;
  /** What it printed, both streams, as far as there was room. */
  readonly output: string;
}

const OUTPUT_MAX = 64 << 10;
/** How long output is waited for that a program's own children may still hold open, in ms. */
const LINGER = 100;

/** Rejects where the program cannot be started. It is no child of the terminal, and outlives vmrun. */
export async function runCommand([program, ...args]: readonly string[]): Promise<Ran> {
  if (program === undefined) throw new Error("a command without a program");
  const running = Bun.spawn([program, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe", detached: true });
  running.unref();
  const output: Uint8Array[] = [];
  let room = OUTPUT_MAX;
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    // What is too much is read all the same: a full pipe would stop the program.
    for await (const chunk of stream) {
      output.push(chunk.subarray(0, room));
      room -= Math.min(room, chunk.length);
    }
  };
  const collected = Promise.all([collect(running.stdout), collect(running.stderr)]);
  const status = await running.exited;
  await Promise.race([collected, Bun.sleep(LINGER)]);
  return { status, output: Buffer.concat(output).toString() };
}
