#!/usr/bin/env -S BUN_JSC_useWasmIPInt=0 bun
/**
 * The door: finds the command and loads it, and nothing else. `vmrun PROFILE` is short for `vmrun run PROFILE`.
 *
 * The first line has WebAssembly compiled at once: JavaScriptCore would interpret translated guest code at first, which is
 * slower than vmrun's own interpreter.
 */
import { main } from "./cli/main.ts";

process.exitCode = await main(process.argv.slice(2));
