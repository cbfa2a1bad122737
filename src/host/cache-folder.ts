/** Where this user keeps what can be made again, and which of the files there can be trusted. */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from "node:fs";
import { join } from "node:path";

const OTHERS_MAY_WRITE = 0o022;

/** `$XDG_CACHE_HOME/vmrun` or `~/.cache/vmrun`; `undefined` where there is neither, or with `VMRUN_NO_CACHE=1`. */
export function cacheFolder({
  VMRUN_NO_CACHE,
  XDG_CACHE_HOME,
  HOME,
}: Readonly<Record<string, string | undefined>>): string | undefined {
  if (VMRUN_NO_CACHE) return undefined;
  // Relative paths are invalid there. XDG Base Directory Specification 0.8
  if (XDG_CACHE_HOME?.startsWith("/")) return join(XDG_CACHE_HOME, "vmrun");
  return HOME?.startsWith("/") ? join(HOME, ".cache", "vmrun") : undefined;
}

/** Nobody but this user can have written it. */
export function isOwn({ uid, mode }: Pick<Stats, "uid" | "mode">): boolean {
  return uid === process.getuid?.() && (mode & OTHERS_MAY_WRITE) === 0;
}

/** A file that nobody but this user can have written. */
export function readOwn(path: string): Uint8Array<ArrayBuffer> | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    return isOwn(fstatSync(fd)) ? new Uint8Array(readFileSync(fd)) : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
