/** The little that loading a profile needs of the file system, so that tests and other hosts can bring their own. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";

export interface FileFacts {
  readonly kind: "file" | "folder" | "other";
  /** Bytes. */
  readonly size: number;
}

export interface ProfileFiles {
  /** What is at an absolute path, or `undefined` where nothing is or it cannot be reached. */
  facts(path: string): FileFacts | undefined;
  /** The text of a file; throws where it cannot be read. */
  read(path: string): string;
  /** Names in a folder: only to suggest one. */
  list(folder: string): readonly string[];
}

export const hostFiles: ProfileFiles = {
  facts(path) {
    // Node refuses paths with NUL by a throw, not by "not found".
    if (path.includes("\0")) return undefined;
    try {
      const stat = statSync(path);
      return { kind: stat.isFile() ? "file" : stat.isDirectory() ? "folder" : "other", size: stat.size };
    } catch {
      return undefined;
    }
  },
  read: (path) => readFileSync(path, "utf8"),
  list(folder) {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  },
};

/** How a path that stands in a file of `folder` is shown: as it is where it is absolute. */
export function shownPath(folder: string, path: string): string {
  return isAbsolute(path) ? path : join(folder, path);
}
