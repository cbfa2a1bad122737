/** Whether files are what they were. */
import { statSync } from "node:fs";

/** What the host says about files. */
export interface FileFacts {
  readonly fingerprint: bigint;
  /** When the last of them changed, in milliseconds since 1970. */
  readonly newest: number;
}

/**
 * All that the host can tell of files without reading them. The time at which a file's entry changed, and the entry's
 * number, give away what keeps size and time of the contents: a copy, an archive unpacked.
 */
export function factsOf(files: readonly string[]): FileFacts {
  let newest = 0;
  let facts = "";
  for (const path of files) {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) {
      facts += `${path} is not there\n`;
      continue;
    }
    const { size, mtimeMs, ctimeMs, ino } = stats;
    newest = Math.max(newest, mtimeMs, ctimeMs);
    facts += `${path} ${size} ${mtimeMs} ${ctimeMs} ${ino}\n`;
  }
  return { fingerprint: Bun.hash.wyhash(facts), newest };
}
