/** A dialogue with the guest for scripts and tests: wait for text, type text, in order. */

/** Texts are bytes, one to a character, as the console carries them. */
export type ScriptStep =
  | { readonly kind: "expect"; readonly text: string }
  | { readonly kind: "input"; readonly text: string };

export class Script {
  readonly #steps: readonly ScriptStep[];
  #next = 0;
  /** Output that the current expectation has not passed yet. Bounded by the longest expectation. */
  #seen = "";
  readonly #longest: number;

  constructor(
    steps: readonly ScriptStep[],
    readonly type: (bytes: Uint8Array) => void,
  ) {
    this.#steps = steps;
    this.#longest = Math.max(0, ...steps.map((s) => (s.kind === "expect" ? s.text.length : 0)));
    this.#advance();
  }

  /** Console output, in order. */
  output(bytes: Uint8Array): void {
    if (this.pending === undefined) return;
    this.#seen += Buffer.from(bytes).toString("latin1");
    this.#advance();
    if (this.#seen.length > this.#longest) this.#seen = this.#seen.slice(-this.#longest);
  }

  /** The text that is waited for, if any. */
  get pending(): string | undefined {
    const step = this.#steps[this.#next];
    return step?.kind === "expect" ? step.text : undefined;
  }

  /** Whether every step is done, and the last was an expectation: then there is nothing left to run for. */
  get fulfilled(): boolean {
    return this.#next === this.#steps.length && this.#steps.at(-1)?.kind === "expect";
  }

  #advance(): void {
    for (;;) {
      const step = this.#steps[this.#next];
      if (step === undefined) return;
      if (step.kind === "input") this.type(Buffer.from(step.text, "latin1"));
      else {
        const at = this.#seen.indexOf(step.text);
        if (at < 0) return;
        this.#seen = this.#seen.slice(at + step.text.length);
      }
      this.#next++;
    }
  }
}
