/** Programs with device models that a profile names: started before its machine, and ended with it. */
import { basename } from "node:path";
import { fail } from "../diagnostics/diagnostic.ts";

export interface ModelProgram {
  stop(): void;
}

/** What a program says when all of its models can be had. */
const READY = "ready";
/** ms. */
const PATIENCE = 10_000;

/**
 * Runs a module of TypeScript or JavaScript until it says that it is ready; it ends when its standard input does, so that
 * none is left however this process ends. Throws a `VmrunError` where it does not get ready.
 * @param said Each further line of its standard output.
 */
export async function startModelProgram(path: string, said: (line: string) => void): Promise<ModelProgram> {
  const child = Bun.spawn([process.execPath, path], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const stop = () => {
    child.stdin.end();
    child.unref();
  };
  let ready = () => {};
  const isReady = new Promise<"ready">((done) => {
    ready = () => done(READY);
  });
  void (async () => {
    for await (const line of linesOf(child.stdout)) {
      if (line === READY) ready();
      else said(line);
    }
  })();
  let patience: Timer | undefined;
  const late = new Promise<undefined>((done) => {
    patience = setTimeout(() => done(undefined), PATIENCE);
  });
  const outcome = await Promise.race([isReady, child.exited, late]);
  clearTimeout(patience);
  if (outcome === READY) {
    child.unref();
    return { stop };
  }
  child.kill();
  const why = typeof outcome === "number" ? `ended with status ${outcome}` : `was not ready in ${PATIENCE / 1000} s`;
  return fail("model/start", `the device models of ${basename(path)} did not start: it ${why}`, {
    hint: `it says "${READY}" when its models can be had; another machine may have started it already`,
  });
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}
