/** `vmrun fdt`: the device tree that a board's guest reads, without starting the guest. */
import { writeFileSync } from "node:fs";
import { defineCommand } from "citty";
import { fail } from "../diagnostics/diagnostic.ts";
import { printDts } from "../fdt/printer.ts";
import { writeDtb } from "../fdt/writer.ts";
import { writeStdout } from "../host/terminal.ts";
import { boardTree } from "../profile/devicetree.ts";
import { refuseUnknown } from "./arguments.ts";
import { ExitCode } from "./exit-codes.ts";
import { loadFromArguments, profileArguments } from "./profile-argument.ts";

const args = {
  ...profileArguments,
  dts: { type: "boolean", description: "print source text instead of the binary form" },
  output: { type: "string", alias: "o", valueHint: "FILE", description: "write to FILE instead of standard output" },
} as const;

export const fdt = defineCommand({
  meta: { name: "fdt", description: "Generate the device tree of a board (DTB, or DTS with --dts)" },
  args,
  run({ args: given, rawArgs }) {
    refuseUnknown(rawArgs, args);
    const { board, registry } = loadFromArguments(given.profile, rawArgs);
    const tree = boardTree(board, registry);
    const bytes = given.dts ? new TextEncoder().encode(printDts(tree)) : writeDtb(tree);
    if (given.output !== undefined) {
      try {
        writeFileSync(given.output, bytes);
      } catch (error) {
        fail("cli/output", `cannot write ${given.output}: ${error instanceof Error ? error.message : error}`);
      }
    } else if (!given.dts && process.stdout.isTTY) {
      fail("cli/binary-to-terminal", "a DTB is binary, and standard output is a terminal", {
        hint: "use --dts to read it, -o FILE to keep it, or a pipe: vmrun fdt PROFILE | dtc -I dtb -O dts",
      });
    } else writeStdout(bytes);
    return ExitCode.success;
  },
});
