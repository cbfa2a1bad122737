/** Runs the command line as a process of its own, the way people and scripts do. */
import { resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");
export const VIRT = resolve(ROOT, "profiles/virt-rv64.toml");

export interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly bytes: Uint8Array;
}

/** The command line of a vmrun with these arguments. */
export const command = (args: readonly string[]): string[] => [process.execPath, resolve(ROOT, "src/cli.ts"), ...args];

export async function vmrun(args: readonly string[], stdin = ""): Promise<Result> {
  const child = Bun.spawn(command(args), {
    cwd: ROOT,
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined },
  });
  const [bytes, err, code] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out: Buffer.from(bytes).toString("latin1"), err, bytes };
}
