/**
 * A tree that was read from source, as source again: labels, references, and values in the types they were written in,
 * where `printDts` of a blob must guess. Laid out as dtc does, with the comments; macros are not kept.
 */
import { type Comments, commentsAtEnd, pushComments } from "../comments.ts";
import { printBootCpu, printReservation, printValue } from "../printer.ts";
import { type FdtNode, walk } from "../tree.ts";
import { cellAt, phandleOf } from "../tree-index.ts";
import { assertWellFormed } from "../wellformed.ts";
import type { Mark } from "./livetree.ts";
import type { DtsTree } from "./parse.ts";

export interface PrintSourceOptions {
  /** Comments that tell where each node and property was written. As `dtc -T`. */
  readonly annotate?: boolean;
  /** The tree is no longer as it was read: a reference stands only where it still leads to the phandle in its cell. */
  readonly changed?: boolean;
}

export function printSource(tree: DtsTree, { annotate = false, changed = false }: PrintSourceOptions = {}): string {
  assertWellFormed(tree);
  const { comments, reservationLabels } = tree.sources;
  const lines: string[] = [];
  pushWithComments(lines, "/dts-v1/;", comments.header);
  if (tree.plugin) pushWithComments(lines, "/plugin/;", comments.plugin);
  lines.push("");
  tree.reservations.forEach((reservation, i) => {
    const text = prefix(reservationLabels[i] ?? []) + printReservation(reservation);
    pushWithComments(lines, text, tree.sources.reservationComments(reservation));
  });
  const known = tree.sources.nodeComments(tree.root)?.before ?? [];
  for (const line of printBootCpu(tree)) if (!known.some(({ text }) => text === line)) lines.push(line);
  const origin = annotate ? originIn(tree) : () => "";
  const holds = changed ? holdsIn(tree) : () => true;
  printNode({ tree, lines, origin, holds }, tree.root, "");
  if (comments.end.length > 0) lines.push("");
  pushComments(lines, comments.end, "");
  return `${lines.join("\n")}\n`;
}

function pushWithComments(lines: string[], text: string, comments: Comments | undefined, indent = ""): void {
  pushComments(lines, comments?.before, indent);
  lines.push(indent + text + commentsAtEnd(comments?.after, indent));
}

interface Printing {
  readonly tree: DtsTree;
  readonly lines: string[];
  readonly origin: Origin;
  readonly holds: Holds;
}

/** Whether a reference of that name may stand for what is in a cell. */
type Holds = (name: string, cell: number) => boolean;

function holdsIn({ root, sources }: DtsTree): Holds {
  const phandles = new Map<string, number | undefined>();
  for (const { node, path } of walk(root)) {
    const phandle = phandleOf(node);
    for (const name of [path, ...sources.labels(node)]) phandles.set(name, phandle);
  }
  // What a plugin leaves open has no phandle yet.
  return (name, cell) => cell === 0xffff_ffff || phandles.get(name) === cell;
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

function printNode(printing: Printing, node: FdtNode, indent: string): void {
  const { lines, origin, holds } = printing;
  const { sources } = printing.tree;
  const inner = `${indent}\t`;
  const comments = sources.nodeComments(node);
  if (comments) pushComments(lines, comments.before, indent);
  const head = `${indent}${prefix(sources.labels(node))}${node.name || "/"} {${origin(node)}`;
  lines.push(comments ? head + commentsAtEnd(comments.open, indent) : head);
  for (const [name, value] of node.properties) {
    const source = sources.property(node, name);
    const text = value.length > 0 ? ` = ${printMarked(value, source.marks, holds)}` : "";
    const line = `${prefix(source.labels)}${name}${text};${origin(node, name)}`;
    pushWithComments(lines, line, source.comments, inner);
  }
  for (const next of node.children) {
    lines.push("");
    printNode(printing, next, inner);
  }
  if (comments) pushComments(lines, comments.last, inner);
  lines.push(comments ? `${indent}};${commentsAtEnd(comments.after, indent)}` : `${indent}};`);
}

/** `__symbols__` may give a name that cannot be written as a label. */
function prefix(labels: readonly string[]): string {
  if (labels.length === 0) return "";
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
function printMarked(value: Uint8Array, marks: readonly Mark[], holds: Holds): string {
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
    const part = printPart(value.subarray(mark.offset, end), mark, marks.slice(first, at), holds);
    parts.push([...labels, part].join(" "));
    labels = [];
  }
  return [parts.join(", "), ...labels].join(" ");
}

function printPart(bytes: Uint8Array, { kind, offset }: Mark, inside: readonly Mark[], holds: Holds): string {
  switch (kind) {
    case "string":
      if (bytes.at(-1) === 0) return printString(bytes);
      break;
    case "u16":
    case "u32":
    case "u64": {
      const size = Number(kind.slice(1)) / 8;
      if (bytes.length % size === 0) {
        return `${size === 4 ? "" : `/bits/ ${8 * size} `}<${printElements(bytes, size, offset, inside, holds)}>`;
      }
    }
  }
  return `[${printElements(bytes, 1, offset, inside, holds)}]`;
}

/** Elements of `size` bytes with the references in the place of their values, and labels before them. */
function printElements(bytes: Uint8Array, size: number, start: number, inside: readonly Mark[], holds: Holds): string {
  const out: string[] = [];
  let next = 0;
  for (let at = 0; at < bytes.length; at += size) {
    let reference: string | undefined;
    for (; next < inside.length && inside[next]!.offset - start <= at; next++) {
      const { kind, name = "" } = inside[next]!;
      if (kind === "label") out.push(`${name}:`);
      if (kind === "phandle" && size === 4 && holds(name, cellAt(bytes, at))) {
        reference = name.includes("/") ? `&{${name}}` : `&${name}`;
      }
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
