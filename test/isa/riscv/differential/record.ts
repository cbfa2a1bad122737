// Records anew what QEMU computes: `bun test/isa/riscv/differential/record.ts`.

import { COUNT, SEED, writeExpected } from "./expected.ts";
import { createProgram, hashDump, parseDumps } from "./program.ts";
import { HOW_TO_GET_QEMU, hasQemu, runOnQemu } from "./qemu.ts";

if (!hasQemu) throw new Error(HOW_TO_GET_QEMU);
const { elf } = createProgram(SEED, COUNT);
const output = runOnQemu(elf);
// What is not the same twice is no measure.
if (runOnQemu(elf) !== output) throw new Error("QEMU printed something else the second time");
await writeExpected(parseDumps(output, COUNT).map(hashDump));
