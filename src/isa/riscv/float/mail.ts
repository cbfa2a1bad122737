// How generated code asks for an exact operation: operands and result travel in linear memory, where no NaN is altered
// and no BigInt is made on the way.

import type { Callable } from "../../../wasm/function.ts";
import type { ModuleWriter } from "../../../wasm/module.ts";

/** Where floating-point code finds its state in the linear memory. */
export interface FloatPlaces {
  /** Address of the accrued exception flags, 4 bytes. */
  readonly flags: number;
  /** Address of three 8-byte slots for operands. The result takes the place of the first. */
  readonly mail: number;
}

/** Declares the import; its implementation is {@link softFloat}. */
export function importSoftFloat(module: ModuleWriter, from: string, name: string): Callable {
  return module.importFunction(from, name, { params: ["i32", "i32"] });
}

/** The function to be imported: does operation `op` on the mail and accrues its flags. */
export function softFloat(data: DataView, { flags, mail }: FloatPlaces): (op: number, rm: number) => void {
  // The library is loaded when a guest first needs it.
  let evaluate: typeof import("./dispatch.ts").evaluate | undefined;
  const slot = (index: number): bigint => data.getBigUint64(mail + index * 8, true);
  return (op, rm) => {
    evaluate ??= (require("./dispatch.ts") as typeof import("./dispatch.ts")).evaluate;
    const outcome = evaluate(op, rm, slot(0), slot(1), slot(2));
    data.setBigUint64(mail, outcome.bits, true);
    if (outcome.flags !== 0) data.setUint32(flags, data.getUint32(flags, true) | outcome.flags, true);
  };
}
