/** Has programs made by a process that nobody waits for. */
import { closeSync, mkdirSync, openSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { claimFile, factsOfSources } from "./sources.ts";

/** Sources that changed this lately are being worked on, ms: programs of them would be out of date too soon. */
const AT_REST = 10_000;
/** Makers of these sources are not started again for this long, ms, whatever came of the last one. */
const PATIENCE = 3_600_000;

/** Once for these sources, when they have not changed for a while. Where that is not possible, nothing happens. */
export function startMaker(folder: string, atRest = AT_REST): void {
  try {
    const { fingerprint, newest } = factsOfSources();
    if (newest > Date.now() - atRest) return;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!claim(claimFile(folder, fingerprint))) return;
    const maker = Bun.spawn([process.execPath, join(import.meta.dir, "make.ts"), folder], {
      stdio: ["ignore", "ignore", "ignore"],
      // It takes no settings from the folder that this process was started in, and outlives its terminal.
      cwd: folder,
      detached: true,
    });
    maker.unref();
  } catch {
    // The folder cannot be written.
  }
}

/** Whether this process is the first to ask. */
function claim(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats && stats.mtimeMs > Date.now() - PATIENCE) return false;
  rmSync(path, { force: true });
  try {
    closeSync(openSync(path, "wx", 0o600));
    return true;
  } catch {
    return false;
  }
}
