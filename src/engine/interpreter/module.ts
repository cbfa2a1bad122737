/** The generated interpreter, compiled: generating it takes longer than all else that starts a machine, so it is kept. */
import type { InterpreterPlan } from "./contract.ts";

/** Keeps generated modules from one process to the next. It may forget any, and never fails. */
export interface ModuleStore {
  load(name: string): Uint8Array<ArrayBuffer> | undefined;
  save(name: string, bytes: Uint8Array): void;
}

/** Of this process's machines, by their plan. */
const compiled = new Map<string, WebAssembly.Module>();
/** Machines of one process are mostly alike. */
const MOST = 8;

/** The interpreter for a plan; see `generateInterpreter`. */
export function interpreterModule(plan: InterpreterPlan, store?: ModuleStore): WebAssembly.Module {
  const { memoryPages, scratch, counters, sites, codePages, decodedPages, compressed, status, threshold } = plan;
  const places = [
    memoryPages,
    scratch,
    counters,
    sites,
    codePages,
    decodedPages,
    Number(compressed),
    status,
    threshold,
  ];
  const name = `interpreter-${places.join("-")}${plan.parallel ? "-parallel" : ""}`;
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const module = stored(name, store) ?? generated(name, plan, store);
  if (compiled.size === MOST) compiled.clear();
  compiled.set(name, module);
  return module;
}

function stored(name: string, store: ModuleStore | undefined): WebAssembly.Module | undefined {
  const bytes = store?.load(name);
  if (bytes === undefined) return undefined;
  try {
    return new WebAssembly.Module(bytes);
  } catch {
    // Not what was saved: it is made and saved anew.
    return undefined;
  }
}

function generated(name: string, plan: InterpreterPlan, store: ModuleStore | undefined): WebAssembly.Module {
  // With what writes it, which is loaded for this alone.
  const { generateInterpreter } = require("./generate.ts") as typeof import("./generate.ts");
  const bytes = generateInterpreter(plan);
  store?.save(name, bytes);
  return new WebAssembly.Module(bytes);
}
