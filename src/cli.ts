#!/bin/sh
":" //; export BUN_JSC_thresholdForFTLOptimizeAfterWarmUp="${BUN_JSC_thresholdForFTLOptimizeAfterWarmUp-1000000}"; exec bun "$0" "$@"
/**
 * The door: finds the command and loads it, and nothing else. `vmrun PROFILE` is short for `vmrun run PROFILE`.
 *
 * The line above is the shell's, and nothing to JavaScript. It has JavaScriptCore's most thorough compiler wait ten times as
 * long as usual, which can only be said before Bun starts: in a boot of Linux it took a fifth of the CPU time, for code of
 * vmrun's that was done before it paid. What a guest makes hot for longer gets there all the same.
 */
import { passDoor } from "./cli/kept/door.ts";

const args = process.argv.slice(2);
const { code, missing } = await passDoor(args);
process.exitCode = code ?? (await (await import("./cli/main.ts")).main(args));
if (missing) (await import("./cli/kept/start-maker.ts")).startMaker(missing);
