// Floating point at the host's speed: WebAssembly functions that use the host's instruction where they can prove its
// result and its flags, and ask the exact implementation elsewhere.

import type { Callable } from "../../../wasm/function.ts";
import type { ModuleWriter } from "../../../wasm/module.ts";
import { FloatOp } from "./dispatch.ts";
import { defineArithmetic } from "./fast-arithmetic.ts";
import { defineComparisons } from "./fast-compare.ts";
import { defineConversions } from "./fast-convert.ts";
import type { FloatPlaces } from "./mail.ts";

/**
 * A helper for every operation. Each takes its operands as native numbers, then rm (0 to 4) as i32, and returns a
 * native number: f32 for S, f64 for D, and i64 for an integer register as it stands, of which W and WU forms read the
 * low half and write all, sign-extended.
 */
export type FloatHelpers = Readonly<Record<keyof typeof FloatOp, Callable>>;

type Definitions = Readonly<Record<keyof typeof FloatOp, () => Callable>>;

/**
 * The helpers of a module by operation, each added when it is first asked for. `softFloat` is what `importSoftFloat`
 * declared.
 */
export function floatHelpersOf(
  module: ModuleWriter,
  places: FloatPlaces,
  softFloat: Callable,
): (operation: keyof typeof FloatOp) => Callable {
  const context = { module, places, softFloat };
  const definitions: Definitions = {
    ...defineArithmetic(context),
    ...defineComparisons(context),
    ...defineConversions(context),
  };
  const known = new Map<keyof typeof FloatOp, Callable>();
  return (operation) => {
    let helper = known.get(operation);
    if (helper === undefined) {
      helper = definitions[operation]();
      known.set(operation, helper);
    }
    return helper;
  };
}

/** Adds every helper to a module. `softFloat` is what `importSoftFloat` declared. */
export function defineFloatHelpers(module: ModuleWriter, places: FloatPlaces, softFloat: Callable): FloatHelpers {
  const helper = floatHelpersOf(module, places, softFloat);
  return Object.fromEntries(
    (Object.keys(FloatOp) as (keyof typeof FloatOp)[]).map((operation) => [operation, helper(operation)]),
  ) as FloatHelpers;
}
