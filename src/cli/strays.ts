/**
 * Failures of code that nobody waits for: a timer of the host's or a promise that a vdev started and let go. What failed
 * is known by the files in its stack.
 */
import { basename } from "node:path";
import type { Machine } from "../machine/machine.ts";
import type { Board } from "../profile/board.ts";
import type { LoadedModule } from "../profile/load.ts";

export interface StrayRules {
  readonly board: Board;
  readonly machine: Machine;
  readonly modules: readonly LoadedModule[];
  /** A rejection that is no vdev's. */
  unknown(error: unknown): void;
  /** An exception that is no vdev's: vmrun itself failed. */
  internal(error: unknown): void;
  /** The machine may have ended. */
  wake(): void;
}

/** Listens from now on; the answer ends that. */
export function catchStrays({ board, machine, modules, unknown, internal, wake }: StrayRules): () => void {
  const blame = (error: unknown): boolean => {
    const { vdevs, place } = suspects(board, modules, error);
    for (const vdev of vdevs) machine.blame(vdev, `code that nobody waits for${place && ` (${place})`}`, error);
    if (vdevs.length > 0) wake();
    return vdevs.length > 0;
  };
  const rejected = (error: unknown) => {
    if (!blame(error)) unknown(error);
  };
  const thrown = (error: unknown) => {
    if (!blame(error)) internal(error);
  };
  process.on("unhandledRejection", rejected);
  process.on("uncaughtException", thrown);
  return () => {
    process.off("unhandledRejection", rejected);
    process.off("uncaughtException", thrown);
  };
}

/** The vdevs whose code the error comes from, and where in it. Instances of a type share their code, and the suspicion. */
export function suspects(
  board: Pick<Board, "vdevs">,
  modules: readonly LoadedModule[],
  error: unknown,
): { readonly vdevs: readonly string[]; readonly place: string } {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const guilty = modules.filter(({ files }) => files.some((file) => stack.includes(file)));
  // What is thrown without a stack can only have come from outside of vmrun.
  const types = new Set((stack === "" ? modules : guilty).flatMap((module) => module.types));
  const vdevs = board.vdevs.flatMap(({ placement: { name, type } }) => (types.has(type) ? [name] : []));
  const file = guilty.flatMap(({ files }) => files).find((path) => stack.includes(path));
  const line = file && /^:\d+/.exec(stack.slice(stack.indexOf(file) + file.length))?.[0];
  return { vdevs, place: file === undefined ? "" : `${basename(file)}${line ?? ""}` };
}
