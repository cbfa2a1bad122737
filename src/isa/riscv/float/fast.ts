// Floating point at the host's speed: WebAssembly functions that use the host's instruction where they can prove its
// result and its flags, and ask the exact implementation elsewhere.

import type { Callable } from "../../../wasm/function.ts";
import type { ModuleWriter } from "../../../wasm/module.ts";
import type { FloatOp } from "./dispatch.ts";
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

/** Adds the helpers to a module. `softFloat` is what `importSoftFloat` declared. */
export function defineFloatHelpers(module: ModuleWriter, places: FloatPlaces, softFloat: Callable): FloatHelpers {
  const context = { module, places, softFloat };
  return { ...defineArithmetic(context), ...defineComparisons(context), ...defineConversions(context) };
}
