// Runs the fast helpers over arrays of operands, inside WebAssembly, so that no NaN passes through JavaScript.

import { FloatOp } from "../../../../src/isa/riscv/float/dispatch.ts";
import type { FloatHelpers } from "../../../../src/isa/riscv/float/fast.ts";
import { defineFloatHelpers } from "../../../../src/isa/riscv/float/fast.ts";
import type { Format } from "../../../../src/isa/riscv/float/format.ts";
import { binary32, binary64 } from "../../../../src/isa/riscv/float/format.ts";
import type { FloatPlaces } from "../../../../src/isa/riscv/float/mail.ts";
import { importSoftFloat, softFloat } from "../../../../src/isa/riscv/float/mail.ts";
import { ModuleWriter } from "../../../../src/wasm/module.ts";

export type HelperName = keyof FloatHelpers;
export const helperNames = Object.keys(FloatOp) as HelperName[];

/** A kind of value: a single, a double, or an integer register. */
export type Kind = "s" | "d" | "x";

export interface Signature {
  readonly from: Kind;
  readonly to: Kind;
  readonly arity: number;
}

/** What a helper takes and returns, as its name says: `addS`, `leD`, or with the destination first `cvtWUS`. */
export function signatureOf(name: HelperName): Signature {
  const kindOf = (letters: string): Kind => (letters === "S" ? "s" : letters === "D" ? "d" : "x");
  const conversion = /^cvt(S|D|WU?|LU?)(S|D|WU?|LU?)$/.exec(name);
  if (conversion) return { from: kindOf(conversion[2]), to: kindOf(conversion[1]), arity: 1 };
  const from = kindOf(name.slice(-1));
  const to = /^(eq|lt|le|class)/.test(name) ? "x" : from;
  return { from, to, arity: /^(sqrt|class)/.test(name) ? 1 : name.startsWith("fma") ? 3 : 2 };
}

export const formatOf = (kind: Kind): Format | undefined => ({ s: binary32, d: binary64, x: undefined })[kind];

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

const NATIVE = { s: "f32", d: "f64", x: "i64" } as const;

function writeDriver(module: ModuleWriter, name: HelperName, helpers: FloatHelpers): void {
  const { from, to, arity } = signatureOf(name);
  const f = module.func({ params: ["i32", "i32"] }, name);
  const [rm, count] = f.params;
  const at = f.local("i32");
  const result = f.local(NATIVE[to]);
  const done = f.block();
  const again = f.loop();
  f.get(count).op("i32.eqz").brIf(done);
  f.i32(0)
    .get(at)
    .memory("i32.load", RECORDS + 32)
    .memory("i32.store", places.flags);
  for (let operand = 0; operand < arity; operand++) {
    f.get(at).memory(`${NATIVE[from]}.load`, RECORDS + operand * 8);
  }
  f.get(rm).call(helpers[name]).set(result);
  f.get(at)
    .get(result)
    .memory(`${NATIVE[to]}.store`, RECORDS + 24);
  f.get(at)
    .i32(0)
    .memory("i32.load", places.flags)
    .memory("i32.store", RECORDS + 32);
  f.get(at).i32(RECORD).op("i32.add").set(at);
  f.get(count).i32(1).op("i32.sub").set(count);
  f.br(again);
  f.end().end();
}
