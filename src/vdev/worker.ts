/** The other side of `host.worker`: runs one job of a vdev's module on a thread of its own. */
import type { Outcome } from "./host.ts";

declare const self: Worker;

self.onmessage = async ({ data }: MessageEvent<{ readonly module: string; readonly input: unknown }>) => {
  self.postMessage(await outcome(data.module, data.input));
};

async function outcome(module: string, input: unknown): Promise<Outcome<unknown>> {
  try {
    const { run } = (await import(module)) as { readonly run?: unknown };
    if (typeof run !== "function") throw new Error(`${module} exports no function "run"`);
    return { ok: true, value: await run(input) };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error : new Error(String(error)) };
  }
}
