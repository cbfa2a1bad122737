// Regions are led into when they are compiled, and not before.
import { beforeEach, expect, test } from "bun:test";
import { at } from "../../../src/engine/places.ts";
import { defineProbe, WarmUp } from "../../../src/engine/translator/warm-up.ts";
import { ENGINE_RESERVED, HartField } from "../../../src/isa/riscv/hart.ts";
import { GuestMemory } from "../../../src/memory/guest-memory.ts";
import { ModuleWriter } from "../../../src/wasm/module.ts";

const memory = new GuestMemory([], { reserved: ENGINE_RESERVED, pool: 0 });
const PC = at(HartField.pc);
const HOW = at(HartField.mail3);

let warmUp: WarmUp;
let calls: string[];
beforeEach(() => {
  warmUp = new WarmUp(memory);
  calls = [];
});

/** What a module of regions exports; its probe takes long while `slow`. */
function fake(name: string, state: { slow: boolean }) {
  const exports = {
    [name]: (budget: number, page: bigint) => {
      calls.push(`${name} ${budget} ${page}`);
      memory.data.setBigUint64(PC, 99n, true);
      memory.data.setBigUint64(HOW, 99n, true);
      return budget;
    },
    probe: () => {
      const until = performance.now() + (state.slow ? 0.5 : 0);
      while (performance.now() < until);
    },
  };
  return { exports } as unknown as WebAssembly.Instance;
}

test("they are called with nothing to spend, and the hart stays where it is", () => {
  memory.data.setBigUint64(PC, 7n, true);
  memory.data.setBigUint64(HOW, 8n, true);
  warmUp.start(fake("r3", { slow: false }), ["r3"], () => {});
  expect(calls.length).toBeGreaterThan(5);
  expect(new Set(calls)).toEqual(new Set(["r3 0 0"]));
  expect([memory.data.getBigUint64(PC, true), memory.data.getBigUint64(HOW, true)]).toEqual([7n, 8n]);
});

test("the first that are not compiled hold up what comes behind them, but not for ever", () => {
  const done: string[] = [];
  const state = { slow: true };
  warmUp.start(fake("a", state), [], () => done.push("a"));
  warmUp.start(fake("b", { slow: false }), [], () => done.push("b"));
  for (let i = 0; i < 5; i++) warmUp.look();
  expect(done).toEqual([]);
  state.slow = false;
  for (let i = 0; i < 50 && done.length < 2; i++) warmUp.look();
  expect(done).toEqual(["a", "b"]);
  warmUp.start(fake("c", { slow: true }), [], () => done.push("c"));
  for (let i = 0; i < 200; i++) warmUp.look();
  expect(done).toEqual(["a", "b", "c"]);
});

test("the probe of a real module ends", () => {
  const module = new ModuleWriter();
  defineProbe(module);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()));
  let done = false;
  warmUp.start(instance, [], () => {
    done = true;
  });
  for (let i = 0; i < 200 && !done; i++) warmUp.look();
  expect(done).toBe(true);
});
