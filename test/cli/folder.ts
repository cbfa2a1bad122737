/** A temporary folder outside any project: no package.json and no node_modules above it. */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function bareFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "vmrun-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
