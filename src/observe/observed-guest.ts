/** A guest whose exits are counted, where that was asked for. */
import { Guest, type GuestOptions } from "../machine/guest.ts";
import type { Board } from "../profile/board.ts";
import type { VdevRegistry } from "../vdev/registry.ts";
import type { Exits } from "./exits.ts";
import { type Detail, Recorder } from "./recorder.ts";

export interface ObservedGuestOptions extends GuestOptions {
  /** Counts exits (`true` or `"counts"`), and measures what they cost (`"costs"`). Off when omitted, and then free. */
  readonly exits?: boolean | Detail;
}

export class ObservedGuest extends Guest {
  readonly #recorder: Recorder | undefined;

  /** Throws a `VmrunError` where images or disks cannot be had. */
  constructor(board: Board, registry: VdevRegistry, options: ObservedGuestOptions = {}) {
    const { exits } = options;
    const recorder = exits ? new Recorder(board, registry, exits === true ? "counts" : exits) : undefined;
    super(board, registry, { ...options, observer: recorder });
    this.#recorder = recorder;
  }

  /** The exits since power-on: a copy, for comparing with a later one. Throws where `exits` was not asked for. */
  get exits(): Exits {
    if (this.#recorder === undefined)
      throw new Error("this guest's exits are not counted: boot it with { exits: true }");
    return this.#recorder.exits();
  }
}
