// Runs the fast helpers over arrays of operands, inside WebAssembly, so that no NaN passes through JavaScript.

import { FloatOp } from "../../../../src/isa/riscv/float/dispatch.ts";
import type { FloatHelpers } from "../../../../src/isa/riscv/float/fast.ts";
import { defineFloatHelpers } from "../../../../src/isa/riscv/float/fast.ts";
import type { FloatPlaces } from "../../../../src/isa/riscv/float/mail.ts";
import { importSoftFloat, softFloat } from "../../../../src/isa/riscv/float/mail.ts";
import { ModuleWriter } from "../../../../src/wasm/module.ts";

export const helperNames = [
  ...(["addS", "addD", "subS", "subD", "mulS", "mulD"] as const),
  ...(["divS", "divD", "sqrtS", "sqrtD", "fmaS", "fmaD"] as const),
] satisfies (keyof FloatHelpers)[];
export type HelperName = (typeof helperNames)[number];

export const arityOf = (name: HelperName): number => (name.startsWith("sqrt") ? 1 : name.startsWith("fma") ? 3 : 2);

const places: FloatPlaces = { flags: 16, mail: 64 };
const RECORDS = 1024;
/** A record: three operands, the result, and the flags as they are before and after; 8 bytes each. */
const RECORD = 40;

export interface Harness {
  /** Words of record `index` start at `index × 5`: a, b, c, result, flags. */
  readonly records: BigUint64Array;
  /** Applies a helper to the first `count` records. */
  run(name: HelperName, rm: number, count: number): void;
  /** How often the exact implementation was asked so far. */
  readonly slowCalls: number;
}

export function createHarness(pages = 16): Harness {
  const module = new ModuleWriter();
  module.importMemory("env", "memory", pages, pages);
  const slow = importSoftFloat(module, "env", "softFloat");
  const helpers = defineFloatHelpers(module, places, slow);
  for (const name of helperNames) writeDriver(module, name, helpers);

  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const exact = softFloat(new DataView(memory.buffer), places);
  let slowCalls = 0;
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {
    env: {
      memory,
      softFloat: (op: number, rm: number) => {
        slowCalls++;
        exact(op, rm);
      },
    },
  });
  const capacity = Math.floor((pages * 65536 - RECORDS) / RECORD);
  return {
    records: new BigUint64Array(memory.buffer, RECORDS, capacity * 5),
    run: (name, rm, count) => (instance.exports[name] as (rm: number, count: number) => void)(rm, count),
    get slowCalls() {
      return slowCalls;
    },
  };
}

function writeDriver(module: ModuleWriter, name: HelperName, helpers: FloatHelpers): void {
  const type = FloatOp[name] % 2 === 0 ? "f32" : "f64";
  const f = module.func({ params: ["i32", "i32"] }, name);
  const [rm, count] = f.params;
  const at = f.local("i32");
  const result = f.local(type);
  const done = f.block();
  const again = f.loop();
  f.get(count).op("i32.eqz").brIf(done);
  f.i32(0)
    .get(at)
    .memory("i32.load", RECORDS + 32)
    .memory("i32.store", places.flags);
  for (let operand = 0; operand < arityOf(name); operand++) {
    f.get(at).memory(`${type}.load`, RECORDS + operand * 8);
  }
  f.get(rm).call(helpers[name]).set(result);
  f.get(at)
    .get(result)
    .memory(`${type}.store`, RECORDS + 24);
  f.get(at)
    .i32(0)
    .memory("i32.load", places.flags)
    .memory("i32.store", RECORDS + 32);
  f.get(at).i32(RECORD).op("i32.add").set(at);
  f.get(count).i32(1).op("i32.sub").set(count);
  f.br(again);
  f.end().end();
}
