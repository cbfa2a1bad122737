/** Most boards have plain memory and nothing else: what lays the host's pages into it is loaded with the first that are. */
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { BoardMemory } from "../profile/board.ts";
import type { LaidMemory } from "./laid-memory.ts";
import type { LogSink } from "./tenant.ts";

export type LaidPages = Pick<LaidMemory, "layPages" | "fds" | "disturbed" | "contain" | "status" | "release">;

/** Lays what the board wants behind its memory, as `LaidMemory` does. */
export function layPages(board: readonly BoardMemory[], memory: GuestMemory, log: LogSink): LaidPages {
  let laid: LaidMemory | undefined;
  const load = () => {
    laid ??= new (require("./laid-memory.ts") as typeof import("./laid-memory.ts")).LaidMemory(board, memory, log);
    return laid;
  };
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
