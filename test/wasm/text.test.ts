// Code and modules that are written, as text.
import { describe, expect, test } from "bun:test";
import { FunctionWriter } from "../../src/wasm/function.ts";
import { ModuleWriter } from "../../src/wasm/module.ts";
import { moduleText } from "../../src/wasm/module-text.ts";
import {
  type AtomicOpcode,
  atomicOpcodes,
  type MemoryOpcode,
  memoryOpcodes,
  type Opcode,
  opcodes,
  type ValueType,
} from "../../src/wasm/opcodes.ts";
import { functionText, indented, type TextNames } from "../../src/wasm/text.ts";

/** The indented lines of a function's code. */
function text(write: (f: FunctionWriter) => void, names?: TextNames, params: readonly ValueType[] = []): string[] {
  const f = new FunctionWriter(0, 0, params);
  write(f);
  const { lines } = functionText(f.finish(), { names, params: params.length, unlikely: f.unlikely });
  return lines.map((line) => indented(line));
}

describe("an instruction is shown", () => {
  test("by its name, whichever the writer knows", () => {
    const names = Object.keys(opcodes) as Opcode[];
    expect(text((f) => f.op(...names))).toEqual(names);
  });

  test("with the offset that a load or store adds", () => {
    const names = Object.keys(memoryOpcodes) as MemoryOpcode[];
    expect(text((f) => names.forEach((name, i) => void f.memory(name, i * 1000)))).toEqual(
      names.map((name, i) => (i === 0 ? name : `${name} offset=${i * 1000}`)),
    );
    const place = (offset: number) => (offset === 8 ? "pc" : undefined);
    expect(text((f) => f.memory("i32.load", 8).memory("i32.load", 9).memoryFill(), { place })).toEqual([
      "i32.load offset=8 ;; pc",
      "i32.load offset=9",
      "memory.fill",
    ]);
  });

  test("with the offset of an atomic access, and without the alignment that it has to have", () => {
    const names = Object.keys(atomicOpcodes) as AtomicOpcode[];
    expect(text((f) => names.reduce((w, name, i) => w.atomic(name, i * 8), f).atomicFence())).toEqual([
      ...names.map((name, i) => (i === 0 ? name : `${name} offset=${i * 8}`)),
      "atomic.fence",
    ]);
  });

  test("with constants that read back as the same bits", () => {
    const integers = [0n, -1n, 65535n, 65536n, -4096n, -(2n ** 63n), 2n ** 63n - 1n];
    expect(text((f) => integers.forEach((value) => void f.i64(value)))).toEqual([
      "i64.const 0",
      "i64.const -1",
      "i64.const 65535",
      "i64.const 0x10000",
      "i64.const -4096",
      "i64.const -0x8000000000000000",
      "i64.const 0x7fffffffffffffff",
    ]);
    const small = [0, -1, 63, 64, -64, -65, 2 ** 31 - 1, -(2 ** 31)];
    expect(text((f) => small.forEach((value) => void f.i32(value)))).toEqual(
      ["0", "-1", "63", "64", "-64", "-65", "0x7fffffff", "-0x80000000"].map((shown) => `i32.const ${shown}`),
    );
    expect(text((f) => f.f64(-0).f64(0.1).f64(1e300).f64(-Infinity).f32(1.1).f32(Number.NaN).f64(Number.NaN))).toEqual([
      "f64.const -0",
      "f64.const 0.1",
      "f64.const 1e+300",
      "f64.const -inf",
      `f32.const ${Math.fround(1.1)}`,
      "f32.const nan:0x400000",
      "f64.const nan:0x8000000000000",
    ]);
  });

  test("with locals by number, or by name where they have one", () => {
    const write = (f: FunctionWriter) => {
      const a = f.local("i64");
      const b = f.local("i64");
      f.get(f.params[0]).tee(a).set(b);
    };
    expect(text(write, undefined, ["i64"])).toEqual(["local.get 0", "local.tee 1", "local.set 2"]);
    const locals = new Map([
      [0, "budget"],
      [2, "budget"],
    ]);
    expect(text(write, { locals }, ["i64"])).toEqual(["local.get $budget", "local.tee 1", "local.set $budget.2"]);
  });

  test("with what it calls", () => {
    const functions = new Map([[7, "add"]]);
    const calls = (f: FunctionWriter) => f.call({ index: 7 }).call({ index: 8 }).callIndirect(2).returnCallIndirect(3);
    expect(text(calls, { functions })).toEqual([
      "call $add",
      "call 8",
      "call_indirect (type 2)",
      "return_call_indirect (type 3)",
    ]);
  });
});

describe("blocks", () => {
  test("indent what is in them, and have labels where a branch names them", () => {
    const lines = text((f) => {
      const out = f.block();
      const again = f.loop();
      f.i32(1).if("i32");
      f.i32(2).else().i32(3).end();
      f.brIf(again).i32(0).brTable([again, out], out);
      f.end().end();
    });
    expect(lines).toEqual([
      "block $1",
      "  loop $2",
      "    i32.const 1",
      "    if (result i32)",
      "      i32.const 2",
      "    else",
      "      i32.const 3",
      "    end",
      "    br_if $2",
      "    i32.const 0",
      "    br_table $2 $1 $1",
      "  end $2",
      "end $1",
    ]);
  });

  test("may have names, by the offset of their instruction", () => {
    let offset = 0;
    const f = new FunctionWriter(0, 0, []);
    f.local("i32");
    f.op("nop");
    offset = f.length;
    const label = f.block();
    f.br(label).end();
    const { lines } = functionText(f.finish(), { params: 0, names: { labels: new Map([[offset, "leave"]]) } });
    expect(lines.map((line) => line.text)).toEqual(["nop", "block $leave", "br $leave", "end $leave"]);
    expect(lines[1].offset).toBe(offset);
  });

  test("tell when they are hardly ever entered", () => {
    const lines = text((f) => {
      f.local("f32");
      f.i32(0).if();
      f.end().i32(0).ifUnlikely();
      f.end();
    });
    expect(lines).toEqual(["i32.const 0", "if", "end", "i32.const 0", "if ;; unlikely", "end"]);
  });
});

test("declarations of locals name those that have names", () => {
  const f = new FunctionWriter(0, 0, ["i32"]);
  for (const type of ["i32", "i32", "i32", "f64"] as const) f.local(type);
  const { locals } = functionText(f.finish(), { params: 1, names: { locals: new Map([[3, "sum"]]) } });
  expect(locals).toEqual(["(local i32 i32)", "(local $sum i32)", "(local f64)"]);
});

test("a module is shown whole", () => {
  const module = new ModuleWriter();
  module.importMemory("env", "memory", 1, 2);
  module.importTable("env", "table", 3);
  const log = module.importFunction("env", "log", { params: ["i32"] });
  const f = module.func({ params: ["i32", "i64"], results: ["i32"] }, "run");
  f.get(f.params[0]).ifUnlikely();
  f.i32(5).call(log).end().i32(7);
  module.func({});
  const names = (index: number) => (index === 1 ? { locals: new Map([[1, "page"]]) } : undefined);
  expect(moduleText(module.finish(), names)).toBe(`(module
  (type (;0;) (func (param i32)))
  (type (;1;) (func (param i32 i64) (result i32)))
  (type (;2;) (func))
  (import "env" "memory" (memory 1 2))
  (import "env" "table" (table 3 funcref))
  (import "env" "log" (func (;0;) (type 0)))
  (func (;1;) (export "run") (type 1) (param i32) (param $page i64) (result i32)
    local.get 0
    if ;; unlikely
      i32.const 5
      call 0
    end
    i32.const 7
  )
  (func (;2;) (type 2)
  ))
`);
});

describe("bytes that are none of the writer's are refused", () => {
  const body = (...bytes: number[]) => functionText(Uint8Array.of(0, ...bytes), { params: 0 });
  test.each([
    ["an unknown instruction", [0xd0, 0x0b], "0xd0 is no instruction"],
    ["an unknown prefixed one", [0xfc, 0x7f, 0x0b], "0xfc7f is no instruction"],
    ["an end that is missing", [0x02, 0x40, 0x0b], "more bytes are needed"],
    ["code behind the end", [0x0b, 0x01], "bytes behind the end"],
    ["a local that is not there", [0x20, 0, 0x0b], "there is no local 0"],
    ["a branch too far out", [0x0c, 1, 0x0b], "there is no block 1 blocks out"],
    ["an else of nothing", [0x05, 0x0b], "no block is open"],
    ["a number without end", [0x41, ...new Array(11).fill(0x80)], "more than 64 bits"],
  ])("%s", (_, bytes, message) => {
    expect(() => body(...bytes)).toThrow(message);
  });
  test("more locals than there can be", () => {
    expect(() => functionText(Uint8Array.of(1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b), { params: 0 })).toThrow(
      "too many locals",
    );
  });
  test("what is no module", () => {
    expect(() => moduleText(new Uint8Array(8))).toThrow("not a module");
    expect(() => moduleText(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 6, 0))).toThrow("section 6 is none");
  });
});
