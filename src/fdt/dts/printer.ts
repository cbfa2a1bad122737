/**
 * A tree that was read from source, as source again: labels, references, and values in the types they were written in,
 * where `printDts` of a blob must guess. Laid out as dtc does; comments and macros are not kept.
 */
import { printBootCpu, printReservation, printValue } from "../printer.ts";
import type { FdtNode } from "../tree.ts";
import { assertWellFormed } from "../wellformed.ts";
import type { Mark } from "./livetree.ts";
import type { DtsTree } from "./parse.ts";

export interface PrintSourceOptions {
  /** Comments that tell where each node and property was written. As `dtc -T`. */
  readonly annotate?: boolean;
}

export function printSource(tree: DtsTree, { annotate = false }: PrintSourceOptions = {}): string {
  assertWellFormed(tree);
  const lines = ["/dts-v1/;", ...(tree.plugin ? ["/plugin/;"] : []), ""];
  tree.reservations.forEach((reservation, i) => {
    lines.push(prefix(tree.sources.reservationLabels[i] ?? []) + printReservation(reservation));
  });
  lines.push(...printBootCpu(tree));
  printNode(tree, tree.root, "", lines, annotate ? originIn(tree) : () => "");
  return `${lines.join("\n")}\n`;
}

/** A comment about where a node or a property comes from. */
type Origin = (node: FdtNode, property?: string) => string;

function originIn({ sources }: DtsTree): Origin {
  return (node, property) => {
    const places = property === undefined ? sources.places(node) : [sources.place(node, property)];
    const told = places.map((place) => place && `${place.file}:${place.line}:${place.column}`);
    return told.some(Boolean) ? ` /* ${told.join(", ").replaceAll("*/", "* /")} */` : "";
  };
}

function printNode(tree: DtsTree, node: FdtNode, indent: string, lines: string[], origin: Origin): void {
  lines.push(`${indent}${prefix(tree.sources.labels(node))}${node.name || "/"} {${origin(node)}`);
  for (const [name, value] of node.properties) {
    const labels = prefix(tree.sources.labels(node, name));
    const marks = tree.sources.marks(node, name);
    lines.push(
      `${indent}\t${labels}${name}${value.length > 0 ? ` = ${printMarked(value, marks)}` : ""};${origin(node, name)}`,
    );
  }
  for (const next of node.children) {
    lines.push("");
    printNode(tree, next, `${indent}\t`, lines, origin);
  }
  lines.push(`${indent}};`);
}

/** `__symbols__` may give a name that cannot be written as a label. */
function prefix(labels: readonly string[]): string {
  return labels
    .filter((label) => /^[A-Za-z_]\w*$/.test(label))
    .map((label) => `${label}: `)
    .join("");
}

type Type = "u8" | "u16" | "u32" | "u64" | "string" | "file";

function isType(kind: Mark["kind"]): kind is Type {
  return kind !== "phandle" && kind !== "path" && kind !== "label";
}

/** A value as its marks describe it: one part per type mark, labels before, inside and behind them. */
function printMarked(value: Uint8Array, marks: readonly Mark[]): string {
  // A changed value, or one that nothing is known about.
  const fits = marks.every(({ offset }) => offset <= value.length);
  if (!fits || marks.find(({ kind }) => isType(kind))?.offset !== 0) return printValue(value);
  const parts: string[] = [];
  let labels: string[] = [];
  for (let at = 0; at < marks.length; ) {
    const mark = marks[at++]!;
    if (!isType(mark.kind)) {
      // Where two parts meet, nothing tells which side a label stood on; it begins the next part.
      if (mark.kind === "label") labels.push(`${mark.name}:`);
      continue;
    }
    let next = at;
    while (next < marks.length && !isType(marks[next]!.kind)) next++;
    const end = marks[next]?.offset ?? value.length;
    if (end === mark.offset) continue;
    const first = at;
    while (at < next && marks[at]!.offset < end) at++;
    const part = printPart(value.subarray(mark.offset, end), mark, marks.slice(first, at));
    parts.push([...labels, part].join(" "));
    labels = [];
  }
  return [parts.join(", "), ...labels].join(" ");
}

function printPart(bytes: Uint8Array, { kind, offset }: Mark, inside: readonly Mark[]): string {
  switch (kind) {
    case "string":
      if (bytes.at(-1) === 0) return printString(bytes);
      break;
    case "u16":
    case "u32":
    case "u64": {
      const size = Number(kind.slice(1)) / 8;
      if (bytes.length % size === 0) {
        return `${size === 4 ? "" : `/bits/ ${8 * size} `}<${printElements(bytes, size, offset, inside)}>`;
      }
    }
  }
  return `[${printElements(bytes, 1, offset, inside)}]`;
}

/** Elements of `size` bytes with the references in the place of their values, and labels before them. */
function printElements(bytes: Uint8Array, size: number, start: number, inside: readonly Mark[]): string {
  const out: string[] = [];
  let next = 0;
  for (let at = 0; at < bytes.length; at += size) {
    let reference: string | undefined;
    for (; next < inside.length && inside[next]!.offset - start <= at; next++) {
      const { kind, name = "" } = inside[next]!;
      if (kind === "label") out.push(`${name}:`);
      if (kind === "phandle" && size === 4) reference = name.includes("/") ? `&{${name}}` : `&${name}`;
    }
    out.push(reference ?? printElement(bytes.subarray(at, at + size)));
  }
  return out.join(" ");
}

function printElement(bytes: Uint8Array): string {
  const digits = Buffer.from(bytes).toString("hex");
  return bytes.length === 1 ? digits : `0x${digits.replace(/^0+/, "").padStart(2, "0")}`;
}

const ESCAPES: ReadonlyMap<number, string> = new Map(
  [..."abtnvfr"].map((letter, i) => [[7, 8, 9, 10, 11, 12, 13][i]!, `\\${letter}`]),
);

/** One string, NULs inside it included. */
function printString(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length - 1; at++) {
    const code = bytes[at]!;
    const char = String.fromCharCode(code);
    // Digits behind "\0" would belong to it.
    const plainNul = code === 0 && !/[0-7]/.test(String.fromCharCode(bytes[at + 1]!));
    if (plainNul) text += "\\0";
    else if (char === '"' || char === "\\") text += `\\${char}`;
    else if (code >= 0x20 && code < 0x7f) text += char;
    else text += ESCAPES.get(code) ?? `\\x${code.toString(16).padStart(2, "0")}`;
  }
  return `"${text}"`;
}
