/**
 * A tree as devicetree source (DTSpec v0.4 §6), laid out as dtc prints a blob. A blob has no types, so values are guessed
 * from their bytes; the guess changes only the look: dtc turns the text back into the same blob.
 */
import type { Fdt, FdtNode } from "./tree.ts";
import { assertWellFormed } from "./wellformed.ts";

export function printDts(fdt: Fdt): string {
  assertWellFormed(fdt);
  const lines = ["/dts-v1/;", ""];
  for (const reservation of fdt.reservations) lines.push(printReservation(reservation));
  lines.push(...printBootCpu(fdt));
  printNode(fdt.root, "", lines);
  return `${lines.join("\n")}\n`;
}

export function printReservation({ address, size }: Fdt["reservations"][number]): string {
  return `/memreserve/\t${hex64(address)} ${hex64(size)};`;
}

/** Source text has no place for the boot CPU: dtc takes the first CPU's reg, or its option -b. */
export function printBootCpu(fdt: Fdt): string[] {
  return fdt.bootCpu === firstCpu(fdt.root) ? [] : [`// boot CPU: dtc -b ${fdt.bootCpu}`];
}

function printNode(node: FdtNode, indent: string, lines: string[]): void {
  lines.push(`${indent}${node.name || "/"} {`);
  for (const [name, value] of node.properties) {
    lines.push(`${indent}\t${name}${value.length > 0 ? ` = ${printValue(value)}` : ""};`);
  }
  for (const next of node.children) {
    lines.push("");
    printNode(next, `${indent}\t`, lines);
  }
  lines.push(`${indent}};`);
}

/** Strings where the bytes look like it, else u32 cells where they fit, else single bytes: dtc's order of guessing. */
export function printValue(value: Uint8Array): string {
  if (looksLikeStrings(value)) return printStrings(value);
  if (value.length % 4 === 0) return printCells(value);
  return `[${Array.from(value, (byte) => hexDigits(byte)).join(" ")}]`;
}

/** Text only, ended by NUL, and no more NULs than other bytes: else small cells such as <0x00> would pass for strings. */
function looksLikeStrings(value: Uint8Array): boolean {
  let nuls = 0;
  for (const byte of value) {
    if (byte === 0) nuls++;
    else if (!isPrintable(byte) && !ESCAPES.has(byte)) return false;
  }
  return value[value.length - 1] === 0 && nuls <= value.length - nuls;
}

function printStrings(value: Uint8Array): string {
  let text = '"';
  for (const byte of value.subarray(0, -1)) {
    text += byte === 0 ? '", "' : (ESCAPES.get(byte) ?? String.fromCharCode(byte));
  }
  return `${text}"`;
}

function printCells(value: Uint8Array): string {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const cells = Array.from({ length: value.length / 4 }, (_, i) => `0x${hexDigits(view.getUint32(4 * i))}`);
  return `<${cells.join(" ")}>`;
}

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x07, "\\a"],
  [0x08, "\\b"],
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0b, "\\v"],
  [0x0c, "\\f"],
  [0x0d, "\\r"],
  [0x22, '\\"'],
  [0x5c, "\\\\"],
]);

function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte < 0x7f;
}

function hexDigits(value: number): string {
  return value.toString(16).padStart(2, "0");
}

function hex64(value: bigint): string {
  return `0x${value.toString(16).padStart(16, "0")}`;
}

/** The boot CPU that dtc assumes when it reads source text. */
function firstCpu(root: FdtNode): number {
  const reg = root.children.find(({ name }) => name === "cpus")?.children[0]?.properties.get("reg");
  return reg?.length === 4 ? new DataView(reg.buffer, reg.byteOffset, 4).getUint32(0) : 0;
}
