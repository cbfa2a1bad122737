// The compiled interpreter: generated once, then taken from the process or from the store.
import { expect, test } from "bun:test";
import type { InterpreterPlan } from "../../../src/engine/interpreter/contract.ts";
import { generateInterpreter } from "../../../src/engine/interpreter/generate.ts";
import { interpreterModule } from "../../../src/engine/interpreter/module.ts";

const plan = (memoryPages: number): InterpreterPlan => ({
  ...{
    memoryPages,
    scratch: 0x10000,
    counters: 0x20000,
    sites: 0x30000,
    entries: 0x40000,
    codePages: 0,
    decodedPages: 0,
    compressed: true,
    status: 0,
    threshold: 0,
    parallel: false,
  },
});

/** A store in memory that remembers what it was asked for. */
function fakeStore(give?: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>) {
  const kept = new Map<string, Uint8Array<ArrayBuffer>>();
  return {
    kept,
    load: (name: string) => (kept.has(name) && give ? give(kept.get(name)!) : undefined),
    save: (name: string, bytes: Uint8Array) => void kept.set(name, bytes.slice()),
  };
}

test("a machine like one before it shares its module", () => {
  const store = fakeStore();
  const first = interpreterModule(plan(101), store);
  expect(interpreterModule(plan(101), store)).toBe(first);
  expect(interpreterModule(plan(102), store)).not.toBe(first);
  expect([...store.kept.values()]).toEqual([generateInterpreter(plan(101)), generateInterpreter(plan(102))]);
});

test("what the store has is used, and what is no module is made anew", () => {
  let loads = 0;
  const truncated = fakeStore((bytes) => {
    loads++;
    return bytes.subarray(0, 100);
  });
  const [name] = fillFrom(truncated, 103);
  expect(interpreterModule(plan(103), truncated)).toBeInstanceOf(WebAssembly.Module);
  expect(loads).toBe(1);
  expect(truncated.kept.get(name!)).toEqual(generateInterpreter(plan(103)));

  // An empty module in its place: proof that nothing was generated.
  const other = fakeStore(() => Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  fillFrom(other, 104);
  expect(WebAssembly.Module.exports(interpreterModule(plan(104), other))).toEqual([]);
});

/** Puts something where the module of a plan is looked for; answers its name. */
function fillFrom(store: ReturnType<typeof fakeStore>, pages: number): string[] {
  const named = new Map<string, Uint8Array>();
  interpreterModule(plan(pages + 1000), { load: () => undefined, save: (name, bytes) => void named.set(name, bytes) });
  const names = [...named.keys()].map((name) => name.replace(`${pages + 1000}`, `${pages}`));
  for (const name of names) store.kept.set(name, new Uint8Array());
  return names;
}
