// Modules that are written, compiled by the host, and run.
import { describe, expect, test } from "bun:test";
import type { FunctionWriter } from "../../src/wasm/function.ts";
import { ModuleWriter, type Signature } from "../../src/wasm/module.ts";
import { type AtomicOpcode, atomicOpcodes } from "../../src/wasm/opcodes.ts";

type Imports = ConstructorParameters<typeof WebAssembly.Instance>[1];
type Exported = Record<string, (...args: readonly (number | bigint)[]) => number | bigint | undefined>;

function instantiate(module: ModuleWriter, imports?: Imports): Exported {
  const bytes = module.finish();
  expect(WebAssembly.validate(bytes)).toBe(true);
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports as Exported;
}

/** A module of one function, called `f`. */
function single(signature: Signature, write: (f: FunctionWriter) => void): Exported["f"] {
  const module = new ModuleWriter();
  write(module.func(signature, "f"));
  return instantiate(module).f;
}

test("an empty module is a module", () => {
  expect(WebAssembly.validate(new ModuleWriter().finish())).toBe(true);
});

describe("a function", () => {
  test("has parameters, locals of every type in any order, and results", () => {
    const f = single({ params: ["i64", "i32"], results: ["i64"] }, (f) => {
      const [a, b] = f.params;
      const x = f.local("i64");
      const y = f.local("f64");
      const z = f.local("i64");
      const w = f.local("i32");
      f.get(a).set(x).get(b).tee(w).op("i64.extend_i32_s").set(z);
      f.f64(0.5).set(y);
      f.get(x).get(z).op("i64.add").get(y).op("i64.trunc_f64_s", "i64.add");
    });
    expect(f(40n, 2)).toBe(42n);
  });

  test("has constants of every type", () => {
    const constant = (type: "i32" | "i64" | "f32" | "f64", write: (f: FunctionWriter) => void) =>
      single({ results: [type] }, write)();
    for (const value of [0, -1, 2 ** 31 - 1, -(2 ** 31)]) expect(constant("i32", (f) => f.i32(value))).toBe(value);
    for (const value of [0n, -(2n ** 63n), 2n ** 63n - 1n]) expect(constant("i64", (f) => f.i64(value))).toBe(value);
    expect(constant("f32", (f) => f.f32(1.5))).toBe(1.5);
    expect(constant("f64", (f) => f.f64(-0))).toBe(-0);
  });

  test("reaches prefixed instructions", () => {
    const f = single({ params: ["f64"], results: ["i32"] }, (f) => {
      f.get(f.params[0]).op("i32.trunc_sat_f64_s");
    });
    expect([f(1e20), f(-1e20), f(Number.NaN)]).toEqual([2 ** 31 - 1, -(2 ** 31), 0]);
  });

  test("has to end its blocks", () => {
    const module = new ModuleWriter();
    module.func({}, "f").block();
    expect(() => module.finish()).toThrow("1 blocks were not ended");
  });
});

describe("labels", () => {
  test("count the blocks between a branch and its target by themselves", () => {
    // Sums 1..n in a loop inside two blocks; leaves by the outer one.
    const f = single({ params: ["i32"], results: ["i32"] }, (f) => {
      const [n] = f.params;
      const sum = f.local("i32");
      const out = f.block();
      f.block();
      const again = f.loop();
      f.get(n).op("i32.eqz").brIf(out);
      f.get(sum).get(n).op("i32.add").set(sum);
      f.get(n).i32(1).op("i32.sub").set(n);
      f.i32(1).if();
      f.br(again);
      f.end().end().end().end();
      f.get(sum);
    });
    expect([f(0), f(1), f(100)]).toEqual([0, 1, 5050]);
  });

  test("carry values out of blocks and arms", () => {
    const f = single({ params: ["i32"], results: ["i64"] }, (f) => {
      f.get(f.params[0]).if("i64");
      f.i64(1n).else().i64(2n).end();
    });
    expect([f(1), f(0)]).toEqual([1n, 2n]);
  });

  test("stand in tables", () => {
    const f = single({ params: ["i32"], results: ["i32"] }, (f) => {
      const other = f.block();
      const two = f.block();
      const one = f.block();
      const zero = f.block();
      f.get(f.params[0]).brTable([zero, one, two], other);
      for (const value of [10, 11, 12]) f.end().i32(value).op("return");
      f.end().i32(99);
    });
    expect([0, 1, 2, 3, -1].map((n) => f(n))).toEqual([10, 11, 12, 99, 99]);
  });
});

describe("a module", () => {
  test("calls its imports and its own functions, whatever their order", () => {
    const module = new ModuleWriter();
    const seen: number[] = [];
    const note = module.importFunction("env", "note", { params: ["i32"] });
    const give = module.importFunction("env", "give", { results: ["i32"] });
    const first = module.func({ params: ["i32"], results: ["i32"] }, "first");
    const second = module.func({ params: ["i32"], results: ["i32"] });
    first.get(first.params[0]).call(second).call(give).op("i32.add");
    second.get(second.params[0]).call(note).get(second.params[0]).i32(2).op("i32.mul");
    const { first: run } = instantiate(module, { env: { note: (n: number) => void seen.push(n), give: () => 100 } });
    expect(run(5)).toBe(110);
    expect(seen).toEqual([5]);
  });

  test("refuses imports behind functions, whose numbers they would shift", () => {
    const module = new ModuleWriter();
    module.func({});
    expect(() => module.importFunction("env", "late", {})).toThrow("imports come before functions");
  });

  test("says each type once", () => {
    const module = new ModuleWriter();
    for (let i = 0; i < 50; i++) module.func({ params: ["i32"], results: ["i32"] }).i32(i);
    const many = module.finish().length;
    const one = new ModuleWriter();
    one.func({ params: ["i32"], results: ["i32"] }).i32(0);
    // A function costs its type index, its length, no locals, one constant, and its end.
    expect(many).toBeLessThan(one.finish().length + 50 * 7);
  });

  test("works on an imported memory, with offsets beyond 2 GiB in its code", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const module = new ModuleWriter();
    module.importMemory("env", "memory", 1, 1);
    const store = module.func({ params: ["i32", "i64"] }, "store");
    store.get(store.params[0]).get(store.params[1]).memory("i64.store32", 8);
    const load = module.func({ params: ["i32"], results: ["i32"] }, "load");
    load.get(load.params[0]).memory("i32.load8_s", 9);
    const far = module.func({ results: ["i32"] }, "far");
    far.i32(0).memory("i32.load", 0xffff_fff0);
    const fill = module.func({ params: ["i32", "i32", "i32"] }, "fill");
    for (const param of fill.params) fill.get(param);
    fill.memoryFill();
    const run = instantiate(module, { env: { memory } });
    run.store(3, 0x1122_3344_5566_7788n);
    expect(new DataView(memory.buffer).getUint32(11, true)).toBe(0x5566_7788);
    expect(run.load(2)).toBe(-0x78);
    expect(() => run.far()).toThrow(WebAssembly.RuntimeError);
    run.fill(100, 7, 3);
    expect([...new Uint8Array(memory.buffer, 99, 5)]).toEqual([0, 7, 7, 7, 0]);
  });

  test("has atomic accesses, on memory that is not declared shared as well", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const module = new ModuleWriter();
    module.importMemory("env", "memory", 1, 1);
    const binary = (name: AtomicOpcode): void => {
      const f = module.func({ params: ["i32", "i64"], results: ["i64"] }, name);
      f.get(f.params[0]).get(f.params[1]).atomic(name, 8);
    };
    for (const kind of ["add", "and", "or", "xor", "xchg"] as const) binary(`i64.atomic.rmw.${kind}`);
    const swap = module.func({ params: ["i32", "i32", "i32"], results: ["i32"] }, "swap");
    for (const param of swap.params) swap.get(param);
    swap.atomic("i32.atomic.rmw.cmpxchg").atomicFence();
    const run = instantiate(module, { env: { memory } });
    const data = new DataView(memory.buffer);
    data.setBigUint64(8, 0b1100n, true);
    expect(run["i64.atomic.rmw.add"](0, 1n)).toBe(0b1100n);
    expect(run["i64.atomic.rmw.and"](0, 0b0111n)).toBe(0b1101n);
    expect(run["i64.atomic.rmw.or"](0, 0b1000n)).toBe(0b0101n);
    expect(run["i64.atomic.rmw.xor"](0, 0b1111n)).toBe(0b1101n);
    expect(run["i64.atomic.rmw.xchg"](0, 7n)).toBe(0b0010n);
    expect([run.swap(8, 6, 1), run.swap(8, 7, 2), data.getUint32(8, true)]).toEqual([7, 7, 2]);
    expect(() => run.swap(9, 0, 0)).toThrow(WebAssembly.RuntimeError);
  });

  test("may be large", () => {
    const module = new ModuleWriter();
    const f = module.func({ results: ["i64"] }, "f");
    const sum = f.local("i64");
    for (let i = 0; i < 20_000; i++) f.get(sum).i64(BigInt(i)).op("i64.add").set(sum);
    f.get(sum);
    expect(instantiate(module).f()).toBe(199_990_000n);
  });
});

test("every atomic access is one that the host knows, with the alignment that it wants", () => {
  for (const name of Object.keys(atomicOpcodes) as AtomicOpcode[]) {
    const module = new ModuleWriter();
    module.importMemory("env", "memory", 1, 1);
    module.func({}, "f").op("unreachable").atomic(name, 16).op("unreachable");
    expect(() => new WebAssembly.Module(module.finish())).not.toThrow();
  }
});

test("every instruction without immediates is one that the host knows", async () => {
  const { opcodes } = await import("../../src/wasm/opcodes.ts");
  // In dead code operands are of any type and number: only unknown opcodes are refused. WebAssembly Core §3.4
  for (const name of Object.keys(opcodes) as (keyof typeof opcodes)[]) {
    const module = new ModuleWriter();
    const f = module.func({}, "f");
    f.op("unreachable", name, "unreachable");
    expect([name, WebAssembly.validate(module.finish())]).toEqual([name, true]);
  }
});
