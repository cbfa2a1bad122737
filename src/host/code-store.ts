/** Generated code, kept in this user's cache folder for the next process. */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder, readOwn } from "./cache-folder.ts";
import { factsOf } from "./file-facts.ts";

export interface CodeStore {
  /** What was saved by this name and by the same sources; `undefined` where there is nothing sound. */
  load(name: string): Uint8Array<ArrayBuffer> | undefined;
  /** For a later process. Where that is not possible, nothing happens. */
  save(name: string, bytes: Uint8Array): void;
}

/** The rooms that what is kept is made by and made from. */
const MAKERS = ["engine", "isa", "memory", "wasm"];
/** A file begins with a checksum of the rest. */
const HEADER = 8;
/** Files that the folder may hold: a board of each size has its own, for each version of vmrun. */
const MOST_FILES = 64;

/**
 * The store in `$XDG_CACHE_HOME/vmrun` or `~/.cache/vmrun`; `undefined` where there is neither, or with
 * `VMRUN_NO_CACHE=1`.
 */
export function codeStore(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): CodeStore | undefined {
  const folder = cacheFolder(environment);
  return folder === undefined ? undefined : storeIn(folder, sourcesOf(MAKERS));
}

/** A store in a folder, for code that these sources make; they are only asked for when something is loaded or saved. */
export function storeIn(folder: string, sources: () => bigint): CodeStore {
  let maker: string | undefined;
  const fileOf = (name: string) => {
    maker ??= sources().toString(16);
    return join(folder, `${name}-${maker}`);
  };
  return {
    load(name) {
      const bytes = readOwn(fileOf(name));
      if (bytes === undefined || bytes.length < HEADER) return undefined;
      const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER);
      const body = bytes.subarray(HEADER);
      return header.getBigUint64(0, true) === checksum(body) ? body : undefined;
    },
    save(name, bytes) {
      const file = new Uint8Array(HEADER + bytes.length);
      new DataView(file.buffer).setBigUint64(0, checksum(bytes), true);
      file.set(bytes, HEADER);
      // Others load while this is written: they see the old file or the new one.
      const path = fileOf(name);
      const draft = `${path}.${process.pid}`;
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        makeRoom(folder);
        writeFileSync(draft, file, { mode: 0o600 });
        renameSync(draft, path);
      } catch {
        remove(draft);
      }
    },
  };
}

/** Forgets everything when there is too much: what is still wanted comes back by itself. */
function makeRoom(folder: string): void {
  const names = readdirSync(folder);
  if (names.length < MOST_FILES) return;
  for (const name of names) remove(join(folder, name));
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It stays, and does no harm.
  }
}

function checksum(bytes: Uint8Array): bigint {
  return Bun.hash.wyhash(bytes);
}

/** A fingerprint of the sources in these rooms; of the bundle, where vmrun is one. */
function sourcesOf(rooms: readonly string[]): () => bigint {
  return () => {
    const files = rooms.flatMap((room) => filesBelow(join(dirname(import.meta.dir), room)));
    return factsOf(files.length > 0 ? files : filesBelow(import.meta.dir)).fingerprint;
  };
}

function filesBelow(folder: string): string[] {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    return names
      .filter((name) => /\.\w+$/.test(name))
      .sort()
      .map((name) => `${folder}/${name}`);
  } catch {
    return [];
  }
}
