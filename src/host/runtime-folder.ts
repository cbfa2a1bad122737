/** A folder of this user's, for what running vmruns have to tell each other. It is gone after a reboot of the host. */
import { lstatSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail } from "../diagnostics/diagnostic.ts";

/** The folder, made if it is not there. Nobody else may write to it: what stands in it is believed. */
export function runtimeFolder(): string {
  const user = process.getuid?.() ?? 0;
  const own = `/run/user/${user}`;
  const path = isMine(own, user) ? join(own, "vmrun") : join(tmpdir(), `vmrun-${user}`);
  mkdirSync(path, { mode: 0o700, recursive: true });
  if (isMine(path, user)) return path;
  return fail("host/runtime-folder", `${path} is not a folder that only this user can write to`, {
    hint: `remove it, or make it yours alone: chmod 700 ${path}`,
  });
}

function isMine(path: string, user: number): boolean {
  try {
    const found = lstatSync(path);
    return found.isDirectory() && found.uid === user && (found.mode & 0o022) === 0;
  } catch {
    return false;
  }
}
