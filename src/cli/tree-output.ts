/** Where a command's tree goes: a file, a pipe, or a terminal, which gets source text only. */
import { writeFileSync } from "node:fs";
import { fail } from "../diagnostics/diagnostic.ts";
import type { Fdt } from "../fdt/tree.ts";
import { type WriteOptions, writeDtb } from "../fdt/writer.ts";
import { stdoutIsTerminal, writeStdout } from "../host/terminal.ts";

export const outputArguments = {
  dts: { type: "boolean", description: "print source text instead of the binary form" },
  output: { type: "string", alias: "o", valueHint: "FILE", description: "write to FILE instead of standard output" },
  padding: { type: "string", valueHint: "BYTES", description: "room at the end of a DTB, for a boot loader's edits" },
} as const;

export interface OutputOptions {
  readonly dts?: boolean;
  readonly output?: string;
  readonly padding?: string;
  /** Further properties of the blob. */
  readonly blob?: Omit<WriteOptions, "padding" | "names">;
  /** The order of property names in a DTB's strings. */
  readonly names?: Iterable<string>;
  /** The source text, where there is a better one than a blob's. */
  readonly print?: () => string;
}

export function writeTree(fdt: Fdt, options: OutputOptions): void {
  const { dts = false, output, names, blob, print = () => printer().printDts(fdt) } = options;
  if (dts) return writeText(print(), output);
  const bytes = writeDtb(fdt, { ...blob, names, padding: numberOption("padding", options.padding) });
  if (output === undefined && stdoutIsTerminal()) {
    fail("cli/binary-to-terminal", "a DTB is binary, and standard output is a terminal", {
      hint: "use --dts to read it, -o FILE to keep it, or a pipe to dtc -I dtb -O dts",
    });
  }
  writeBytes(bytes, output);
}

const printer = () => require("../fdt/printer.ts") as typeof import("../fdt/printer.ts");

export function writeText(text: string, output?: string): void {
  writeBytes(new TextEncoder().encode(text), output);
}

function writeBytes(bytes: Uint8Array, output: string | undefined): void {
  if (output === undefined || output === "-") {
    writeStdout(bytes);
    return;
  }
  try {
    writeFileSync(output, bytes);
  } catch (error) {
    fail("cli/output", `cannot write ${output}: ${error instanceof Error ? error.message : error}`);
  }
}

/** The number that an option was given. */
export function numberOption(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^(\d+|0x[0-9a-fA-F]+)$/.test(text)) fail("cli/usage", `--${option} takes a number, not "${text}"`);
  return Number(text);
}
