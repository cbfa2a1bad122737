/** A board as it is measured: its vdevs where they are, the bench's own guest, and nothing that reaches the host's world. */
import { resolve } from "node:path";
import { fail } from "../../diagnostics/diagnostic.ts";
import type { Board, BoardVdev } from "../../profile/board.ts";
import type { VdevRegistry } from "../../vdev/registry.ts";
import { DOORBELL, DOORBELL_SIZE } from "./doorbell.ts";
import { GUEST_SIZE } from "./list.ts";

/** The guest that makes the accesses. */
export const GUEST = resolve(import.meta.dir, "../../../firmware/bench/vdevs.bin");
/** Where the doorbell is looked a place for: on no board that ships does anything lie there. */
const FIRST_PLACE = 0x4000_0000;
const PLACE_STEP = 0x1_0000;
/** With room for the tree. */
const LEAST_RAM = GUEST_SIZE + (1 << 20);

export interface BenchBoard {
  readonly board: Board;
  /** Where the doorbell lies. */
  readonly doorbell: number;
  /** What its interrupt is wired to. */
  readonly line?: { readonly controller: string; readonly line: number };
  /** What the board has and is not measured, and why. */
  readonly left: readonly { readonly subject: string; readonly reason: string }[];
}

/** Throws a `VmrunError` where the board cannot be measured. */
export function benchBoard(board: Board, registry: VdevRegistry): BenchBoard {
  if (!board.memory.some(({ kind, size }) => kind === "ram" && size >= LEAST_RAM)) {
    fail("bench/ram", `no RAM of the board has ${LEAST_RAM >> 20} MiB, which the guest of vmrun bench needs`, {
      hint: "make one larger for the measurement: --set memory.dram.size=16MiB",
    });
  }
  const vdevs = board.vdevs.filter(({ table }) => table === "vdev");
  const left = board.vdevs
    .filter(({ table }) => table !== "vdev")
    .map(({ table, placement }) => ({ subject: placement.name, reason: `[[${table}]] is hardware of the host` }));
  const doorbell = freePlace(board);
  const line = freeLine(board, registry);
  const names = new Set(vdevs.map(({ placement }) => placement.name));
  return {
    board: {
      ...board,
      // What an exit costs is measured where nothing else runs.
      cpu: { ...board.cpu, parallel: false },
      memory: board.memory.map(({ image: _, ...block }) => ({ ...block, backing: { kind: "anonymous" } as const })),
      vdevs: [...vdevs.map(({ clocks: _, ...vdev }) => vdev), doorbellVdev(doorbell, line)],
      reserve: [],
      groups: board.groups
        .map((group) => ({ ...group, members: group.members.filter((name) => names.has(name)) }))
        .filter(({ members }) => members.length > 0),
      boot: { firmware: { path: GUEST } },
      fdt: { symbols: false, overlays: [] },
      unsupported: { memory: "fault", instruction: "fault", register: "fault" },
      budgets: [],
    },
    doorbell,
    line,
    left,
  };
}

function freePlace({ memory, vdevs, reserve }: Board): number {
  const taken = [...memory, ...reserve, ...vdevs.flatMap(({ placement }) => placement.regions)];
  for (let at = FIRST_PLACE; ; at += PLACE_STEP)
    if (!taken.some((span) => span.at < at + DOORBELL_SIZE && at < span.at + span.size)) return at;
}

function doorbellVdev(at: number, irq: BenchBoard["line"]): BoardVdev {
  return {
    table: "vdev",
    placement: {
      name: DOORBELL,
      type: DOORBELL,
      regions: [{ name: "bell", at, size: DOORBELL_SIZE }],
      interrupts: irq ? [{ name: "irq", ...irq, trigger: "level" }] : [],
      phandle: 0,
    },
    options: {},
    onFault: "end",
    delayed: false,
  };
}

/** The last line of the first PLIC that nothing is wired to. */
function freeLine({ vdevs }: Board, registry: VdevRegistry): BenchBoard["line"] {
  const plic = vdevs.find(({ table, placement }) => table === "vdev" && placement.type === "plic");
  if (plic === undefined) return undefined;
  const controller = plic.placement.name;
  const wired = new Set(
    vdevs.flatMap(({ placement }) =>
      placement.interrupts.flatMap((route) => (route.controller === controller ? [route.line] : [])),
    ),
  );
  const { first, last } = registry.get("plic")!.controller!(plic.options);
  for (let line = last; line >= first; line--) if (!wired.has(line)) return { controller, line };
  return undefined;
}
