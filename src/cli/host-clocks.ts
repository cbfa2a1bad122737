/** Clocks by the host's registers, for commands that make no machine. */

import type { Open } from "../pass/clocks/host-values.ts";
import type { ClockStates } from "../pass/clocks/rates.ts";
import type { Board } from "../profile/board.ts";

/** What a machine of the board would be told when it starts; `undefined` where the board knows it all. */
export function startingClocks(board: Board): ClockStates | undefined {
  if (!board.vdevs.some(({ clocks }) => clocks)) return undefined;
  const { clockStatesOfHost } = require("../profile/clocks.ts") as typeof import("../profile/clocks.ts");
  return withHardware(board, (open) => clockStatesOfHost(board, open));
}

/** Hardware of the host for as long as `act` takes. */
export function withHardware<T>({ name }: Board, act: (open: Open) => T): T {
  const { hostHardware } = require("../pass/lazy-hardware.ts") as typeof import("../pass/lazy-hardware.ts");
  const hardware = hostHardware();
  try {
    return act((spec, request) => hardware.open(spec, request, { name, ram: () => [] }));
  } finally {
    hardware.close();
  }
}
