/** Reads and edits single places of a tree by what people type: paths, aliases, values in the notations of fdtget and fdtput. */
import { fail } from "../diagnostics/diagnostic.ts";
import { baseName, quoted } from "./names.ts";
import { child, type Fdt, type FdtNode, find, node, setProperty } from "./tree.ts";
import { decodeStrings } from "./values.ts";

/** `s`, or an integer notation (`i` signed, `u` unsigned, `x` hexadecimal) of so many bytes; `r`: bytes as they are. */
export interface ValueType {
  readonly kind: "string" | "raw" | "signed" | "unsigned" | "hex";
  readonly size?: 1 | 2 | 4 | 8;
}

const KINDS = { i: "signed", u: "unsigned", x: "hex" } as const;
const SIZES = { "": undefined, b: 1, hh: 1, h: 2, l: 4, q: 8 } as const;

/** A type as after `-t`: `s`, `r`, or `i`, `u`, `x` with a size before it: `b` or `hh` one byte, `h` two, `l` four, `q` eight. */
export function parseValueType(text: string): ValueType {
  if (text === "s") return { kind: "string" };
  if (text === "r") return { kind: "raw" };
  const match = /^(|b|hh|h|l|q)([iux])$/.exec(text);
  if (!match) {
    fail("fdt/value-type", `${quoted(text)} is not a type`, {
      hint: "s string, r raw, i int, u unsigned, x hex; before i, u, x a size: b 1, h 2, l 4, q 8 bytes",
    });
  }
  return { kind: KINDS[match[2] as keyof typeof KINDS], size: SIZES[match[1] as keyof typeof SIZES] };
}

/** The node at a path, or at an alias and what follows it. */
export function nodeAt(fdt: Fdt, path: string): FdtNode {
  const found = findNode(fdt, path);
  if (found) return found;
  fail("fdt/no-node", `there is no node ${quoted(path)}`, { hint: nearestParent(fdt, path) });
}

export function propertyAt(fdt: Fdt, path: string, name: string): Uint8Array {
  const owner = nodeAt(fdt, path);
  const value = owner.properties.get(name);
  if (value) return value;
  const names = [...owner.properties.keys()].slice(0, 16).join(", ");
  fail("fdt/no-property", `${path} has no property ${quoted(name)}`, {
    hint: names === "" ? "it has none at all" : `it has ${names}`,
  });
}

export function findNode(fdt: Fdt, path: string): FdtNode | undefined {
  if (path.startsWith("/")) return find(fdt.root, path);
  const [alias, ...rest] = path.split("/");
  const value = child(fdt.root, "aliases")?.properties.get(alias!);
  const target = value && decodeStrings(value, `/aliases:${alias}`)[0];
  return target?.startsWith("/") ? find(fdt.root, [target, ...rest].join("/")) : undefined;
}

function nearestParent(fdt: Fdt, path: string): string | undefined {
  if (!path.startsWith("/")) return "a path begins with /, or with the name of an alias";
  const parts = path.split("/").filter(Boolean);
  while (parts.length > 0) {
    parts.pop();
    const at = `/${parts.join("/")}`;
    const parent = find(fdt.root, at);
    if (!parent) continue;
    const names = parent.children.slice(0, 16).map(({ name }) => name);
    return names.length > 0 ? `${at} has ${names.join(", ")}` : `${at} has no nodes in it`;
  }
  return undefined;
}

/** A value as fdtget prints it; without a type, by the look of the bytes: text, cells, or bytes. */
export function formatValue(value: Uint8Array, type?: ValueType): string {
  if (value.length === 0) return "";
  if (type?.kind === "raw") return Buffer.from(value).toString("latin1");
  if (type?.kind === "string" || (type === undefined && looksLikeText(value))) {
    if (value[value.length - 1] !== 0) fail("fdt/value", "the value is not a string: it does not end with a NUL");
    return decodeStrings(value, "").join(" ");
  }
  const { kind, size }: ValueType = type ?? { kind: "signed" };
  const step = size ?? (value.length % 4 === 0 ? 4 : 1);
  if (value.length % step !== 0) {
    fail("fdt/value", `${value.length} bytes are not a whole number of integers of ${step}`);
  }
  const numbers: string[] = [];
  for (let at = 0; at < value.length; at += step) {
    let number = 0n;
    for (let i = 0; i < step; i++) number = (number << 8n) | BigInt(value[at + i]!);
    // As in C: what is narrower than an int is never negative.
    if (kind === "signed" && step >= 4) number = BigInt.asIntN(8 * step, number);
    numbers.push(number.toString(kind === "hex" ? 16 : 10));
  }
  return numbers.join(" ");
}

/** Printable strings, none of them empty. */
function looksLikeText(value: Uint8Array): boolean {
  let length = 0;
  for (const byte of value) {
    if (byte === 0 ? length === 0 : byte < 0x20 || byte > 0x7e) return false;
    length = byte === 0 ? 0 : length + 1;
  }
  return length === 0;
}

/** The bytes that words of a command line mean, one value after the other. Without a type they are integers of four bytes. */
export function parseValue(words: readonly string[], type?: ValueType): Uint8Array {
  if (type?.kind === "string" || type?.kind === "raw") {
    return new TextEncoder().encode(words.map((word) => (type.kind === "raw" ? word : `${word}\0`)).join(""));
  }
  const { kind, size }: ValueType = type ?? { kind: "signed" };
  const step = size ?? 4;
  const bytes = new Uint8Array(step * words.length);
  words.forEach((word, i) => {
    let number = BigInt.asUintN(8 * step, integer(word, kind, step));
    for (let at = step - 1; at >= 0; at--, number >>= 8n) bytes[step * i + at] = Number(number & 0xffn);
  });
  return bytes;
}

function integer(word: string, kind: ValueType["kind"], size: number): bigint {
  const match = /^(-?)(0[xX])?([0-9a-fA-F]+)$/.exec(word);
  const digits = match?.[3] ?? "";
  const isHex = kind === "hex" || match?.[2] !== undefined;
  if (!match || !(isHex || /^\d+$/.test(digits))) {
    fail("fdt/value", `${quoted(word)} is not an integer`, {
      hint: kind === "hex" ? undefined : "-t s is for strings, -t x for hexadecimal digits without 0x",
    });
  }
  const magnitude = BigInt(isHex ? `0x${digits}` : digits);
  const number = match[1] === "-" ? -magnitude : magnitude;
  const bits = 8 * size;
  if (number >= 1n << BigInt(bits) || number < -(1n << BigInt(bits - 1))) {
    fail("fdt/value", `${word} does not fit into ${size} bytes`, { hint: "the letter before the type is the size" });
  }
  return number;
}

/** Sets a property. A new one comes first in its node, where libfdt and so fdtput put it. */
export function writeProperty(fdt: Fdt, path: string, name: string, value: Uint8Array): void {
  const owner = nodeAt(fdt, path);
  const before = owner.properties.has(name) ? [] : [...owner.properties];
  if (before.length > 0) owner.properties = new Map();
  setProperty(owner, name, value);
  for (const [other, kept] of before) owner.properties.set(other, kept);
}

export function deleteProperty(fdt: Fdt, path: string, name: string): void {
  propertyAt(fdt, path, name);
  nodeAt(fdt, path).properties.delete(name);
}

/** Makes a node, the first in its parent as libfdt does; with `parents`, those above it too, and it may exist. */
export function createNode(fdt: Fdt, path: string, { parents = false } = {}): void {
  const parts = path.split("/").filter(Boolean);
  if (!path.startsWith("/") || parts.length === 0) fail("fdt/path", `${quoted(path)} is not a path to a new node`);
  let at = fdt.root;
  parts.forEach((name, i) => {
    const next = child(at, name);
    const isLast = i === parts.length - 1;
    if (next && isLast && !parents) {
      fail("fdt/exists", `${path} is there already`, {
        hint: next.name === name ? undefined : `as ${next.name}: ${baseName(next.name)} alone names it too`,
      });
    }
    if (!next && !isLast && !parents) nodeAt(fdt, `/${parts.slice(0, i + 1).join("/")}`);
    const made = next ?? node(name);
    if (!next) at.children.unshift(made);
    at = made;
  });
}

export function removeNode(fdt: Fdt, path: string): void {
  const gone = nodeAt(fdt, path);
  if (gone === fdt.root) fail("fdt/path", "the root cannot be removed");
  const remove = (from: FdtNode): boolean => {
    const position = from.children.indexOf(gone);
    if (position >= 0) from.children.splice(position, 1);
    return position >= 0 || from.children.some(remove);
  };
  remove(fdt.root);
}
