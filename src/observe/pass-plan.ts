/**
 * Watches what a guest does with hardware that is passed through, to propose a profile that passes no more than that. Clock
 * controllers are forwarded whole meanwhile: whoever asks for a plan lets the guest touch everything in them.
 */
import type { Machine } from "../machine/machine.ts";
import type { ClockOptions } from "../pass/clocks/options.ts";
import { ClockNames, controllersOf } from "../pass/clocks/outputs.ts";
import { supplyOf } from "../pass/clocks/supply.ts";
import type { PassOptions } from "../pass/options.ts";
import { proposal } from "../pass/plan/propose.ts";
import { Recorder } from "../pass/plan/recorder.ts";
import type { Board, BoardVdev } from "../profile/board.ts";
import { clockTablesOf } from "../profile/clocks.ts";

export class PassPlan {
  readonly #board: Board;
  readonly #observed: readonly BoardVdev[];
  readonly #recorders = new Map<string, Recorder>();

  constructor(board: Board) {
    this.#board = board;
    this.#observed = board.vdevs.filter(isObservable);
  }

  /** Names of the devices that are watched. */
  get devices(): readonly string[] {
    return this.#observed.map(({ placement }) => placement.name);
  }

  /** The board to run: the same tree, with nothing of the observed controllers filtered. */
  get board(): Board {
    const vdevs = this.#board.vdevs.map((vdev) =>
      vdev.table === "clock" && isObservable(vdev) ? forwarded(vdev) : vdev,
    );
    return { ...this.#board, vdevs };
  }

  /** Before the guest runs. */
  attach(machine: Machine): void {
    const regions = this.#observed.map(({ placement }) => {
      const [region] = placement.regions;
      const recorder = new Recorder(machine.vdevs.get(placement.name)!.regions[0]!);
      this.#recorders.set(placement.name, recorder);
      return { owner: placement.name, ...region!, handler: recorder };
    });
    machine.bus.rewire(regions);
  }

  /** @param include The profile that was run, as the proposal is to name it. */
  proposal(include: string): string {
    const of = (table: string) =>
      this.#observed
        .filter((vdev) => vdev.table === table)
        .map(({ placement: { name }, options }) => ({ name, record: this.#recorders.get(name)!.record, options }));
    const clocks = of("clock").map((each) => {
      return { ...each, options: each.options as unknown as ClockOptions, gates: this.#gatesOf(each.name) };
    });
    const passes = of("pass").map((each) => ({ ...each, options: each.options as unknown as PassOptions }));
    return proposal(include, clocks, passes);
  }

  /** Of clocks that devices get from this controller. */
  #gatesOf(name: string): Set<string> {
    const tables = clockTablesOf(this.#board);
    const names = new ClockNames(tables);
    const controllers = controllersOf(tables);
    const gates = new Set<string>();
    for (const { clocks = [] } of this.#board.vdevs) {
      for (const { clock } of clocks) {
        const at = names.find(clock);
        if ("problem" in at || controllers[at.controller]!.name !== name) continue;
        const { gate } = controllers[at.controller]!.outputs[at.output]!;
        if (gate && supplyOf(controllers, at) === "controller") gates.add(gate.field.name);
      }
    }
    return gates;
  }
}

/** What has registers of the host that the guest reaches one by one. */
function isObservable({ table, placement, options }: BoardVdev): boolean {
  if (placement.regions.length === 0 || placement.regions[0]!.access !== undefined) return false;
  return table === "pass" || (table === "clock" && options["host"] !== undefined);
}

function forwarded(vdev: BoardVdev): BoardVdev {
  const { size } = vdev.placement.regions[0]!;
  return { ...vdev, options: { ...vdev.options, register: [], block: [{ offset: 0, size }] } };
}
