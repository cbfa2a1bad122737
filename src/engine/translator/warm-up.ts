/**
 * JavaScriptCore interprets a function until its compiler has come round to it, and takes longer for a region then than the
 * guest's interpreter does. So regions are called a few times before anything leads to them, with nothing to spend: they
 * leave at once. A probe that waits behind them in the compiler's queue tells when they are through.
 */
import { HartField } from "../../isa/riscv/hart.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { ModuleWriter } from "../../wasm/module.ts";
import { at } from "../places.ts";

/** After so many calls JavaScriptCore has a function compiled. */
const CALLS = 12;
/** Turns of the probe's loop, and the time that they take compiled, at most: a tenth of that is usual; ms. */
const TURNS = 400;
const COMPILED = 0.01;
/** Looks at the probe after which the regions are taken as they are. */
const PATIENCE = 100;
const PROBE = "probe";

type RegionFunction = (budget: number, page: bigint) => number;
type ProbeFunction = (turns: number) => number;

/** Writes the probe into a module, behind its regions: a loop that does nothing. */
export function defineProbe(module: ModuleWriter): void {
  const f = module.func({ params: ["i32"], results: ["i32"] }, PROBE);
  const [turns] = f.params;
  const again = f.loop();
  f.get(turns).i32(1).op("i32.sub").tee(turns).brIf(again).end();
  f.get(turns);
}

export class WarmUp {
  readonly #waiting: { readonly probe: ProbeFunction; readonly then: () => void; looks: number }[] = [];

  constructor(readonly memory: GuestMemory) {}

  /** Has the regions of these names compiled, and calls `then` from {@link look} when they are. No guest code may be running. */
  start({ exports }: WebAssembly.Instance, names: readonly string[], then: () => void): void {
    const { data } = this.memory;
    // All that a region changes on its way out.
    const kept = [HartField.pc, HartField.mail3].map(
      (field) => [at(field), data.getBigUint64(at(field), true)] as const,
    );
    for (const name of names) {
      const region = exports[name] as RegionFunction;
      for (let i = 0; i < CALLS; i++) region(0, 0n);
    }
    for (const [field, value] of kept) data.setBigUint64(field, value, true);
    const probe = exports[PROBE] as ProbeFunction;
    probe(TURNS);
    this.#waiting.push({ probe, then, looks: 0 });
  }

  /** Calls back for the regions that are compiled by now, in the order in which they came. */
  look(): void {
    while (this.#waiting.length > 0) {
      const [first] = this.#waiting;
      const started = performance.now();
      first.probe(TURNS);
      if (performance.now() - started > COMPILED && ++first.looks < PATIENCE) return;
      this.#waiting.shift();
      first.then();
    }
  }
}
