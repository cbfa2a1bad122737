#!/usr/bin/env bun
/** The door: finds the command and loads it, and nothing else. `vmrun PROFILE` is short for `vmrun run PROFILE`. */
import { main } from "./cli/main.ts";

process.exitCode = await main(process.argv.slice(2));
