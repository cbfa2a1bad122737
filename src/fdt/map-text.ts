/** A tree's memory map and interrupt tree as text. */
import { type InterruptController, lineText, mapTree, sizeText, visible } from "./map.ts";
import type { Fdt } from "./tree.ts";

export function renderMapText(fdt: Fdt): string {
  const { blocks, controllers } = mapTree(fdt);
  const width = Math.max(8, ...blocks.map(({ start, size }) => (start + size - 1n).toString(16).length));
  const hex = (address: bigint) => `0x${address.toString(16).padStart(width, "0")}`;
  const rows = blocks.map(({ start, size, kind, path, part, about, disabled }) => {
    const what = [path, part && `[${visible(part)}]`, about && visible(about), disabled && "(disabled)"];
    return [`${hex(start)} - ${hex(start + size - 1n)}`, sizeText(size), kind, what.filter(Boolean).join("  ")];
  });
  const lines = ["Memory", ...table(rows), "", "Interrupts"];
  for (const controller of controllers) lines.push(...controllerLines(controller, "  "));
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

function controllerLines(controller: InterruptController, indent: string): string[] {
  const { path, about, lines, below } = controller;
  const shown = lines.map((line) => [lineText(line, controller), line.path]);
  return [
    `${indent}${path}${about ? `  ${visible(about)}` : ""}`,
    ...table(shown, `${indent}    `),
    ...below.flatMap((each) => controllerLines(each, `${indent}  `)),
  ];
}

function table(rows: readonly (readonly string[])[], indent = "  "): string[] {
  const widths = (rows[0] ?? []).map((_, column) => rows.reduce((most, row) => Math.max(most, row[column]!.length), 0));
  return rows.map((row) => indent + row.map((text, column) => text.padEnd(widths[column]!)).join("  "));
}
