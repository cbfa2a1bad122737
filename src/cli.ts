#!/usr/bin/env bun
/** The door: finds the command and loads it, and nothing else. `vmrun PROFILE` is short for `vmrun run PROFILE`. */
import { passDoor } from "./cli/kept/door.ts";

const args = process.argv.slice(2);
const { code, missing } = await passDoor(args);
process.exitCode = code ?? (await (await import("./cli/main.ts")).main(args));
if (missing) (await import("./cli/kept/start-maker.ts")).startMaker(missing);
