/** The instance of a vdev whose state is a register bank and little else: what remains to be written is its behaviour. */
import * as v from "valibot";
import type { VdevInstance } from "./descriptor.ts";
import type { Json } from "./host.ts";
import type { RegionHandler } from "./region.ts";
import { fromSnapshot, nested } from "./snapshot.ts";

/** A register bank of any map. */
export interface Bank extends RegionHandler {
  reset(): void;
  snapshot(): Json;
  restore(state: Json): void;
}

/** State beside the registers; plain JSON. */
export interface ExtraState<Schema extends v.GenericSchema> {
  readonly schema: Schema;
  save(): v.InferOutput<Schema>;
  /** Takes what `save` gave, checked by the schema. A reset loads `initial`. */
  load(state: v.InferOutput<Schema>): void;
  readonly initial: v.InferOutput<Schema>;
}

export interface BankBehaviour<Schema extends v.GenericSchema>
  extends Omit<VdevInstance, "regions" | "reset" | "snapshot" | "restore"> {
  readonly state?: ExtraState<Schema>;
  /** Brings lines and timers in line with registers and state: after a reset and a restore. */
  refresh?(): void;
}

const EXTENDED = v.object({ registers: nested(), state: nested() });

/** The banks answer the vdev's regions, in their order. A single one without further state is its own snapshot. */
export function bankInstance<const Schema extends v.GenericSchema>(
  banks: Bank | readonly Bank[],
  behaviour: BankBehaviour<Schema> = {},
): VdevInstance {
  const { state, refresh, ...others } = behaviour;
  const all: readonly Bank[] = Array.isArray(banks) ? banks : [banks as Bank];
  const save = (): Json => (all.length === 1 ? all[0]!.snapshot() : all.map((bank) => bank.snapshot()));
  const load = (json: Json): void => {
    if (all.length === 1) return all[0]!.restore(json);
    const parts = fromSnapshot(v.pipe(v.array(nested()), v.length(all.length)), json);
    for (const [i, bank] of all.entries()) bank.restore(parts[i]!);
  };
  return {
    ...others,
    regions: all,
    reset() {
      for (const bank of all) bank.reset();
      state?.load(state.initial);
      refresh?.();
    },
    snapshot: () => (state ? { registers: save(), state: state.save() as Json } : save()),
    restore(json) {
      if (state) {
        const saved = fromSnapshot(EXTENDED, json);
        const checked = fromSnapshot(state.schema, saved.state);
        load(saved.registers);
        state.load(checked);
      } else load(json);
      refresh?.();
    },
  };
}
