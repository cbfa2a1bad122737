#!/bin/sh
":" //; x64=/lib64/ld-linux-x86-64.so.2
":" //; case "$VMRUN_NO_NATIVE $*" in *portable* | 1\ *) x64=none ;; esac
":" //; [ -e $x64 ] && export BUN_JSC_thresholdForOMGOptimizeAfterWarmUp="${BUN_JSC_thresholdForOMGOptimizeAfterWarmUp-60000000}"
":" //; export BUN_JSC_thresholdForFTLOptimizeAfterWarmUp="${BUN_JSC_thresholdForFTLOptimizeAfterWarmUp-1000000}"
":" //; export BUN_JSC_gcMaxHeapSize="${BUN_JSC_gcMaxHeapSize-8000000}"
":" //; exec bun "$0" "$@"
/**
 * The door: finds the command and loads it, and nothing else. `vmrun PROFILE` is short for `vmrun run PROFILE`.
 *
 * The lines above are the shell's, and nothing to JavaScript. They have JavaScriptCore's most thorough compilers wait for longer
 * than usual, which can only be said before Bun starts: in a boot of Linux they took a fifth of the CPU time, for code of
 * vmrun's that was done before it paid. What a guest makes hot for longer gets there all the same. WebAssembly waits only where
 * guest code becomes x86-64's (as far as a shell can tell), and the interpreter is all there is of it: to compile that takes
 * 25 MB and 100 ms, and pays after some hundred million rounds.
 *
 * The collector comes for each 8 MB. By itself it waits until there is as much to look through as there was left the last time,
 * the guest's RAM included: for hundreds of megabytes.
 */
import { passDoor } from "./cli/kept/door.ts";

const args = process.argv.slice(2);
const { code, missing } = await passDoor(args);
process.exitCode = code ?? (await (await import("./cli/main.ts")).main(args));
if (missing) (await import("./cli/kept/start-maker.ts")).startMaker(missing);
