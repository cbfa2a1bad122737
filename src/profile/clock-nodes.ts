/** Clocks in the device tree: nodes for those that are fixed, and the properties by which devices name theirs. */
import { type FdtNode, node, setProperty } from "../fdt/tree.ts";
import type { ClockController, ClockReference } from "../pass/clocks/description.ts";
import { ClockNames, controllersOf } from "../pass/clocks/outputs.ts";
import { type ClockStates, clockStates, resetValue } from "../pass/clocks/rates.ts";
import { shownClock, supplyOf } from "../pass/clocks/supply.ts";
import type { Board, BoardClock } from "./board.ts";
import { clockTablesOf } from "./clocks.ts";
import { clockPhandle } from "./phandle.ts";

export class ClockNodes {
  readonly #board: Board;
  readonly #names: ClockNames;
  readonly #controllers: readonly ClockController[];
  readonly #states: ClockStates;

  /** @param states What the clocks run at; by the registers as at reset where omitted. */
  constructor(board: Board, states?: ClockStates) {
    const tables = clockTablesOf(board);
    this.#board = board;
    this.#names = new ClockNames(tables);
    this.#controllers = controllersOf(tables);
    this.#states = states ?? clockStates(this.#controllers, resetValue);
  }

  /** One for each fixed clock that a device has. Linux bindings clock/fixed-clock.yaml */
  fixed(): FdtNode[] {
    const used = new Map<number, FdtNode>();
    for (const { clocks = [] } of this.#board.vdevs) {
      for (const { clock } of clocks) {
        const at = this.#find(clock);
        if (at && supplyOf(this.#controllers, at) === "fixed") used.set(this.#phandleOf(at), this.#fixedNode(at));
      }
    }
    return [...used].sort(([a], [b]) => a - b).map(([, each]) => each);
  }

  #fixedNode(at: ClockReference): FdtNode {
    const name = shownClock(this.#controllers, at);
    const { rate } = this.#states[at.controller]![at.output]!;
    return node(`clock-${name.replaceAll(".", "-")}`.slice(0, 31), {
      compatible: "fixed-clock",
      "#clock-cells": 0,
      "clock-frequency": rate === undefined ? undefined : Math.round(rate),
      "clock-output-names": name,
      phandle: this.#phandleOf(at),
    });
  }

  /** Puts them into a device's node, instead of what its binding knows by itself. Bindings clock/clock.txt */
  name(own: FdtNode, clocks: readonly BoardClock[]): void {
    const found = clocks.flatMap(({ clock }) => this.#find(clock) ?? []);
    setProperty(
      own,
      "clocks",
      found.flatMap((at) => this.#specifier(at)),
    );
    own.properties.delete("clock-frequency");
    const names = clocks.flatMap(({ name }) => name ?? []);
    if (names.length > 0) setProperty(own, "clock-names", names);
    else own.properties.delete("clock-names");
  }

  /** Whether a device's node refers to that of the clock table. */
  refersTo(table: string): boolean {
    return this.#board.vdevs.some(({ clocks = [] }) =>
      clocks.some(({ clock }) => {
        const at = this.#find(clock);
        return (
          at && this.#controllers[at.controller]!.name === table && supplyOf(this.#controllers, at) === "controller"
        );
      }),
    );
  }

  #specifier(at: ClockReference): number[] {
    if (supplyOf(this.#controllers, at) === "fixed") return [this.#phandleOf(at)];
    return [this.#phandleOf(at), this.#controllers[at.controller]!.outputs[at.output]!.index];
  }

  #phandleOf(at: ClockReference): number {
    if (supplyOf(this.#controllers, at) === "fixed") return clockPhandle(at.controller, at.output);
    const { name } = this.#controllers[at.controller]!;
    return this.#board.vdevs.find(({ placement }) => placement.name === name)!.placement.phandle;
  }

  #find(clock: string): ClockReference | undefined {
    const found = this.#names.find(clock);
    return "problem" in found ? undefined : found;
  }
}
