/** `--watch`: a module of the profile changes, and its vdevs go on with the new code while the guest runs. */
import { type FSWatcher, watch } from "node:fs";
import { dirname, resolve } from "node:path";
import { render, VmrunError } from "../diagnostics/diagnostic.ts";
import type { Machine } from "../machine/machine.ts";
import { reasonOf } from "../machine/tenant.ts";
import type { LoadedModule, ResolvedWithVdevs } from "../profile/load.ts";

/** Editors write a file in several steps; ms. */
const SETTLE = 50;

export interface Watched {
  readonly modules: readonly LoadedModule[];
  /** Reads the profile and its modules again. */
  load(): Promise<ResolvedWithVdevs>;
}

export class ModuleWatch {
  readonly #watched: Watched;
  readonly #machine: Machine;
  readonly #say: (text: string) => void;
  /** By folder: editors replace files, and a watch on the old file would see nothing any more. */
  readonly #folders = new Map<string, FSWatcher>();
  #files = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Reloads follow one another. */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(watched: Watched, machine: Machine, say: (text: string) => void) {
    this.#watched = watched;
    this.#machine = machine;
    this.#say = say;
    this.#follow(watched.modules);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#folders.values()) watcher.close();
  }

  #follow(modules: readonly LoadedModule[]): void {
    this.#files = new Set(modules.flatMap(({ files }) => files));
    for (const folder of new Set([...this.#files].map(dirname))) {
      if (this.#folders.has(folder)) continue;
      const watcher = watch(folder, (_, name) => {
        if (name !== null && this.#files.has(resolve(folder, name))) this.#changed();
      });
      watcher.on("error", () => watcher.close());
      this.#folders.set(folder, watcher);
    }
  }

  #changed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#turn = this.#turn.then(() => this.#reload());
    }, SETTLE);
  }

  async #reload(): Promise<void> {
    if (this.#closed) return;
    try {
      const loaded = await this.#watched.load();
      // The machine may have ended meanwhile.
      if (this.#closed) return;
      this.#follow(loaded.modules);
      this.#replaceAll(loaded);
    } catch (error) {
      this.#say(`not reloaded, the old code goes on:\n${shown(error)}`);
    }
  }

  #replaceAll({ board, registry, modules }: ResolvedWithVdevs): void {
    const types = new Set(modules.flatMap((module) => module.types));
    for (const vdev of board.vdevs) {
      const { name, type } = vdev.placement;
      const descriptor = types.has(type) ? registry.get(type) : undefined;
      if (descriptor === undefined) continue;
      try {
        this.#machine.replaceVdev(vdev, descriptor);
        this.#say(`reloaded ${name} (${type})`);
      } catch (error) {
        this.#say(`the old code goes on:\n${shown(error)}`);
      }
    }
  }
}

function shown(error: unknown): string {
  return error instanceof VmrunError ? error.diagnostics.map(render).join("\n") : reasonOf(error);
}
