/** Reads a source of the host piece by piece, and stops reading while nobody wants more. */

export interface Source {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array }>;
}

export class Pump {
  #held = false;
  #stopped = false;
  #resume: (() => void) | undefined;

  /** Until the source's end, or {@link stop}; rejects where reading fails. */
  async run(source: Source, input: (bytes: Uint8Array) => void): Promise<void> {
    for (;;) {
      const { done, value } = await source.read();
      if (done || value === undefined || this.#stopped) return;
      input(value);
      if (this.#held) {
        await new Promise<void>((resolve) => {
          this.#resume = resolve;
        });
      }
      if (this.#stopped) return;
    }
  }

  hold(held: boolean): void {
    this.#held = held;
    if (!held) this.#resume?.();
  }

  stop(): void {
    this.#stopped = true;
    this.hold(false);
  }
}
