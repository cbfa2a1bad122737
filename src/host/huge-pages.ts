/** Huge pages for a range of memory: from the host's pool (hugetlb), or as the kernel sees fit (transparent); and what came of it. */
import { closeSync, readFileSync } from "node:fs";
import * as linux from "./linux.ts";
import { addressOf, lay, type MappedRange } from "./mapping.ts";

/** x86-64's, arm64's and riscv64's with 4 KiB pages. */
export const HUGE_PAGE = 2 << 20;

/** Lays pages of the pool into the range, all reserved. Answers the descriptor, or `-errno` where it has too few. */
export function layFromPool(name: string, range: MappedRange): number {
  const fd = linux.memfdCreate(`vmrun:${name}`, linux.MemfdFlag.hugePages);
  if (linux.isError(fd)) return fd;
  const failed = linux.ftruncate(fd, range.length) || lay(range, { fd, shared: true, writable: true });
  if (!failed) return fd;
  closeSync(fd);
  return failed;
}

/** Asks for transparent huge pages; `false` where the host never gives any. */
export function askForTransparent(range: MappedRange): boolean {
  if (transparentMode() === "never") return false;
  return !linux.isError(linux.madvise(addressOf(range.buffer, range.offset), range.length, linux.Advice.hugePage));
}

/** Of the pool: pages that are free. */
export function freeInPool(): number {
  return Number(/^HugePages_Free:\s+(\d+)/m.exec(text("/proc/meminfo"))?.[1] ?? 0);
}

export function transparentMode(): string {
  return /\[(\w+)\]/.exec(text("/sys/kernel/mm/transparent_hugepage/enabled"))?.[1] ?? "never";
}

export interface PageUse {
  /** Bytes that the range has of the host's memory, and how many of them lie in huge pages. */
  readonly resident: number;
  readonly huge: number;
}

/** What the host really gave, from /proc/self/smaps. The kernel may join a mapping with its neighbours: then they count, too. */
export function pageUse(range: MappedRange): PageUse {
  const from = addressOf(range.buffer, range.offset);
  const end = from + range.length;
  let [resident, huge, inside] = [0, 0, false];
  for (const line of text("/proc/self/smaps").split("\n")) {
    const mapping = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (mapping) inside = Number.parseInt(mapping[1]!, 16) < end && Number.parseInt(mapping[2]!, 16) > from;
    if (!inside) continue;
    const [, key, kilobytes] = /^(\w+):\s+(\d+) kB/.exec(line) ?? [];
    const bytes = Number(kilobytes) * 1024;
    if (key === "Rss") resident += bytes;
    else if (key === "AnonHugePages" || key === "ShmemPmdMapped") huge += bytes;
    else if (key === "Shared_Hugetlb" || key === "Private_Hugetlb") {
      huge += bytes;
      resident += bytes;
    }
  }
  return { resident, huge };
}

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
