/** Device models in processes of their own, and boards that pass them to a guest of a few instructions. */
import { resolve } from "node:path";
import { createHardware } from "../../src/pass/hardware.ts";
import type { HostHardware } from "../../src/vdev/host-object.ts";
import { type BoardRig, type BoardRigOptions, boardRig } from "../machine/board-rig.ts";

let serial = 0;

export interface ModelProcess {
  /** As in `shm:NAME`. */
  readonly name: string;
  readonly pid: number;
  /** What it has said so far, line by line. */
  readonly lines: string[];
  /** Waits until it has said so. */
  said(line: string): Promise<void>;
  kill(): Promise<void>;
}

/** Starts a model of test/pass/models; it is ready when this comes back. */
export async function startModel(file: string, more: readonly string[] = []): Promise<ModelProcess> {
  const name = `test-${process.pid}-${serial++}`;
  const child = Bun.spawn([process.execPath, resolve(import.meta.dir, "models", file), name, ...more], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const ended = (async () => {
    let rest = "";
    for await (const chunk of child.stdout) {
      const parts = (rest + Buffer.from(chunk).toString()).split("\n");
      rest = parts.pop()!;
      lines.push(...parts);
      for (const look of waiting) look();
    }
  })();
  const model: ModelProcess = {
    name,
    pid: child.pid,
    lines,
    said: (line) =>
      new Promise((done) => {
        const look = () => {
          if (!lines.includes(line)) return;
          waiting.delete(look);
          done();
        };
        waiting.add(look);
        look();
      }),
    async kill() {
      child.kill("SIGKILL");
      await ended;
      await child.exited;
    },
  };
  await model.said("ready");
  return model;
}

export interface PassRig extends BoardRig {
  readonly hardware: HostHardware;
  /** Runs until the guest ends, at most for so many slices with pauses for the host. */
  run(slices?: number): string;
}

export function passRig(text: string, profile: string, options: BoardRigOptions = {}): PassRig {
  const hardware = createHardware();
  const rig = boardRig(text, { ...options, profile, host: { hardware, ...options.host } });
  return {
    ...rig,
    hardware,
    run(slices = 2000) {
      for (let i = 0; i < slices; i++) {
        const progress = rig.machine.run(50_000);
        if (progress === "ended") return rig.machine.ending!.kind;
        if (progress === "idle") Bun.sleepSync(0.5);
      }
      return "limit";
    },
  };
}
