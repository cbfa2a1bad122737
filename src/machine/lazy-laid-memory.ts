/** Most boards have plain memory and nothing else: what lays the host's pages into it is loaded with the first that are. */
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { BoardMemory } from "../profile/board.ts";
import type { BootLoad } from "./boot/plan.ts";
import type { LaidMemory } from "./laid-memory.ts";
import type { LogSink } from "./tenant.ts";

export type LaidPages = Pick<LaidMemory, "layPages" | "fds" | "disturbed" | "contain" | "status" | "release">;

/** Bytes that are an operating system's, which goes through most of its memory. */
const LARGE_IMAGES = 4 << 20;

/**
 * Lays what the board wants behind its memory, as `LaidMemory` does, and has plain memory in huge pages where that pays.
 * @param loads What is loaded into it at power-on.
 */
export function layPages(
  board: readonly BoardMemory[],
  memory: GuestMemory,
  log: LogSink,
  loads: readonly BootLoad[],
): LaidPages {
  let laid: LaidMemory | undefined;
  const load = () => {
    laid ??= new (require("./laid-memory.ts") as typeof import("./laid-memory.ts")).LaidMemory(board, memory, log);
    return laid;
  };
  if (loads.reduce((sum, { contents }) => sum + contents.size, 0) >= LARGE_IMAGES)
    (require("./plain-memory.ts") as typeof import("./plain-memory.ts")).preferHuge(board, memory);
  if (board.some(({ backing }) => backing.kind !== "anonymous")) load();
  return {
    layPages: (block, pages) => load().layPages(block, pages),
    fds: () => laid?.fds() ?? new Map(),
    get disturbed() {
      return laid?.disturbed ?? false;
    },
    contain: () => laid?.contain() ?? false,
    status: () => laid?.status() ?? [],
    release: () => laid?.release(),
  };
}
