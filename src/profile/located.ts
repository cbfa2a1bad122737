/** A profile as written: tables, lists and scalars that each remember where they stand. */
import type { Place } from "../diagnostics/diagnostic.ts";
import { quoted } from "../fdt/names.ts";

/** TOML's date and time values arrive as `Date`, in UTC where they name no zone. */
export type Scalar = string | number | boolean | Date;

/** Who wrote a value, and which folder its paths are relative to. */
export interface Origin {
  readonly kind: "file" | "set" | "default";
  readonly folder: string;
  /** The same folder as a person named it: for messages, so that they do not depend on the machine. */
  readonly shownFolder: string;
}

interface Written {
  /** Of the value; of the header for a `[table]`. */
  readonly place: Place;
  readonly origin: Origin;
}

export interface ScalarNode extends Written {
  readonly kind: "scalar";
  readonly value: Scalar;
}

export interface ListNode extends Written {
  readonly kind: "list";
  readonly items: Located[];
}

export interface Entry {
  readonly key: Place;
  readonly value: Located;
}

export interface TableNode extends Written {
  readonly kind: "table";
  readonly entries: Map<string, Entry>;
}

export type Located = ScalarNode | ListNode | TableNode;

/** Of values inside values: deeper than any profile, shallow enough for every recursion over the result. */
export const MAX_DEPTH = 16;

/** A plain value as JavaScript knows it. */
export type Plain = Scalar | readonly Plain[] | { readonly [key: string]: Plain };

export function table(place: Place, origin: Origin): TableNode {
  return { kind: "table", place, origin, entries: new Map() };
}

export function scalar(value: Scalar, place: Place, origin: Origin): ScalarNode {
  return { kind: "scalar", value, place, origin };
}

/** The value without its places. Own properties only, whatever the keys are called. */
export function plain(node: Located): Plain {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(plain);
  return Object.fromEntries(Array.from(node.entries, ([key, { value }]) => [key, plain(value)]));
}

export function lookup(node: Located | undefined, ...keys: readonly (string | number)[]): Located | undefined {
  let at = node;
  for (const key of keys) {
    if (at?.kind === "table") at = at.entries.get(String(key))?.value;
    else if (at?.kind === "list" && typeof key === "number") at = at.items[key];
    else return undefined;
  }
  return at;
}

/** The text of a scalar that is a string. */
export function textOf(node: Located | undefined): string | undefined {
  return node?.kind === "scalar" && typeof node.value === "string" ? node.value : undefined;
}

/** A key or name made safe to show: bare where TOML allows it bare. */
export function shownKey(key: string): string {
  return /^[\w-]+$/.test(key) ? key : quoted(key);
}

/** `vdev.uart0.host`: how messages and `--set` name a key. */
export function pathOf(...keys: readonly (string | number)[]): string {
  return keys.map((key) => shownKey(String(key))).join(".");
}
