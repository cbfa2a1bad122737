/** Files that a machine writes. */
import { openSync, writeSync } from "node:fs";
import { fail } from "../diagnostics/diagnostic.ts";

function cannotWrite(path: string, error: unknown): never {
  fail("host/file", `cannot write ${path}: ${error instanceof Error ? error.message : error}`);
}

/** Creates (or empties) a file and answers a function that appends to it. */
export function createFile(path: string): (bytes: Uint8Array) => void {
  let fd: number;
  try {
    fd = openSync(path, "w");
  } catch (error) {
    return cannotWrite(path, error);
  }
  return (bytes) => {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    } catch (error) {
      cannotWrite(path, error);
    }
  };
}
